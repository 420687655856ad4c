/* The signature check of webhooks. Signatures made with Python's hmac; the first is RFC 4231, test case 2. */
#include "check.h"

static trophy_status verify(const void *body, size_t length, const char *signature, char **json) {
    return trophy_webhook_verify(body, length, signature, "whsec", json);
}

static void the_vector_of_rfc_4231_is_accepted(void) {
    static const char body[] = "what do ya want for nothing?";
    char *json = NULL;
    CHECK_STATUS(trophy_webhook_verify((const uint8_t *)body, strlen(body), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", "Jefe",
                                       &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "null");
    trophy_string_free(json);
}

static void a_json_body_comes_back(void) {
    static const char body[] = "{\"type\":\"achievement.completed\"}";
    char *json = NULL;
    CHECK_STATUS(verify(body, strlen(body), "GnoyWOo4LCRV2Or+8QNYKyc3weDPmNzsomO2McFaXgc=", &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/type", "achievement.completed");
    trophy_string_free(json);
}

static void an_empty_body_may_be_null(void) {
    char *json = NULL;
    CHECK_STATUS(verify(NULL, 0, "MLiudZCF3YrpiQNU1qlB039TAI6DTi5KgZ2fwVXplDg=", &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "null");
    trophy_string_free(json);
}

static void a_body_is_bytes_and_not_text(void) {
    CHECK_STATUS(verify("a\0\xff", 3, "V9/P8Hw0f9Ba/jKCojkvShPHhOIppXr1MY0AeLWvd3s=", NULL), TROPHY_STATUS_OK);
}

static void what_was_changed_is_refused(void) {
    static const char body[] = "{\"type\":\"achievement.completed\"}";
    char *json = NULL;
    CHECK_STATUS(verify(body, strlen(body) - 1, "GnoyWOo4LCRV2Or+8QNYKyc3weDPmNzsomO2McFaXgc=", &json),
                 TROPHY_STATUS_INVALID_SIGNATURE);
    CHECK_JSON(json, "/error/code", "invalid_signature");
    CHECK_HOLDS_NOT(json, "whsec");
    trophy_string_free(json);
    CHECK_STATUS(verify(body, strlen(body), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", NULL),
                 TROPHY_STATUS_INVALID_SIGNATURE);
    CHECK_STATUS(verify(body, strlen(body), "no base64!", NULL), TROPHY_STATUS_INVALID_SIGNATURE);
    CHECK_STATUS(verify(body, strlen(body), "", NULL), TROPHY_STATUS_INVALID_SIGNATURE);
}

int main(void) {
    RUN(the_vector_of_rfc_4231_is_accepted);
    RUN(a_json_body_comes_back);
    RUN(an_empty_body_may_be_null);
    RUN(a_body_is_bytes_and_not_text);
    RUN(what_was_changed_is_refused);
    return RESULT;
}
