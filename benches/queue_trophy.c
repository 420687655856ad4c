/*
 * The queue of libtrophy, in a folder.
 *
 *   queue_trophy enqueue FOLDER DURABILITY COUNT THREADS  puts events into it, with no service in reach
 *   queue_trophy recover FOLDER URL                       opens it; a line on stdin asks for numbers and ends it
 *   queue_trophy first-second FOLDER URL                  opens it, and enqueues for a second
 *   queue_trophy drain FOLDER URL DELIVERY RATE           opens it, and delivers all: at most RATE requests a second
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <trophy.h>
#include <unistd.h>

#include "measure.h"
#include "samples.h"

enum { MOST_THREADS = 64, MOST_POINTS = 2000 };

static trophy_client *client;
static size_t each;
static uint32_t *samples;

static void fail(const char *what, const char *json)
{
    fprintf(stderr, "%s: %s\n", what, json);
    exit(1);
}

static void open_queue(const char *folder, const char *base_url, const char *more)
{
    char options[1024], *json = NULL;
    snprintf(options, sizeof options,
             "{\"base_url\":\"%s/v1\",\"admin_base_url\":\"%s/admin/v1\",\"queue\":{\"path\":\"%s\","
             "\"max_events\":4000000,\"max_bytes\":4000000000%s}}",
             base_url, base_url, folder, more);
    if (trophy_client_new("bench.0123456789abcdef0123456789abcdef", options, &client, &json) != TROPHY_STATUS_OK)
        fail("trophy_client_new", json);
    trophy_string_free(json);
}

static double stat_of(const char *json, const char *name)
{
    return trophy_json_number(json, name, -1);
}

static void enqueue_one(size_t number)
{
    char user[128], *json = NULL;
    snprintf(user, sizeof user, "{\"id\":\"%zu\",\"email\":\"user%zu@example.com\",\"tz\":\"Europe/London\"}",
             1000000 + number, number);
    if (trophy_metrics_event_enqueue(client, "words-written", user, 750, "{\"genre\":\"poem\",\"device\":\"desktop\"}", NULL,
                                     NULL, &json)
        != TROPHY_STATUS_OK)
        fail("enqueue", json);
    trophy_string_free(json);
}

static void *put(void *thread)
{
    size_t first = (size_t)(uintptr_t)thread * each;
    uint64_t before = wall_ns();
    for (size_t i = first > 0 ? first : 1; i < first + each; i++) {
        enqueue_one(i);
        uint64_t after = wall_ns();
        samples[i] = (uint32_t)(after - before);
        before = after;
    }
    return NULL;
}

static int enqueue(const char *folder, const char *durability, size_t count, size_t threads)
{
    char options[64], *json = NULL;
    static char more[2048];
    if (threads < 1 || threads > MOST_THREADS)
        fail("enqueue", "too many threads");
    each = count / threads;
    samples = samples_new(each * threads);
    snprintf(options, sizeof options, ",\"durability\":\"%s\"", durability);
    /* Nothing listens there. */
    open_queue(folder, "http://127.0.0.1:1", options);
    long rss_before = process_status("VmRSS");
    /* It makes the first segment; SQLite's table is made before the clock runs, too. */
    enqueue_one(0);
    pthread_t handles[MOST_THREADS];
    uint64_t wall = wall_ns(), cpu = cpu_ns();
    for (size_t i = 1; i < threads; i++)
        if (pthread_create(&handles[i], NULL, put, (void *)(uintptr_t)i) != 0)
            fail("enqueue", "no thread");
    put(NULL);
    for (size_t i = 1; i < threads; i++)
        pthread_join(handles[i], NULL);
    wall = wall_ns() - wall;
    cpu = cpu_ns() - cpu;
    long rss_after = process_status("VmRSS");
    samples_summary(samples + 1, each * threads - 1, more, sizeof more);
    trophy_client_stats(client, &json);
    snprintf(more + strlen(more), sizeof more - strlen(more), ",\"rss_grown_kb\":%ld,\"disk_bytes\":%.0f,\"queued\":%.0f",
             rss_after - rss_before, stat_of(json, "/bytesOnDisk"),
             stat_of(json, "/queued") + stat_of(json, "/inFlight"));
    trophy_string_free(json);
    report(wall, cpu, more);
    return 0;
}

static int recover(const char *folder, const char *base_url)
{
    char more[128];
    uint64_t start = wall_ns(), cpu = cpu_ns();
    open_queue(folder, base_url, "");
    uint64_t opened = wall_ns();
    snprintf(more, sizeof more, ",\"start_ns\":%llu", (unsigned long long)start);
    report(opened - start, cpu_ns() - cpu, more);
    getchar();
    report(opened - start, cpu_ns() - cpu, more);
    return 0;
}

/* An event a millisecond, beside what the opened queue does by itself. */
static int first_second(const char *folder, const char *base_url)
{
    static char more[2048];
    size_t count = 0, room = 4000;
    char *json = NULL;
    samples = samples_new(room);
    uint64_t start = wall_ns(), cpu = cpu_ns();
    open_queue(folder, base_url, "");
    uint64_t opened = wall_ns();
    while (wall_ns() - start < 1000000000u && count < room) {
        uint64_t before = wall_ns();
        enqueue_one(count);
        samples[count++] = (uint32_t)(wall_ns() - before);
        usleep(1000);
    }
    uint64_t end = wall_ns(), end_cpu = cpu_ns();
    samples_summary(samples, count, more, sizeof more);
    trophy_client_stats(client, &json);
    snprintf(more + strlen(more), sizeof more - strlen(more), ",\"new_ns\":%llu,\"delivered\":%.0f,\"rchar\":%lld",
             (unsigned long long)(opened - start), stat_of(json, "/delivered"), process_io("rchar"));
    trophy_string_free(json);
    report(end - start, end_cpu - cpu, more);
    return 0;
}

/* With how much was left at which time, for a plot. */
static int drain(const char *folder, const char *base_url, const char *delivery, const char *rate)
{
    static char more[MOST_POINTS * 32 + 256];
    char options[128];
    double left = 1;
    snprintf(options, sizeof options, ",\"delivery\":\"%s\",\"requests_per_second\":%s", delivery, rate);
    uint64_t start = wall_ns(), cpu = cpu_ns();
    open_queue(folder, base_url, options);
    int used = snprintf(more, sizeof more, ",\"start_ns\":%llu,\"left\":[", (unsigned long long)start);
    useconds_t pause = 20000;
    for (unsigned points = 0; left > 0; points++) {
        char *json = NULL;
        if (trophy_client_stats(client, &json) != TROPHY_STATUS_OK)
            fail("stats", json);
        left = stat_of(json, "/queued") + stat_of(json, "/inFlight");
        trophy_string_free(json);
        if (points < MOST_POINTS)
            used += snprintf(more + used, sizeof more - (size_t)used, "%s[%.3f,%.0f]", points > 0 ? "," : "",
                             (double)(wall_ns() - start) / 1e9, left);
        /* Ever more rarely, so that a slow drain has few points, too. */
        if (points % 200 == 199)
            pause *= 2;
        if (left > 0)
            usleep(pause);
    }
    snprintf(more + used, sizeof more - (size_t)used, "]");
    report(wall_ns() - start, cpu_ns() - cpu, more);
    return 0;
}

int main(int argc, char **argv)
{
    int code = 2;
    if (argc == 6 && strcmp(argv[1], "enqueue") == 0)
        code = enqueue(argv[2], argv[3], strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
    else if (argc == 4 && strcmp(argv[1], "recover") == 0)
        code = recover(argv[2], argv[3]);
    else if (argc == 4 && strcmp(argv[1], "first-second") == 0)
        code = first_second(argv[2], argv[3]);
    else if (argc == 6 && strcmp(argv[1], "drain") == 0)
        code = drain(argv[2], argv[3], argv[4], argv[5]);
    else
        fprintf(stderr, "usage: queue_trophy enqueue FOLDER DURABILITY COUNT THREADS | recover FOLDER URL | "
                        "first-second FOLDER URL | drain FOLDER URL DELIVERY RATE\n");
    trophy_client_free(client);
    return code;
}
