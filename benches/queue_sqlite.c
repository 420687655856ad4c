/*
 * What a C programmer would keep events in: SQLite in WAL mode, an insert an event.
 *
 *   queue_sqlite FILE DURABILITY COUNT THREADS
 *
 * "process": synchronous=OFF, which a crash of the process survives and a power cut perhaps not; "power":
 * synchronous=FULL, which syncs the log with each commit. Threads share a connection and its statement under a mutex:
 * connections of their own would wait for each other by sleeping, and be worse.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "samples.h"

enum { MOST_THREADS = 64 };

static sqlite3 *database;
static sqlite3_stmt *insert;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t each;
static uint32_t *samples;

static void run(const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(database));
        exit(1);
    }
}

static void *put(void *thread)
{
    size_t first = (size_t)(uintptr_t)thread * each;
    unsigned seed = (unsigned)first;
    uint64_t before = wall_ns();
    for (size_t i = first; i < first + each; i++) {
        char event[512];
        unsigned a = (unsigned)rand_r(&seed), b = (unsigned)rand_r(&seed), c = (unsigned)rand_r(&seed);
        int length = snprintf(event, sizeof event,
                              "{\"key\":\"words-written\",\"idempotencyKey\":\"%08x-%04x-4%03x-8%03x-%08x%04x\","
                              "\"user\":{\"id\":\"%zu\",\"email\":\"user%zu@example.com\",\"tz\":\"Europe/London\"},"
                              "\"value\":%g,\"attributes\":{\"genre\":\"poem\",\"device\":\"desktop\"}}",
                              a, b & 0xffff, c & 0xfff, b >> 16 & 0xfff, c, a & 0xffff, 1000000 + i, i, 750.0);
        pthread_mutex_lock(&lock);
        sqlite3_bind_text(insert, 1, event, length, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            fprintf(stderr, "insert: %s\n", sqlite3_errmsg(database));
            exit(1);
        }
        sqlite3_reset(insert);
        pthread_mutex_unlock(&lock);
        uint64_t after = wall_ns();
        samples[i] = (uint32_t)(after - before);
        before = after;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    size_t threads = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    if (threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: queue_sqlite FILE DURABILITY COUNT THREADS\n");
        return 2;
    }
    each = strtoul(argv[3], NULL, 10) / threads;
    samples = samples_new(each * threads);
    if (sqlite3_open(argv[1], &database) != SQLITE_OK)
        return 1;
    run("PRAGMA journal_mode=WAL");
    run(strcmp(argv[2], "power") == 0 ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
    run("CREATE TABLE events (id INTEGER PRIMARY KEY, event TEXT NOT NULL)");
    sqlite3_prepare_v2(database, "INSERT INTO events (event) VALUES (?)", -1, &insert, NULL);

    pthread_t handles[MOST_THREADS];
    uint64_t wall = wall_ns(), cpu = cpu_ns();
    for (size_t i = 1; i < threads; i++)
        if (pthread_create(&handles[i], NULL, put, (void *)(uintptr_t)i) != 0)
            return 1;
    put(NULL);
    for (size_t i = 1; i < threads; i++)
        pthread_join(handles[i], NULL);
    wall = wall_ns() - wall;
    cpu = cpu_ns() - cpu;
    char more[1024];
    samples_summary(samples, each * threads, more, sizeof more);
    report(wall, cpu, more);
    sqlite3_finalize(insert);
    sqlite3_close(database);
    return 0;
}
