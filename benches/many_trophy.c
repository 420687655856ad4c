/* Throughput of asynchronous calls: URL WIDTH; then "COUNT" on stdin sends that many, WIDTH in flight. */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <trophy.h>

#include "measure.h"
#include "peer.h"

static trophy_client *client;
static atomic_uint number, left, under_way;
static sem_t done;

void fail(const char *what, const char *more)
{
    fprintf(stderr, "%s: %s\n", what, more);
    exit(1);
}

static void send_one(void);

static void replied(trophy_status status, const char *json, void *user_data)
{
    (void)user_data;
    if (status != TROPHY_STATUS_OK)
        fail("trophy", json);
    send_one();
}

/* The next event, if one is left; the last reply ends the round. */
static void send_one(void)
{
    unsigned before = atomic_load(&left);
    while (before > 0 && !atomic_compare_exchange_weak(&left, &before, before - 1))
        ;
    if (before == 0) {
        if (atomic_fetch_sub(&under_way, 1) == 1)
            sem_post(&done);
        return;
    }
    char user[64], *json = NULL;
    snprintf(user, sizeof user, "{\"id\":\"%u\"}", 1000000 + atomic_fetch_add(&number, 1));
    if (trophy_metrics_event_async(client, "words-written", user, 750, "{\"genre\":\"poem\"}", NULL, NULL, replied,
                                   NULL, &json)
        != TROPHY_STATUS_OK)
        fail("trophy", json);
    trophy_string_free(json);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail(argv[0], "usage: URL WIDTH < rounds");
    unsigned width = (unsigned)atoi(argv[2]);
    char options[512], line[64], *json = NULL;
    snprintf(options, sizeof options, "{\"base_url\":\"%s/v1\",\"workers\":%u}", argv[1], width);
    if (trophy_client_new(API_KEY, options, &client, &json) != TROPHY_STATUS_OK)
        fail("trophy", json);
    trophy_string_free(json);
    sem_init(&done, 0, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        uint64_t wall = wall_ns(), cpu = cpu_ns();
        atomic_store(&left, (unsigned)atoi(line));
        atomic_store(&under_way, width);
        for (unsigned i = 0; i < width; i++)
            send_one();
        sem_wait(&done);
        report(wall_ns() - wall, cpu_ns() - cpu, "");
    }
    trophy_client_free(client);
    return 0;
}
