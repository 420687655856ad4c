/* Asynchronous calls: their callbacks, on threads of the library or inside dispatch. */
#define WITH_SOCKETS
#include "check.h"
#include <fcntl.h>
#ifndef _WIN32
#include <poll.h>
#endif
#include <pthread.h>
#include <time.h>

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

/* An event loop's pipe, and how often it was woken. */
struct loop {
    int ends[2];
    int woken;
};

static struct loop *new_loop(void) {
    struct loop *loop = calloc(1, sizeof *loop);
    CHECK(pipe(loop->ends) == 0);
    CHECK(fcntl(loop->ends[0], F_SETFL, O_NONBLOCK) == 0);
    return loop;
}

static void free_loop(struct loop *loop) {
    close(loop->ends[0]);
    close(loop->ends[1]);
    free(loop);
}

static void wake(void *user_data) {
    struct loop *loop = user_data;
    pthread_mutex_lock(&mutex);
    loop->woken++;
    pthread_mutex_unlock(&mutex);
    CHECK(write(loop->ends[1], "", 1) == 1);
}

static int times_woken(struct loop *loop) {
    pthread_mutex_lock(&mutex);
    int woken = loop->woken;
    pthread_mutex_unlock(&mutex);
    return woken;
}

/* Sleeps until it is woken. One that nobody wakes fails. */
static void wait_until_woken(struct loop *loop) {
    struct pollfd readable = {.fd = loop->ends[0], .events = POLLIN};
    CHECK(poll(&readable, 1, 60000) == 1);
    char bytes[256];
    while (read(loop->ends[0], bytes, sizeof bytes) > 0) {
    }
}

static void pause_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

static int times_heard(struct heard *heard) {
    pthread_mutex_lock(&mutex);
    int times = heard->times;
    pthread_mutex_unlock(&mutex);
    return times;
}

/* Starts calls whose callbacks are one's. */
static void start_calls(const trophy_client *client, int many, struct heard *heard) {
    for (int i = 0; i < many; i++) {
        CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, heard, NULL),
                     TROPHY_STATUS_OK);
    }
}

static void wait_until_finished(const trophy_client *client, double many) {
    for (double finished = 0; finished < many;) {
        char *json = NULL;
        CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
        finished = trophy_json_number(json, "/callsFinished/ok", 0);
        trophy_string_free(json);
        pause_a_little();
    }
}

static void a_loop_is_woken_once_for_all_that_is_ready(void) {
    trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
    struct loop *loop = new_loop();
    struct heard heard = {0};
    trophy_client_on_ready(client, wake, loop);
    CHECK(times_woken(loop) == 0);
    for (int round = 1; round <= 3; round++) {
        start_calls(client, 5, &heard);
        wait_until_woken(loop);
        wait_until_finished(client, 5 * round);
        CHECK(heard.times == 5 * (round - 1));
        CHECK(times_woken(loop) == round);
        while (heard.times < 5 * round) {
            trophy_client_dispatch(client, -1);
        }
        CHECK(trophy_client_dispatch(client, 0) == 0);
        /* One that had finished and was not ready yet when the others were dispatched. */
        pthread_mutex_lock(&mutex);
        loop->woken = round;
        pthread_mutex_unlock(&mutex);
    }
    trophy_client_free(client);
    free_loop(loop);
    free(heard.json);
}

static void a_new_loop_is_woken_for_what_is_ready_and_the_old_one_no_more(void) {
    trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
    struct loop *old = new_loop(), *new = new_loop();
    struct heard heard = {0};
    trophy_client_on_ready(client, wake, old);
    start_calls(client, 1, &heard);
    wait_until_woken(old);
    trophy_client_on_ready(client, wake, new);
    CHECK(times_woken(new) == 1);
    CHECK(trophy_client_dispatch(client, 0) == 1);
    start_calls(client, 1, &heard);
    CHECK(trophy_client_dispatch(client, -1) == 1);
    CHECK(times_woken(old) == 1 && times_woken(new) == 2);
    trophy_client_on_ready(client, NULL, NULL);
    start_calls(client, 1, &heard);
    CHECK(trophy_client_dispatch(client, -1) == 1);
    CHECK(times_woken(old) == 1 && times_woken(new) == 2);
    trophy_client_free(client);
    free_loop(old);
    free_loop(new);
    free(heard.json);
}

static void callbacks_on_threads_of_the_library_wake_no_loop(void) {
    trophy_client *client = make_client(NULL);
    struct loop *loop = new_loop();
    struct heard heard = {0};
    trophy_client_on_ready(client, wake, loop);
    start_calls(client, 1, &heard);
    wait_until_heard(&heard);
    trophy_client_free(client);
    CHECK(loop->woken == 0);
    free_loop(loop);
    free(heard.json);
}

enum { SUBMITTERS = 3, CALLS = 60 };

struct submitter {
    const trophy_client *client;
    struct heard *heard;
};

static void *submit(void *argument) {
    struct submitter *submitter = argument;
    start_calls(submitter->client, CALLS, submitter->heard);
    return NULL;
}

static int steals;

/* Dispatches beside the loop, so that what woke it may be gone when it looks. */
static void *steal(void *client) {
    while (__atomic_load_n(&steals, __ATOMIC_SEQ_CST)) {
        trophy_client_dispatch(client, 0);
        pause_a_little();
    }
    return NULL;
}

static void no_wake_up_is_lost_while_calls_end_and_others_dispatch(void) {
    for (steals = 0; steals < 2; steals++) {
        trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
        struct loop *loop = new_loop();
        struct heard heard = {0};
        struct submitter submitter = {client, &heard};
        pthread_t submitters[SUBMITTERS], thief;
        int has_thief = steals;
        trophy_client_on_ready(client, wake, loop);
        for (int i = 0; i < SUBMITTERS; i++) {
            CHECK(pthread_create(&submitters[i], NULL, submit, &submitter) == 0);
        }
        if (has_thief) {
            CHECK(pthread_create(&thief, NULL, steal, client) == 0);
        }
        /* With nobody else to dispatch, each that is left wakes the loop. */
        while (!has_thief && times_heard(&heard) < SUBMITTERS * CALLS) {
            wait_until_woken(loop);
            trophy_client_dispatch(client, 0);
        }
        while (has_thief && times_heard(&heard) < SUBMITTERS * CALLS) {
            struct pollfd readable = {.fd = loop->ends[0], .events = POLLIN};
            if (poll(&readable, 1, 10) == 1) {
                wait_until_woken(loop);
                trophy_client_dispatch(client, 0);
            }
        }
        for (int i = 0; i < SUBMITTERS; i++) {
            pthread_join(submitters[i], NULL);
        }
        if (has_thief) {
            __atomic_store_n(&steals, 0, __ATOMIC_SEQ_CST);
            pthread_join(thief, NULL);
            steals = 1;
        }
        CHECK(heard.times == SUBMITTERS * CALLS);
        CHECK(trophy_client_dispatch(client, 0) == 0);
        CHECK(loop->woken <= SUBMITTERS * CALLS);
        trophy_client_free(client);
        free_loop(loop);
        free(heard.json);
    }
}

/* Whose loop is gone when it is woken is found by the sanitizers, and by a write to a closed pipe. */
static void nobody_is_woken_who_was_replaced_or_whose_client_is_gone(void) {
    for (int i = 0; i < 40; i++) {
        trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
        struct loop *first = new_loop(), *second = new_loop();
        struct heard heard = {0};
        trophy_client_on_ready(client, wake, first);
        start_calls(client, 4, &heard);
        if (i % 2 == 0) {
            wait_until_woken(first);
        }
        trophy_client_on_ready(client, wake, second);
        free_loop(first);
        start_calls(client, 4, &heard);
        if (i % 3 == 0) {
            trophy_client_close(client, 0, NULL);
        } else {
            trophy_client_free(client);
            client = NULL;
        }
        free_loop(second);
        trophy_client_free(client);
        CHECK(heard.times == 8);
        free(heard.json);
    }
}

enum { LOOPS = 300 };

/* Loops that come and go, all with one pipe. */
static struct loop *shared;
static struct passing_loop {
    int is_replaced;
    int woken_after;
} passing[LOOPS];

static void wake_passing(void *user_data) {
    struct passing_loop *loop = user_data;
    if (__atomic_load_n(&loop->is_replaced, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&loop->woken_after, 1, __ATOMIC_SEQ_CST);
    }
    wake(shared);
}

static void *replace_loops(void *client) {
    for (int i = 0; i < LOOPS; i++) {
        trophy_client_on_ready(client, wake_passing, &passing[i]);
        if (i > 0) {
            __atomic_store_n(&passing[i - 1].is_replaced, 1, __ATOMIC_SEQ_CST);
        }
    }
    return NULL;
}

static void no_wake_up_is_lost_or_comes_late_while_loops_are_replaced(void) {
    trophy_client *client = make_client("{\"callbacks\": \"dispatch\"}");
    shared = new_loop();
    struct heard heard = {0};
    struct submitter submitter = {client, &heard};
    pthread_t submitters[SUBMITTERS], replacer;
    for (int i = 0; i < SUBMITTERS; i++) {
        CHECK(pthread_create(&submitters[i], NULL, submit, &submitter) == 0);
    }
    CHECK(pthread_create(&replacer, NULL, replace_loops, client) == 0);
    while (times_heard(&heard) < SUBMITTERS * CALLS) {
        wait_until_woken(shared);
        trophy_client_dispatch(client, 0);
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(submitters[i], NULL);
    }
    pthread_join(replacer, NULL);
    trophy_client_free(client);
    CHECK(heard.times == SUBMITTERS * CALLS);
    /* Each wake-up is for a call that became ready, or for a loop that came. */
    CHECK(shared->woken <= SUBMITTERS * CALLS + LOOPS);
    for (int i = 0; i < LOOPS; i++) {
        CHECK(!passing[i].woken_after);
    }
    free_loop(shared);
    free(heard.json);
}

int main(void) {
    RUN(a_callback_comes_once_with_the_reply);
    RUN(a_refused_call_has_no_callback);
    RUN(dispatch_runs_callbacks_on_its_own_thread);
    RUN(cancel_finds_calls_by_their_user_data);
    RUN(a_callback_cannot_close_or_free_its_client);
    RUN(a_loop_is_woken_once_for_all_that_is_ready);
    RUN(a_new_loop_is_woken_for_what_is_ready_and_the_old_one_no_more);
    RUN(callbacks_on_threads_of_the_library_wake_no_loop);
    RUN(no_wake_up_is_lost_while_calls_end_and_others_dispatch);
    RUN(no_wake_up_is_lost_or_comes_late_while_loops_are_replaced);
    RUN(nobody_is_woken_who_was_replaced_or_whose_client_is_gone);
    return RESULT;
}
