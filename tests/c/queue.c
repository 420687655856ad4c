/* The queue: events put into it arrive, and their ends are heard. */
#include "check.h"
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct ends {
    int delivered;
    int refused;
    int wrong;
};

static void hear(trophy_status status, const char *json, void *user_data) {
    struct ends *ends = user_data;
    char *key = trophy_json_string(json, "/idempotencyKey");
    char *user = trophy_json_string(json, "/userId");
    pthread_mutex_lock(&mutex);
    if (status == TROPHY_STATUS_OK && trophy_json_length(json, "/response") > 0) {
        ends->delivered++;
    } else if (status == TROPHY_STATUS_UNPROCESSABLE && trophy_json_length(json, "/error") > 0) {
        ends->refused++;
    } else {
        printf("%s\n", json);
        ends->wrong++;
    }
    ends->wrong += key == NULL || user == NULL || strcmp(user, "42") != 0;
    pthread_mutex_unlock(&mutex);
    trophy_string_free(key);
    trophy_string_free(user);
}

static void every_event_has_one_end_and_it_is_heard(void) {
    trophy_client *client = make_client("{\"queue\": {\"delivery\": \"single\", \"requests_per_second\": 1000}}");
    struct ends ends = {0, 0, 0};
    char *json = NULL;
    trophy_client_on_delivery(client, hear, &ends);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, "row-1", NULL, &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "{\"idempotencyKey\":\"row-1\"}");
    trophy_string_free(json);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "http-422", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, &json),
                 TROPHY_STATUS_OK);
    CHECK_HOLDS(json, "idempotencyKey");
    trophy_string_free(json);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_client_flush(client, -1, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "{\"undelivered\":0,\"cancelled\":0}");
    trophy_string_free(json);
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/delivered", "2");
    CHECK_JSON(json, "/dead", "1");
    CHECK_JSON(json, "/queued", "0");
    trophy_string_free(json);
    trophy_client_free(client); /* After this none can come. */
    CHECK(ends.delivered == 2);
    CHECK(ends.refused == 1);
    CHECK(ends.wrong == 0);
}

static void flush_tells_how_much_is_left(void) {
    /* Nobody listens on port 9. */
    trophy_client *client = make_client("{\"base_url\": \"http://127.0.0.1:9\", \"max_retries\": 0}");
    char *json = NULL;
    CHECK_STATUS(trophy_client_flush(client, 0, &json), TROPHY_STATUS_OK);
    trophy_string_free(json);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_client_flush(client, 0, &json), TROPHY_STATUS_TIMEOUT);
    CHECK_JSON(json, "", "{\"undelivered\":1,\"cancelled\":0}");
    trophy_string_free(json);
    CHECK_STATUS(trophy_client_close(client, 0, &json), TROPHY_STATUS_TIMEOUT);
    CHECK_JSON(json, "", "{\"undelivered\":1,\"cancelled\":0}");
    trophy_string_free(json);
    trophy_client_free(client);
}

static void enqueue_three(trophy_client *client) {
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL),
                     TROPHY_STATUS_OK);
    }
}

/* Whether the folder "Ünï cödé" is there, by its name in the system's own letters. */
static int is_there(void) {
#ifdef _WIN32
    return _waccess(L"\u00dcn\u00ef c\u00f6d\u00e9", 0) == 0;
#else
    return access("Ünï cödé", F_OK) == 0;
#endif
}

static void a_relative_path_stays_where_the_client_was_made(void) {
    char made_in[] = "/tmp/trophy-made-XXXXXX", gone_to[] = "/tmp/trophy-gone-XXXXXX", command[128];
    trophy_client *client;
    char *json = NULL;
    CHECK(mkdtemp(made_in) != NULL && mkdtemp(gone_to) != NULL);
    CHECK(chdir(made_in) == 0);
    /* Nobody listens on port 9. */
    client = make_client("{\"base_url\": \"http://127.0.0.1:9\", \"queue\": {\"path\": \"Ünï cödé\"}}");
    CHECK(chdir(gone_to) == 0);
    enqueue_three(client);
    trophy_client_free(client);
    CHECK(!is_there());
    CHECK(chdir(made_in) == 0);
    CHECK(is_there());
    client = make_client("{\"queue\": {\"path\": \"Ünï cödé\", \"requests_per_second\": 1000}}");
    CHECK_STATUS(trophy_client_flush(client, -1, NULL), TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/delivered", "3");
    trophy_string_free(json);
    trophy_client_free(client);
    CHECK(chdir("/") == 0);
#ifdef _WIN32
    for (char *at = made_in; *at; at++) {
        *at = *at == '/' ? '\\' : *at;
    }
    snprintf(command, sizeof command, "rd /s /q %s", made_in);
    CHECK(rmdir(gone_to) == 0);
#else
    snprintf(command, sizeof command, "rm -r %s %s", made_in, gone_to);
#endif
    CHECK(system(command) == 0);
}

static void an_event_that_is_too_large_makes_no_other_give_way(void) {
    enum { LENGTH = 17 << 20 };
    /* Nobody listens on port 9. */
    trophy_client *client = make_client(
        "{\"base_url\": \"http://127.0.0.1:9\", \"queue\": {\"max_events\": 3, \"overflow\": \"drop_oldest\"}}");
    char *user = malloc(LENGTH), *json = NULL;
    memset(user, 'x', LENGTH);
    memcpy(user, "{\"id\": \"", 8);
    strcpy(user + LENGTH - 3, "\"}");
    enqueue_three(client);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", user, 1, NULL, NULL, NULL, &json),
                 TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK_HOLDS(json, "16777216");
    trophy_string_free(json);
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/dropped", "0");
    trophy_string_free(json);
    trophy_client_free(client);
    free(user);
}

static void nobody_need_listen(void) {
    trophy_client *client = make_client("{\"queue\": {\"requests_per_second\": 1000}}");
    struct ends ends = {0, 0, 0};
    trophy_client_on_delivery(client, hear, &ends);
    trophy_client_on_delivery(client, NULL, NULL);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_client_flush(client, -1, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
    CHECK(ends.delivered == 0 && ends.wrong == 0);
}

int main(void) {
    RUN(every_event_has_one_end_and_it_is_heard);
    RUN(flush_tells_how_much_is_left);
    RUN(a_relative_path_stays_where_the_client_was_made);
    RUN(an_event_that_is_too_large_makes_no_other_give_way);
    RUN(nobody_need_listen);
    return RESULT;
}
