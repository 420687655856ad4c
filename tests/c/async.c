/* Asynchronous calls: their callbacks, on threads of the library or inside dispatch. */
#include "check.h"
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* What a callback heard. */
struct heard {
    int times;
    trophy_status status;
    char *json;
    pthread_t thread;
};

static void hear(trophy_status status, const char *json, void *user_data) {
    struct heard *heard = user_data;
    pthread_mutex_lock(&mutex);
    free(heard->json);
    heard->json = malloc(strlen(json) + 1);
    strcpy(heard->json, json);
    heard->status = status;
    heard->thread = pthread_self();
    heard->times++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_until_heard(struct heard *heard) {
    pthread_mutex_lock(&mutex);
    while (heard->times == 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void a_callback_comes_once_with_the_reply(void) {
    trophy_client *client = make_client(NULL);
    struct heard event = {0}, call = {0}, failure = {0};
    char *json = NULL;
    CHECK_STATUS(trophy_metrics_event_async(client, "words", "{\"id\":\"42\"}", 7, NULL, "k", NULL, hear, &event, &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "null");
    trophy_string_free(json);
    CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_STREAK, "{\"id\":\"42\"}", hear, &call, NULL),
                 TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"http-404\"}", hear, &failure, NULL),
                 TROPHY_STATUS_OK);
    wait_until_heard(&event);
    wait_until_heard(&call);
    wait_until_heard(&failure);
    trophy_client_free(client); /* After this none can come a second time. */

    CHECK_STATUS(event.status, TROPHY_STATUS_OK);
    CHECK_JSON(event.json, "/body/value", "7");
    CHECK_JSON(event.json, "/headers/idempotency-key", "k");
    CHECK_STATUS(call.status, TROPHY_STATUS_OK);
    CHECK_JSON(call.json, "/target", "/app/users/42/streak");
    CHECK_STATUS(failure.status, TROPHY_STATUS_NOT_FOUND);
    CHECK_JSON(failure.json, "/error/code", "not_found");
    CHECK(event.times == 1 && call.times == 1 && failure.times == 1);
    free(event.json);
    free(call.json);
    free(failure.json);
}

static void a_refused_call_has_no_callback(void) {
    trophy_client *client = make_client(NULL);
    struct heard heard = {0};
    char *json = NULL;
    CHECK_STATUS(trophy_metrics_event_async(client, "words", "{}", 1, NULL, NULL, NULL, hear, &heard, &json),
                 TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK_HOLDS(json, "user_json");
    trophy_string_free(json);
    CHECK_STATUS(trophy_call_async(client, "no_such_operation", NULL, hear, &heard, NULL),
                 TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(trophy_call_async(client, TROPHY_OP_LEADERBOARDS_ALL, NULL, NULL, &heard, &json),
                 TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK_HOLDS(json, "callback");
    trophy_string_free(json);
    trophy_client_free(client);
    CHECK(heard.times == 0);
}

static void dispatch_runs_callbacks_on_its_own_thread(void) {
    trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
    struct heard heard = {0};
    CHECK(trophy_client_dispatch(client, 0) == 0);
    CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, &heard, NULL),
                 TROPHY_STATUS_OK);
    CHECK(trophy_client_dispatch(client, -1) == 1);
    CHECK(heard.times == 1);
    CHECK_STATUS(heard.status, TROPHY_STATUS_OK);
    CHECK(pthread_equal(heard.thread, pthread_self()));
    trophy_client_free(client);
    free(heard.json);
}

static void cancel_finds_calls_by_their_user_data(void) {
    trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
    struct heard heard = {0}, other = {0};
    CHECK(trophy_client_cancel(client, &heard) == 0);
    CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, &other, NULL),
                 TROPHY_STATUS_OK);
    CHECK(trophy_client_cancel(client, &heard) == 0);
    CHECK(trophy_client_dispatch(client, -1) == 1);
    CHECK_STATUS(other.status, TROPHY_STATUS_OK);
    trophy_client_free(client);
    free(other.json);
}

static trophy_client *inner;

static void close_and_free(trophy_status status, const char *json, void *user_data) {
    struct heard *heard = user_data;
    char *refusal = NULL;
    CHECK_STATUS(trophy_client_close(inner, 1000, &refusal), TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK_JSON(refusal, "/error/code", "invalid_argument");
    trophy_string_free(refusal);
    trophy_client_free(inner);
    CHECK_STATUS(trophy_client_stats(inner, NULL), TROPHY_STATUS_OK);
    hear(status, json, heard);
}

static void a_callback_cannot_close_or_free_its_client(void) {
    struct heard heard = {0};
    inner = make_client(NULL);
    CHECK_STATUS(trophy_call_async(inner, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", close_and_free, &heard, NULL),
                 TROPHY_STATUS_OK);
    wait_until_heard(&heard);
    CHECK_STATUS(trophy_users_get(inner, "42", NULL, NULL), TROPHY_STATUS_OK);
    trophy_client_free(inner);
    free(heard.json);
}

int main(void) {
    RUN(a_callback_comes_once_with_the_reply);
    RUN(a_refused_call_has_no_callback);
    RUN(dispatch_runs_callbacks_on_its_own_thread);
    RUN(cancel_finds_calls_by_their_user_data);
    RUN(a_callback_cannot_close_or_free_its_client);
    return RESULT;
}
