// A client: owned, moved, its tenants, its key, its log.
#include <atomic>
#include <memory>
#include <type_traits>

#include "check.hpp"

using namespace trophy;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<Client> && !std::is_copy_assignable_v<Client>);
static_assert(std::is_nothrow_move_constructible_v<Client> && std::is_nothrow_move_assignable_v<Client>);

static void a_moved_client_works_and_leaves_a_safe_shell() {
  Client first = make_client();
  Client second = std::move(first);
  SAME(second.users_get("42")->string("/target"), "/app/users/42");
  CHECK(first.users_get("42").status() == TROPHY_STATUS_INVALID_ARGUMENT);
  CHECK(first.event_async(Event("words", "42", 1), [](const Result<Json> &) {}).status() ==
        TROPHY_STATUS_INVALID_ARGUMENT);
  CHECK(first.dispatch() == 0 && !first.cancel(Call()) && first.get() == nullptr);
  first.on_delivery([](const Delivery &) {});
  first.on_delivery(nullptr);
  first = std::move(second);
  SAME(first.users_get("43")->string("/target"), "/app/users/43");
  first = make_client(Object{{"tenant_id", "acme"}});
  SAME(first.users_get("44")->string("/headers/tenant-id"), "acme");
}

static void a_tenants_handle_outlives_the_first() {
  auto client = std::make_unique<Client>(make_client());
  const Client tenant = client->for_tenant("acme").value();
  SAME(tenant.users_get("42")->string("/headers/tenant-id"), "acme");
  CHECK(!client->users_get("42")->has("/headers/tenant-id"));
  client.reset();
  SAME(tenant.event("words", "42", 1)->string("/headers/tenant-id"), "acme");
}

// shows: tenant-close
static void a_tenants_close_lets_go_of_its_handle_only() {
  const Client client = make_client();
  Client acme = client.for_tenant("acme").value();
  const Client other = client.for_tenant("other").value();
  const auto ending = acme.close(10s);
  CHECK(ending.ok() && ending->done && ending->status == TROPHY_STATUS_OK);
  CHECK(acme.users_get("42").status() == TROPHY_STATUS_CLOSED);
  SAME(acme.users_get("42").error().json().string("/error/code"), "closed");
  CHECK(acme.enqueue("words", "42", 1).status() == TROPHY_STATUS_CLOSED);
  CHECK(acme.event_async(Event("words", "42", 1), [](const Result<Json> &) {}).status() == TROPHY_STATUS_CLOSED);
  CHECK(acme.for_tenant("more").status() == TROPHY_STATUS_CLOSED);
  CHECK(acme.dispatch(forever) == 0);
  CHECK(acme.close(10s)->done);
  SAME(client.users_get("42")->string("/target"), "/app/users/42");
  SAME(other.users_get("42")->string("/headers/tenant-id"), "other");
  // It stays closed where it moves, and a new one is open.
  const Client moved = std::move(acme);
  CHECK(moved.users_get("42").status() == TROPHY_STATUS_CLOSED);
  acme = client.for_tenant("acme").value();
  SAME(acme.users_get("42")->string("/headers/tenant-id"), "acme");
  CHECK(client.close(10s)->done);
  CHECK(other.users_get("42").status() == TROPHY_STATUS_CLOSED);
}

static void a_key_can_be_rotated() {
  const Client client = make_client();
  SAME(client.users_get("42")->string("/headers/x-api-key"), "app.test");
  CHECK(client.set_api_key("app.next")->is_null());
  SAME(client.users_get("42")->string("/headers/x-api-key"), "app.next");
}

static void a_key_may_be_given() {
  const Client client = Client::create("app.given").value();
  SAME(client.users_get("42")->string("/headers/x-api-key"), "app.given");
}

// shows: closed
static void a_closed_client_says_so() {
  const Client client = make_client();
  const auto ending = client.close(10s);
  CHECK(ending.ok() && ending->done && ending->undelivered == 0);
  CHECK(client.users_get("42").status() == TROPHY_STATUS_CLOSED);
}

static void stats_are_numbers() {
  const Client client = make_client();
  CHECK(client.users_get("42").ok());
  CHECK(client.stats()->number("/requests") == 1);
}

static void the_c_handle_is_there() {
  const Client client = make_client();
  CHECK(trophy_client_stats(client.get(), nullptr) == TROPHY_STATUS_OK);
}

// shows: log
static void log_lines_go_where_they_are_told() {
  static std::atomic<int> lines;
  static std::atomic<bool> leaked;
  const auto kept = std::make_shared<int>();
  set_log(TROPHY_LOG_LEVEL_DEBUG, [kept](trophy_log_level level, std::string_view message) {
    lines += level >= TROPHY_LOG_LEVEL_ERROR && !message.empty();
    if (message.find("s3cret") != std::string_view::npos) leaked = true;
  });
  {
    const Client client = Client::create("app.s3cret").value();
    CHECK(client.users_get("42").ok());
  }
  CHECK(lines > 0);
  CHECK(!leaked);
  CHECK(kept.use_count() == 2);
  set_log(TROPHY_LOG_LEVEL_DEBUG, [](trophy_log_level, std::string_view) {});
  CHECK(kept.use_count() == 1);
  stop_log();
}

static void versions_agree() { SAME(version(), TROPHY_VERSION); }

int main() {
  RUN(a_moved_client_works_and_leaves_a_safe_shell);
  RUN(a_tenants_handle_outlives_the_first);
  RUN(a_tenants_close_lets_go_of_its_handle_only);
  RUN(a_key_can_be_rotated);
  RUN(a_key_may_be_given);
  RUN(a_closed_client_says_so);
  RUN(stats_are_numbers);
  RUN(the_c_handle_is_there);
  RUN(log_lines_go_where_they_are_told);
  RUN(versions_agree);
  return RESULT;
}
