/* Forks: each child of a process with a live client has threads, connections and a queue of its own.
 * The service is a real one; who starts this program counts what arrived. */
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>

enum { CHILDREN = 20, EVENTS = 5, FORKS = 100 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int heard, heard_well;

static void hear(trophy_status status, const char *json, void *user_data) {
    (void)json;
    (void)user_data;
    pthread_mutex_lock(&mutex);
    heard++;
    heard_well += status == TROPHY_STATUS_OK;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* Sends events of one user in all three ways. */
static void send_events(const trophy_client *client, const char *name, int number) {
    char user[64];
    snprintf(user, sizeof user, "{\"id\":\"%s-%d\"}", name, number);
    heard = heard_well = 0;
    for (int i = 0; i < EVENTS; i++) {
        CHECK_STATUS(trophy_metrics_event_async(client, "words-written", user, 1, NULL, NULL, NULL, hear, NULL, NULL),
                     TROPHY_STATUS_OK);
        CHECK_STATUS(trophy_metrics_event(client, "words-written", user, 1, NULL, NULL, NULL, NULL), TROPHY_STATUS_OK);
        CHECK_STATUS(trophy_metrics_event_enqueue(client, "words-written", user, 1, NULL, NULL, NULL, NULL),
                     TROPHY_STATUS_OK);
    }
    pthread_mutex_lock(&mutex);
    while (heard < EVENTS) {
        pthread_cond_wait(&changed, &mutex);
    }
    CHECK(heard_well == EVENTS);
    pthread_mutex_unlock(&mutex);
    CHECK_STATUS(trophy_client_flush(client, 60000, NULL), TROPHY_STATUS_OK);
}

static int wait_for(pid_t child) {
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void children_and_their_parent_send_on_one_client(void) {
    trophy_client *client = make_client("{\"queue\": {\"requests_per_second\": 1000}}");
    pid_t children[CHILDREN];
    send_events(client, "before", 0);
    fflush(stdout);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            failed_checks = 0;
            alarm(longest_seconds());
            send_events(client, "child", i);
            /* Of the other half, only what the parent has is freed. */
            if (i % 2 == 0) {
                trophy_client_free(client);
            }
            fflush(stdout);
            _exit(RESULT);
        }
    }
    send_events(client, "parent", 0);
    for (int i = 0; i < CHILDREN; i++) {
        CHECK(wait_for(children[i]) == 0);
    }
    trophy_client_free(client);
}

static int load_goes_on = 1;

static void *load(void *client) {
    for (;;) {
        pthread_mutex_lock(&mutex);
        int goes_on = load_goes_on;
        pthread_mutex_unlock(&mutex);
        if (!goes_on) {
            return NULL;
        }
        CHECK_STATUS(trophy_metrics_event(client, "words-written", "{\"id\":\"load\"}", 1, NULL, NULL, NULL, NULL),
                     TROPHY_STATUS_OK);
    }
}

static void forks_in_a_row_under_load_hang_nobody(void) {
    trophy_client *client = make_client("{\"queue\": {\"requests_per_second\": 1000}}");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, load, client) == 0);
    }
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(longest_seconds());
            trophy_status status = TROPHY_STATUS_OK;
            /* A call, the end, or nothing at all. */
            if (i % 3 == 0) {
                status = trophy_metrics_event(client, "words-written", "{\"id\":\"forked\"}", 1, NULL, NULL, NULL, NULL);
            }
            if (i % 3 <= 1) {
                trophy_client_free(client);
            }
            _exit(status == TROPHY_STATUS_OK ? 0 : 1);
        }
        CHECK(wait_for(child) == 0);
    }
    pthread_mutex_lock(&mutex);
    load_goes_on = 0;
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    trophy_client_free(client);
}

static const char *queue_folder;

static void a_child_knows_what_is_undelivered(void) {
    char options[1024];
    snprintf(options, sizeof options, "{\"base_url\": \"http://127.0.0.1:9/v1\", \"queue\": {\"path\": \"%s\"}}",
             queue_folder);
    trophy_client *client = make_client(options);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(trophy_metrics_event_enqueue(client, "words-written", "{\"id\":\"left\"}", 1, NULL, NULL, NULL, NULL),
                     TROPHY_STATUS_OK);
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        failed_checks = 0;
        alarm(longest_seconds());
        char *json = NULL;
        CHECK_STATUS(trophy_client_flush(client, 100, &json), TROPHY_STATUS_TIMEOUT);
        CHECK_JSON(json, "/undelivered", "2");
        trophy_string_free(json);
        trophy_client_free(client);
        fflush(stdout);
        _exit(RESULT);
    }
    CHECK(wait_for(child) == 0);
    trophy_client_free(client);
}

static int woken;

static void wake(void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&mutex);
    woken++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void read_user(const trophy_client *client) {
    CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"nobody\"}", hear, NULL, NULL),
                 TROPHY_STATUS_OK);
}

static void dispatch_when_woken(const trophy_client *client) {
    pthread_mutex_lock(&mutex);
    while (woken == 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    CHECK(trophy_client_dispatch(client, 0) == 1);
}

static void a_child_wakes_no_loop_but_its_own(void) {
    trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
    trophy_client_on_ready(client, wake, NULL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        failed_checks = 0;
        alarm(longest_seconds());
        read_user(client);
        CHECK(trophy_client_dispatch(client, -1) == 1);
        CHECK(woken == 0);
        trophy_client_on_ready(client, wake, NULL);
        read_user(client);
        dispatch_when_woken(client);
        trophy_client_free(client);
        fflush(stdout);
        _exit(RESULT);
    }
    read_user(client);
    dispatch_when_woken(client);
    CHECK(wait_for(child) == 0);
    trophy_client_free(client);
}

int main(int argc, char **argv) {
    queue_folder = argc > 1 ? argv[1] : "forked-queue";
    RUN(a_child_knows_what_is_undelivered);
    RUN(children_and_their_parent_send_on_one_client);
    RUN(a_child_wakes_no_loop_but_its_own);
    RUN(forks_in_a_row_under_load_hang_nobody);
    return RESULT;
}
