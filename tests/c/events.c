/* The main job: one event, sent at once. */
#include "check.h"
#include <math.h>
#include <stdint.h>

static trophy_client *client;

static void an_event_is_one_post_with_its_key(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_metrics_event(client, "words/day \xc3\xa9", "{\"id\": \"42\", \"tz\": \"Europe/London\"}", 120,
                                      "{\"genre\": \"crime\", \"none\": null}", "row-7", NULL, &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/method", "POST");
    CHECK_JSON(json, "/target", "/app/metrics/words%2Fday%20%C3%A9/event");
    CHECK_JSON(json, "/headers/idempotency-key", "row-7");
    CHECK_JSON(json, "/body/user/id", "42");
    CHECK_JSON(json, "/body/user/tz", "Europe/London");
    CHECK_JSON(json, "/body/value", "120");
    CHECK_JSON(json, "/body/attributes", "{\"genre\":\"crime\"}");
    trophy_string_free(json);
}

static void an_event_without_a_key_gets_one_of_its_own(void) {
    char *first = NULL, *second = NULL, *key, *other;
    CHECK_STATUS(trophy_metrics_event(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, &first),
                 TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_metrics_event(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, &second),
                 TROPHY_STATUS_OK);
    key = trophy_json_string(first, "/headers/idempotency-key");
    other = trophy_json_string(second, "/headers/idempotency-key");
    CHECK(key != NULL && other != NULL && strlen(key) >= 32 && strcmp(key, other) != 0);
    CHECK_JSON(first, "/body/attributes", NULL);
    trophy_string_free(key);
    trophy_string_free(other);
    trophy_string_free(first);
    trophy_string_free(second);
}

static void a_value_may_be_negative_and_a_fraction(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_metrics_event(client, "words", "{\"id\":\"42\"}", -2.5, NULL, NULL, NULL, &json),
                 TROPHY_STATUS_OK);
    CHECK(trophy_json_number(json, "/body/value", 0) == -2.5);
    trophy_string_free(json);
}

/* A double from a number: of any size, or between 0 and 1. */
static double double_of(uint64_t number) {
    uint64_t bits = number * UINT64_C(0x9e3779b97f4a7c15);
    double value;
    memcpy(&value, &bits, sizeof value);
    return number % 2 == 0 && value - value == 0 ? value : (double)(bits >> 11) / 9007199254740992.0;
}

static void a_value_is_the_same_double_however_it_goes(void) {
    for (uint64_t i = 0; i < 500; i++) {
        double value = i == 0 ? 0.9215686321258545 : double_of(i);
        char args[128];
        char *json = NULL;
        trophy_metrics_event(client, "words", "{\"id\":\"42\"}", value, NULL, NULL, NULL, &json);
        CHECK(trophy_json_number(json, "/body/value", -1) == value);
        trophy_string_free(json);
        snprintf(args, sizeof args, "{\"key\": \"words\", \"body\": {\"user\": {\"id\": \"42\"}, \"value\": %.17g}}",
                 value);
        trophy_call(client, TROPHY_OP_METRICS_EVENT, args, &json);
        CHECK(trophy_json_number(json, "/body/value", -1) == value);
        trophy_string_free(json);
    }
}

static void a_users_names_may_be_written_as_in_c(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_metrics_event(client, "words",
                                      "{\"id\":\"42\",\"device_tokens\":[\"t\"],\"subscribe_to_emails\":false,"
                                      "\"sign_up_date\":\"2026-01-01T00:00:00Z\",\"newField\":[1]}",
                                      1, NULL, NULL, NULL, &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/body/user/deviceTokens/0", "t");
    CHECK_JSON(json, "/body/user/subscribeToEmails", "false");
    CHECK_JSON(json, "/body/user/signUpDate", "2026-01-01T00:00:00Z");
    CHECK_JSON(json, "/body/user/newField", "[1]");
    trophy_string_free(json);
}

static void an_events_own_fields_win_over_additional_ones(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_metrics_event(client, "words", "{\"id\":\"42\"}", 3, NULL, NULL,
                                      "{\"additional_body_parameters\": {\"value\": 9, \"extra\": {\"a\": 1}},"
                                      " \"additional_headers\": {\"X-Source\": \"test\"}}",
                                      &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/body/value", "3");
    CHECK_JSON(json, "/body/extra/a", "1");
    CHECK_JSON(json, "/headers/x-source", "test");
    trophy_string_free(json);
}

static void out_json_may_be_null(void) {
    CHECK_STATUS(trophy_metrics_event(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_metrics_event(client, NULL, NULL, 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_INVALID_ARGUMENT);
}

int main(void) {
    client = make_client(NULL);
    RUN(an_event_is_one_post_with_its_key);
    RUN(an_event_without_a_key_gets_one_of_its_own);
    RUN(a_value_may_be_negative_and_a_fraction);
    RUN(a_value_is_the_same_double_however_it_goes);
    RUN(a_users_names_may_be_written_as_in_c);
    RUN(an_events_own_fields_win_over_additional_ones);
    RUN(out_json_may_be_null);
    trophy_client_free(client);
    return RESULT;
}
