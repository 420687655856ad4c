/*
 * What a C programmer would keep events in: SQLite in WAL mode, an insert an event.
 *
 *   queue_sqlite FILE DURABILITY COUNT
 *
 * "process": synchronous=OFF, which a crash of the process survives and a power cut perhaps not; "power":
 * synchronous=FULL, which syncs the log with each commit.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "samples.h"

static sqlite3 *database;

static void run(const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(database));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: queue_sqlite FILE DURABILITY COUNT\n");
        return 2;
    }
    size_t count = strtoul(argv[3], NULL, 10);
    uint32_t *samples = calloc(count, sizeof *samples);
    sqlite3_stmt *insert = NULL;
    if (samples == NULL || sqlite3_open(argv[1], &database) != SQLITE_OK)
        return 1;
    memset(samples, 1, count * sizeof *samples);
    run("PRAGMA journal_mode=WAL");
    run(strcmp(argv[2], "power") == 0 ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
    run("CREATE TABLE events (id INTEGER PRIMARY KEY, event TEXT NOT NULL)");
    sqlite3_prepare_v2(database, "INSERT INTO events (event) VALUES (?)", -1, &insert, NULL);

    long rss_before = process_status("VmRSS");
    uint64_t wall = wall_ns(), cpu = cpu_ns(), before = wall;
    for (size_t i = 0; i < count; i++) {
        char event[512];
        int length = snprintf(event, sizeof event,
                              "{\"key\":\"words-written\",\"idempotencyKey\":\"%08x-%04x-4%03x-8%03x-%08x%04x\","
                              "\"user\":{\"id\":\"%zu\",\"email\":\"user%zu@example.com\",\"tz\":\"Europe/London\"},"
                              "\"value\":%g,\"attributes\":{\"genre\":\"poem\",\"device\":\"desktop\"}}",
                              (unsigned)rand(), rand() & 0xffff, rand() & 0xfff, rand() & 0xfff, (unsigned)rand(),
                              rand() & 0xffff, 1000000 + i, i, 750.0);
        sqlite3_bind_text(insert, 1, event, length, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            fprintf(stderr, "insert: %s\n", sqlite3_errmsg(database));
            return 1;
        }
        sqlite3_reset(insert);
        uint64_t after = wall_ns();
        samples[i] = (uint32_t)(after - before);
        before = after;
    }
    wall = wall_ns() - wall;
    cpu = cpu_ns() - cpu;
    char more[256];
    samples_summary(samples, count, more, sizeof more);
    snprintf(more + strlen(more), sizeof more - strlen(more), ",\"rss_before_kb\":%ld", rss_before);
    report(wall, cpu, more);
    sqlite3_finalize(insert);
    sqlite3_close(database);
    return 0;
}
