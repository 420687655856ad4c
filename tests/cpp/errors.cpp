// Errors, both ways. It is built with exceptions, and once more without them and without RTTI.
#include "check.hpp"

using namespace trophy;
using namespace std::string_view_literals;

// shows: errors
static void a_result_says_why_there_is_no_value() {
  const Client client = make_client();
  const auto reply = client.users_get("http-404");
  CHECK(!reply.ok() && !reply);
  CHECK(reply.status() == TROPHY_STATUS_NOT_FOUND);
  CHECK(reply.error().status() == TROPHY_STATUS_NOT_FOUND);
  CHECK(reply.error().http_status() == 404);
  CHECK(reply.error().attempts() == 1);
  CHECK(reply.error().retry_after().count() == 0);
  SAME(reply.error().json().string("/error/code"), "not_found");
  SAME(reply.error().json().string("/error/body/error"), "as asked");
  CHECK(!reply.error().message().empty());
  SAME(reply.error().what(), reply.error().message());
  SAME(status_name(reply.status()), "not_found");
}

static void a_result_with_a_value_is_ok() {
  const Client client = make_client();
  auto reply = client.users_get("42");
  CHECK(reply.ok() && reply);
  CHECK(reply.status() == TROPHY_STATUS_OK);
  SAME(reply->string("/target"), "/app/users/42");
  SAME((*reply).string("/method"), "GET");
  const Json json = std::move(reply).value();
  SAME(json.string("/target"), "/app/users/42");
}

static void a_copied_error_keeps_its_facts() {
  const Client client = make_client();
  auto reply = client.users_get("http-404");
  Error copy = reply.error();
  const Error taken = std::move(copy);
  reply = client.users_get("42");
  CHECK(copy.status() == TROPHY_STATUS_NOT_FOUND);
  CHECK(taken.http_status() == 404);
}

static void a_client_that_cannot_be_says_why() {
  const auto client = Client::create("key", Object{{"no_such_option", 1}});
  CHECK(client.status() == TROPHY_STATUS_INVALID_ARGUMENT);
  HOLDS(client.error().message(), "no_such_option");
}

static void text_that_c_would_cut_is_refused_by_name() {
  const Client client = make_client();
  HOLDS(client.users_get("4\0002"sv).error().message(), "id: ");
  HOLDS(client.users_single_metric("42", "wo\0rds"sv).error().message(), "key: ");
  HOLDS(client.event("wo\0rds"sv, "42", 1).error().message(), "key: ");
  HOLDS(client.event(Event("words", "42", 1).idempotency_key("\0"sv)).error().message(), "idempotency_key: ");
  HOLDS(client.event(Event("words", Json("{}\0"sv), 1)).error().message(), "user: ");
  HOLDS(client.call("users_get\0"sv).error().message(), "operation: ");
  HOLDS(client.for_tenant("a\0"sv).error().message(), "tenant_id: ");
  HOLDS(client.set_api_key("a\0"sv).error().message(), "api_key: ");
  HOLDS(Client::create("a\0"sv).error().message(), "api_key: ");
  HOLDS(verify_webhook("", "a\0"sv, "b").error().message(), "signature: ");
  CHECK(client.users_get("\0"sv).status() == TROPHY_STATUS_INVALID_ARGUMENT);
  SAME(client.users_get("\0"sv).error().json().string("/error/code"), "invalid_argument");
}

#if defined(__cpp_exceptions)
template <typename F>
static Status thrown_by(F &&doing) {
  try {
    doing();
  } catch (const std::exception &error) {
    const auto *own = dynamic_cast<const Error *>(&error);
    CHECK(own != nullptr);
    return own ? own->status() : TROPHY_STATUS_OK;
  }
  return TROPHY_STATUS_OK;
}

static void a_value_that_is_not_there_is_thrown() {
  const Client client;
  CHECK(thrown_by([&] { client.users_get("http-404").value(); }) == TROPHY_STATUS_NOT_FOUND);
  CHECK(thrown_by([&] { client.users_get("http-500")->number("/total"); }) == TROPHY_STATUS_SERVER);
  CHECK(thrown_by([&] { *client.event("words", User("42").set("id", 42), 1); }) == TROPHY_STATUS_INVALID_ARGUMENT);
  CHECK(thrown_by([&] { client.users_get("42").value(); }) == TROPHY_STATUS_OK);
  const auto refused = client.users_get("http-422");
  CHECK(thrown_by([&] { refused.value(); }) == TROPHY_STATUS_UNPROCESSABLE);
}

static void a_client_that_cannot_be_throws() {
  CHECK(thrown_by([] { Client("key", Object{{"workers", "many"}}); }) == TROPHY_STATUS_INVALID_ARGUMENT);
}
#else
static void a_value_that_is_not_there_aborts() {
  const Client client = make_client();
  const auto refused = client.users_get("http-422");
  if (signal_that_ends([] { std::abort(); }) != SIGABRT) return; // There is no child process.
  CHECK(signal_that_ends([&] { static_cast<void>(refused.value()); }) == SIGABRT);
  CHECK(signal_that_ends([&] { static_cast<void>(refused.error()); }) == 0);
}
#endif

int main() {
  RUN(a_result_says_why_there_is_no_value);
  RUN(a_result_with_a_value_is_ok);
  RUN(a_copied_error_keeps_its_facts);
  RUN(a_client_that_cannot_be_says_why);
  RUN(text_that_c_would_cut_is_refused_by_name);
#if defined(__cpp_exceptions)
  RUN(a_value_that_is_not_there_is_thrown);
  RUN(a_client_that_cannot_be_throws);
#else
  RUN(a_value_that_is_not_there_aborts);
#endif
  return RESULT;
}
