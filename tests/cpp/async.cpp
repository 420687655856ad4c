// Asynchronous calls: any callable, run once, and what it captured destroyed once, however the call ends. The
// service never answers users_wrapped.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "check.hpp"

using namespace trophy;
using namespace std::chrono_literals;

static const Event event = Event("words-written", "18", 1);
static const Object user{{"id", "18"}};

/** Counts in `ended` that it was destroyed; what was moved from it is not it. */
class Witness {
 public:
  explicit Witness(std::atomic<int> &ended) : ended_(&ended) {}
  Witness(Witness &&other) noexcept : ended_(std::exchange(other.ended_, nullptr)) {}
  Witness &operator=(Witness &&) = delete;
  Witness(const Witness &) = delete;
  Witness &operator=(const Witness &) = delete;
  ~Witness() {
    if (ended_) ++*ended_;
  }

 private:
  std::atomic<int> *ended_;
};

/** What a callback saw. */
struct Seen {
  std::atomic<int> runs{0};
  std::atomic<int> ended{0};
  std::atomic<Status> status{TROPHY_STATUS_PANIC};

  auto callback() {
    return [this, witness = Witness(ended)](const Result<Json> &reply) {
      status = reply.status();
      runs++;
    };
  }
  /** It ran once, with this, and nothing of it is left. */
  bool is_over(Status expected) const { return runs == 1 && ended == 1 && status == expected; }
};

static void a_callback_runs_once_and_ends_with_the_call() {
  Seen seen;
  std::optional<Client> client(make_client());
  const Call call = client->event_async(event, seen.callback()).value();
  wait_until([&] { return seen.ended > 0; });  // while the call is still held
  CHECK(seen.is_over(TROPHY_STATUS_OK));
  CHECK(!client->cancel(call));
  client.reset();
  CHECK(seen.is_over(TROPHY_STATUS_OK));
}

static void a_dropped_call_goes_on() {
  Seen seen;
  const Client client = make_client();
  CHECK(client.call_async(TROPHY_OP_USERS_GET, user, seen.callback()).ok());
  wait_until([&] { return seen.ended > 0; });
  CHECK(seen.is_over(TROPHY_STATUS_OK));
}

static void a_refused_call_ends_its_callback_at_once() {
  Seen event_seen, call_seen, closed_seen;
  const Client client = make_client();
  const auto refused = client.event_async(Event("words-written", User("18").set("id", 18), 1), event_seen.callback());
  CHECK(refused.status() == TROPHY_STATUS_INVALID_ARGUMENT);
  CHECK(event_seen.runs == 0 && event_seen.ended == 1);
  CHECK(client.call_async("no_such_operation", {}, call_seen.callback()).status() == TROPHY_STATUS_INVALID_ARGUMENT);
  CHECK(call_seen.runs == 0 && call_seen.ended == 1);
  CHECK(client.close(0ms)->done);
  CHECK(client.event_async(event, closed_seen.callback()).status() == TROPHY_STATUS_CLOSED);
  CHECK(closed_seen.runs == 0 && closed_seen.ended == 1);
}

// shows: cancel
static void a_cancelled_call_ends_its_callback_once() {
  Seen seen, other;
  const Client client = make_client();
  const Call call = client.call_async(TROPHY_OP_USERS_WRAPPED, user, seen.callback()).value();
  const Call another = client.call_async(TROPHY_OP_USERS_WRAPPED, user, other.callback()).value();
  CHECK(client.cancel(call));
  wait_until([&] { return seen.ended > 0; });
  CHECK(seen.is_over(TROPHY_STATUS_CANCELLED));
  CHECK(other.runs == 0 && other.ended == 0);
  CHECK(!client.cancel(call));
  CHECK(!client.cancel(Call()));
  CHECK(client.cancel(another));
  wait_until([&] { return other.ended > 0; });
  CHECK(other.is_over(TROPHY_STATUS_CANCELLED));
}

static void close_ends_callbacks_once() {
  Seen seen;
  const Client client = make_client();
  CHECK(client.call_async(TROPHY_OP_USERS_WRAPPED, user, seen.callback()).ok());
  const auto ending = client.close(0ms);
  CHECK(ending.ok() && !ending->done && ending->undelivered == 0 && ending->cancelled == 1);
  CHECK(seen.is_over(TROPHY_STATUS_CANCELLED));
}

// shows: freed
static void the_end_of_a_client_ends_callbacks_once() {
  Seen worker, dispatch;
  {
    const Client client = make_client();
    CHECK(client.call_async(TROPHY_OP_USERS_WRAPPED, user, worker.callback()).ok());
  }
  CHECK(worker.is_over(TROPHY_STATUS_CANCELLED));
  {
    const Client client = make_client(Object{{"callbacks", "dispatch"}});
    CHECK(client.call_async(TROPHY_OP_USERS_WRAPPED, user, dispatch.callback()).ok());
  }
  CHECK(dispatch.is_over(TROPHY_STATUS_CANCELLED));
}

static void dispatch_runs_callbacks_on_its_own_thread() {
  const Client client = make_client(Object{{"callbacks", "dispatch"}});
  CHECK(client.dispatch() == 0);
  std::thread::id thread;
  int ran = 0;
  for (int i = 0; i < 3; i++) {
    const auto call = client.event_async(event, [&](const Result<Json> &reply) {
      CHECK(reply.ok());
      thread = std::this_thread::get_id();
      ran++;
    });
    CHECK(call.ok());
  }
  std::size_t told = 0;
  while (ran < 3) told += client.dispatch(forever);
  CHECK(told == 3);
  CHECK(thread == std::this_thread::get_id());
  CHECK(client.dispatch(1ms) == 0);
}

/** An event loop that sleeps until it is woken. */
class Loop {
 public:
  void wake() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_woken_ = true;
    changed_.notify_one();
  }
  void sleep() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return is_woken_; });
    is_woken_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_woken_ = false;
};

static void a_loop_is_woken_to_dispatch() {
  const Client client = make_client(Object{{"callbacks", "dispatch"}});
  Loop loop;
  client.on_ready([&] { loop.wake(); });
  int ran = 0;
  for (int i = 0; i < 10; i++) {
    CHECK(client.call_async(TROPHY_OP_USERS_GET, user, [&](const Result<Json> &) { ran++; }).ok());
  }
  while (ran < 10) {
    loop.sleep();
    client.dispatch();
  }
}

static void what_wakes_a_loop_ends_when_it_is_replaced_or_its_client_ends() {
  std::atomic<int> first{0}, second{0}, third{0};
  Loop loop;
  {
    const auto options = Object{{"callbacks", "dispatch"}};
    Client client = make_client(options);
    const Client tenant = client.for_tenant("acme").value();
    client.on_ready([&loop, witness = Witness(first)] { loop.wake(); });
    int ran = 0;
    CHECK(client.call_async(TROPHY_OP_USERS_GET, user, [&](const Result<Json> &) { ran++; }).ok());
    loop.sleep();
    CHECK(first == 0);
    // One that comes when something is ready is woken at once; a tenant's handle is as good as another.
    tenant.on_ready([&loop, witness = Witness(second)] { loop.wake(); });
    CHECK(first == 1);
    loop.sleep();
    CHECK(client.dispatch() == 1 && ran == 1);
    client.on_ready(nullptr);
    CHECK(second == 1);
    client.on_ready([&loop, witness = Witness(third)] { loop.wake(); });
    CHECK(tenant.close(0ms)->done);
    tenant.on_ready(nullptr);  // It was let go of.
    CHECK(third == 0);
    Client moved = std::move(client);
    client.on_ready([] {});  // Nobody's.
    CHECK(moved.call_async(TROPHY_OP_USERS_GET, user, [&](const Result<Json> &) { ran++; }).ok());
    loop.sleep();
    CHECK(moved.dispatch() == 1 && ran == 2);
  }
  CHECK(third == 1);
}

static void a_promise_makes_a_future() {
  const Client client = make_client();
  std::promise<Result<Json>> promise;
  auto future = promise.get_future();
  const auto call = client.event_async(event, [promise = std::move(promise)](Result<Json> reply) mutable {
    promise.set_value(std::move(reply));
  });
  CHECK(call.ok());
  CHECK(future.get()->number("/total") > 0);
}

static std::atomic<int> heard;

static void hear(const Result<Json> &) { heard++; }

static void anything_that_can_be_called_will_do() {
  const Client client = make_client();
  const std::function<void(Result<Json>)> function = [](const Result<Json> &) { heard++; };
  auto returns = [](auto &&) { return ++heard; };
  heard = 0;
  CHECK(client.call_async(TROPHY_OP_USERS_GET, user, hear).ok());
  CHECK(client.call_async(TROPHY_OP_USERS_GET, user, &hear).ok());
  CHECK(client.call_async(TROPHY_OP_USERS_GET, user, function).ok());
  CHECK(client.call_async(TROPHY_OP_USERS_GET, user, returns).ok());
  CHECK(client.call_async(TROPHY_OP_USERS_GET, user, [](Result<Json>) { heard++; }).ok());
  wait_until([] { return heard == 5; });
}

static void a_callback_may_start_the_next_call() {
  const Client client = make_client();
  Seen seen;
  const auto first = client.event_async(event, [&](const Result<Json> &) {
    CHECK(client.users_get("18").ok());
    CHECK(client.event_async(event, seen.callback()).ok());
  });
  CHECK(first.ok());
  wait_until([&] { return seen.ended > 0; });
  CHECK(seen.is_over(TROPHY_STATUS_OK));
}

// shows: close-inside
static void a_client_that_ends_in_its_callback_stays_for_its_other_handles() {
  std::atomic<bool> may_end{false}, ended{false};
  auto client = std::make_shared<Client>(make_client());
  client->on_delivery([](const Delivery &) {});
  const Client second = client->for_tenant("acme").value();
  const auto call = client->event_async(event, [&, client](const Result<Json> &) mutable {
    wait_until([&] { return may_end.load(); });
    client.reset();
    ended = true;
  });
  CHECK(call.ok());
  client.reset();
  may_end = true;
  wait_until([&] { return ended.load(); });
  CHECK(second.enqueue("words-written", "18", 1).ok());
  CHECK(second.flush()->done);
}

static void a_tenants_handle_may_end_in_a_callback() {
  std::atomic<int> told{0}, ended{0};
  {
    const Client client = make_client();
    client.on_delivery([&, witness = Witness(ended)](const Delivery &) {
      client.for_tenant("acme").value();
      told++;
    });
    std::atomic<int> called{0};
    for (int i = 0; i < 20; i++) {
      const auto call = client.event_async(event, [&](const Result<Json> &) {
        const Client tenant = client.for_tenant("acme").value();
        CHECK(tenant.enqueue("words-written", "18", 1).ok());
        called++;
      });
      CHECK(call.ok());
    }
    wait_until([&] { return called == 20 && told == 20; });
  }
  // The client has ended, and with it who listened.
  CHECK(ended == 1);
}

/** Its callbacks, and who listens, are there as long as it calls them. */
static void the_last_handle_stays_in_a_callback() {
  // On purpose nothing is freed then.
  if (is_checked_for_leaks()) return;
  static std::atomic<int> told{0}, ended{0};
  auto client = std::make_unique<Client>(make_client());
  client->on_delivery([witness = Witness(ended)](const Delivery &) { told++; });
  std::promise<void> may_end;
  auto *const raw = client.get();
  const auto call = raw->event_async(event, [&, client = std::move(client)](const Result<Json> &) mutable {
    may_end.get_future().wait();
    CHECK(client->enqueue("words-written", "18", 1).ok());
    client.reset();
  });
  CHECK(call.ok());
  may_end.set_value();
  wait_until([&] { return told == 1; });
  CHECK(ended == 0);
}

static void an_exception_that_leaves_a_callback_ends_the_program() {
  if (!has_children()) return;
  const int signal = signal_that_ends([] {
    const Client client = make_client(Object{{"callbacks", "dispatch"}});
    CHECK(client.event_async(event, [](const Result<Json> &) { throw 1; }).ok());
    client.dispatch(forever);
  });
  CHECK(signal == SIGABRT);
}

// shows: two-numbers
static void close_tells_events_from_calls() {
  const Client client = make_client();
  std::atomic<int> cancelled{0};
  for (int i = 0; i < 100; i++) {
    const auto call = client.call_async(TROPHY_OP_USERS_WRAPPED, user, [&](const Result<Json> &reply) {
      cancelled += reply.status() == TROPHY_STATUS_CANCELLED;
    });
    CHECK(call.ok());
  }
  const auto ending = client.close(0ms);
  CHECK(ending->undelivered == 0 && ending->cancelled == 100);
  CHECK(!ending->done && ending->status == TROPHY_STATUS_TIMEOUT);
  wait_until([&] { return cancelled == 100; });
}

// shows: any-reply
static void no_reply_breaks_anything() {
  // The sandbox answers streaks_list with all that no service should.
  const Client client = make_client(Object{{"max_retries", 0}});
  int refused = 0;
  for (int i = 0; i < 30; i++) {
    if (const auto reply = client.streaks_list(Object{{"userIds", Array{"18"}}}); !reply) {
      CHECK(reply.error().retry_after().count() >= 0);
      CHECK(reply.error().http_status() >= 0 && reply.error().http_status() < 600);
      refused++;
    }
    std::promise<void> told;
    const Object of_18{{"userIds", Array{"18"}}};
    const auto call = client.call_async(TROPHY_OP_STREAKS_LIST, of_18, [&](const Result<Json> &reply) {
      if (!reply) static_cast<void>(reply.error().retry_after());
      told.set_value();
    });
    CHECK(call.ok());
    if (!call) return;
    told.get_future().wait();
  }
  CHECK(refused > 0);
  const Error most(TROPHY_STATUS_RATE_LIMITED, Json(R"({"error":{"httpStatus":1e300,"retryAfterMs":1e300}})"));
  CHECK(most.retry_after().count() == std::numeric_limits<std::int64_t>::max());
  CHECK(most.http_status() == std::numeric_limits<int>::max());
}

static void keep_busy(const Client &client) {
  for (int i = 0; i < 100; i++) {
    CHECK(client.call_async(TROPHY_OP_USERS_WRAPPED, user, [](const Result<Json> &) {}).ok());
  }
}

// shows: ends, exits, uncaught
static void a_process_ends_at_once_with_its_own_code() {
  if (!has_children()) return;
  CHECK(code_that_ends([] {
          const Client client = make_client(), idle = make_client();
          idle.on_delivery([](const Delivery &) {});
          keep_busy(client);
        }) == 0);
  CHECK(code_that_ends([] {
          const Client client = make_client();
          keep_busy(client);
          std::exit(7);  // with the client open
        }) == 7);
  CHECK(code_that_ends([] {
          static const Client client = make_client();
          keep_busy(client);
          std::exit(6);  // which destroys it
        }) == 6);
  CHECK(code_that_ends([] {
          const Client client = make_client();
          CHECK(client.event_async(event, [](const Result<Json> &) { std::exit(9); }).ok());
          for (;;) std::this_thread::sleep_for(1h);
        }) == 9);
  CHECK(signal_that_ends([] {
          const Client client = make_client();
          keep_busy(client);
          throw 1;
        }) == SIGABRT);
}

static std::atomic<int> slow_ended;

/** Made before the client, so destroyed after it. */
struct Afterwards {
  ~Afterwards() {
    if (slow_ended == 0) std::_Exit(3);
  }
};

// shows: slow-end
static void a_client_that_is_a_global_ends_after_its_callbacks() {
  if (!has_children()) return;
  CHECK(code_that_ends([] {
          static const Afterwards afterwards;
          static const Client client = make_client();
          std::promise<void> began;
          const auto call = client.event_async(event, [&](const Result<Json> &) {
            began.set_value();
            std::this_thread::sleep_for(300ms);
            slow_ended++;
          });
          CHECK(call.ok());
          began.get_future().wait();
        }) == 0);
}

int main() {
  RUN(a_callback_runs_once_and_ends_with_the_call);
  RUN(a_dropped_call_goes_on);
  RUN(a_refused_call_ends_its_callback_at_once);
  RUN(a_cancelled_call_ends_its_callback_once);
  RUN(close_ends_callbacks_once);
  RUN(the_end_of_a_client_ends_callbacks_once);
  RUN(dispatch_runs_callbacks_on_its_own_thread);
  RUN(a_loop_is_woken_to_dispatch);
  RUN(what_wakes_a_loop_ends_when_it_is_replaced_or_its_client_ends);
  RUN(a_promise_makes_a_future);
  RUN(anything_that_can_be_called_will_do);
  RUN(a_callback_may_start_the_next_call);
  RUN(a_client_that_ends_in_its_callback_stays_for_its_other_handles);
  RUN(a_tenants_handle_may_end_in_a_callback);
  RUN(the_last_handle_stays_in_a_callback);
  RUN(an_exception_that_leaves_a_callback_ends_the_program);
  RUN(close_tells_events_from_calls);
  RUN(no_reply_breaks_anything);
  RUN(a_process_ends_at_once_with_its_own_code);
  RUN(a_client_that_is_a_global_ends_after_its_callbacks);
  return RESULT;
}
