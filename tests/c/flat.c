/* flat FOLDER EVENTS: so many events, each of another user, in all three ways, calls, callbacks, refused input, clients
 * that come and go, and a service that fails at times. What the process takes of memory, descriptors and threads is
 * looked at after a half of it, and at the end, each time when all is delivered. */
#include "check.h"
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
/* mallinfo2() is glibc's since then. */
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 33)
#include <malloc.h>
#define KNOWS_HEAP
#endif
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long started, heard, failed_calls;

static void hear(trophy_status status, const char *json, void *user_data) {
    (void)json;
    (void)user_data;
    pthread_mutex_lock(&mutex);
    heard++;
    failed_calls += status != TROPHY_STATUS_OK;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static long deliveries;

static void hear_delivery(trophy_status status, const char *json, void *user_data) {
    (void)status;
    (void)json;
    (void)user_data;
    __atomic_add_fetch(&deliveries, 1, __ATOMIC_SEQ_CST);
}

static long number_in(const char *file, const char *name) {
    char line[256];
    long number = -1;
    FILE *status = fopen(file, "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            number = atol(line + strlen(name));
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return number;
}

static long descriptors(void) {
    long many = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL) {
        many++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return many;
}

/* What is allocated and not freed, in KB; -1 where nobody knows. It is what grows if something is remembered for ever:
 * the rest of a process's memory is what its heap has free between. */
static long heap(void) {
#ifdef KNOWS_HEAP
    struct mallinfo2 said = mallinfo2();
    return (long)((said.uordblks + said.hblkhd) / 1024);
#else
    return -1;
#endif
}

static void look(const trophy_client *client, const char *when) {
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    pthread_mutex_lock(&mutex);
    while (heard < started) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    /* What has nothing to do leaves after 10 s, but for the queue's thread. A busy machine may take longer. */
    for (int tenths = 0; number_in("/proc/self/status", "Threads:") > 2 && tenths < 1200; tenths++) {
        poll(NULL, 0, 100);
    }
    printf("%s %ld %ld %ld %ld\n", when, number_in("/proc/self/status", "VmRSS:"), heap(), descriptors(),
           number_in("/proc/self/status", "Threads:"));
    fflush(stdout);
}

static void do_many(const trophy_client *client, const char *options, long from, long to) {
    static const char CALL_OPTIONS[] = "{\"timeout_in_seconds\": 5}";
    for (long i = from; i < to; i++) {
        char user[64], *json = NULL;
        snprintf(user, sizeof user, "{\"id\":\"user %ld\"}", i);
        trophy_status status = trophy_metrics_event_enqueue(client, "words-written", user, 1, NULL, NULL, NULL, &json);
        if (status == TROPHY_STATUS_QUEUE_FULL) {
            CHECK(trophy_client_flush(client, 100, NULL) != TROPHY_STATUS_CLOSED);
            i--;
        } else {
            CHECK_STATUS(status, TROPHY_STATUS_OK);
        }
        trophy_string_free(json);
        if (i % 50 == 0 && status == TROPHY_STATUS_OK) {
            started++;
            CHECK_STATUS(trophy_metrics_event_async(client, "words-written", user, 1, NULL, NULL, CALL_OPTIONS, hear, NULL,
                                                    NULL),
                         TROPHY_STATUS_OK);
        }
        if (i % 200 == 0 && status == TROPHY_STATUS_OK) {
            failed_calls += trophy_metrics_event(client, "words-written", user, 1, NULL, NULL, CALL_OPTIONS, &json) !=
                            TROPHY_STATUS_OK;
            trophy_string_free(json);
            /* Refused before it is sent, and by the service. */
            CHECK_STATUS(trophy_metrics_event(client, "words-written", "{", 1, NULL, NULL, NULL, &json),
                         TROPHY_STATUS_INVALID_ARGUMENT);
            trophy_string_free(json);
            CHECK(trophy_metrics_event(client, "no-such-metric", user, 1, NULL, NULL, CALL_OPTIONS, &json) !=
                  TROPHY_STATUS_OK);
            trophy_string_free(json);
            CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
            trophy_string_free(json);
        }
        if (i % 1000 == 0) {
            trophy_client *other = make_client(options);
            trophy_metrics_event_async(other, "words-written", user, 1, NULL, NULL, NULL, hear, NULL, NULL);
            started++;
            trophy_client_free(other);
        }
    }
}

int main(int argc, char **argv) {
    char options[1024];
    if (argc != 3) {
        return 2;
    }
    snprintf(options, sizeof options,
             "{\"attempt_timeout_in_seconds\": 2, \"queue\": {\"path\": \"%s\", \"requests_per_second\": 1000, "
             "\"max_events\": 5000}}",
             argv[1]);
    trophy_client *client = make_client(options);
    trophy_client_on_delivery(client, hear_delivery, NULL);
    long events = atol(argv[2]);
    do_many(client, options, 0, events / 2);
    look(client, "half");
    do_many(client, options, events / 2, events);
    look(client, "end");
    CHECK(failed_calls > 0);
    trophy_client_free(client);
    CHECK(deliveries >= events);
    printf("failures %ld\n", failed_calls);
    return RESULT;
}
