/* What the programs share that put a queue on a disk in trouble. Each event that is acknowledged is printed: who starts
 * the program compares them with what a real service counted. */
#ifndef ON_DISK_H
#define ON_DISK_H

#include "check.h"
#include <time.h>

static const char *folder;
static char options[1024];
static int acknowledged, refused;
/* The number of the next event, and of its user. */
static int number;

static inline void path_of(char *path, size_t size, const char *name) {
    snprintf(path, size, "%s/%s", folder, name);
}

/* A queue on the disk. `more`: further options of the queue, each with a comma before it. */
static inline void put_queue_on(const char *disk, const char *more) {
    folder = disk;
    snprintf(options, sizeof options,
             "{\"queue\": {\"path\": \"%s/queue\", \"requests_per_second\": 1000, \"delivery\": \"single\"%s}}", folder,
             more);
}

/* A client whose events stay where they are. */
static inline trophy_client *make_client_offline(void) {
    char offline[1100];
    snprintf(offline, sizeof offline, "{\"base_url\": \"http://127.0.0.1:9/v1\", %s", options + 1);
    return make_client(offline);
}

/* A host that tries an event again until it is kept counts it once, too: but here each is tried once. */
static inline void enqueue(const trophy_client *client, int many) {
    for (int i = 0; i < many; i++, number++) {
        char user[64], key[32], *json = NULL;
        snprintf(user, sizeof user, "{\"id\":\"%d\"}", number);
        snprintf(key, sizeof key, "disk-%d", number);
        trophy_status status = trophy_metrics_event_enqueue(client, "words-written", user, 1, NULL, key, NULL, &json);
        if (status == TROPHY_STATUS_OK) {
            acknowledged++;
            printf("acknowledged %d\n", number);
        } else {
            CHECK_STATUS(status, TROPHY_STATUS_STORAGE);
            CHECK_HOLDS(json, folder);
            refused++;
        }
        trophy_string_free(json);
    }
}

/* All of so many are refused, in these words of the system. */
static inline void enqueue_in_vain(const trophy_client *client, int many, const char *words) {
    for (int i = 0; i < many; i++, number++) {
        char user[64], *json = NULL;
        snprintf(user, sizeof user, "{\"id\":\"%d\"}", number);
        CHECK_STATUS(trophy_metrics_event_enqueue(client, "words-written", user, 1, NULL, NULL, NULL, &json),
                     TROPHY_STATUS_STORAGE);
        CHECK_HOLDS(json, folder);
        CHECK_HOLDS(json, words);
        trophy_string_free(json);
        refused++;
    }
}

/* No client can be made, and these words of the system say why. */
static inline void make_no_client(const char *words) {
    trophy_client *client = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_new(NULL, options, &client, &json), TROPHY_STATUS_STORAGE);
    CHECK_HOLDS(json, words);
    CHECK(client == NULL);
    trophy_string_free(json);
}

static inline double stat_of(const trophy_client *client, const char *name) {
    char *json = NULL;
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    double said = trophy_json_number(json, name, -1);
    trophy_string_free(json);
    return said;
}

/* Events that are not delivered. */
static inline double waiting_in(const trophy_client *client) {
    char *json = NULL;
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    double waiting = trophy_json_number(json, "/queued", -1) + trophy_json_number(json, "/inFlight", -1);
    trophy_string_free(json);
    return waiting;
}

static inline void wait_for(const trophy_client *client, const char *name, double least) {
    while (stat_of(client, name) < least) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static inline void deliver_all(void) {
    trophy_client *client = make_client(options);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
}

#endif
