/* Bad input: refused with a message that names the parameter, before a byte is sent. The driver counts what
 * the service received: one request, that of the last case. */
#include "check.h"
#include <math.h>

static trophy_client *client;

/* Checks the refusal and that its message names `parameter`. Frees `json`. */
static void check_refused(int line, trophy_status status, char *json, const char *parameter) {
    char *message = trophy_json_string(json, "/error/message");
    check_status(__FILE__, line, status, TROPHY_STATUS_INVALID_ARGUMENT);
    check_json(__FILE__, line, json, "/error/code", "invalid_argument");
    check_holds(__FILE__, line, message, parameter, 1);
    trophy_string_free(message);
    trophy_string_free(json);
}

/* An event of which one argument is wrong. */
#define REFUSES_EVENT(parameter, client, key, user, value, attributes, idempotency, options) \
    do { \
        char *json = NULL; \
        trophy_status status = \
            trophy_metrics_event(client, key, user, value, attributes, idempotency, options, &json); \
        check_refused(__LINE__, status, json, parameter); \
        json = NULL; \
        status = trophy_metrics_event_enqueue(client, key, user, value, attributes, idempotency, options, &json); \
        check_refused(__LINE__, status, json, parameter); \
        json = NULL; \
        status = trophy_metrics_event_async(client, key, user, value, attributes, idempotency, options, never, \
                                            NULL, &json); \
        check_refused(__LINE__, status, json, parameter); \
    } while (0)

#define REFUSES(parameter, call) \
    do { \
        char *json = NULL; \
        trophy_status status = (call); \
        check_refused(__LINE__, status, json, parameter); \
    } while (0)

#define USER "{\"id\": \"42\"}"

static void never_ready(void *user_data) {
    (void)user_data;
    CHECK(0 && "the ready callback was called");
}

static void never(trophy_status status, const char *json, void *user_data) {
    (void)user_data;
    printf("a refused call was answered: %s %s\n", trophy_status_name(status), json);
    failed_checks++;
}

/* `depth` arrays inside each other, as the value of an attribute or all by themselves. Owned. */
static char *nested(const char *before, size_t depth, const char *after) {
    size_t start = strlen(before);
    char *text = malloc(start + 2 * depth + strlen(after) + 1);
    if (text == NULL) {
        exit(1);
    }
    memcpy(text, before, start);
    memset(text + start, '[', depth);
    memset(text + start + depth, ']', depth);
    strcpy(text + start + 2 * depth, after);
    return text;
}

static void null_where_a_value_is_needed(void) {
    REFUSES_EVENT("client", NULL, "words", USER, 1, NULL, NULL, NULL);
    REFUSES_EVENT("key", client, NULL, USER, 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", NULL, 1, NULL, NULL, NULL);
    REFUSES("id", trophy_users_get(client, NULL, NULL, &json));
    REFUSES("key", trophy_users_points(client, "42", NULL, NULL, &json));
    REFUSES("user_json", trophy_users_create(client, NULL, NULL, &json));
    REFUSES("user_json", trophy_achievements_complete(client, "first", NULL, NULL, &json));
    REFUSES("preferences_json", trophy_users_update_preferences(client, "42", NULL, NULL, &json));
    REFUSES("operation", trophy_call(client, NULL, NULL, &json));
    REFUSES("callback", trophy_call_async(client, TROPHY_OP_LEADERBOARDS_ALL, NULL, NULL, NULL, &json));
    REFUSES("api_key", trophy_client_set_api_key(client, NULL, &json));
    REFUSES("client", trophy_client_stats(NULL, &json));
    REFUSES("client", trophy_client_close(NULL, 0, &json));
    REFUSES("client", trophy_client_flush(NULL, 0, &json));
    REFUSES("client", trophy_call(NULL, TROPHY_OP_LEADERBOARDS_ALL, NULL, &json));
    CHECK(trophy_client_dispatch(NULL, -1) == 0);
    CHECK(trophy_client_cancel(NULL, NULL) == 0);
    trophy_client_on_delivery(NULL, never, NULL);
    trophy_client_on_ready(NULL, never_ready, NULL);
}

static void nowhere_to_put_a_client(void) {
    trophy_client *made = client;
    REFUSES("out_client", trophy_client_new("app.x", NULL, NULL, &json));
    REFUSES("out_client", trophy_client_for_tenant(client, "acme", NULL, &json));
    REFUSES("tenant_id", trophy_client_for_tenant(client, NULL, &made, &json));
    CHECK(made == NULL);
    made = client;
    REFUSES("client", trophy_client_for_tenant(NULL, "acme", &made, &json));
    CHECK(made == NULL);
}

static void text_that_is_not_utf_8(void) {
    REFUSES_EVENT("key", client, "\xff", USER, 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", "{\"id\": \"\xc3\"}", 1, NULL, NULL, NULL);
    REFUSES_EVENT("attributes_json", client, "words", USER, 1, "{\"a\": \"\xed\xa0\x80\"}", NULL, NULL);
    REFUSES_EVENT("idempotency_key", client, "words", USER, 1, NULL, "\x80", NULL);
    REFUSES_EVENT("options_json", client, "words", USER, 1, NULL, NULL, "\xf8");
    REFUSES("id", trophy_users_get(client, "\xc0\xaf", NULL, &json));
    REFUSES("args_json", trophy_users_get(client, "42", "\xff", &json));
    REFUSES("operation", trophy_call(client, "\xff", NULL, &json));
    REFUSES("api_key", trophy_client_set_api_key(client, "\xff", &json));
}

static void a_value_that_is_no_number(void) {
    REFUSES_EVENT("value", client, "words", USER, (double)NAN, NULL, NULL, NULL);
    REFUSES_EVENT("value", client, "words", USER, (double)INFINITY, NULL, NULL, NULL);
    REFUSES_EVENT("value", client, "words", USER, (double)-INFINITY, NULL, NULL, NULL);
}

static void an_empty_name(void) {
    REFUSES_EVENT("key", client, "", USER, 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", "{\"id\": \"\"}", 1, NULL, NULL, NULL);
    REFUSES_EVENT("idempotency_key", client, "words", USER, 1, NULL, "", NULL);
    REFUSES("id", trophy_users_get(client, "", NULL, &json));
    REFUSES("api_key", trophy_client_set_api_key(client, "", &json));
}

static void dots_that_are_a_step_in_a_path(void) {
    static const char *const dots[] = {".", ".."};
    for (size_t i = 0; i < sizeof dots / sizeof *dots; i++) {
        char args[64];
        REFUSES_EVENT("key", client, dots[i], USER, 1, NULL, NULL, NULL);
        REFUSES("id", trophy_users_get(client, dots[i], NULL, &json));
        REFUSES("id", trophy_users_identify(client, dots[i], "{}", NULL, &json));
        REFUSES("id", trophy_users_single_metric(client, dots[i], "words", NULL, &json));
        REFUSES("key", trophy_users_single_metric(client, "42", dots[i], NULL, &json));
        REFUSES("key", trophy_achievements_complete(client, dots[i], USER, NULL, &json));
        snprintf(args, sizeof args, "{\"id\": \"%s\"}", dots[i]);
        REFUSES("id", trophy_call(client, TROPHY_OP_USERS_ACHIEVEMENTS, args, &json));
        REFUSES("id", trophy_call(client, TROPHY_OP_ADMIN_METRICS_GET, args, &json));
        REFUSES("id", trophy_call_async(client, TROPHY_OP_USERS_STREAK, args, never, NULL, &json));
    }
}

static void an_idempotency_key_that_is_not_visible_ascii(void) {
    static const char *const keys[] = {"chapter-\xc3\xa9", "a b", "\x7f", " a", "a\tb"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char args[160];
        REFUSES_EVENT("idempotency_key", client, "words", USER, 1, NULL, keys[i], NULL);
        snprintf(args, sizeof args,
                 "{\"key\": \"words\", \"idempotencyKey\": \"%s\", \"body\": {\"user\": " USER ", \"value\": 1}}",
                 i == 4 ? "a\\tb" : keys[i]);
        REFUSES("idempotencyKey", trophy_call(client, TROPHY_OP_METRICS_EVENT, args, &json));
        snprintf(args, sizeof args,
                 "{\"body\": [{\"key\": \"words\", \"user\": " USER ", \"value\": 1, \"idempotencyKey\": \"%s\"}]}",
                 i == 4 ? "a\\tb" : keys[i]);
        REFUSES("event 0: \"idempotencyKey\"", trophy_call(client, TROPHY_OP_ADMIN_METRICS_BATCH_EVENTS, args, &json));
    }
    REFUSES_EVENT("visible ASCII", client, "words", USER, 1, NULL, "chapter-\xc3\xa9", NULL);
}

static void a_user_with_a_field_of_another_type(void) {
    static const struct {
        const char *name, *value;
    } fields[] = {
        {"email", "5"},
        {"name", "[]"},
        {"tz", "true"},
        {"signUpDate", "20260101"},
        {"sign_up_date", "{}"},
        {"deviceTokens", "\"t\""},
        {"device_tokens", "[\"t\", 1]"},
        {"subscribeToEmails", "\"yes\""},
        {"attributes", "{\"a\": 1}"},
        {"attributes", "[\"a\"]"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *name = fields[i].name;
        char user[96], args[192];
        snprintf(user, sizeof user, "{\"id\": \"42\", \"%s\": %s}", name, fields[i].value);
        REFUSES_EVENT(name, client, "words", user, 1, NULL, NULL, NULL);
        REFUSES(name, trophy_users_create(client, user, NULL, &json));
        REFUSES(name, trophy_users_identify(client, "42", user, NULL, &json));
        REFUSES(name, trophy_users_update(client, "42", user, NULL, &json));
        REFUSES(name, trophy_achievements_complete(client, "first", user, NULL, &json));
        snprintf(args, sizeof args, "{\"body\": [{\"key\": \"words\", \"user\": %s, \"value\": 1}]}", user);
        REFUSES(name, trophy_call(client, TROPHY_OP_ADMIN_METRICS_BATCH_EVENTS, args, &json));
    }
}

static void json_that_is_none_or_of_another_type(void) {
    REFUSES_EVENT("user_json", client, "words", "{\"id\": \"42\"", 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", "42", 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", "{}", 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", "{\"id\": 42}", 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", USER " ,", 1, NULL, NULL, NULL);
    REFUSES_EVENT("attributes_json", client, "words", USER, 1, "[]", NULL, NULL);
    REFUSES_EVENT("attributes_json", client, "words", USER, 1, "{\"level\": 3}", NULL, NULL);
    REFUSES_EVENT("options_json", client, "words", USER, 1, NULL, NULL, "[]");
    REFUSES("user_json", trophy_users_create(client, "[]", NULL, &json));
    REFUSES("user_json", trophy_achievements_complete(client, "first", "{}", NULL, &json));
    REFUSES("args_json", trophy_users_get(client, "42", "nonsense", &json));
    REFUSES("args_json", trophy_users_streak(client, "42", "{\"historyPeriods\": \"many\"}", &json));
    REFUSES("args_json", trophy_call(client, TROPHY_OP_USERS_GET, "{\"id\": 42}", &json));
    REFUSES("args_json", trophy_call(client, TROPHY_OP_ADMIN_METRICS_CREATE, "{\"body\": {}}", &json));
}

/* A message does not say that a number is no number. */
static void what_is_almost_of_the_type(void) {
    REFUSES("must be a whole number, not 1.5", trophy_users_streak(client, "42", "{\"historyPeriods\": 1.5}", &json));
    REFUSES("must be a whole number, not one of more than 64 bits",
            trophy_users_streak(client, "42", "{\"historyPeriods\": 99999999999999999999}", &json));
    REFUSES("must be a finite number, not 1e999",
            trophy_call(client, TROPHY_OP_METRICS_EVENT,
                        "{\"key\": \"words\", \"body\": {\"user\": " USER ", \"value\": 1e999}}", &json));
    REFUSES("not an array of something else", trophy_streaks_list(client, "{\"userIds\": [1]}", &json));
    REFUSES("not one with an escape that is no character",
            trophy_call(client, TROPHY_OP_USERS_GET, "{\"id\": \"\\ud800\"}", &json));
}

static void json_nested_20000_deep(void) {
    char *bare = nested("", 20000, "");
    char *user = nested("{\"id\": \"42\", \"attributes\": ", 20000, "}");
    char *args = nested("{\"body\": ", 20000, "}");
    REFUSES_EVENT("user_json", client, "words", bare, 1, NULL, NULL, NULL);
    REFUSES_EVENT("user_json", client, "words", user, 1, NULL, NULL, NULL);
    REFUSES_EVENT("attributes_json", client, "words", USER, 1, bare, NULL, NULL);
    REFUSES_EVENT("options_json", client, "words", USER, 1, NULL, NULL, bare);
    REFUSES("args_json", trophy_call(client, TROPHY_OP_ADMIN_METRICS_CREATE, args, &json));
    free(bare);
    free(user);
    free(args);
}

static void line_breaks_that_would_split_a_header(void) {
    trophy_client *made = client;
    REFUSES_EVENT("idempotency_key", client, "words", USER, 1, NULL, "a\r\nX-Evil: 1", NULL);
    REFUSES_EVENT("additional_headers", client, "words", USER, 1, NULL, NULL,
                  "{\"additional_headers\": {\"X-A\": \"1\\r\\nX-Evil: 1\"}}");
    REFUSES_EVENT("additional_headers", client, "words", USER, 1, NULL, NULL,
                  "{\"additional_headers\": {\"X-A\\r\\nX-Evil\": \"1\"}}");
    REFUSES_EVENT("tenant_id", client, "words", USER, 1, NULL, NULL, "{\"tenant_id\": \"a\\nb\"}");
    REFUSES("tenant_id", trophy_client_for_tenant(client, "a\r\nb", &made, &json));
    REFUSES("api_key", trophy_client_set_api_key(client, "app.x\r\nX-Evil: 1", &json));
    REFUSES("api_key", trophy_client_new("app.x\n", NULL, &made, &json));
    REFUSES("user_agent", trophy_client_new("app.x", "{\"user_agent\": \"a\\r\\nb\"}", &made, &json));
}

static void names_that_are_unknown_or_missing(void) {
    trophy_client *made = client;
    REFUSES("no_such_operation", trophy_call(client, "no_such_operation", NULL, &json));
    REFUSES("id", trophy_call(client, TROPHY_OP_USERS_GET, NULL, &json));
    REFUSES("historyperiods", trophy_users_streak(client, "42", "{\"historyperiods\": 1}", &json));
    REFUSES("body", trophy_call(client, TROPHY_OP_USERS_CREATE, "{}", &json));
    REFUSES("body", trophy_call(client, TROPHY_OP_USERS_GET, "{\"id\": \"42\", \"body\": {}}", &json));
    REFUSES("userIds", trophy_streaks_list(client, NULL, &json));
    REFUSES("startDate", trophy_users_metric_event_summary(client, "42", "words", "{\"aggregation\": \"daily\"}",
                                                           &json));
    REFUSES_EVENT("timeout_in_secs", client, "words", USER, 1, NULL, NULL, "{\"timeout_in_secs\": 1}");
    REFUSES("colour", trophy_client_new("app.x", "{\"colour\": 1}", &made, &json));
    REFUSES("colour", trophy_client_new("app.x", "{\"queue\": {\"colour\": 1}}", &made, &json));
}

/* A message is a C string, whatever it names. */
static void a_name_with_a_nul_in_it(void) {
    trophy_client *made = client;
    REFUSES("per\xEF\xBF\xBDiods", trophy_users_streak(client, "42", "{\"per\\u0000iods\": 1}", &json));
    REFUSES("col\xEF\xBF\xBDour", trophy_client_new("app.x", "{\"col\\u0000our\": 1}", &made, &json));
}

static void options_that_make_no_sense(void) {
    trophy_client *made = client;
    REFUSES("timeout_in_seconds", trophy_client_new("app.x", "{\"timeout_in_seconds\": -1}", &made, &json));
    REFUSES("max_retries", trophy_client_new("app.x", "{\"max_retries\": 1.5}", &made, &json));
    REFUSES("callbacks", trophy_client_new("app.x", "{\"callbacks\": \"thread\"}", &made, &json));
    REFUSES("workers", trophy_client_new("app.x", "{\"workers\": 0}", &made, &json));
    REFUSES("options_json: queue.batch_size: must be a whole number from 1 to 1000, not 1001",
            trophy_client_new("app.x", "{\"queue\": {\"batch_size\": 1001}}", &made, &json));
    REFUSES("tls_roots", trophy_client_new("app.x", "{\"tls_roots\": \"mozilla\"}", &made, &json));
    REFUSES("base_url", trophy_client_new("app.x", "{\"base_url\": \"ftp://api.trophy.so\"}", &made, &json));
    REFUSES("options_json", trophy_client_new("app.x", "{\"max_retries\": 1, \"max_retries\": 2}", &made, &json));
    CHECK(made == NULL);
}

static void plain_http_to_a_public_host(void) {
    trophy_client *made = client;
    REFUSES("base_url", trophy_client_new("app.x", "{\"base_url\": \"http://api.trophy.so/v1\"}", &made, &json));
    REFUSES_EVENT("base_url", client, "words", USER, 1, NULL, NULL, "{\"base_url\": \"http://api.trophy.so/v1\"}");
}

static void an_empty_key(void) {
    trophy_client *made = client;
    REFUSES("api_key", trophy_client_new("", NULL, &made, &json));
    CHECK(made == NULL);
}

static void a_webhook_without_its_parts(void) {
    const uint8_t body[] = {'x'};
    REFUSES("body", trophy_webhook_verify(NULL, 1, "c2ln", "secret", &json));
    REFUSES("body_length", trophy_webhook_verify(body, SIZE_MAX, "c2ln", "secret", &json));
    REFUSES("signature", trophy_webhook_verify(body, 1, NULL, "secret", &json));
    REFUSES("secret", trophy_webhook_verify(body, 1, "c2ln", NULL, &json));
    REFUSES("secret", trophy_webhook_verify(body, 1, "c2ln", "", &json));
    REFUSES("signature", trophy_webhook_verify(body, 1, "\xff", "secret", &json));
}

static void after_all_this_the_client_still_works(void) {
    CHECK_STATUS(trophy_metrics_event(client, "words", USER, 1, NULL, NULL, NULL, NULL), TROPHY_STATUS_OK);
}

int main(void) {
    client = make_client(NULL);
    RUN(null_where_a_value_is_needed);
    RUN(nowhere_to_put_a_client);
    RUN(text_that_is_not_utf_8);
    RUN(a_value_that_is_no_number);
    RUN(an_empty_name);
    RUN(dots_that_are_a_step_in_a_path);
    RUN(an_idempotency_key_that_is_not_visible_ascii);
    RUN(a_user_with_a_field_of_another_type);
    RUN(json_that_is_none_or_of_another_type);
    RUN(what_is_almost_of_the_type);
    RUN(json_nested_20000_deep);
    RUN(line_breaks_that_would_split_a_header);
    RUN(names_that_are_unknown_or_missing);
    RUN(a_name_with_a_nul_in_it);
    RUN(options_that_make_no_sense);
    RUN(plain_http_to_a_public_host);
    RUN(an_empty_key);
    RUN(a_webhook_without_its_parts);
    RUN(after_all_this_the_client_still_works);
    trophy_client_free(client);
    return RESULT;
}
