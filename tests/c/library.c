/* The library as a whole: version, status names, freeing, the log. */
#include "check.h"

static void the_version_is_the_headers(void) {
    char number[64];
    CHECK(strcmp(trophy_version(), TROPHY_VERSION) == 0);
    snprintf(number, sizeof number, "%d.%d.%d", TROPHY_VERSION_MAJOR, TROPHY_VERSION_MINOR, TROPHY_VERSION_PATCH);
    CHECK(strcmp(number, TROPHY_VERSION) == 0);
    CHECK(TROPHY_VERSION_NUMBER
          == TROPHY_VERSION_MAJOR * 1000000 + TROPHY_VERSION_MINOR * 1000 + TROPHY_VERSION_PATCH);
}

static void every_status_has_its_number_and_name(void) {
    static const struct {
        trophy_status status;
        int number;
        const char *name;
    } expected[] = {
        {TROPHY_STATUS_OK, 0, "ok"},
        {TROPHY_STATUS_INVALID_ARGUMENT, 1, "invalid_argument"},
        {TROPHY_STATUS_CLOSED, 2, "closed"},
        {TROPHY_STATUS_CANCELLED, 3, "cancelled"},
        {TROPHY_STATUS_NETWORK, 10, "network"},
        {TROPHY_STATUS_TIMEOUT, 11, "timeout"},
        {TROPHY_STATUS_TLS, 12, "tls"},
        {TROPHY_STATUS_INVALID_RESPONSE, 13, "invalid_response"},
        {TROPHY_STATUS_BAD_REQUEST, 20, "bad_request"},
        {TROPHY_STATUS_UNAUTHORIZED, 21, "unauthorized"},
        {TROPHY_STATUS_FORBIDDEN, 22, "forbidden"},
        {TROPHY_STATUS_NOT_FOUND, 23, "not_found"},
        {TROPHY_STATUS_UNPROCESSABLE, 24, "unprocessable"},
        {TROPHY_STATUS_RATE_LIMITED, 25, "rate_limited"},
        {TROPHY_STATUS_HTTP, 26, "http"},
        {TROPHY_STATUS_SERVER, 27, "server"},
        {TROPHY_STATUS_QUEUE_FULL, 30, "queue_full"},
        {TROPHY_STATUS_STORAGE, 31, "storage"},
        {TROPHY_STATUS_EXPIRED, 32, "expired"},
        {TROPHY_STATUS_INVALID_SIGNATURE, 40, "invalid_signature"},
        {TROPHY_STATUS_PANIC, 99, "panic"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        CHECK((int)expected[i].status == expected[i].number);
        CHECK(strcmp(trophy_status_name(expected[i].status), expected[i].name) == 0);
    }
}

static void a_number_that_is_no_status_is_unknown(void) {
    CHECK(strcmp(trophy_status_name(-1), "unknown") == 0);
    CHECK(strcmp(trophy_status_name(4), "unknown") == 0);
    CHECK(strcmp(trophy_status_name(INT32_MAX), "unknown") == 0);
    CHECK(strcmp(trophy_status_name(INT32_MIN), "unknown") == 0);
}

static void freeing_null_does_nothing(void) {
    trophy_string_free(NULL);
    trophy_client_free(NULL);
}

struct log {
    int lines;
    int secrets;
    int levels_beyond;
};

static void count(trophy_log_level level, const char *message, void *user_data) {
    struct log *log = user_data;
    log->lines++;
    log->secrets += strstr(message, "s3cr3t") != NULL;
    log->levels_beyond += level < TROPHY_LOG_LEVEL_ERROR || level > TROPHY_LOG_LEVEL_DEBUG;
}

/* A call in this thread, so that its log lines come in this thread. */
static void make_a_call(void) {
    trophy_client *client = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_new("app.s3cr3t", NULL, &client, &json), TROPHY_STATUS_OK);
    trophy_string_free(json);
    CHECK_STATUS(trophy_users_get(client, "42", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/x-api-key", "app.s3cr3t");
    trophy_string_free(json);
    trophy_client_free(client);
}

static void the_log_tells_of_calls_and_never_the_key(void) {
    struct log log = {0, 0, 0};
    trophy_log_set_callback(TROPHY_LOG_LEVEL_DEBUG, count, &log);
    make_a_call();
    trophy_log_set_callback(TROPHY_LOG_LEVEL_DEBUG, NULL, NULL);
    CHECK(log.lines > 0);
    CHECK(log.secrets == 0);
    CHECK(log.levels_beyond == 0);
}

static void keep_refusal(trophy_log_level level, const char *message, void *user_data) {
    char *kept = user_data;
    (void)level;
    if (strstr(message, "answered 400") != NULL) {
        snprintf(kept, 200, "%s", message);
    }
}

/* What the service says is no second line, and moves no terminal. */
static void a_log_line_is_one_line(void) {
    char kept[200] = "";
    trophy_client *client = make_client(NULL);
    trophy_log_set_callback(TROPHY_LOG_LEVEL_DEBUG, keep_refusal, kept);
    CHECK_STATUS(trophy_users_get(client, "two-lines", NULL, NULL), TROPHY_STATUS_BAD_REQUEST);
    trophy_log_set_callback(TROPHY_LOG_LEVEL_OFF, NULL, NULL);
    CHECK_HOLDS(kept, "one\\n\\u{1b}[2Jtwo\\u{2028}three");
    CHECK_HOLDS_NOT(kept, "\n");
    CHECK_HOLDS_NOT(kept, "\x1b");
    trophy_client_free(client);
}

static void a_log_that_is_off_is_silent(void) {
    struct log log = {0, 0, 0};
    trophy_log_set_callback(TROPHY_LOG_LEVEL_OFF, count, &log);
    make_a_call();
    trophy_log_set_callback(-5, count, &log);
    make_a_call();
    trophy_log_set_callback(TROPHY_LOG_LEVEL_DEBUG, count, &log);
    trophy_log_set_callback(TROPHY_LOG_LEVEL_DEBUG, NULL, &log);
    make_a_call();
    CHECK(log.lines == 0);
}

/* One that sends events while an attempt at one is logged. */
struct sender {
    trophy_client *client;
    trophy_status same_lane, other_lane;
    int lines;
};

static void send_events(trophy_log_level level, const char *message, void *user_data) {
    struct sender *sender = user_data;
    (void)level;
    if (strstr(message, "; attempt 2 comes in") == NULL || sender->lines++ > 0) {
        return;
    }
    char *json = NULL;
    sender->same_lane = trophy_metrics_event(sender->client, "http-503", "{\"id\": \"42\"}", 1, NULL, NULL,
                                             "{\"timeout_in_seconds\": 0.2}", &json);
    CHECK_HOLDS(json, "not from inside a callback, which it would wait for");
    trophy_string_free(json);
    sender->other_lane =
        trophy_metrics_event(sender->client, "words", "{\"id\": \"42\"}", 1, NULL, NULL, NULL, NULL);
}

static void a_log_callback_never_waits_for_the_event_it_is_told_of(void) {
    trophy_client *client = make_client("{\"max_retries\": 1}");
    struct sender sender = {client, TROPHY_STATUS_OK, TROPHY_STATUS_PANIC, 0};
    trophy_log_set_callback(TROPHY_LOG_LEVEL_WARN, send_events, &sender);
    CHECK_STATUS(trophy_metrics_event(client, "http-503", "{\"id\": \"42\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_SERVER);
    trophy_log_set_callback(TROPHY_LOG_LEVEL_OFF, NULL, NULL);
    CHECK(sender.lines > 0);
    CHECK_STATUS(sender.same_lane, TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(sender.other_lane, TROPHY_STATUS_OK);
    trophy_client_free(client);
}

int main(void) {
    RUN(the_version_is_the_headers);
    RUN(every_status_has_its_number_and_name);
    RUN(a_number_that_is_no_status_is_unknown);
    RUN(freeing_null_does_nothing);
    RUN(the_log_tells_of_calls_and_never_the_key);
    RUN(a_log_line_is_one_line);
    RUN(a_log_that_is_off_is_silent);
    RUN(a_log_callback_never_waits_for_the_event_it_is_told_of);
    return RESULT;
}
