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

static void a_relative_path_stays_where_the_client_was_made(void) {
    char made_in[] = "/tmp/trophy-made-XXXXXX", gone_to[] = "/tmp/trophy-gone-XXXXXX", command[128];
    trophy_client *client;
    char *json = NULL;
    CHECK(mkdtemp(made_in) != NULL && mkdtemp(gone_to) != NULL);
    CHECK(chdir(made_in) == 0);
    /* Nobody listens on port 9. */
    client = make_client("{\"base_url\": \"http://127.0.0.1:9\", \"queue\": {\"path\": \"events\"}}");
    CHECK(chdir(gone_to) == 0);
    enqueue_three(client);
    trophy_client_free(client);
    CHECK(access("events", F_OK) != 0);
    CHECK(chdir(made_in) == 0);
    CHECK(access("events", F_OK) == 0);
    client = make_client("{\"queue\": {\"path\": \"events\", \"requests_per_second\": 1000}}");
    CHECK_STATUS(trophy_client_flush(client, -1, NULL), TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/delivered", "3");
    trophy_string_free(json);
    trophy_client_free(client);
    CHECK(chdir("/") == 0);
    snprintf(command, sizeof command, "rm -r %s %s", made_in, gone_to);
    CHECK(system(command) == 0);
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
    RUN(nobody_need_listen);
    return RESULT;
}
