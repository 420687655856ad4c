/* Any operation by its name. */
#include "check.h"

static trophy_client *client;

static void arguments_go_into_path_query_and_body(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_call(client, TROPHY_OP_USERS_STREAK, "{\"id\": \"a/b\", \"historyPeriods\": 3}", &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/target", "/app/users/a%2Fb/streak?historyPeriods=3");
    trophy_string_free(json);
    CHECK_STATUS(trophy_call(client, TROPHY_OP_USERS_UPDATE, "{\"id\": \"42\", \"body\": {\"name\": \"Z\"}}", &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/method", "PATCH");
    CHECK_JSON(json, "/body/name", "Z");
    trophy_string_free(json);
}

static void an_admin_operation_goes_to_the_admin_api(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_call(client, TROPHY_OP_ADMIN_METRICS_CREATE, "{\"body\": [{\"name\": \"Words\"}]}", &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/method", "POST");
    CHECK_JSON(json, "/target", "/admin/metrics");
    CHECK_JSON(json, "/body/0/name", "Words");
    trophy_string_free(json);
    CHECK_STATUS(trophy_call(client, TROPHY_OP_ADMIN_METRICS_DELETE, "{\"ids\": [\"1\", \"2\"]}", &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/method", "DELETE");
    CHECK_JSON(json, "/target", "/admin/metrics?ids=1&ids=2");
    trophy_string_free(json);
}

static void no_arguments_are_null_or_an_empty_object(void) {
    CHECK_STATUS(trophy_call(client, TROPHY_OP_LEADERBOARDS_ALL, NULL, NULL), TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_call(client, TROPHY_OP_LEADERBOARDS_ALL, "{}", NULL), TROPHY_STATUS_OK);
}

static void an_event_by_name_is_keyed_too(void) {
    char *json = NULL, *key;
    CHECK_STATUS(trophy_call(client, TROPHY_OP_METRICS_EVENT,
                             "{\"key\": \"words\", \"body\": {\"user\": {\"id\": \"42\"}, \"value\": 2},"
                             " \"idempotencyKey\": \"row-7\"}",
                             &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/idempotency-key", "row-7");
    trophy_string_free(json);
    CHECK_STATUS(trophy_call(client, TROPHY_OP_METRICS_EVENT,
                             "{\"key\": \"words\", \"body\": {\"user\": {\"id\": \"42\"}, \"value\": 2}}", &json),
                 TROPHY_STATUS_OK);
    key = trophy_json_string(json, "/headers/idempotency-key");
    CHECK(key != NULL);
    trophy_string_free(key);
    trophy_string_free(json);
}

int main(void) {
    client = make_client(NULL);
    RUN(arguments_go_into_path_query_and_body);
    RUN(an_admin_operation_goes_to_the_admin_api);
    RUN(no_arguments_are_null_or_an_empty_object);
    RUN(an_event_by_name_is_keyed_too);
    trophy_client_free(client);
    return RESULT;
}
