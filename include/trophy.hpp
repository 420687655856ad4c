/*
 * trophy.hpp: libtrophy for C++17 and later, header-only, over trophy.h.
 *
 * THE RULES
 *
 * Errors, as you like. What can fail returns a trophy::Result. Its value(), `*` and `->` throw trophy::Error where
 *   there is no value: `client.event("words-written", "18", 750)->number("/total")`. Who wants no exceptions asks
 *   `if (result)` first. With -fno-exceptions a value that is not there aborts. No RTTI is needed.
 * Ownership. A Client frees itself, and can be moved. Text goes in as std::string_view, is copied, and comes out as
 *   trophy::Json or std::string. There is nothing to free.
 * JSON. A string is always a text, and is escaped; JSON is a trophy::Json, or an Object, Array or User, which
 *   become one.
 * Callbacks are any callable, move-only ones too. It is moved in, runs on the thread that the client option
 *   `callbacks` names, and is destroyed once: after it ran, or at once if the call is refused. An exception that
 *   leaves it ends the program by std::terminate(), as one that leaves a std::thread does. A callback must not close
 *   its client, nor destroy its last handle: that would free nothing.
 * Threads. All const functions of a Client may be called from any thread at once; moving or destroying it may not.
 */
#ifndef TROPHY_HPP
#define TROPHY_HPP

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "trophy.h"

/** libtrophy for C++. */
namespace trophy {

// Objects compiled with and without exceptions may meet in one program, and must not share a Result::value().
#if defined(__cpp_exceptions)
inline namespace throwing {
#else
inline namespace aborting {
#endif

/** What became of a call: one of the TROPHY_STATUS_ numbers. */
using Status = trophy_status;

/** As a time-out: wait for as long as it takes. */
inline constexpr std::chrono::milliseconds forever{-1};

/**
 * The name of a status, as error JSON has it in "code".
 *
 * @param status Any status.
 * @return "rate_limited", say; "unknown" for a number that is no status.
 */
inline std::string_view status_name(Status status) { return trophy_status_name(status); }

/**
 * The version of the library that runs; TROPHY_VERSION is that of the header it was compiled with.
 *
 * @return "1.2.3".
 */
inline std::string_view version() { return trophy_version(); }

/// @cond INTERNAL
namespace detail {

struct Free {
  void operator()(char *string) const noexcept { trophy_string_free(string); }
  void operator()(trophy_client *client) const noexcept { trophy_client_free(client); }
};

/** A string of the library's. */
using Owned = std::unique_ptr<char, Free>;

/** Text as a JSON string. What is not UTF-8 stays so, and the library refuses it: to leave it out would lose it. */
inline std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

/** A number as printf() wrote it, with the point that JSON wants for the decimal sign of the program's locale. */
inline std::string with_a_point(std::string_view number) {
  // A comma, in ps_AF two bytes: whatever is no other part of a number.
  constexpr std::string_view parts = "+-0123456789Ee";
  const auto sign = number.find_first_not_of(parts);
  if (sign == std::string_view::npos) return std::string(number);
  const auto after = number.find_first_of(parts, sign);
  return std::string(number.substr(0, sign)).append(".").append(number.substr(after));
}

/** A number as JSON. What is none in JSON, such as NaN, stays so, and the library refuses it. */
template <typename T>
std::string number(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.17g", static_cast<double>(value));
    return std::isfinite(value) ? with_a_point(digits) : std::string(digits);
  }
}

/** A number of the library's as an integer: a server may ask for more than one holds. */
template <typename Integer>
Integer integer(double number) {
  // In parentheses, as windows.h has a macro max().
  constexpr auto most = (std::numeric_limits<Integer>::max)();
  return number < static_cast<double>(most) ? static_cast<Integer>(number) : most;
}

}  // namespace detail
/// @endcond

/** A piece of JSON text: a reply, or a part of one. Read it by JSON pointers (RFC 6901): "/currentStreak/length". */
class Json {
 public:
  /** The JSON `null`. As a parameter: none. */
  Json() : text_("null") {}

  /**
   * Takes JSON text as it is.
   *
   * @param text JSON.
   */
  explicit Json(std::string_view text) : text_(text) {}

  /**
   * Reads a number.
   *
   * @param pointer  Where it is.
   * @param fallback What to return if there is no number.
   * @return The number, or `fallback`.
   */
  double number(std::string_view pointer, double fallback = 0) const {
    return trophy_json_number(text_.c_str(), std::string(pointer).c_str(), fallback);
  }

  /**
   * Reads a string, unescaped; any other value as its JSON text.
   *
   * @param pointer  Where it is.
   * @param fallback What to return if there is no such value.
   * @return The string, or `fallback`.
   */
  std::string string(std::string_view pointer, std::string_view fallback = {}) const {
    const detail::Owned found = find(pointer);
    return std::string(found ? std::string_view(found.get()) : fallback);
  }

  /**
   * Reads a boolean.
   *
   * @param pointer  Where it is.
   * @param fallback What to return if there is neither `true` nor `false`.
   * @return The boolean, or `fallback`.
   */
  bool boolean(std::string_view pointer, bool fallback = false) const {
    const detail::Owned found = find(pointer);
    const std::string_view text = found ? found.get() : "";
    return text == "true" || (text != "false" && fallback);
  }

  /**
   * Counts the items of an array or the members of an object.
   *
   * @param pointer Where it is; "" for the whole text.
   * @return The count; -1 if there is no array or object.
   */
  std::int64_t length(std::string_view pointer = {}) const {
    return trophy_json_length(text_.c_str(), std::string(pointer).c_str());
  }

  /**
   * Whether there is a value, which may be `null`.
   *
   * @param pointer Where to look.
   * @return Whether it is there.
   */
  bool has(std::string_view pointer) const { return find(pointer) != nullptr; }

  /**
   * Takes an object or an array out, to be read by itself.
   *
   * @param pointer Where it is.
   * @return The part; `null` if there is no object or array.
   */
  Json at(std::string_view pointer) const { return length(pointer) < 0 ? Json() : Json(string(pointer)); }

  /** Whether it is `null`. */
  bool is_null() const noexcept { return text_ == "null"; }

  /** The text itself. */
  const std::string &text() const & noexcept { return text_; }

  /** The text itself, moved out. */
  std::string text() && noexcept { return std::move(text_); }

 private:
  detail::Owned find(std::string_view pointer) const {
    return detail::Owned(trophy_json_string(text_.c_str(), std::string(pointer).c_str()));
  }

  std::string text_;
};

/** Why a call failed: for the program, status() and the numbers; for a person, message(). */
class Error : public std::exception {
 public:
  /**
   * Made of what a C function returned.
   *
   * @param status Its status.
   * @param json   Its error JSON.
   */
  Error(Status status, Json json)
      : facts_(std::make_shared<const Facts>(Facts{status, json.string("/error/message"), std::move(json)})) {}

  /** Copied, never moved, so that none is left without its facts. */
  Error(const Error &) noexcept = default;
  /** Copied, never moved. */
  Error &operator=(const Error &) noexcept = default;

  /** What kind of failure it is. */
  Status status() const noexcept { return facts_->status; }

  /** What was wrong, where, and what to do. Never holds an API key. */
  const std::string &message() const noexcept { return facts_->message; }

  /** As message(). */
  const char *what() const noexcept override { return facts_->message.c_str(); }

  /** The whole error JSON: `{"error": {"code": "rate_limited", ...}}`. */
  const Json &json() const noexcept { return facts_->json; }

  /** The HTTP status that the service answered with; 0 if it did not. */
  int http_status() const { return detail::integer<int>(json().number("/error/httpStatus")); }

  /** How often the request was sent; 0 if it never was. */
  int attempts() const { return detail::integer<int>(json().number("/error/attempts")); }

  /** How long the service asked to wait; 0 if it did not. */
  std::chrono::milliseconds retry_after() const {
    return std::chrono::milliseconds(detail::integer<std::int64_t>(json().number("/error/retryAfterMs")));
  }

 private:
  struct Facts {
    Status status;
    std::string message;
    Json json;
  };

  // Shared, since copying an exception must not throw.
  std::shared_ptr<const Facts> facts_;
};

/** A value, or the reason why there is none. */
template <typename T>
class [[nodiscard]] Result {
 public:
  /**
   * A success.
   *
   * @param value What it gave.
   */
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}

  /**
   * A failure.
   *
   * @param error Why.
   */
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  /** Whether there is a value. */
  bool ok() const noexcept { return state_.index() == 0; }

  /** Whether there is a value. */
  explicit operator bool() const noexcept { return ok(); }

  /** TROPHY_STATUS_OK, or the error's. */
  Status status() const noexcept { return ok() ? TROPHY_STATUS_OK : error().status(); }

  /** The value. Without one it throws the Error; with -fno-exceptions it aborts. */
  const T &value() const & {
    check();
    return *std::get_if<0>(&state_);
  }

  /** The value, moved out. Without one it throws the Error; with -fno-exceptions it aborts. */
  T value() && {
    check();
    return std::move(*std::get_if<0>(&state_));
  }

  /** As value(). */
  const T &operator*() const & { return value(); }

  /** As value(), moved out. */
  T operator*() && { return std::move(*this).value(); }

  /** A member of value(). */
  const T *operator->() const { return &value(); }

  /** Why there is no value. Only if ok() is false; else it aborts. */
  const Error &error() const noexcept {
    if (ok()) std::abort();
    return *std::get_if<1>(&state_);
  }

 private:
  void check() const {
    if (!ok()) {
#if defined(__cpp_exceptions)
      throw error();
#else
      std::abort();
#endif
    }
  }

  std::variant<T, Error> state_;
};

/** Anything to send, as JSON: a text, which is escaped; a number; a boolean; `nullptr`; Json, Object, Array, User. */
class Value {
 public:
  /** `null`. */
  Value(std::nullptr_t) : json_("null") {}

  /**
   * A number or a boolean.
   *
   * @param number Which.
   */
  template <typename T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  Value(T number) : json_(detail::number(number)) {}

  /**
   * A text of one character.
   *
   * @param character ASCII.
   */
  Value(char character) : json_(detail::quote({&character, 1})) {}

  // Which text these would be is not known.
  Value(wchar_t) = delete;
  Value(char16_t) = delete;
  Value(char32_t) = delete;
#if defined(__cpp_char8_t)
  Value(char8_t) = delete;
#endif

  /**
   * A text.
   *
   * @param text UTF-8.
   */
  template <typename T, std::enable_if_t<std::is_convertible_v<const T &, std::string_view>, int> = 0>
  Value(const T &text) : json_(detail::quote(text)) {}

  /**
   * JSON as it is.
   *
   * @param json A Json, or what becomes one.
   */
  template <typename T, std::enable_if_t<std::is_convertible_v<const T &, Json>, int> = 0, typename = void>
  Value(const T &json) : json_(static_cast<Json>(json).text()) {}

  /** Its JSON. */
  const std::string &json() const noexcept { return json_; }

 private:
  std::string json_;
};

/** A JSON object to send: options, parameters, attributes. `Object{{"historyPeriods", 14}, {"genre", "crime"}}`. */
class Object {
 public:
  /** An object with no members. */
  Object() = default;

  /**
   * An object with these members.
   *
   * @param members Names and values.
   */
  Object(std::initializer_list<std::pair<std::string_view, Value>> members) {
    for (const auto &[name, value] : members) set(name, value);
  }

  /**
   * Sets a member; again, its new value.
   *
   * @param name  Its name.
   * @param value Its value.
   * @return This object.
   */
  Object &set(std::string_view name, const Value &value) {
    std::string quoted = detail::quote(name);
    for (auto &[known, json] : members_) {
      if (known == quoted) {
        json = value.json();
        return *this;
      }
    }
    members_.emplace_back(std::move(quoted), value.json());
    return *this;
  }

  /** Its JSON. */
  operator Json() const {
    std::string out = "{";
    for (const auto &[name, json] : members_) {
      if (out.size() > 1) out += ',';
      out += name + ':' + json;
    }
    return Json(out + '}');
  }

 private:
  std::vector<std::pair<std::string, std::string>> members_;
};

/** A JSON array to send: `Array{"42", "43"}`. */
class Array {
 public:
  /** An array with no items. */
  Array() = default;

  /**
   * An array of these items.
   *
   * @param items The items. Of one that is an Array itself compilers differ in whether this is a copy of it: for an
   *              array in an array write `Array().add(inner)`.
   */
  Array(std::initializer_list<Value> items) {
    for (const Value &item : items) add(item);
  }

  /**
   * Adds an item.
   *
   * @param value The item.
   * @return This array.
   */
  Array &add(const Value &value) {
    if (!items_.empty()) items_ += ',';
    items_ += value.json();
    return *this;
  }

  /** Its JSON. */
  operator Json() const { return Json('[' + items_ + ']'); }

 private:
  std::string items_;
};

/** A user, and what is to be set or changed of them: `User("18").email("a@b.c").attribute("plan", "pro")`. */
class User {
 public:
  /**
   * A user by id. A string will do where a User is wanted.
   *
   * @param user_id Your id for the user.
   */
  template <typename Id, std::enable_if_t<std::is_convertible_v<const Id &, std::string_view>, int> = 0>
  User(const Id &user_id) {
    set("id", user_id);
  }

  /**
   * Sets the email address.
   *
   * @param email The address.
   * @return This user.
   */
  User &email(std::string_view email) { return set("email", email); }

  /**
   * Sets the name.
   *
   * @param name The name.
   * @return This user.
   */
  User &name(std::string_view name) { return set("name", name); }

  /**
   * Sets the time zone, in which the user's days begin and end.
   *
   * @param zone "Europe/London".
   * @return This user.
   */
  User &tz(std::string_view zone) { return set("tz", zone); }

  /**
   * Sets the devices to send push notifications to.
   *
   * @param tokens `{"token", ...}`.
   * @return This user.
   */
  User &device_tokens(const Array &tokens) { return set("deviceTokens", tokens); }

  /**
   * Sets whether Trophy may send the user emails.
   *
   * @param subscribe Whether it may.
   * @return This user.
   */
  User &subscribe_to_emails(bool subscribe) { return set("subscribeToEmails", subscribe); }

  /**
   * Sets the day the user signed up.
   *
   * @param date "2026-01-31", or with a time: "2026-01-31T12:00:00Z".
   * @return This user.
   */
  User &sign_up_date(std::string_view date) { return set("signUpDate", date); }

  /**
   * Sets one attribute.
   *
   * @param name  The attribute's key, as it was set up at Trophy.
   * @param value Its value.
   * @return This user.
   */
  User &attribute(std::string_view name, std::string_view value) {
    attributes_.set(name, value);
    return set("attributes", attributes_);
  }

  /**
   * Sets any member, such as one that is newer than this header.
   *
   * @param name  Its name.
   * @param value Its value.
   * @return This user.
   */
  User &set(std::string_view name, const Value &value) {
    object_.set(name, value);
    return *this;
  }

  /** The user's JSON. */
  operator Json() const { return object_; }

 private:
  Object object_;
  Object attributes_;
};

/** A metric event: `Event("words-written", "18", 750).attributes({{"genre", "crime"}})`. */
class Event {
 public:
  /**
   * An event.
   *
   * @param key   The metric's key.
   * @param user  The user: an id, or a User.
   * @param value How much to add. Not NaN, not infinite.
   */
  Event(std::string_view key, const User &user, double value) : Event(key, static_cast<Json>(user), value) {}

  /**
   * An event of a user in JSON.
   *
   * @param key   The metric's key.
   * @param user  The user: `{"id": "42", ...}`.
   * @param value How much to add. Not NaN, not infinite.
   */
  Event(std::string_view key, const Json &user, double value) : key_(key), user_(user), value_(value) {}

  /**
   * Sets the event's attributes.
   *
   * @param attributes `{{"genre", "crime"}}`: names and texts.
   * @return This event.
   */
  Event &attributes(const Object &attributes) {
    attributes_ = attributes;
    return *this;
  }

  /**
   * Sets what makes this event the same as another of this user and metric, such as your row's id. Without it
   * one is made, so that a retry counts once.
   *
   * @param key The idempotency key.
   * @return This event.
   */
  Event &idempotency_key(std::string_view key) {
    idempotency_key_ = key;
    return *this;
  }

  /**
   * Sets request options: `Object{{"timeout_in_seconds", 5}}`.
   *
   * @param options See REQUEST OPTIONS in trophy.h.
   * @return This event.
   */
  Event &options(const Json &options) {
    options_ = options;
    return *this;
  }

 private:
  friend class Client;

  std::string key_;
  Json user_;
  double value_;
  Json attributes_;
  std::optional<std::string> idempotency_key_;
  Json options_;
};

/** What a flush or a close left. */
struct Ending {
  /** Both numbers are 0. */
  bool done;
  /** Events that are left in the queue. */
  std::int64_t undelivered;
  /** Calls that had to be cancelled; of a flush: 0. */
  std::int64_t cancelled;
  /** TROPHY_STATUS_OK if done; else _TIMEOUT, or _CANCELLED of a flush that the client's close ended. */
  Status status;
};

/** How a queued event ended. */
class Delivery {
 public:
  /// @cond INTERNAL
  Delivery(Status status, Json json) : status_(status), json_(std::move(json)) {}
  /// @endcond

  /** Whether the service has it. */
  bool ok() const noexcept { return status_ == TROPHY_STATUS_OK; }
  /** TROPHY_STATUS_OK, or why it was refused, expired or dropped. */
  Status status() const noexcept { return status_; }
  /** The event's idempotency key. */
  std::string idempotency_key() const { return json_.string("/idempotencyKey"); }
  /** The metric's key. */
  std::string key() const { return json_.string("/key"); }
  /** The user's id. */
  std::string user_id() const { return json_.string("/userId"); }
  /** The service's reply; `null` if it was not delivered. */
  Json response() const { return json_.at("/response"); }
  /** Why it was not delivered. */
  std::string message() const { return json_.string("/error/message"); }
  /** All of it. */
  const Json &json() const noexcept { return json_; }

 private:
  Status status_;
  Json json_;
};

/// @cond INTERNAL
namespace detail {

/** A parameter on its way to C, where text ends at a NUL, and NULL is the default. */
class Text {
 public:
  Text(const char *name, std::string_view text, bool is_there = true)
      : name_(name), text_(text), is_there_(is_there) {}
  Text(const char *name, const Json &json) : Text(name, json.text(), !json.is_null()) {}

  const char *c() const noexcept { return is_there_ ? text_.c_str() : nullptr; }
  /** Its name, if C would take it for a shorter text. */
  const char *cut() const noexcept { return text_.find('\0') == std::string::npos ? nullptr : name_; }

 private:
  const char *name_;
  std::string text_;
  bool is_there_;
};

inline const char *c(const Text &text) noexcept { return text.c(); }
template <typename T>
T c(T value) noexcept {
  return value;
}

inline const char *cut(const Text &text) noexcept { return text.cut(); }
template <typename T>
const char *cut(const T &) noexcept {
  return nullptr;
}

inline Result<Json> result(Status status, std::string_view json) {
  if (status == TROPHY_STATUS_OK) return Json(json);
  return Error(status, Json(json));
}

/** An error that the library has no part in. */
inline Error own_error(Status status, std::string_view message) {
  return Error(status, Object{{"error", Object{{"code", status_name(status)}, {"message", message}}}});
}

/** Calls a C function that takes `char **out_json` last. */
template <typename Function, typename... Args>
Result<Json> ask(Function function, const Args &...args) {
  for (const char *name : std::initializer_list<const char *>{cut(args)...}) {
    if (!name) continue;
    return own_error(TROPHY_STATUS_INVALID_ARGUMENT,
                     name + std::string(": holds U+0000, which ends a text in C; leave it out"));
  }
  char *json = nullptr;
  const Status status = function(c(args)..., &json);
  const Owned owned(json);
  return result(status, json ? json : "null");
}

/** Any callable as a std::function, which by itself holds none that can only be moved. */
template <typename... Args, typename F>
std::function<void(Args...)> hold(F &&callback) {
  auto held = std::make_shared<std::decay_t<F>>(std::forward<F>(callback));
  return [held](Args... args) { static_cast<void>((*held)(std::forward<Args>(args)...)); };
}

/** How many callbacks this thread is inside of. */
inline int &depth() noexcept {
  thread_local int count = 0;
  return count;
}

struct Inside {
  Inside() noexcept { ++depth(); }
  ~Inside() { --depth(); }
  Inside(const Inside &) = delete;
  Inside &operator=(const Inside &) = delete;
};

/**
 * One asynchronous call, the `user_data` of its callback. It holds itself while the library may call it; a Call
 * holds it too, so that its address names no other call while the Call lives.
 */
struct Pending {
  std::function<void(Result<Json>)> callback;
  std::shared_ptr<Pending> self;

  static void end(Status status, const char *json, void *user_data) noexcept {
    const Inside inside;
    const auto pending = std::move(static_cast<Pending *>(user_data)->self);
    // What the callback captured ends with the call, not with the last Call that names it.
    const auto callback = std::exchange(pending->callback, nullptr);
    callback(result(status, json));
  }
};

/** A callable that runs many times, from any thread, and may be replaced meanwhile. */
template <typename... Args>
class Slot {
 public:
  using Callback = std::function<void(Args...)>;

  void replace(Callback callback) {
    // Swapped, so that the one before ends outside the lock: its destructor may do anything.
    const std::lock_guard<std::mutex> lock(mutex_);
    callback_.swap(callback);
  }

  void tell(Args... args) {
    Callback callback;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      callback = callback_;
    }
    if (callback) callback(args...);
  }

 private:
  std::mutex mutex_;
  Callback callback_;
};

using DeliverySlot = Slot<const Delivery &>;
using ReadySlot = Slot<>;
using LogSlot = Slot<trophy_log_level, std::string_view>;

/** What all handles of a client have in common. */
struct Slots {
  DeliverySlot delivery;
  ReadySlot ready;

  /**
   * Frees a handle. Inside a callback the library does not free a client's last one, and goes on calling the slots. So
   * there they keep themselves, until a handle that is freed outside shows that there was another.
   */
  template <typename Handle>
  static void free(const std::shared_ptr<Slots> &slots, Handle &handle) noexcept {
    if (depth() > 0) {
      slots->begin_inside(slots);
      handle.reset();
      slots->end_inside();
    } else {
      const auto inside = slots->ended_inside();
      handle.reset();
      if (inside) slots->let_go(*inside);
    }
  }

 private:
  void begin_inside(const std::shared_ptr<Slots> &slots) {
    const std::lock_guard<std::mutex> lock(mutex_);
    self_ = slots;
    ++begun_;
  }

  void end_inside() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++ended_;
  }

  /** How many were freed inside callbacks; none while one is being freed there. */
  std::optional<std::size_t> ended_inside() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return begun_ == ended_ ? std::optional(ended_) : std::nullopt;
  }

  void let_go(std::size_t inside) {
    std::shared_ptr<Slots> self;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (begun_ == inside) self.swap(self_);
  }

  std::mutex mutex_;
  std::shared_ptr<Slots> self_;
  std::size_t begun_ = 0, ended_ = 0;
};

inline void on_delivery(Status status, const char *json, void *user_data) noexcept {
  const Inside inside;
  static_cast<DeliverySlot *>(user_data)->tell(Delivery(status, Json(json)));
}

inline void on_ready(void *user_data) noexcept {
  const Inside inside;
  static_cast<ReadySlot *>(user_data)->tell();
}

inline void on_log(trophy_log_level level, const char *message, void *user_data) noexcept {
  static_cast<LogSlot *>(user_data)->tell(level, message);
}

/** Never destroyed: threads may log while the program ends. */
inline LogSlot &log_slot() {
  static auto *const slot = new LogSlot;
  return *slot;
}

}  // namespace detail
/// @endcond

/** Names an asynchronous call, to cancel it. It may be dropped. */
class Call {
 public:
  /** Names none. */
  Call() = default;

 private:
  friend class Client;
  explicit Call(std::shared_ptr<detail::Pending> pending) : pending_(std::move(pending)) {}

  std::shared_ptr<detail::Pending> pending_;
};

/** A client: its connections, its threads, its queue. One for a process is enough. */
class Client {
 public:
  /**
   * Makes a client. Sends nothing.
   *
   * @param api_key Your API key; "" for the environment variable TROPHY_API_KEY.
   * @param options See CLIENT OPTIONS in trophy.h: `Object{{"callbacks", "dispatch"}}`.
   * @return The client, or why there is none.
   */
  static Result<Client> create(std::string_view api_key = {}, const Json &options = {}) {
    trophy_client *client = nullptr;
    const auto made = detail::ask(trophy_client_new, Text{"api_key", api_key, !api_key.empty()},
                                  Text{"options", options}, &client);
    if (!made) return made.error();
    return Client(client, std::make_shared<detail::Slots>());
  }

#if defined(__cpp_exceptions)
  /**
   * As create(), but throws.
   *
   * @param api_key Your API key; "" for the environment variable TROPHY_API_KEY.
   * @param options See CLIENT OPTIONS in trophy.h.
   */
  explicit Client(std::string_view api_key = {}, const Json &options = {}) : Client(*create(api_key, options)) {}
#endif

  /**
   * Moves a client. What is left behind only answers TROPHY_STATUS_INVALID_ARGUMENT.
   *
   * @param other Where from.
   */
  Client(Client &&other) noexcept = default;

  /**
   * Moves a client; the one that was here ends as by its destructor.
   *
   * @param other Where from.
   * @return This client.
   */
  Client &operator=(Client &&other) noexcept {
    Client moved(std::move(other));
    slots_.swap(moved.slots_);
    let_go_.swap(moved.let_go_);
    handle_.swap(moved.handle_);
    return *this;
  }

  Client(const Client &) = delete;
  Client &operator=(const Client &) = delete;

  /** Ends it as close() with no wait. What is queued stays on disk. After that no callback runs. */
  ~Client() {
    if (handle_) detail::Slots::free(slots_, handle_);
  }

  /**
   * Makes a second handle on the same client (connections, threads, queue), whose calls are for a tenant. Its close()
   * lets go of it only.
   *
   * @param tenant_id Sent as Tenant-ID.
   * @return The handle, or why there is none.
   */
  Result<Client> for_tenant(std::string_view tenant_id) const {
    trophy_client *client = nullptr;
    const auto made = ask(trophy_client_for_tenant, Text{"tenant_id", tenant_id}, &client);
    if (!made) return made.error();
    Client tenant(client, slots_);
    tenant.let_go_ = std::make_unique<std::atomic<bool>>(false);
    return tenant;
  }

  /**
   * Changes the API key, after it was rotated. A queue that was paused by the old one goes on.
   *
   * @param api_key The new key.
   * @return `null`, or the error.
   */
  Result<Json> set_api_key(std::string_view api_key) const {
    return ask(trophy_client_set_api_key, Text{"api_key", api_key});
  }

  /**
   * Reads what the client has done and has to do. No network.
   *
   * @return Numbers: queued, inFlight, delivered, dead and more; or the error.
   */
  Result<Json> stats() const { return ask(trophy_client_stats); }

  /**
   * Waits until the queue has delivered all it holds.
   *
   * @param timeout How long at most; 0 only asks.
   * @return What is left, which is no error; or the error.
   */
  Result<Ending> flush(std::chrono::milliseconds timeout = forever) const { return end(trophy_client_flush, timeout); }

  /**
   * Ends the client in an orderly way: takes no more work, delivers what is queued, waits for the calls under
   * way, then cancels those that are left.
   *
   * What for_tenant() gave it only lets go of: new calls by that handle are TROPHY_STATUS_CLOSED, those under way go
   * on, and so does the client.
   *
   * @param timeout How long at most; 0 cancels at once.
   * @return What is left, which is no error; or the error.
   */
  Result<Ending> close(std::chrono::milliseconds timeout = forever) const {
    if (!let_go_) return end(trophy_client_close, timeout);
    *let_go_ = true;
    return Ending{true, 0, 0, TROPHY_STATUS_OK};
  }

  /**
   * Sends an event and waits for the reply. It counts once, however often it is tried.
   *
   * @param event The event.
   * @return The reply: `/total`, `/currentStreak/length`, `/achievements` and more; or the error.
   */
  Result<Json> event(const Event &event) const { return send(trophy_metrics_event, event); }

  /**
   * As event(const Event &).
   *
   * @param key   The metric's key.
   * @param user  The user: an id, or a User.
   * @param value How much to add.
   * @return The reply, or the error.
   */
  Result<Json> event(std::string_view key, const User &user, double value) const {
    return event(Event(key, user, value));
  }

  /**
   * Sends an event without waiting.
   *
   * @param event    The event.
   * @param callback Called once, as `callback(Result<Json>)`, if this succeeds; else never.
   * @return What cancels it, or the error.
   */
  template <typename F>
  Result<Call> event_async(const Event &event, F &&callback) const {
    return start(std::forward<F>(callback), [&](detail::Pending *pending) {
      return send(trophy_metrics_event_async, event, detail::Pending::end, static_cast<void *>(pending));
    });
  }

  /**
   * Puts an event into the queue, which delivers it, now or after days offline, and counts it once.
   *
   * @param event The event.
   * @return Its idempotency key, or the error.
   */
  Result<std::string> enqueue(const Event &event) const {
    const auto kept = send(trophy_metrics_event_enqueue, event);
    if (!kept) return kept.error();
    return kept->string("/idempotencyKey");
  }

  /**
   * As enqueue(const Event &).
   *
   * @param key   The metric's key.
   * @param user  The user: an id, or a User.
   * @param value How much to add.
   * @return Its idempotency key, or the error.
   */
  Result<std::string> enqueue(std::string_view key, const User &user, double value) const {
    return enqueue(Event(key, user, value));
  }

  /**
   * Calls any operation of the service, application or admin.
   *
   * @param operation A TROPHY_OP_ name.
   * @param args      Its parameters, `"body"` and `"options"` in one object.
   * @return The reply, or the error.
   */
  Result<Json> call(std::string_view operation, const Json &args = {}) const {
    return ask(trophy_call, Text{"operation", operation}, Text{"args", args});
  }

  /**
   * Calls any operation without waiting.
   *
   * @param operation A TROPHY_OP_ name.
   * @param args      As for call().
   * @param callback  Called once, as `callback(Result<Json>)`, if this succeeds; else never.
   * @return What cancels it, or the error.
   */
  template <typename F>
  Result<Call> call_async(std::string_view operation, const Json &args, F &&callback) const {
    return start(std::forward<F>(callback), [&](detail::Pending *pending) {
      return ask(trophy_call_async, Text{"operation", operation}, Text{"args", args}, detail::Pending::end,
                 static_cast<void *>(pending));
    });
  }

  /**
   * Ends an asynchronous call. Its callback still runs, once, with TROPHY_STATUS_CANCELLED, or with the reply if
   * that was first.
   *
   * @param call What event_async() or call_async() gave.
   * @return Whether there was a call to end.
   */
  bool cancel(const Call &call) const {
    return call.pending_ && trophy_client_cancel(get(), call.pending_.get()) > 0;
  }

  /**
   * Runs the callbacks that are ready, on this thread. For clients with `"callbacks": "dispatch"`.
   *
   * @param timeout How long to wait for the first; 0 never waits.
   * @return How many ran.
   */
  std::size_t dispatch(std::chrono::milliseconds timeout = {}) const {
    return is_let_go() ? 0 : trophy_client_dispatch(get(), timeout.count());
  }

  /**
   * Sets who hears how each queued event ended. For all handles of the client. When this returns, the one before
   * is no longer running, and destroyed (unless it is what called).
   *
   * @param callback Called as `callback(const Delivery &)`, maybe by several threads at once.
   */
  template <typename F>
  void on_delivery(F &&callback) const {
    if (!handle_ || is_let_go()) return;
    slots_->delivery.replace(detail::hold<const Delivery &>(std::forward<F>(callback)));
    trophy_client_on_delivery(get(), detail::on_delivery, &slots_->delivery);
  }

  /** Nobody hears how queued events ended. */
  void on_delivery(std::nullptr_t) const {
    if (!handle_ || is_let_go()) return;
    trophy_client_on_delivery(get(), nullptr, nullptr);
    slots_->delivery.replace(nullptr);
  }

  /**
   * Sets what wakes your event loop when there is something to dispatch. For clients with `"callbacks": "dispatch"`, for
   * all handles of one.
   *
   * It is called whenever callbacks become ready where none were, once for all that follow until the next dispatch(),
   * and at once if some are ready already. It wakes the loop and does no more: a write to an eventfd, uv_async_send(),
   * SDL_PushEvent(). When this returns, the one before is no longer running, and destroyed (unless it is what called);
   * after close() none is called, and with the client the last one is destroyed.
   *
   * @param ready Called as `ready()`, from any thread, also inside a call of the client.
   */
  template <typename F>
  void on_ready(F &&ready) const {
    static_assert(std::is_invocable_v<std::decay_t<F> &>, "it is called as ready()");
    if (!handle_ || is_let_go()) return;
    slots_->ready.replace(detail::hold<>(std::forward<F>(ready)));
    trophy_client_on_ready(get(), detail::on_ready, &slots_->ready);
  }

  /** Nobody is woken. */
  void on_ready(std::nullptr_t) const {
    if (!handle_ || is_let_go()) return;
    trophy_client_on_ready(get(), nullptr, nullptr);
    slots_->ready.replace(nullptr);
  }

  /** The C handle, borrowed, for functions of trophy.h. */
  const trophy_client *get() const noexcept { return handle_.get(); }

  // The other 26 application operations.

  /**
   * Lists all achievements, with how many users have completed each.
   *
   * @param args Optional: `{"userAttributes": "plan:pro,city:London"}`: only those open to a user with these
   *             attributes.
   * @return The achievements, an array; or the error.
   */
  Result<Json> achievements_all(const Json &args = {}) const {
    return ask(trophy_achievements_all, Text{"args", args});
  }

  /**
   * Marks an achievement as completed by a user. For those that are completed by your program, not by a metric.
   *
   * @param key  The achievement's key.
   * @param user The user: `{"id": "42"}`, and what is to be set or changed: email, name, tz, device_tokens,
   *             subscribe_to_emails (needs an email), sign_up_date, attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The completion; or the error.
   */
  Result<Json> achievements_complete(std::string_view key, const Json &user, const Json &args = {}) const {
    return ask(trophy_achievements_complete, Text{"key", key}, Text{"user", user}, Text{"args", args});
  }

  /**
   * Creates a user. An event creates its user too, so this is for those without one.
   *
   * @param user The user: `{"id": "42"}`, and email, name, tz, device_tokens, subscribe_to_emails (needs an email),
   *             sign_up_date, attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The user; or the error.
   */
  Result<Json> users_create(const Json &user, const Json &args = {}) const {
    return ask(trophy_users_create, Text{"user", user}, Text{"args", args});
  }

  /**
   * Reads a user.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The user; or the error.
   */
  Result<Json> users_get(std::string_view id, const Json &args = {}) const {
    return ask(trophy_users_get, Text{"id", id}, Text{"args", args});
  }

  /**
   * Creates a user, or changes the one there is.
   *
   * @param id   Your id for the user.
   * @param user What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email), sign_up_date,
   *             attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The user; or the error.
   */
  Result<Json> users_identify(std::string_view id, const Json &user, const Json &args = {}) const {
    return ask(trophy_users_identify, Text{"id", id}, Text{"user", user}, Text{"args", args});
  }

  /**
   * Changes a user.
   *
   * @param id   Your id for the user.
   * @param user What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email), sign_up_date,
   *             attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The user; or the error.
   */
  Result<Json> users_update(std::string_view id, const Json &user, const Json &args = {}) const {
    return ask(trophy_users_update, Text{"id", id}, Text{"user", user}, Text{"args", args});
  }

  /**
   * Reads a user's preferences: notifications and streak.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The preferences; or the error.
   */
  Result<Json> users_get_preferences(std::string_view id, const Json &args = {}) const {
    return ask(trophy_users_get_preferences, Text{"id", id}, Text{"args", args});
  }

  /**
   * Changes a user's preferences. Those of the streak need streak customization to be switched on in the dashboard.
   *
   * @param id          Your id for the user.
   * @param preferences `{"notifications": {...}, "streak": {...}}`, of which what is left out stays.
   * @param args        Optional: `{"options": {...}}`, request options.
   * @return The preferences; or the error.
   */
  Result<Json> users_update_preferences(std::string_view id, const Json &preferences, const Json &args = {}) const {
    return ask(trophy_users_update_preferences, Text{"id", id}, Text{"preferences", preferences}, Text{"args", args});
  }

  /**
   * Reads a user's progress in all active metrics.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The metrics, an array; or the error.
   */
  Result<Json> users_all_metrics(std::string_view id, const Json &args = {}) const {
    return ask(trophy_users_all_metrics, Text{"id", id}, Text{"args", args});
  }

  /**
   * Reads a user's progress in one metric.
   *
   * @param id   Your id for the user.
   * @param key  The metric's key.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The metric; or the error.
   */
  Result<Json> users_single_metric(std::string_view id, std::string_view key, const Json &args = {}) const {
    return ask(trophy_users_single_metric, Text{"id", id}, Text{"key", key}, Text{"args", args});
  }

  /**
   * Sums a user's events of a metric by day, week or month.
   *
   * @param id   Your id for the user.
   * @param key  The metric's key.
   * @param args `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three are needed;
   *             the aggregation is daily, weekly or monthly, the dates at most 400 days apart.
   * @return The sums, an array; or the error.
   */
  Result<Json> users_metric_event_summary(std::string_view id, std::string_view key, const Json &args) const {
    return ask(trophy_users_metric_event_summary, Text{"id", id}, Text{"key", key}, Text{"args", args});
  }

  /**
   * Lists a user's achievements.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"includeIncomplete": true}`: also those not completed yet.
   * @return The achievements, an array; or the error.
   */
  Result<Json> users_achievements(std::string_view id, const Json &args = {}) const {
    return ask(trophy_users_achievements, Text{"id", id}, Text{"args", args});
  }

  /**
   * Reads a user's current streak.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"historyPeriods": 14}`, how many past periods to list (default 7).
   * @return The streak; or the error.
   */
  Result<Json> users_streak(std::string_view id, const Json &args = {}) const {
    return ask(trophy_users_streak, Text{"id", id}, Text{"args", args});
  }

  /**
   * Lists the streaks of some users, the longest first.
   *
   * @param args `{"userIds": ["42", "43"]}`: needed, up to 100.
   * @return The streaks, an array; or the error.
   */
  Result<Json> streaks_list(const Json &args) const {
    return ask(trophy_streaks_list, Text{"args", args});
  }

  /**
   * Reads a user's points in a points system.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args Optional: `{"awards": 20}`, how many recent awards to list (default 10, at most 100).
   * @return The points; or the error.
   */
  Result<Json> users_points(std::string_view id, std::string_view key, const Json &args = {}) const {
    return ask(trophy_users_points, Text{"id", id}, Text{"key", key}, Text{"args", args});
  }

  /**
   * Lists the points boosts that are active for a user: their own, and those for all.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The boosts, an array; or the error.
   */
  Result<Json> users_points_boosts(std::string_view id, std::string_view key, const Json &args = {}) const {
    return ask(trophy_users_points_boosts, Text{"id", id}, Text{"key", key}, Text{"args", args});
  }

  /**
   * Sums a user's points awards by day, week or month.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three are needed;
   *             the aggregation is daily, weekly or monthly, the dates at most 400 days apart.
   * @return The sums, an array; or the error.
   */
  Result<Json> users_points_event_summary(std::string_view id, std::string_view key, const Json &args) const {
    return ask(trophy_users_points_event_summary, Text{"id", id}, Text{"key", key}, Text{"args", args});
  }

  /**
   * Reads a user's rank in a leaderboard, and its history.
   *
   * @param id   Your id for the user.
   * @param key  The leaderboard's key.
   * @param args Optional: `{"run": "2026-01-05", "numEvents": 30}`: the run of that date (default the current one),
   *             and how many days of history (default 10, at most 100).
   * @return The rank; or the error.
   */
  Result<Json> users_leaderboard(std::string_view id, std::string_view key, const Json &args = {}) const {
    return ask(trophy_users_leaderboard, Text{"id", id}, Text{"key", key}, Text{"args", args});
  }

  /**
   * Reads a user's year in review.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"year": 2025}` (default this year).
   * @return The year; or the error.
   */
  Result<Json> users_wrapped(std::string_view id, const Json &args = {}) const {
    return ask(trophy_users_wrapped, Text{"id", id}, Text{"args", args});
  }

  /**
   * Counts the users in each range of points.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"userAttributes": "plan:pro,city:London"}`: only users with all these attributes.
   * @return The ranges, an array; or the error.
   */
  Result<Json> points_summary(std::string_view key, const Json &args = {}) const {
    return ask(trophy_points_summary, Text{"key", key}, Text{"args", args});
  }

  /**
   * Reads a points system, with its triggers.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The points system; or the error.
   */
  Result<Json> points_system(std::string_view key, const Json &args = {}) const {
    return ask(trophy_points_system, Text{"key", key}, Text{"args", args});
  }

  /**
   * Lists the points boosts of a points system that are for all users.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"includeFinished": true}`: also those that are over.
   * @return The boosts, an array; or the error.
   */
  Result<Json> points_boosts(std::string_view key, const Json &args = {}) const {
    return ask(trophy_points_boosts, Text{"key", key}, Text{"args", args});
  }

  /**
   * Lists the levels of a points system.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The levels, an array; or the error.
   */
  Result<Json> points_levels(std::string_view key, const Json &args = {}) const {
    return ask(trophy_points_levels, Text{"key", key}, Text{"args", args});
  }

  /**
   * Counts the users at each level of a points system.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options.
   * @return The levels with their counts, an array; or the error.
   */
  Result<Json> points_level_summary(std::string_view key, const Json &args = {}) const {
    return ask(trophy_points_level_summary, Text{"key", key}, Text{"args", args});
  }

  /**
   * Lists all leaderboards.
   *
   * @param args Optional: `{"includeFinished": true}`: also those that are over.
   * @return The leaderboards, an array; or the error.
   */
  Result<Json> leaderboards_all(const Json &args = {}) const {
    return ask(trophy_leaderboards_all, Text{"args", args});
  }

  /**
   * Reads a leaderboard, with its rankings.
   *
   * @param key  The leaderboard's key.
   * @param args Optional: `{"offset": 0, "limit": 10, "run": "2026-01-05", "userId": "42", "userAttributes":
   *             "city:London"}`: a page of the rankings (default the first 10), counted from `userId` if given; the
   *             run of that date (default the current one); for a leaderboard by attribute, which value (needed
   *             there).
   * @return The leaderboard; or the error.
   */
  Result<Json> leaderboards_get(std::string_view key, const Json &args = {}) const {
    return ask(trophy_leaderboards_get, Text{"key", key}, Text{"args", args});
  }

 private:
  using Text = detail::Text;

  Client(trophy_client *handle, std::shared_ptr<detail::Slots> slots)
      : slots_(std::move(slots)), handle_(handle) {}

  bool is_let_go() const noexcept { return let_go_ && *let_go_; }

  template <typename Function, typename... Args>
  Result<Json> ask(Function function, const Args &...args) const {
    if (is_let_go()) return detail::own_error(TROPHY_STATUS_CLOSED, "this tenant's handle was closed: make another");
    return detail::ask(function, get(), args...);
  }

  /** One of the three ways of an event, which differ in what comes after the event. */
  template <typename Function, typename... Rest>
  Result<Json> send(Function function, const Event &event, const Rest &...rest) const {
    const auto &idempotency_key = event.idempotency_key_;
    return ask(function, Text{"key", event.key_}, Text{"user", event.user_}, event.value_,
               Text{"attributes", event.attributes_},
               Text{"idempotency_key", idempotency_key.value_or(""), idempotency_key.has_value()},
               Text{"options", event.options_}, rest...);
  }

  template <typename Function>
  Result<Ending> end(Function function, std::chrono::milliseconds timeout) const {
    const auto reply = ask(function, timeout.count());
    const Json &left = reply ? *reply : reply.error().json();
    if (!reply && left.length("/error") >= 0) return reply.error();
    return Ending{reply.ok(), static_cast<std::int64_t>(left.number("/undelivered")),
                  static_cast<std::int64_t>(left.number("/cancelled")), reply.status()};
  }

  template <typename F, typename Begin>
  static Result<Call> start(F &&callback, Begin &&begin) {
    static_assert(std::is_invocable_v<std::decay_t<F> &, Result<Json>>, "it is called as callback(Result<Json>)");
    const auto pending = std::make_shared<detail::Pending>();
    pending->callback = detail::hold<Result<Json>>(std::forward<F>(callback));
    // Before the call begins: the callback may have run before that returns.
    pending->self = pending;
    if (const auto begun = begin(pending.get()); !begun) {
      pending->self.reset();
      return begun.error();
    }
    return Call(pending);
  }

  // In this order: the handle is freed first, as the library may call the slots until then.
  std::shared_ptr<detail::Slots> slots_;
  // Of a tenant's handle: whether it was closed. It is freed with its Client, as other threads may be using it.
  std::unique_ptr<std::atomic<bool>> let_go_;
  std::unique_ptr<trophy_client, detail::Free> handle_;
};

/**
 * Checks that a webhook was signed with your secret, so that it comes from Trophy and is unchanged.
 *
 * @param body      The raw bytes of the request's body, as they came.
 * @param signature The X-Trophy-Signature header.
 * @param secret    The webhook's secret.
 * @return The body if it is JSON, else `null`; or TROPHY_STATUS_INVALID_SIGNATURE: answer 401 and do nothing.
 */
inline Result<Json> verify_webhook(std::string_view body, std::string_view signature, std::string_view secret) {
  return detail::ask(trophy_webhook_verify, reinterpret_cast<const std::uint8_t *>(body.data()), body.size(),
                     detail::Text{"signature", signature}, detail::Text{"secret", secret});
}

/**
 * Sets where log lines go, for all clients of the process.
 *
 * @param level    How much to log: this level and those above it.
 * @param callback Called as `callback(trophy_log_level, std::string_view)`, on any thread.
 */
template <typename F>
void set_log(trophy_log_level level, F &&callback) {
  detail::LogSlot &slot = detail::log_slot();
  slot.replace(detail::hold<trophy_log_level, std::string_view>(std::forward<F>(callback)));
  trophy_log_set_callback(level, detail::on_log, &slot);
}

/** Nothing is logged any more. */
inline void stop_log() {
  trophy_log_set_callback(TROPHY_LOG_LEVEL_OFF, nullptr, nullptr);
  detail::log_slot().replace(nullptr);
}

}  // namespace throwing or aborting
}  // namespace trophy

#endif  // TROPHY_HPP
