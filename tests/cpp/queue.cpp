// The queue: events put into it arrive, and their ends are heard.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "check.hpp"

using namespace trophy;
using namespace std::chrono_literals;

static Client fast_client() {
  return make_client(Object{{"queue", Object{{"delivery", "single"}, {"requests_per_second", 1000}}}});
}

// shows: queue
static void every_event_has_one_end_and_it_is_heard() {
  std::mutex mutex;
  std::map<std::string, Delivery> ends;
  const Client client = fast_client();
  client.on_delivery([&](const Delivery &delivery) {
    const std::lock_guard<std::mutex> lock(mutex);
    CHECK(ends.emplace(delivery.idempotency_key(), delivery).second);
  });
  SAME(client.enqueue(Event("words-written", "18", 5).idempotency_key("row-1")).value(), "row-1");
  const std::string made = client.enqueue("words-written", User("19"), 1).value();
  CHECK(!made.empty());
  CHECK(client.enqueue(Event("words-written", "20", 1).attributes({{"unknown", "x"}}).idempotency_key("bad")).ok());
  const auto ending = client.flush();
  CHECK(ending->done && ending->undelivered == 0);
  wait_until([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return ends.size() == 3;
  });
  const Delivery &sent = ends.at("row-1");
  CHECK(sent.ok() && sent.status() == TROPHY_STATUS_OK);
  SAME(sent.key(), "words-written");
  SAME(sent.user_id(), "18");
  CHECK(sent.response().number("/total") == 5);
  SAME(sent.message(), "");
  CHECK(ends.at(made).ok());
  const Delivery &refused = ends.at("bad");
  CHECK(!refused.ok() && refused.status() != TROPHY_STATUS_OK);
  CHECK(refused.response().is_null());
  CHECK(!refused.message().empty());
  SAME(refused.json().string("/userId"), "20");
}

static void a_refused_event_is_not_kept() {
  const Client client = fast_client();
  CHECK(client.enqueue("words-written", User("18").set("id", 18), 1).status() == TROPHY_STATUS_INVALID_ARGUMENT);
  CHECK(client.stats()->number("/queued", -1) == 0);
}

static void what_is_left_is_an_answer_and_no_error() {
  // Nobody listens on port 9.
  const Client client = make_client(Object{{"base_url", "http://127.0.0.1:9"}, {"max_retries", 0}});
  CHECK(client.flush(0ms)->done);
  CHECK(client.enqueue("words-written", "18", 1).ok());
  const auto flushed = client.flush(0ms);
  CHECK(flushed.ok() && !flushed->done && flushed->undelivered == 1);
  const auto closed = client.close(0ms);
  CHECK(closed.ok() && !closed->done && closed->undelivered == 1 && closed->cancelled == 0);
}

static void a_flush_that_a_close_ends_says_so() {
  const Client client = make_client(Object{{"base_url", "http://127.0.0.1:9"}, {"max_retries", 0}});
  CHECK(client.enqueue("words-written", "18", 1).ok());
  std::atomic<bool> began{false};
  std::atomic<Status> status{TROPHY_STATUS_PANIC};
  std::thread flushing([&] {
    began = true;
    const auto flushed = client.flush();
    status = flushed ? flushed->status : flushed.status();
  });
  wait_until([&] { return began.load(); });
  CHECK(client.close(0ms)->undelivered == 1);
  flushing.join();
  CHECK(status == TROPHY_STATUS_CANCELLED);
}

static void who_hears_can_be_replaced_and_is_destroyed_once() {
  const auto first = std::make_shared<std::atomic<int>>(), second = std::make_shared<std::atomic<int>>();
  std::optional<Client> client(fast_client());
  const auto send = [&] {
    CHECK(client->enqueue("words-written", "18", 1).ok());
    CHECK(client->flush()->done);
  };
  const auto listen = [&](const auto &heard) {
    // Only movable: a callable that is kept, and never copied.
    client->on_delivery([heard, alone = std::make_unique<int>()](const Delivery &) { (*heard)++; });
  };
  listen(first);
  send();
  wait_until([&] { return *first == 1; });
  listen(second);
  wait_until([&] { return first.use_count() == 1; });
  send();
  wait_until([&] { return *second == 1; });
  CHECK(*first == 1);
  client->on_delivery(nullptr);
  wait_until([&] { return second.use_count() == 1; });
  send();
  listen(first);
  client.reset();
  CHECK(first.use_count() == 1);
  CHECK(*second == 1);
}

static void a_tenants_deliveries_are_heard_after_the_first_handle_is_gone() {
  const auto heard = std::make_shared<std::atomic<int>>();
  std::optional<Client> client(fast_client());
  std::optional<Client> tenant(client->for_tenant("acme").value());
  client->on_delivery([heard](const Delivery &) { (*heard)++; });
  client.reset();
  CHECK(tenant->enqueue("words-written", "18", 1).ok());
  CHECK(tenant->flush()->done);
  wait_until([&] { return *heard == 1; });
  tenant.reset();
  CHECK(heard.use_count() == 1);
}

int main() {
  RUN(every_event_has_one_end_and_it_is_heard);
  RUN(a_refused_event_is_not_kept);
  RUN(what_is_left_is_an_answer_and_no_error);
  RUN(a_flush_that_a_close_ends_says_so);
  RUN(who_hears_can_be_replaced_and_is_destroyed_once);
  RUN(a_tenants_deliveries_are_heard_after_the_first_handle_is_gone);
  return RESULT;
}
