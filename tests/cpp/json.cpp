// Reading replies by pointer.
#include "check.hpp"

using namespace trophy;

static const Json reply(R"({"total": 750.5, "list": [1, {"a/b": "x"}], "text": "q\"\u00e9", "yes": true, "none": null})");

static void values_are_read_or_the_fallback_given() {
  CHECK(reply.number("/total") == 750.5);
  CHECK(reply.number("/absent") == 0);
  CHECK(reply.number("/absent", -1) == -1);
  SAME(reply.string("/text"), "q\"\xc3\xa9");
  SAME(reply.string("/list/1/a~1b"), "x");
  SAME(reply.string("/total"), "750.5");
  SAME(reply.string("/absent"), "");
  SAME(reply.string("/absent", "else"), "else");
  CHECK(reply.boolean("/yes"));
  CHECK(!reply.boolean("/yes/no"));
  CHECK(reply.boolean("/total", true));
}

static void lengths_are_counted() {
  CHECK(reply.length() == 5);
  CHECK(reply.length("/list") == 2);
  CHECK(reply.length("/text") == -1);
}

static void a_null_is_there() {
  CHECK(reply.has("/none"));
  CHECK(!reply.has("/nothing"));
  CHECK(!reply.has("none"));
}

static void a_part_is_read_by_itself() {
  const Json part = reply.at("/list/1");
  SAME(part.string("/a~1b"), "x");
  SAME(part.text(), R"({"a/b": "x"})");
  for (const char *scalar : {"/text", "/total", "/none", "/absent"}) CHECK(reply.at(scalar).is_null());
}

static void the_text_is_there_for_other_readers() {
  SAME(Json("[1]").text(), "[1]");
  SAME(Json().text(), "null");
  CHECK(Json().is_null() && !reply.is_null());
  Json moved("[2]");
  SAME(std::move(moved).text(), "[2]");
}

static void what_is_no_json_has_no_values() {
  const Json nonsense("<html>");
  CHECK(nonsense.number("/a", 5) == 5);
  CHECK(!nonsense.has(""));
  CHECK(nonsense.length() == -1);
}

int main() {
  RUN(values_are_read_or_the_fallback_given);
  RUN(lengths_are_counted);
  RUN(a_null_is_there);
  RUN(a_part_is_read_by_itself);
  RUN(the_text_is_there_for_other_readers);
  RUN(what_is_no_json_has_no_values);
  return RESULT;
}
