/* A process that is out of descriptors, or out of threads, for a while: calls fail in words, nothing is lost, and
 * afterwards all is as before. */
#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

/* ---- threads: the library's pthread_create() is this one */

static int no_threads;
static int refused_threads;

typedef int create_thread(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
    create_thread *create;
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    if (__atomic_load_n(&no_threads, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&refused_threads, 1, __ATOMIC_SEQ_CST);
        return EAGAIN;
    }
    return create(thread, attributes, body, argument);
}

static void allow_threads(int allowed) {
    __atomic_store_n(&no_threads, !allowed, __ATOMIC_SEQ_CST);
}

/* ---- descriptors */

enum { MOST_DESCRIPTORS = 64 };
static int taken[MOST_DESCRIPTORS];
static int many_taken;

static void take_all_descriptors(void) {
    int descriptor = open("/dev/null", O_RDONLY);
    for (; descriptor >= 0 && many_taken < MOST_DESCRIPTORS; descriptor = open("/dev/null", O_RDONLY)) {
        taken[many_taken++] = descriptor;
    }
    CHECK(descriptor < 0 && errno == EMFILE);
}

static void give_descriptors_back(void) {
    while (many_taken > 0) {
        close(taken[--many_taken]);
    }
}

/* ---- what callbacks heard */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int heard, heard_ok, heard_network;

static void hear(trophy_status status, const char *json, void *user_data) {
    (void)json;
    (void)user_data;
    pthread_mutex_lock(&mutex);
    heard++;
    heard_ok += status == TROPHY_STATUS_OK;
    heard_network += status == TROPHY_STATUS_NETWORK;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_until_heard(int many) {
    pthread_mutex_lock(&mutex);
    while (heard < many) {
        pthread_cond_wait(&changed, &mutex);
    }
    CHECK(heard == many);
    pthread_mutex_unlock(&mutex);
}

static void forget_heard(void) {
    heard = heard_ok = heard_network = 0;
}

static void start(const trophy_client *client, int many) {
    for (int i = 0; i < many; i++) {
        CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, NULL, NULL),
                     TROPHY_STATUS_OK);
    }
}

static void enqueue(const trophy_client *client, int many) {
    for (int i = 0; i < many; i++) {
        CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL),
                     TROPHY_STATUS_OK);
    }
}

static void works(const trophy_client *client) {
    CHECK_STATUS(trophy_users_get(client, "42", NULL, NULL), TROPHY_STATUS_OK);
    forget_heard();
    start(client, 8);
    wait_until_heard(8);
    CHECK(heard_ok == 8);
    enqueue(client, 2);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
}

static void without_threads_only_calls_that_need_one_are_refused(void) {
    trophy_client *client = make_client("{\"queue\": {\"requests_per_second\": 1000}}");
    char *json = NULL;
    allow_threads(0);
    forget_heard();
    CHECK_STATUS(trophy_users_get(client, "42", NULL, NULL), TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, NULL, &json),
                 TROPHY_STATUS_QUEUE_FULL);
    CHECK_HOLDS(json, "thread");
    trophy_string_free(json);
    enqueue(client, 3);
    CHECK_STATUS(trophy_client_flush(client, 0, &json), TROPHY_STATUS_TIMEOUT);
    CHECK_JSON(json, "/undelivered", "3");
    trophy_string_free(json);
    CHECK(refused_threads > 0);
    allow_threads(1);
    CHECK(heard == 0);
    works(client);
    CHECK_STATUS(trophy_client_close(client, 10000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
}

static void one_thread_does_the_work_of_those_that_cannot_be_started(void) {
    trophy_client *client = make_client(NULL);
    forget_heard();
    start(client, 1);
    wait_until_heard(1);
    allow_threads(0);
    forget_heard();
    start(client, 20);
    wait_until_heard(20);
    CHECK(heard_ok == 20);
    allow_threads(1);
    works(client);
    trophy_client_free(client);
}

static void a_client_without_threads_can_be_closed_and_freed(void) {
    trophy_client *client = make_client(NULL);
    allow_threads(0);
    enqueue(client, 1);
    CHECK_STATUS(trophy_client_close(client, 0, NULL), TROPHY_STATUS_TIMEOUT);
    trophy_client_free(client);
    allow_threads(1);
}

static void without_descriptors_calls_fail_and_afterwards_all_works(void) {
    char folder[] = "/tmp/trophy-starved-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    char options[200];
    snprintf(options, sizeof options, "{\"queue\": {\"path\": \"%s/queue\", \"requests_per_second\": 1000}}", folder);
    trophy_client *durable = make_client(options), *other = NULL;
    trophy_client *client = make_client("{\"max_retries\": 0, \"queue\": {\"requests_per_second\": 1000}}");
    char *json = NULL;
    take_all_descriptors();

    CHECK_STATUS(trophy_users_get(client, "42", NULL, &json), TROPHY_STATUS_NETWORK);
    CHECK_HOLDS(json, "os error 24");
    trophy_string_free(json);
    forget_heard();
    start(client, 8);
    wait_until_heard(8);
    CHECK(heard_network == 8);
    enqueue(client, 3);
    int acknowledged = 0;
    for (int i = 0; i < 3; i++) {
        trophy_status status =
            trophy_metrics_event_enqueue(durable, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL);
        CHECK(status == TROPHY_STATUS_OK || status == TROPHY_STATUS_STORAGE);
        acknowledged += status == TROPHY_STATUS_OK;
    }
    CHECK_STATUS(trophy_client_new(NULL, options, &other, &json), TROPHY_STATUS_STORAGE);
    CHECK(other == NULL);
    trophy_string_free(json);

    give_descriptors_back();
    works(client);
    works(durable);
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    CHECK(trophy_json_number(json, "/delivered", 0) >= 5);
    trophy_string_free(json);
    CHECK_STATUS(trophy_client_stats(durable, &json), TROPHY_STATUS_OK);
    CHECK(trophy_json_number(json, "/delivered", 0) >= 2 + acknowledged);
    trophy_string_free(json);
    trophy_client_free(client);
    trophy_client_free(durable);
    snprintf(options, sizeof options, "rm -r '%s'", folder);
    CHECK(system(options) == 0);
}

int main(void) {
    struct rlimit limit = {MOST_DESCRIPTORS, MOST_DESCRIPTORS};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    RUN(without_threads_only_calls_that_need_one_are_refused);
    RUN(one_thread_does_the_work_of_those_that_cannot_be_started);
    RUN(a_client_without_threads_can_be_closed_and_freed);
    RUN(without_descriptors_calls_fail_and_afterwards_all_works);
    return RESULT;
}
