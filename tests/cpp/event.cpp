// An event: what it puts on the wire, and what comes back.
#include "check.hpp"

using namespace trophy;

static void an_event_by_id_is_one_line() {
  const Client client = make_client();
  const auto reply = client.event("words", "42", 7.5);
  CHECK(reply.ok());
  SAME(reply->string("/method"), "POST");
  SAME(reply->string("/target"), "/app/metrics/words/event");
  SAME(reply->string("/body"), R"({"user":{"id":"42"},"value":7.5})");
  CHECK(!reply->string("/headers/idempotency-key").empty());
}

static void strings_of_any_kind_are_ids() {
  const Client client = make_client();
  const std::string id = "42";
  SAME(client.event(std::string("words"), id, 1)->string("/body/user/id"), "42");
  SAME(client.event("words", std::string_view("421").substr(0, 2), 1)->string("/body/user/id"), "42");
}

static void an_event_has_all_that_c_has() {
  const Client client = make_client();
  const auto reply = client.event(Event("words", User("42").name("Zo\xc3\xab").tz("Europe/London"), -3)
                                      .attributes({{"genre", "crime"}, {"device", "phone"}})
                                      .idempotency_key("chapter-1")
                                      .options(Object{{"additional_headers", Object{{"X-Game", "chess"}}}}));
  CHECK(reply.ok());
  SAME(reply->string("/body/user/id"), "42");
  SAME(reply->string("/body/user/name"), "Zo\xc3\xab");
  SAME(reply->string("/body/user/tz"), "Europe/London");
  CHECK(reply->number("/body/value") == -3);
  SAME(reply->string("/body/attributes/genre"), "crime");
  SAME(reply->string("/body/attributes/device"), "phone");
  SAME(reply->string("/headers/idempotency-key"), "chapter-1");
  SAME(reply->string("/headers/x-game"), "chess");
}

static void a_user_may_be_json_of_your_own() {
  const Client client = make_client();
  const Json user(R"({"id": "42", "device_tokens": ["a"]})");
  const auto reply = client.event(Event("words", user, 1));
  SAME(reply->string("/body/user/id"), "42");
  SAME(reply->string("/body/user/deviceTokens/0"), "a");
  SAME(client.event(Event("words", Object{{"id", "43"}}, 1))->string("/body/user/id"), "43");
}

static void an_event_can_be_kept_and_sent_again() {
  const Client client = make_client();
  const Event event = Event("words", "42", 1).idempotency_key("row-1");
  SAME(client.event(event)->string("/headers/idempotency-key"), "row-1");
  SAME(client.event(event)->string("/headers/idempotency-key"), "row-1");
}

int main() {
  RUN(an_event_by_id_is_one_line);
  RUN(strings_of_any_kind_are_ids);
  RUN(an_event_has_all_that_c_has);
  RUN(a_user_may_be_json_of_your_own);
  RUN(an_event_can_be_kept_and_sent_again);
  return RESULT;
}
