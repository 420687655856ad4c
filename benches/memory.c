/*
 * What libtrophy takes of a process's memory by how much it is used: resident memory before, and with so many.
 *
 *   memory clients URL COUNT               each has sent an event
 *   memory connections URL COUNT [CA]      of one client, all in use at once; the service must take its time
 *   memory queued FOLDER COUNT             events in a queue in FOLDER, or in memory for "-"; with no service in reach
 */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <trophy.h>

#include "measure.h"
#include "peer.h"

static sem_t replied;

void fail(const char *what, const char *more)
{
    fprintf(stderr, "%s: %s\n", what, more);
    exit(1);
}

static void check(const char *what, trophy_status status, char *json)
{
    if (status != TROPHY_STATUS_OK)
        fail(what, json);
    trophy_string_free(json);
}

static trophy_client *new_client(const char *options)
{
    trophy_client *client = NULL;
    char *json = NULL;
    check("trophy_client_new", trophy_client_new(API_KEY, options, &client, &json), json);
    return client;
}

static void use_clients(const char *url, unsigned count)
{
    char options[512], *json = NULL;
    snprintf(options, sizeof options, "{\"base_url\":\"%s/v1\"}", url);
    for (unsigned i = 0; i < count; i++) {
        trophy_client *client = new_client(options);
        check("event", trophy_metrics_event(client, "words-written", "{\"id\":\"42\"}", 750, NULL, NULL, NULL, &json), json);
    }
}

static void reply(trophy_status status, const char *json, void *user_data)
{
    (void)user_data;
    if (status != TROPHY_STATUS_OK)
        fail("event", json);
    sem_post(&replied);
}

static void use_connections(const char *url, unsigned count, const char *ca)
{
    char options[1024], user[64], *json = NULL;
    snprintf(options, sizeof options, "{\"base_url\":\"%s/v1\",\"workers\":%u%s%s%s}", url, count,
             ca != NULL ? ",\"ca_file\":\"" : "", ca != NULL ? ca : "", ca != NULL ? "\"" : "");
    trophy_client *client = new_client(options);
    sem_init(&replied, 0, 0);
    for (unsigned i = 0; i < count; i++) {
        snprintf(user, sizeof user, "{\"id\":\"%u\"}", i);
        check("event_async", trophy_metrics_event_async(client, "words-written", user, 750, NULL, NULL, NULL, reply, NULL, &json), json);
    }
    for (unsigned i = 0; i < count; i++)
        sem_wait(&replied);
}

static void use_queue(const char *folder, unsigned count)
{
    char options[1024], user[64], path[600] = "", *json = NULL;
    if (strcmp(folder, "-") != 0)
        snprintf(path, sizeof path, "\"path\":\"%s\",", folder);
    snprintf(options, sizeof options, "{\"base_url\":\"http://127.0.0.1:1\",\"queue\":{%s\"max_events\":4000000,\"max_bytes\":4000000000}}", path);
    trophy_client *client = new_client(options);
    for (unsigned i = 0; i < count; i++) {
        snprintf(user, sizeof user, "{\"id\":\"%u\"}", i);
        check("enqueue", trophy_metrics_event_enqueue(client, "words-written", user, 750, NULL, NULL, NULL, &json), json);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail(argv[0], "usage: clients URL COUNT | connections URL COUNT [CA] | queued FOLDER COUNT");
    char more[64];
    unsigned count = (unsigned)strtoul(argv[3], NULL, 10);
    long before = process_status("VmRSS");
    uint64_t wall = wall_ns(), cpu = cpu_ns();
    if (strcmp(argv[1], "clients") == 0)
        use_clients(argv[2], count);
    else if (strcmp(argv[1], "connections") == 0)
        use_connections(argv[2], count, argc > 4 ? argv[4] : NULL);
    else if (strcmp(argv[1], "queued") == 0)
        use_queue(argv[2], count);
    else
        fail("unknown", argv[1]);
    snprintf(more, sizeof more, ",\"rss_grown_kb\":%ld", process_status("VmRSS") - before);
    report(wall_ns() - wall, cpu_ns() - cpu, more);
    /* Without freeing: what the process ends with is not measured. */
    fflush(stdout);
    _Exit(0);
}
