// The signature check of webhooks. Signatures made with Python's hmac.
#include "check.hpp"

using namespace trophy;
using namespace std::string_view_literals;

static const char *const body = R"({"type":"achievement.completed"})";
static const char *const signature = "GnoyWOo4LCRV2Or+8QNYKyc3weDPmNzsomO2McFaXgc=";

// shows: webhook
static void a_signed_body_comes_back_as_json() {
  const auto event = verify_webhook(body, signature, "whsec");
  CHECK(event.ok());
  SAME(event->string("/type"), "achievement.completed");
}

static void a_body_is_bytes_and_not_text() {
  CHECK(verify_webhook("a\0\xff"sv, "V9/P8Hw0f9Ba/jKCojkvShPHhOIppXr1MY0AeLWvd3s=", "whsec")->is_null());
  CHECK(verify_webhook({}, "MLiudZCF3YrpiQNU1qlB039TAI6DTi5KgZ2fwVXplDg=", "whsec")->is_null());
}

static void what_was_changed_is_refused() {
  for (const auto &result :
       {verify_webhook("{}", signature, "whsec"), verify_webhook(body, signature, "other"),
        verify_webhook(body, "", "whsec"), verify_webhook(body, "no base64!", "whsec")}) {
    CHECK(result.status() == TROPHY_STATUS_INVALID_SIGNATURE);
  }
}

int main() {
  RUN(a_signed_body_comes_back_as_json);
  RUN(a_body_is_bytes_and_not_text);
  RUN(what_was_changed_is_refused);
  return RESULT;
}
