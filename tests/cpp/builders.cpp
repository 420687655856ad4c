// Builders: whatever text goes in, it arrives as that text, or nothing is sent.
#include <clocale>
#include <cstdint>
#include <limits>

#include "check.hpp"

using namespace trophy;
using namespace std::string_view_literals;

static const std::string_view hostile[] = {
    R"(","admin":true,"x":")",
    R"(\)",
    R"(\")",
    R"(\u0022,)",
    R"(}}]])",
    "\n\r\t\b\f\x01\x1f\x7f",
    "</script><!--",
    "%00%22&a=b;$(x)`y`",
    "Zo\xc3\xab \xe6\xbc\xa2 \xf0\x9f\x8f\x86 \xe2\x80\xa8",
    "",
    " ",
};

// shows: scripts
static void hostile_text_arrives_as_it_is() {
  const Client client = make_client();
  for (const std::string_view text : hostile) {
    const User user = User(std::string("id-").append(text)).name(text).attribute("plan", text).attribute(text, "x");
    const auto reply = client.event(Event("words", user, 1).attributes({{"genre", text}}));
    CHECK(reply.ok());
    if (!reply) continue;
    SAME(reply->string("/body/user/id"), std::string("id-").append(text));
    SAME(reply->string("/body/user/name"), text);
    SAME(reply->string("/body/user/attributes/plan"), text);
    SAME(reply->string("/body/attributes/genre"), text);
    CHECK(reply->length("/body/user") == 3);
    CHECK(reply->length("/body/user/attributes") == 2);
    CHECK(reply->length("/body/attributes") == 1);
  }
}

static void a_nul_in_a_text_is_escaped() {
  SAME(Json(Object{{"a", "b\0c"sv}}).text(), R"({"a":"b\u0000c"})");
  SAME(Json(Object{{"a\0b"sv, 1}}).text(), R"({"a\u0000b":1})");
}

// shows: text
static void text_that_is_not_utf8_is_refused_and_not_sent() {
  const Client client = make_client();
  for (const std::string_view text : {"\xff"sv, "a\xc3"sv, "\xff\",\"admin\":\"true"sv, "\xed\xa0\x80"sv}) {
    const auto reply = client.event("words", User("http-422").name(text), 1);
    CHECK(reply.status() == TROPHY_STATUS_INVALID_ARGUMENT);
    HOLDS(reply.error().message(), "user_json");
  }
}

static void a_name_set_again_has_its_new_value() {
  SAME(Json(Object{{"a", 1}, {"b", 2}}.set("a", 3)).text(), R"({"a":3,"b":2})");
  SAME(Json(User("1").set("id", "2")).text(), R"({"id":"2"})");
}

static void every_kind_of_value_can_be_set() {
  const Json json = Object{{"text", "x"},
                           {"string", std::string("y")},
                           {"true", true},
                           {"false", false},
                           {"int", -7},
                           {"least", std::numeric_limits<std::int64_t>::min()},
                           {"most", std::numeric_limits<std::uint64_t>::max()},
                           {"double", 0.5},
                           {"float", 0.25F},
                           {"null", nullptr},
                           {"json", Json("[1, 2]")},
                           {"object", Object{{"a", "b"}}},
                           {"array", Array{"a", 1, Array()}},
                           {"user", User("18")}};
  SAME(json.text(),
       R"({"text":"x","string":"y","true":true,"false":false,"int":-7,"least":-9223372036854775808,)"
       R"("most":18446744073709551615,"double":0.5,"float":0.25,"null":null,"json":[1, 2],"object":{"a":"b"},)"
       R"("array":["a",1,[]],"user":{"id":"18"}})");
  CHECK(json.length() == 14);
}

static void a_character_is_a_text() {
  SAME(Json(Object{{"grade", 'x'}, {"quote", '"'}}).text(), R"({"grade":"x","quote":"\""})");
  SAME(Json(Array{static_cast<signed char>(120), static_cast<std::uint8_t>(120)}).text(), "[120,120]");
  static_assert(!std::is_convertible_v<wchar_t, Value> && !std::is_convertible_v<char32_t, Value>);
}

static void a_number_is_json_in_every_locale() {
  for (const auto &[written, json] : {std::pair{"0.5", "0.5"}, std::pair{"0,5", "0.5"}, std::pair{"12", "12"},
                                      std::pair{"-1\xd9\xab" "5e-07", "-1.5e-07"}, std::pair{"1,25e+300", "1.25e+300"}}) {
    SAME(detail::with_a_point(written), json);
  }
  const Object numbers{{"timeout_in_seconds", 0.5}, {"small", -1.5e-7}, {"whole", 1e20}};
  SAME(Json(numbers).text(), R"({"timeout_in_seconds":0.5,"small":-1.4999999999999999e-07,"whole":1e+20})");
  for (const char *locale : {"de_DE.UTF-8", "ps_AF.UTF-8", "ps_AF", "fa_IR.UTF-8", "C.UTF-8"}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    SAME(Json(Object{{"timeout_in_seconds", 0.5}, {"small", -1.5e-7}, {"whole", 1e20}}).text(), Json(numbers).text());
  }
  std::setlocale(LC_ALL, "C");
}

static void a_user_has_all_its_fields() {
  const Json json = User("18")
                        .email("ada@example.com")
                        .name("Ada")
                        .tz("Europe/London")
                        .device_tokens({"a", "b"})
                        .subscribe_to_emails(false)
                        .sign_up_date("2026-01-31")
                        .attribute("plan", "pro")
                        .attribute("city", "London")
                        .set("nickname", "A");
  SAME(json.text(),
       R"({"id":"18","email":"ada@example.com","name":"Ada","tz":"Europe/London","deviceTokens":["a","b"],)"
       R"("subscribeToEmails":false,"signUpDate":"2026-01-31","attributes":{"plan":"pro","city":"London"},)"
       R"("nickname":"A"})");
}

static void a_number_that_json_does_not_have_is_refused() {
  const Client client = make_client();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(client.event("words", User("http-422").set("x", nan), 1).status() == TROPHY_STATUS_INVALID_ARGUMENT);
  CHECK(client.event("words", "http-422", nan).status() == TROPHY_STATUS_INVALID_ARGUMENT);
}

static void a_string_is_never_taken_for_json() {
  static_assert(!std::is_convertible_v<std::string, Json>);
  static_assert(!std::is_convertible_v<const char *, Json>);
  const Client client = make_client();
  SAME(client.event("words", R"({"id": "42"})", 1)->string("/body/user/id"), R"({"id": "42"})");
}

int main() {
  RUN(hostile_text_arrives_as_it_is);
  RUN(a_nul_in_a_text_is_escaped);
  RUN(text_that_is_not_utf8_is_refused_and_not_sent);
  RUN(a_name_set_again_has_its_new_value);
  RUN(every_kind_of_value_can_be_set);
  RUN(a_character_is_a_text);
  RUN(a_number_is_json_in_every_locale);
  RUN(a_user_has_all_its_fields);
  RUN(a_number_that_json_does_not_have_is_refused);
  RUN(a_string_is_never_taken_for_json);
  return RESULT;
}
