/* What fails on the way or at the service: status and error JSON. */
#include "check.h"

static trophy_client *client;

static void each_http_status_has_its_own(void) {
    static const struct {
        int http;
        trophy_status status;
    } expected[] = {
        {400, TROPHY_STATUS_BAD_REQUEST},  {401, TROPHY_STATUS_UNAUTHORIZED},  {403, TROPHY_STATUS_FORBIDDEN},
        {404, TROPHY_STATUS_NOT_FOUND},    {422, TROPHY_STATUS_UNPROCESSABLE}, {429, TROPHY_STATUS_RATE_LIMITED},
        {302, TROPHY_STATUS_HTTP},         {409, TROPHY_STATUS_HTTP},          {418, TROPHY_STATUS_HTTP},
        {500, TROPHY_STATUS_SERVER},       {503, TROPHY_STATUS_SERVER},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char id[32];
        char *json = NULL;
        snprintf(id, sizeof id, "http-%d", expected[i].http);
        CHECK_STATUS(trophy_users_get(client, id, NULL, &json), expected[i].status);
        CHECK_JSON(json, "/error/code", trophy_status_name(expected[i].status));
        CHECK(trophy_json_number(json, "/error/httpStatus", 0) == expected[i].http);
        CHECK_JSON(json, "/error/attempts", "1");
        CHECK_JSON(json, "/error/body/error", "as asked");
        CHECK_JSON(json, "/error/retryAfterMs", NULL);
        trophy_string_free(json);
    }
}

static void a_failure_of_the_service_is_tried_again(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_users_get(client, "http-503", "{\"options\": {\"max_retries\": 1}}", &json),
                 TROPHY_STATUS_SERVER);
    CHECK_JSON(json, "/error/attempts", "2");
    trophy_string_free(json);
}

static void a_reply_that_is_no_json_is_not_sent_again(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_metrics_event(client, "not-json", "{\"id\":\"42\"}", 1, NULL, NULL, "{\"max_retries\": 2}",
                                      &json),
                 TROPHY_STATUS_INVALID_RESPONSE);
    CHECK_JSON(json, "/error/code", "invalid_response");
    CHECK_JSON(json, "/error/attempts", "1");
    trophy_string_free(json);
}

static void a_host_that_is_not_there_is_a_network_failure(void) {
    /* Nobody listens on port 9. */
    char *json = NULL;
    CHECK_STATUS(trophy_users_get(client, "42", "{\"options\": {\"base_url\": \"http://127.0.0.1:9\"}}", &json),
                 TROPHY_STATUS_NETWORK);
    CHECK_JSON(json, "/error/code", "network");
    CHECK_JSON(json, "/error/httpStatus", NULL);
    trophy_string_free(json);
}

/* Nobody listens on port 9; a message names the option that leads there. */
static void a_host_that_is_not_there_names_its_option(void) {
    static const struct {
        const char *options, *operation, *option;
    } cases[] = {
        {"{\"base_url\": \"http://127.0.0.1:9\"}", TROPHY_OP_LEADERBOARDS_ALL, "`base_url`"},
        {"{\"admin_base_url\": \"http://127.0.0.1:9\"}", TROPHY_OP_ADMIN_METRICS_LIST, "`admin_base_url`"},
        {"{\"base_url\": \"https://trophy.test\", \"proxy\": \"http://127.0.0.1:9\"}", TROPHY_OP_LEADERBOARDS_ALL,
         "`proxy`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char options[200], *json = NULL;
        snprintf(options, sizeof options, "{\"max_retries\": 0, %s", cases[i].options + 1);
        trophy_client *other = make_client(options);
        CHECK_STATUS(trophy_call(other, cases[i].operation, NULL, &json), TROPHY_STATUS_NETWORK);
        CHECK_HOLDS(json, cases[i].option);
        trophy_string_free(json);
        trophy_client_free(other);
    }
}

#ifndef _WIN32
static void a_proxy_that_is_not_there_names_its_variable(void) {
    char *json = NULL;
    unsetenv("NO_PROXY");
    unsetenv("no_proxy");
    setenv("HTTPS_PROXY", "http://127.0.0.1:9", 1);
    trophy_client *other = make_client("{\"base_url\": \"https://trophy.test\", \"max_retries\": 0}");
    unsetenv("HTTPS_PROXY");
    CHECK_STATUS(trophy_users_get(other, "42", NULL, &json), TROPHY_STATUS_NETWORK);
    CHECK_HOLDS(json, "check `HTTPS_PROXY`");
    trophy_string_free(json);
    trophy_client_free(other);
}
#endif

static void an_error_does_not_hold_the_key(void) {
    trophy_client *other = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_new("app.s3cr3t", "{\"max_retries\": 0}", &other, NULL), TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_users_get(other, "http-401", NULL, &json), TROPHY_STATUS_UNAUTHORIZED);
    CHECK_HOLDS_NOT(json, "s3cr3t");
    trophy_string_free(json);
    trophy_client_free(other);
    CHECK_STATUS(trophy_client_new("app.s3cr3t\n", NULL, &other, &json), TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK_HOLDS_NOT(json, "s3cr3t");
    trophy_string_free(json);
}

int main(void) {
    client = make_client("{\"max_retries\": 0}");
    RUN(each_http_status_has_its_own);
    RUN(a_failure_of_the_service_is_tried_again);
    RUN(a_reply_that_is_no_json_is_not_sent_again);
    RUN(a_host_that_is_not_there_is_a_network_failure);
    RUN(a_host_that_is_not_there_names_its_option);
#ifndef _WIN32
    RUN(a_proxy_that_is_not_there_names_its_variable);
#endif
    RUN(an_error_does_not_hold_the_key);
    trophy_client_free(client);
    return RESULT;
}
