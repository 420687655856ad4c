/*
 * trophy.hpp: libtrophy for C++17 and later, header-only, over trophy.h.
 *
 * THE RULES
 *
 * Errors, both ways. Each call comes twice: `try_event()` returns a trophy::Result, `event()` returns the value
 *   or throws trophy::Error. Without exceptions (-fno-exceptions) only the first is there. No RTTI is needed.
 * Ownership. A Client frees itself and can be moved. Text goes in as std::string_view, is copied, and comes out
 *   as trophy::Json or std::string. There is nothing to free.
 * Callbacks are any callable, move-only ones too. It is moved in, runs on the thread that the client option
 *   `callbacks` names, and is destroyed once after it ran, or at once if the call is refused. An exception that
 *   leaves a callback ends the program by std::terminate(), as one that leaves a std::thread does. A callback
 *   must not destroy the last Client, nor close it.
 * Threads. All of Client's const functions may be called from any thread at once; moving or destroying it may
 *   not.
 */
#ifndef TROPHY_HPP
#define TROPHY_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <initializer_list>
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

/**
 * Text as a JSON string. Text that is not UTF-8 goes in as it is: the library refuses it and says where, where
 * leaving it out would lose it in silence.
 */
inline std::string quote(std::string_view text) {
  std::string out = "\"";
  for (std::size_t start = 0;;) {
    const std::size_t nul = text.find('\0', start);
    const std::string part(text.substr(start, nul == std::string_view::npos ? nul : nul - start));
    if (const Owned quoted{trophy_json_quote(part.c_str())}) {
      const std::string_view whole = quoted.get();
      out += whole.substr(1, whole.size() - 2);
    } else {
      out += part;
    }
    if (nul == std::string_view::npos) break;
    out += "\\u0000";
    start = nul + 1;
  }
  return out + '"';
}

/** What is no number in JSON stays none, so the library refuses it. */
inline std::string number(double value) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.17g", value);
  for (char &digit : digits) {
    if (digit == '\0') break;
    // The decimal comma of the program's locale.
    if (digit == ',') digit = '.';
  }
  return digits;
}

}  // namespace detail
/// @endcond

/** A piece of JSON text: a reply, or a part of one. Read it by JSON pointers (RFC 6901): "/currentStreak/length". */
class Json {
 public:
  /** The JSON `null`. */
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
   * Takes a part out: an object or an array, to be read by itself.
   *
   * @param pointer Where it is.
   * @return The part; `null` if there is none.
   */
  Json at(std::string_view pointer) const {
    const detail::Owned found = find(pointer);
    return found ? Json(std::string_view(found.get())) : Json();
  }

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

  /** What kind of failure it is. */
  Status status() const noexcept { return facts_->status; }

  /** What was wrong, where, and what to do. Never holds an API key. */
  const std::string &message() const noexcept { return facts_->message; }

  /** As message(). */
  const char *what() const noexcept override { return facts_->message.c_str(); }

  /** The whole error JSON: `{"error": {"code": "rate_limited", ...}}`. */
  const Json &json() const noexcept { return facts_->json; }

  /** The HTTP status that the service answered with; 0 if it did not. */
  int http_status() const { return static_cast<int>(json().number("/error/httpStatus")); }

  /** How often the request was sent; 0 if it never was. */
  int attempts() const { return static_cast<int>(json().number("/error/attempts")); }

  /** How long the service asked to wait; 0 if it did not. */
  std::chrono::milliseconds retry_after() const {
    return std::chrono::milliseconds(static_cast<std::int64_t>(json().number("/error/retryAfterMs")));
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
  Status status() const noexcept { return ok() ? TROPHY_STATUS_OK : std::get_if<1>(&state_)->status(); }

  /** The value. Without one it throws the Error; without exceptions it aborts. */
  const T &value() const & {
    check();
    return *std::get_if<0>(&state_);
  }

  /** The value, moved out. Without one it throws the Error; without exceptions it aborts. */
  T value() && {
    check();
    return std::move(*std::get_if<0>(&state_));
  }

  /** As value(). */
  const T &operator*() const & { return value(); }

  /** As value(), moved out. */
  T operator*() && { return std::move(*this).value(); }

  /** A member of the value. */
  const T *operator->() const { return &value(); }

  /** Why there is no value. Only if ok() is false; else it aborts. */
  const Error &error() const {
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

/** A JSON object to send, built member by member. Text is escaped. Setting a name again replaces its value. */
class Object {
 public:
  /** An object with no members. */
  Object() = default;

  /**
   * Sets a member.
   *
   * @param name  Its name.
   * @param value Text, a number, a boolean, or a Json, Object, Array or User for JSON as it is.
   * @return This object.
   */
  template <typename T>
  Object &set(std::string_view name, const T &value) {
    put(name, json_of(value));
    return *this;
  }

  /** Whether it has no members. */
  bool empty() const noexcept { return members_.empty(); }

  /** Its JSON. */
  std::string json() const {
    std::string out = "{";
    for (const auto &[name, value] : members_) {
      if (out.size() > 1) out += ',';
      out += name;
      out += ':';
      out += value;
    }
    return out + '}';
  }

  /**
   * A value as JSON: what set() does with it.
   *
   * @param value As for set().
   * @return Its JSON.
   */
  template <typename T>
  static std::string json_of(const T &value) {
    if constexpr (std::is_same_v<T, bool>) {
      return value ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<T>) {
      return detail::number(static_cast<double>(value));
    } else if constexpr (std::is_integral_v<T>) {
      return std::to_string(value);
    } else if constexpr (std::is_same_v<T, Json>) {
      return value.text();
    } else if constexpr (std::is_convertible_v<const T &, std::string_view>) {
      return detail::quote(value);
    } else {
      return value.json();
    }
  }

 private:
  void put(std::string_view name, std::string value) {
    std::string quoted = detail::quote(name);
    for (auto &member : members_) {
      if (member.first == quoted) {
        member.second = std::move(value);
        return;
      }
    }
    members_.emplace_back(std::move(quoted), std::move(value));
  }

  std::vector<std::pair<std::string, std::string>> members_;
};

/** A JSON array to send. */
class Array {
 public:
  /** An array with no items. */
  Array() = default;

  /**
   * An array of strings.
   *
   * @param items The strings.
   */
  Array(std::initializer_list<std::string_view> items) {
    for (const std::string_view item : items) add(item);
  }

  /**
   * Adds an item.
   *
   * @param value As for Object::set().
   * @return This array.
   */
  template <typename T>
  Array &add(const T &value) {
    if (!items_.empty()) items_ += ',';
    items_ += Object::json_of(value);
    return *this;
  }

  /** Its JSON. */
  std::string json() const { return '[' + items_ + ']'; }

 private:
  std::string items_;
};

/** Attributes of an event or a user: names and texts. */
class Attributes {
 public:
  /** No attributes. */
  Attributes() = default;

  /**
   * `Attributes{{"genre", "horror"}, {"device", "phone"}}`.
   *
   * @param attributes Names and values.
   */
  Attributes(std::initializer_list<std::pair<std::string_view, std::string_view>> attributes) {
    for (const auto &[name, value] : attributes) set(name, value);
  }

  /**
   * Sets one.
   *
   * @param name  The attribute's key, as it was set up at Trophy.
   * @param value Its value.
   * @return These attributes.
   */
  Attributes &set(std::string_view name, std::string_view value) {
    object_.set(name, value);
    return *this;
  }

  /** Whether there are none. */
  bool empty() const noexcept { return object_.empty(); }

  /** Their JSON, an object of strings. */
  std::string json() const { return object_.json(); }

 private:
  Object object_;
};

/** A user, and what is to be set or changed of them: `User("18").email("a@b.c").attribute("plan", "pro")`. */
class User {
 public:
  /**
   * A user by id.
   *
   * @param id Your id for the user.
   */
  explicit User(std::string_view id) { object_.set("id", id); }

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
   * @param value As for Object::set().
   * @return This user.
   */
  template <typename T>
  User &set(std::string_view name, const T &value) {
    object_.set(name, value);
    return *this;
  }

  /** The user's JSON. */
  std::string json() const { return object_.json(); }

 private:
  Object object_;
  Attributes attributes_;
};

/** JSON as a parameter: an Object, Array, User or Attributes, a Json, JSON text, or nothing. */
class Input {
 public:
  /** Nothing: the default. */
  Input() = default;

  /** @param text JSON text. */
  Input(std::string_view text) : text_(text) {}
  /** @param text JSON text. */
  Input(const std::string &text) : text_(text) {}
  /** @param text JSON text. */
  Input(const char *text) : text_(text) {}
  /** @param json JSON. */
  Input(const Json &json) : text_(json.text()) {}
  /** @param object Its JSON is taken. */
  Input(const Object &object) : text_(object.json()) {}
  /** @param array Its JSON is taken. */
  Input(const Array &array) : text_(array.json()) {}
  /** @param user Its JSON is taken. */
  Input(const User &user) : text_(user.json()) {}
  /** @param attributes Their JSON is taken. */
  Input(const Attributes &attributes) : text_(attributes.json()) {}

  /** The text; nothing if there is none. */
  const std::optional<std::string> &text() const noexcept { return text_; }

 private:
  std::optional<std::string> text_;
};

/** A metric event: `Event("words-written", User("18"), 750).attributes({{"genre", "horror"}})`. */
class Event {
 public:
  /**
   * An event.
   *
   * @param key   The metric's key.
   * @param user  The user.
   * @param value How much to add.
   */
  Event(std::string_view key, const Input &user, double value) : key_(key), user_(user), value_(value) {}

  /**
   * Sets the event's attributes.
   *
   * @param attributes `{{"genre", "horror"}}`.
   * @return This event.
   */
  Event &attributes(const Attributes &attributes) {
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
    idempotency_key_ = std::string(key);
    return *this;
  }

  /**
   * Sets request options: `Object().set("timeout_in_seconds", 5)`.
   *
   * @param options See REQUEST OPTIONS in trophy.h.
   * @return This event.
   */
  Event &options(const Input &options) {
    options_ = options;
    return *this;
  }

 private:
  friend class Client;

  std::string key_;
  Input user_;
  double value_;
  Input attributes_;
  std::optional<std::string> idempotency_key_;
  Input options_;
};

/** What a flush or a close left. */
struct Ending {
  /** Nothing is left to deliver. */
  bool done;
  /** How many events and calls are. */
  std::int64_t undelivered;
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

inline Result<Json> result(Status status, std::string_view json) {
  if (status == TROPHY_STATUS_OK) return Json(json);
  return Error(status, Json(json));
}

/**
 * One asynchronous call, the `user_data` of its callback. It holds itself while the library may call it; a Call
 * holds it too, so that its address names no other call while the Call lives.
 */
class Pending {
 public:
  Pending() = default;
  Pending(const Pending &) = delete;
  Pending &operator=(const Pending &) = delete;
  virtual ~Pending() = default;

  static void on_end(Status status, const char *json, void *user_data) noexcept {
    const Inside inside;
    const auto pending = std::move(static_cast<Pending *>(user_data)->self);
    pending->run(result(status, json));
  }

  std::shared_ptr<Pending> self;

 private:
  virtual void run(Result<Json> reply) = 0;
};

template <typename F>
class PendingCall final : public Pending {
 public:
  template <typename G>
  explicit PendingCall(G &&callback) : callback_(std::in_place, std::forward<G>(callback)) {}

 private:
  void run(Result<Json> reply) override {
    // Out of here before it runs: what it captured ends with the call, not with the last Call that names it.
    F callback = std::move(*callback_);
    callback_.reset();
    callback(std::move(reply));
  }

  std::optional<F> callback_;
};

/** A callable that runs many times, from any thread, and may be replaced meanwhile. */
template <typename... Args>
class Slot {
 public:
  struct Listener {
    Listener() = default;
    Listener(const Listener &) = delete;
    Listener &operator=(const Listener &) = delete;
    virtual ~Listener() = default;
    virtual void hear(Args... args) = 0;
  };

  template <typename F>
  static std::shared_ptr<Listener> listener(F &&callback) {
    struct Callable final : Listener {
      explicit Callable(F &&given) : callback(std::forward<F>(given)) {}
      void hear(Args... args) override { callback(args...); }
      std::decay_t<F> callback;
    };
    return std::make_shared<Callable>(std::forward<F>(callback));
  }

  void replace(std::shared_ptr<Listener> listener) {
    // Swapped, so that the one before ends outside the lock: its destructor may do anything.
    const std::lock_guard<std::mutex> lock(mutex_);
    listener_.swap(listener);
  }

  void tell(Args... args) {
    std::shared_ptr<Listener> listener;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      listener = listener_;
    }
    if (listener) listener->hear(args...);
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<Listener> listener_;
};

using DeliverySlot = Slot<const Delivery &>;
using LogSlot = Slot<trophy_log_level, std::string_view>;

inline void on_delivery(Status status, const char *json, void *user_data) noexcept {
  const Inside inside;
  static_cast<DeliverySlot *>(user_data)->tell(Delivery(status, Json(json)));
}

inline void on_log(trophy_log_level level, const char *message, void *user_data) noexcept {
  static_cast<LogSlot *>(user_data)->tell(level, message);
}

/** Never destroyed: threads may log while the program ends. */
inline LogSlot &log_slot() {
  static auto *const slot = new LogSlot;
  return *slot;
}

/** A C string of text that no C string can hold would be another text. */
struct Text {
  const char *name;
  std::string_view text;
};

inline std::optional<Error> refuse_nul(std::initializer_list<Text> texts) {
  for (const Text &each : texts) {
    if (each.text.find('\0') != std::string_view::npos) {
      return Error(TROPHY_STATUS_INVALID_ARGUMENT,
                   Json(std::string(R"({"error":{"code":"invalid_argument","message":")") + each.name +
                        R"(: holds U+0000, which ends a C string; leave it out"}})"));
    }
  }
  return std::nullopt;
}

inline const char *pointer(const std::optional<std::string> &text) { return text ? text->c_str() : nullptr; }

inline std::string_view view(const std::optional<std::string> &text) {
  return text ? std::string_view(*text) : std::string_view();
}

/** Calls a C function that takes `char **out_json` last. */
template <typename F>
Result<Json> reply(F &&function) {
  char *json = nullptr;
  const Status status = function(&json);
  const Owned owned(json);
  return result(status, json ? json : "null");
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
   * @param options See CLIENT OPTIONS in trophy.h: `Object().set("callbacks", "dispatch")`.
   * @return The client, or why there is none.
   */
  static Result<Client> try_create(std::string_view api_key = {}, const Input &options = {}) {
    if (auto error = detail::refuse_nul({{"api_key", api_key}, {"options", detail::view(options.text())}}))
      return *error;
    const std::string key(api_key);
    trophy_client *client = nullptr;
    const auto made = detail::reply([&](char **json) {
      return trophy_client_new(key.empty() ? nullptr : key.c_str(), detail::pointer(options.text()), &client, json);
    });
    if (!made) return made.error();
    return Client(client, std::make_shared<detail::DeliverySlot>());
  }

#if defined(__cpp_exceptions)
  /**
   * As try_create(), but throws.
   *
   * @param api_key Your API key; "" for the environment variable TROPHY_API_KEY.
   * @param options See CLIENT OPTIONS in trophy.h.
   */
  explicit Client(std::string_view api_key = {}, const Input &options = {})
      : Client(try_create(api_key, options).value()) {}
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
    Client before(std::move(*this));
    slot_ = std::move(other.slot_);
    handle_ = std::move(other.handle_);
    return *this;
  }

  Client(const Client &) = delete;
  Client &operator=(const Client &) = delete;

  /** Ends it as close() with no wait. What is queued stays on disk. After that no callback runs. */
  ~Client() {
    // Inside a callback the library frees nothing, so what it still calls must stay.
    if (handle_ && detail::depth() > 0) static_cast<void>(new std::shared_ptr<detail::DeliverySlot>(slot_));
  }

  /**
   * Makes a second handle on the same client (connections, threads, queue), whose calls are for a tenant.
   *
   * @param tenant_id Sent as Tenant-ID.
   * @return The handle, or why there is none.
   */
  Result<Client> try_for_tenant(std::string_view tenant_id) const {
    if (auto error = detail::refuse_nul({{"tenant_id", tenant_id}})) return *error;
    trophy_client *client = nullptr;
    const auto made = detail::reply([&](char **json) {
      return trophy_client_for_tenant(get(), std::string(tenant_id).c_str(), &client, json);
    });
    if (!made) return made.error();
    return Client(client, slot_);
  }

  /**
   * Changes the API key, after it was rotated. A queue that was paused by the old one goes on.
   *
   * @param api_key The new key.
   * @return `null`, or the error.
   */
  Result<Json> try_set_api_key(std::string_view api_key) const {
    if (auto error = detail::refuse_nul({{"api_key", api_key}})) return *error;
    return detail::reply(
        [&](char **json) { return trophy_client_set_api_key(get(), std::string(api_key).c_str(), json); });
  }

  /**
   * Reads what the client has done and has to do. No network.
   *
   * @return Numbers: queued, inFlight, delivered, dead and more; or the error.
   */
  Result<Json> try_stats() const {
    return detail::reply([&](char **json) { return trophy_client_stats(get(), json); });
  }

  /**
   * Waits until the queue has delivered all it holds.
   *
   * @param timeout How long at most; 0 only asks.
   * @return What is left, or the error.
   */
  Result<Ending> try_flush(std::chrono::milliseconds timeout = forever) const {
    return ending([&](char **json) { return trophy_client_flush(get(), timeout.count(), json); });
  }

  /**
   * Ends the client in an orderly way: takes no more work, delivers what is queued, waits for the calls under
   * way, then cancels those that are left.
   *
   * @param timeout How long at most; 0 cancels at once.
   * @return What is left, or the error.
   */
  Result<Ending> try_close(std::chrono::milliseconds timeout = forever) const {
    return ending([&](char **json) { return trophy_client_close(get(), timeout.count(), json); });
  }

  /**
   * Sends an event and waits for the reply. It counts once, however often it is tried.
   *
   * @param event The event.
   * @return The reply: `/total`, `/currentStreak/length`, `/achievements` and more; or the error.
   */
  Result<Json> try_event(const Event &event) const {
    if (auto error = refuse(event)) return *error;
    return detail::reply([&](char **json) {
      return trophy_metrics_event(get(), event.key_.c_str(), detail::pointer(event.user_.text()), event.value_,
                                  detail::pointer(event.attributes_.text()), detail::pointer(event.idempotency_key_),
                                  detail::pointer(event.options_.text()), json);
    });
  }

  /**
   * As try_event(const Event &).
   *
   * @param key   The metric's key.
   * @param user  The user.
   * @param value How much to add.
   * @return The reply, or the error.
   */
  Result<Json> try_event(std::string_view key, const Input &user, double value) const {
    return try_event(Event(key, user, value));
  }

  /**
   * Sends an event without waiting.
   *
   * @param event    The event.
   * @param callback Called once, as `callback(Result<Json>)`, if this succeeds; else never.
   * @return What cancels it, or the error.
   */
  template <typename F>
  Result<Call> try_event_async(const Event &event, F &&callback) const {
    if (auto error = refuse(event)) return *error;
    return start(std::forward<F>(callback), [&](void *user_data, char **json) {
      return trophy_metrics_event_async(get(), event.key_.c_str(), detail::pointer(event.user_.text()), event.value_,
                                        detail::pointer(event.attributes_.text()),
                                        detail::pointer(event.idempotency_key_),
                                        detail::pointer(event.options_.text()), detail::Pending::on_end, user_data,
                                        json);
    });
  }

  /**
   * Puts an event into the queue, which delivers it, now or after days offline, and counts it once.
   *
   * @param event The event.
   * @return Its idempotency key, or the error.
   */
  Result<std::string> try_enqueue(const Event &event) const {
    if (auto error = refuse(event)) return *error;
    const auto kept = detail::reply([&](char **json) {
      return trophy_metrics_event_enqueue(get(), event.key_.c_str(), detail::pointer(event.user_.text()), event.value_,
                                          detail::pointer(event.attributes_.text()),
                                          detail::pointer(event.idempotency_key_),
                                          detail::pointer(event.options_.text()), json);
    });
    if (!kept) return kept.error();
    return kept->string("/idempotencyKey");
  }

  /**
   * As try_enqueue(const Event &).
   *
   * @param key   The metric's key.
   * @param user  The user.
   * @param value How much to add.
   * @return Its idempotency key, or the error.
   */
  Result<std::string> try_enqueue(std::string_view key, const Input &user, double value) const {
    return try_enqueue(Event(key, user, value));
  }

  /**
   * Calls any operation of the service, application or admin.
   *
   * @param operation A TROPHY_OP_ name.
   * @param args      Its parameters, `"body"` and `"options"` in one object.
   * @return The reply, or the error.
   */
  Result<Json> try_call(std::string_view operation, const Input &args = {}) const {
    if (auto error = refuse(operation, args)) return *error;
    return detail::reply([&](char **json) {
      return trophy_call(get(), std::string(operation).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Calls any operation without waiting.
   *
   * @param operation A TROPHY_OP_ name.
   * @param args      As for try_call().
   * @param callback  Called once, as `callback(Result<Json>)`, if this succeeds; else never.
   * @return What cancels it, or the error.
   */
  template <typename F>
  Result<Call> try_call_async(std::string_view operation, const Input &args, F &&callback) const {
    if (auto error = refuse(operation, args)) return *error;
    return start(std::forward<F>(callback), [&](void *user_data, char **json) {
      return trophy_call_async(get(), std::string(operation).c_str(), detail::pointer(args.text()),
                               detail::Pending::on_end, user_data, json);
    });
  }

  /**
   * Ends an asynchronous call. Its callback still runs, once, with TROPHY_STATUS_CANCELLED, or with the reply if
   * that was first.
   *
   * @param call What try_event_async() or try_call_async() gave.
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
    return trophy_client_dispatch(get(), timeout.count());
  }

  /**
   * Sets who hears how each queued event ended. For all handles of the client. The one before may still be
   * running when this returns; it is destroyed when it is not.
   *
   * @param callback Called as `callback(const Delivery &)`, maybe by several threads at once; `nullptr` for nobody.
   */
  template <typename F>
  void on_delivery(F &&callback) const {
    if (!slot_) return;
    if constexpr (std::is_same_v<std::decay_t<F>, std::nullptr_t>) {
      slot_->replace(nullptr);
    } else {
      slot_->replace(detail::DeliverySlot::listener(std::forward<F>(callback)));
    }
    trophy_client_on_delivery(get(), detail::on_delivery, slot_.get());
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
  Result<Json> try_achievements_all(const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_achievements_all(get(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Marks an achievement as completed by a user. For achievements that are completed by your program, not by a metric.
   *
   * @param key  The achievement's key.
   * @param user The user: `{"id": "42"}`, and what is to be set or changed: email, name, tz, device_tokens,
   *             subscribe_to_emails (needs an email), sign_up_date, attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The completion; or the error.
   */
  Result<Json> try_achievements_complete(std::string_view key, const Input &user, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"key", key},
                                         {"user", detail::view(user.text())},
                                         {"args", detail::view(args.text())}}))
      return *error;
    return detail::reply([&](char **json) {
      return trophy_achievements_complete(get(), std::string(key).c_str(), detail::pointer(user.text()),
                                          detail::pointer(args.text()), json);
    });
  }

  /**
   * Creates a user. An event creates its user too, so this is for those without one.
   *
   * @param user The user: `{"id": "42"}`, and email, name, tz, device_tokens, subscribe_to_emails (needs an email),
   *             sign_up_date, attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user; or the error.
   */
  Result<Json> try_users_create(const Input &user, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"user", detail::view(user.text())},
                                         {"args", detail::view(args.text())}}))
      return *error;
    return detail::reply([&](char **json) {
      return trophy_users_create(get(), detail::pointer(user.text()), detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a user.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user; or the error.
   */
  Result<Json> try_users_get(std::string_view id, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_get(get(), std::string(id).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Creates a user, or changes the one there is.
   *
   * @param id   Your id for the user.
   * @param user What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email), sign_up_date,
   *             attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user; or the error.
   */
  Result<Json> try_users_identify(std::string_view id, const Input &user, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id},
                                         {"user", detail::view(user.text())},
                                         {"args", detail::view(args.text())}}))
      return *error;
    return detail::reply([&](char **json) {
      return trophy_users_identify(get(), std::string(id).c_str(), detail::pointer(user.text()),
                                   detail::pointer(args.text()), json);
    });
  }

  /**
   * Changes a user.
   *
   * @param id   Your id for the user.
   * @param user What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email), sign_up_date,
   *             attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user; or the error.
   */
  Result<Json> try_users_update(std::string_view id, const Input &user, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id},
                                         {"user", detail::view(user.text())},
                                         {"args", detail::view(args.text())}}))
      return *error;
    return detail::reply([&](char **json) {
      return trophy_users_update(get(), std::string(id).c_str(), detail::pointer(user.text()),
                                 detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a user's preferences: notifications and streak.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The preferences; or the error.
   */
  Result<Json> try_users_get_preferences(std::string_view id, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_get_preferences(get(), std::string(id).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Changes a user's preferences. Those of the streak need streak customization to be switched on in the dashboard.
   *
   * @param id          Your id for the user.
   * @param preferences `{"notifications": {...}, "streak": {...}}`, of which what is left out stays.
   * @param args        Optional: `{"options": {...}}`, request options (see above).
   * @return The preferences; or the error.
   */
  Result<Json> try_users_update_preferences(std::string_view id, const Input &preferences, const Input &args = {})
                                            const {
    if (auto error = detail::refuse_nul({{"id", id},
                                         {"preferences", detail::view(preferences.text())},
                                         {"args", detail::view(args.text())}}))
      return *error;
    return detail::reply([&](char **json) {
      return trophy_users_update_preferences(get(), std::string(id).c_str(), detail::pointer(preferences.text()),
                                             detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a user's progress in all active metrics.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The metrics, an array; or the error.
   */
  Result<Json> try_users_all_metrics(std::string_view id, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_all_metrics(get(), std::string(id).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a user's progress in one metric.
   *
   * @param id   Your id for the user.
   * @param key  The metric's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The metric; or the error.
   */
  Result<Json> try_users_single_metric(std::string_view id, std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_single_metric(get(), std::string(id).c_str(), std::string(key).c_str(),
                                        detail::pointer(args.text()), json);
    });
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
  Result<Json> try_users_metric_event_summary(std::string_view id, std::string_view key, const Input &args) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_metric_event_summary(get(), std::string(id).c_str(), std::string(key).c_str(),
                                               detail::pointer(args.text()), json);
    });
  }

  /**
   * Lists a user's achievements.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"includeIncomplete": true}`: also those not completed yet.
   * @return The achievements, an array; or the error.
   */
  Result<Json> try_users_achievements(std::string_view id, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_achievements(get(), std::string(id).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a user's current streak.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"historyPeriods": 14}`, how many past periods to list (default 7).
   * @return The streak; or the error.
   */
  Result<Json> try_users_streak(std::string_view id, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_streak(get(), std::string(id).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Lists the streaks of some users, the longest first.
   *
   * @param args `{"userIds": ["42", "43"]}`: needed, up to 100.
   * @return The streaks, an array; or the error.
   */
  Result<Json> try_streaks_list(const Input &args) const {
    if (auto error = detail::refuse_nul({{"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_streaks_list(get(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a user's points in a points system.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args Optional: `{"awards": 20}`, how many recent awards to list (default 10, at most 100).
   * @return The points; or the error.
   */
  Result<Json> try_users_points(std::string_view id, std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_points(get(), std::string(id).c_str(), std::string(key).c_str(),
                                 detail::pointer(args.text()), json);
    });
  }

  /**
   * Lists the points boosts that are active for a user: their own, and those for all.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The boosts, an array; or the error.
   */
  Result<Json> try_users_points_boosts(std::string_view id, std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_points_boosts(get(), std::string(id).c_str(), std::string(key).c_str(),
                                        detail::pointer(args.text()), json);
    });
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
  Result<Json> try_users_points_event_summary(std::string_view id, std::string_view key, const Input &args) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_points_event_summary(get(), std::string(id).c_str(), std::string(key).c_str(),
                                               detail::pointer(args.text()), json);
    });
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
  Result<Json> try_users_leaderboard(std::string_view id, std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_leaderboard(get(), std::string(id).c_str(), std::string(key).c_str(),
                                      detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a user's year in review.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"year": 2025}` (default this year).
   * @return The year; or the error.
   */
  Result<Json> try_users_wrapped(std::string_view id, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"id", id}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_users_wrapped(get(), std::string(id).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Counts the users in each range of points.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"userAttributes": "plan:pro,city:London"}`: only users with all these attributes.
   * @return The ranges, an array; or the error.
   */
  Result<Json> try_points_summary(std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_points_summary(get(), std::string(key).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Reads a points system, with its triggers.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The points system; or the error.
   */
  Result<Json> try_points_system(std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_points_system(get(), std::string(key).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Lists the points boosts of a points system that are for all users.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"includeFinished": true}`: also those that are over.
   * @return The boosts, an array; or the error.
   */
  Result<Json> try_points_boosts(std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_points_boosts(get(), std::string(key).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Lists the levels of a points system.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The levels, an array; or the error.
   */
  Result<Json> try_points_levels(std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_points_levels(get(), std::string(key).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Counts the users at each level of a points system.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The levels with their counts, an array; or the error.
   */
  Result<Json> try_points_level_summary(std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_points_level_summary(get(), std::string(key).c_str(), detail::pointer(args.text()), json);
    });
  }

  /**
   * Lists all leaderboards.
   *
   * @param args Optional: `{"includeFinished": true}`: also those that are over.
   * @return The leaderboards, an array; or the error.
   */
  Result<Json> try_leaderboards_all(const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_leaderboards_all(get(), detail::pointer(args.text()), json);
    });
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
  Result<Json> try_leaderboards_get(std::string_view key, const Input &args = {}) const {
    if (auto error = detail::refuse_nul({{"key", key}, {"args", detail::view(args.text())}})) return *error;
    return detail::reply([&](char **json) {
      return trophy_leaderboards_get(get(), std::string(key).c_str(), detail::pointer(args.text()), json);
    });
  }

#if defined(__cpp_exceptions)
  // All of the above once more, with exceptions.

  /**
   * As try_for_tenant(), but throws.
   *
   * @param tenant_id Sent as Tenant-ID.
   * @return A second handle, whose calls are for the tenant.
   */
  Client for_tenant(std::string_view tenant_id) const {
    return try_for_tenant(tenant_id).value();
  }

  /**
   * As try_set_api_key(), but throws.
   *
   * @param api_key The new key.
   */
  void set_api_key(std::string_view api_key) const {
    try_set_api_key(api_key).value();
  }

  /**
   * As try_stats(), but throws.
   *
   * @return Numbers: queued, inFlight, delivered, dead and more.
   */
  Json stats() const {
    return try_stats().value();
  }

  /**
   * As try_flush(), but throws.
   *
   * @param timeout How long at most; 0 only asks.
   * @return What is left. A time-out does not throw.
   */
  Ending flush(std::chrono::milliseconds timeout = forever) const {
    return try_flush(timeout).value();
  }

  /**
   * As try_close(), but throws.
   *
   * @param timeout How long at most; 0 cancels at once.
   * @return What is left. A time-out does not throw.
   */
  Ending close(std::chrono::milliseconds timeout = forever) const {
    return try_close(timeout).value();
  }

  /**
   * As try_event(), but throws.
   *
   * @param event The event.
   * @return The reply: `/total`, `/currentStreak/length`, `/achievements` and more.
   */
  Json event(const Event &event) const {
    return try_event(event).value();
  }

  /**
   * As try_event(), but throws.
   *
   * @param key   The metric's key.
   * @param user  The user.
   * @param value How much to add.
   * @return The reply.
   */
  Json event(std::string_view key, const Input &user, double value) const {
    return try_event(key, user, value).value();
  }

  /**
   * As try_event_async(), but throws.
   *
   * @param event    The event.
   * @param callback Called once, as `callback(Result<Json>)`, unless this throws.
   * @return What cancels it.
   */
  template <typename F>
  Call event_async(const Event &event, F &&callback) const {
    return try_event_async(event, std::forward<F>(callback)).value();
  }

  /**
   * As try_enqueue(), but throws.
   *
   * @param event The event.
   * @return Its idempotency key.
   */
  std::string enqueue(const Event &event) const {
    return try_enqueue(event).value();
  }

  /**
   * As try_enqueue(), but throws.
   *
   * @param key   The metric's key.
   * @param user  The user.
   * @param value How much to add.
   * @return Its idempotency key.
   */
  std::string enqueue(std::string_view key, const Input &user, double value) const {
    return try_enqueue(key, user, value).value();
  }

  /**
   * As try_call(), but throws.
   *
   * @param operation A TROPHY_OP_ name.
   * @param args      Its parameters, `"body"` and `"options"` in one object.
   * @return The reply.
   */
  Json call(std::string_view operation, const Input &args = {}) const {
    return try_call(operation, args).value();
  }

  /**
   * As try_call_async(), but throws.
   *
   * @param operation A TROPHY_OP_ name.
   * @param args      As for call().
   * @param callback  Called once, as `callback(Result<Json>)`, unless this throws.
   * @return What cancels it.
   */
  template <typename F>
  Call call_async(std::string_view operation, const Input &args, F &&callback) const {
    return try_call_async(operation, args, std::forward<F>(callback)).value();
  }

  /**
   * As try_achievements_all(), but throws.
   *
   * @param args Optional: `{"userAttributes": "plan:pro,city:London"}`: only those open to a user with these
   *             attributes.
   * @return The achievements, an array.
   */
  Json achievements_all(const Input &args = {}) const {
    return try_achievements_all(args).value();
  }

  /**
   * As try_achievements_complete(), but throws.
   *
   * @param key  The achievement's key.
   * @param user The user: `{"id": "42"}`, and what is to be set or changed: email, name, tz, device_tokens,
   *             subscribe_to_emails (needs an email), sign_up_date, attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The completion.
   */
  Json achievements_complete(std::string_view key, const Input &user, const Input &args = {}) const {
    return try_achievements_complete(key, user, args).value();
  }

  /**
   * As try_users_create(), but throws.
   *
   * @param user The user: `{"id": "42"}`, and email, name, tz, device_tokens, subscribe_to_emails (needs an email),
   *             sign_up_date, attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user.
   */
  Json users_create(const Input &user, const Input &args = {}) const {
    return try_users_create(user, args).value();
  }

  /**
   * As try_users_get(), but throws.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user.
   */
  Json users_get(std::string_view id, const Input &args = {}) const {
    return try_users_get(id, args).value();
  }

  /**
   * As try_users_identify(), but throws.
   *
   * @param id   Your id for the user.
   * @param user What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email), sign_up_date,
   *             attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user.
   */
  Json users_identify(std::string_view id, const Input &user, const Input &args = {}) const {
    return try_users_identify(id, user, args).value();
  }

  /**
   * As try_users_update(), but throws.
   *
   * @param id   Your id for the user.
   * @param user What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email), sign_up_date,
   *             attributes (strings).
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The user.
   */
  Json users_update(std::string_view id, const Input &user, const Input &args = {}) const {
    return try_users_update(id, user, args).value();
  }

  /**
   * As try_users_get_preferences(), but throws.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The preferences.
   */
  Json users_get_preferences(std::string_view id, const Input &args = {}) const {
    return try_users_get_preferences(id, args).value();
  }

  /**
   * As try_users_update_preferences(), but throws.
   *
   * @param id          Your id for the user.
   * @param preferences `{"notifications": {...}, "streak": {...}}`, of which what is left out stays.
   * @param args        Optional: `{"options": {...}}`, request options (see above).
   * @return The preferences.
   */
  Json users_update_preferences(std::string_view id, const Input &preferences, const Input &args = {}) const {
    return try_users_update_preferences(id, preferences, args).value();
  }

  /**
   * As try_users_all_metrics(), but throws.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The metrics, an array.
   */
  Json users_all_metrics(std::string_view id, const Input &args = {}) const {
    return try_users_all_metrics(id, args).value();
  }

  /**
   * As try_users_single_metric(), but throws.
   *
   * @param id   Your id for the user.
   * @param key  The metric's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The metric.
   */
  Json users_single_metric(std::string_view id, std::string_view key, const Input &args = {}) const {
    return try_users_single_metric(id, key, args).value();
  }

  /**
   * As try_users_metric_event_summary(), but throws.
   *
   * @param id   Your id for the user.
   * @param key  The metric's key.
   * @param args `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three are needed;
   *             the aggregation is daily, weekly or monthly, the dates at most 400 days apart.
   * @return The sums, an array.
   */
  Json users_metric_event_summary(std::string_view id, std::string_view key, const Input &args) const {
    return try_users_metric_event_summary(id, key, args).value();
  }

  /**
   * As try_users_achievements(), but throws.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"includeIncomplete": true}`: also those not completed yet.
   * @return The achievements, an array.
   */
  Json users_achievements(std::string_view id, const Input &args = {}) const {
    return try_users_achievements(id, args).value();
  }

  /**
   * As try_users_streak(), but throws.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"historyPeriods": 14}`, how many past periods to list (default 7).
   * @return The streak.
   */
  Json users_streak(std::string_view id, const Input &args = {}) const {
    return try_users_streak(id, args).value();
  }

  /**
   * As try_streaks_list(), but throws.
   *
   * @param args `{"userIds": ["42", "43"]}`: needed, up to 100.
   * @return The streaks, an array.
   */
  Json streaks_list(const Input &args) const {
    return try_streaks_list(args).value();
  }

  /**
   * As try_users_points(), but throws.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args Optional: `{"awards": 20}`, how many recent awards to list (default 10, at most 100).
   * @return The points.
   */
  Json users_points(std::string_view id, std::string_view key, const Input &args = {}) const {
    return try_users_points(id, key, args).value();
  }

  /**
   * As try_users_points_boosts(), but throws.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The boosts, an array.
   */
  Json users_points_boosts(std::string_view id, std::string_view key, const Input &args = {}) const {
    return try_users_points_boosts(id, key, args).value();
  }

  /**
   * As try_users_points_event_summary(), but throws.
   *
   * @param id   Your id for the user.
   * @param key  The points system's key.
   * @param args `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three are needed;
   *             the aggregation is daily, weekly or monthly, the dates at most 400 days apart.
   * @return The sums, an array.
   */
  Json users_points_event_summary(std::string_view id, std::string_view key, const Input &args) const {
    return try_users_points_event_summary(id, key, args).value();
  }

  /**
   * As try_users_leaderboard(), but throws.
   *
   * @param id   Your id for the user.
   * @param key  The leaderboard's key.
   * @param args Optional: `{"run": "2026-01-05", "numEvents": 30}`: the run of that date (default the current one),
   *             and how many days of history (default 10, at most 100).
   * @return The rank.
   */
  Json users_leaderboard(std::string_view id, std::string_view key, const Input &args = {}) const {
    return try_users_leaderboard(id, key, args).value();
  }

  /**
   * As try_users_wrapped(), but throws.
   *
   * @param id   Your id for the user.
   * @param args Optional: `{"year": 2025}` (default this year).
   * @return The year.
   */
  Json users_wrapped(std::string_view id, const Input &args = {}) const {
    return try_users_wrapped(id, args).value();
  }

  /**
   * As try_points_summary(), but throws.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"userAttributes": "plan:pro,city:London"}`: only users with all these attributes.
   * @return The ranges, an array.
   */
  Json points_summary(std::string_view key, const Input &args = {}) const {
    return try_points_summary(key, args).value();
  }

  /**
   * As try_points_system(), but throws.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The points system.
   */
  Json points_system(std::string_view key, const Input &args = {}) const {
    return try_points_system(key, args).value();
  }

  /**
   * As try_points_boosts(), but throws.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"includeFinished": true}`: also those that are over.
   * @return The boosts, an array.
   */
  Json points_boosts(std::string_view key, const Input &args = {}) const {
    return try_points_boosts(key, args).value();
  }

  /**
   * As try_points_levels(), but throws.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The levels, an array.
   */
  Json points_levels(std::string_view key, const Input &args = {}) const {
    return try_points_levels(key, args).value();
  }

  /**
   * As try_points_level_summary(), but throws.
   *
   * @param key  The points system's key.
   * @param args Optional: `{"options": {...}}`, request options (see above).
   * @return The levels with their counts, an array.
   */
  Json points_level_summary(std::string_view key, const Input &args = {}) const {
    return try_points_level_summary(key, args).value();
  }

  /**
   * As try_leaderboards_all(), but throws.
   *
   * @param args Optional: `{"includeFinished": true}`: also those that are over.
   * @return The leaderboards, an array.
   */
  Json leaderboards_all(const Input &args = {}) const {
    return try_leaderboards_all(args).value();
  }

  /**
   * As try_leaderboards_get(), but throws.
   *
   * @param key  The leaderboard's key.
   * @param args Optional: `{"offset": 0, "limit": 10, "run": "2026-01-05", "userId": "42", "userAttributes":
   *             "city:London"}`: a page of the rankings (default the first 10), counted from `userId` if given; the
   *             run of that date (default the current one); for a leaderboard by attribute, which value (needed
   *             there).
   * @return The leaderboard.
   */
  Json leaderboards_get(std::string_view key, const Input &args = {}) const {
    return try_leaderboards_get(key, args).value();
  }
#endif

 private:
  Client(trophy_client *handle, std::shared_ptr<detail::DeliverySlot> slot)
      : slot_(std::move(slot)), handle_(handle) {}

  static std::optional<Error> refuse(const Event &event) {
    return detail::refuse_nul({{"key", event.key_},
                               {"user", detail::view(event.user_.text())},
                               {"attributes", detail::view(event.attributes_.text())},
                               {"idempotency_key", detail::view(event.idempotency_key_)},
                               {"options", detail::view(event.options_.text())}});
  }

  static std::optional<Error> refuse(std::string_view operation, const Input &args) {
    return detail::refuse_nul({{"operation", operation}, {"args", detail::view(args.text())}});
  }

  /** A time-out says how much is left: it is an answer, not an error. */
  template <typename F>
  static Result<Ending> ending(F &&function) {
    char *json = nullptr;
    const Status status = function(&json);
    const detail::Owned owned(json);
    if (status != TROPHY_STATUS_OK && status != TROPHY_STATUS_TIMEOUT) return Error(status, Json(json));
    return Ending{status == TROPHY_STATUS_OK,
                  static_cast<std::int64_t>(trophy_json_number(json, "/undelivered", 0))};
  }

  template <typename F, typename Start>
  static Result<Call> start(F &&callback, Start &&begin) {
    std::shared_ptr<detail::Pending> pending =
        std::make_shared<detail::PendingCall<std::decay_t<F>>>(std::forward<F>(callback));
    // Before the call begins: the callback may have run before this returns.
    pending->self = pending;
    const auto begun = detail::reply([&](char **json) { return begin(pending.get(), json); });
    if (!begun) {
      pending->self.reset();
      return begun.error();
    }
    return Call(std::move(pending));
  }

  // In this order: the handle is freed first, as the library may call the slot until then.
  std::shared_ptr<detail::DeliverySlot> slot_;
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
inline Result<Json> try_verify_webhook(std::string_view body, std::string_view signature, std::string_view secret) {
  if (auto error = detail::refuse_nul({{"signature", signature}, {"secret", secret}})) return *error;
  return detail::reply([&](char **json) {
    return trophy_webhook_verify(reinterpret_cast<const std::uint8_t *>(body.data()), body.size(),
                                 std::string(signature).c_str(), std::string(secret).c_str(), json);
  });
}

#if defined(__cpp_exceptions)
/**
 * As try_verify_webhook(), but throws.
 *
 * @param body      The raw bytes of the request's body, as they came.
 * @param signature The X-Trophy-Signature header.
 * @param secret    The webhook's secret.
 * @return The body if it is JSON, else `null`.
 */
inline Json verify_webhook(std::string_view body, std::string_view signature, std::string_view secret) {
  return try_verify_webhook(body, signature, secret).value();
}
#endif

/**
 * Sets where log lines go, for all clients of the process.
 *
 * @param level    How much to log: this level and those above it.
 * @param callback Called as `callback(trophy_log_level, std::string_view)`, on any thread; `nullptr` for nobody.
 */
template <typename F>
void set_log(trophy_log_level level, F &&callback) {
  detail::LogSlot &slot = detail::log_slot();
  if constexpr (std::is_same_v<std::decay_t<F>, std::nullptr_t>) {
    trophy_log_set_callback(TROPHY_LOG_LEVEL_OFF, nullptr, nullptr);
    slot.replace(nullptr);
  } else {
    slot.replace(detail::LogSlot::listener(std::forward<F>(callback)));
    trophy_log_set_callback(level, detail::on_log, &slot);
  }
}

}  // namespace trophy

#endif  // TROPHY_HPP
