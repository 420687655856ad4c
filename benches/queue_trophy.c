/*
 * The queue of libtrophy, in a folder or (with "-") in memory.
 *
 *   queue_trophy enqueue FOLDER DURABILITY COUNT   puts events into it, with no service in reach
 *   queue_trophy recover FOLDER URL                opens it; a line on stdin asks for numbers and ends it
 *   queue_trophy drain FOLDER URL                  opens it, and delivers all
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <trophy.h>

#include "measure.h"
#include "samples.h"

static void fail(const char *what, const char *json)
{
    fprintf(stderr, "%s: %s\n", what, json);
    exit(1);
}

static trophy_client *open_queue(const char *folder, const char *durability, const char *base_url)
{
    char options[1024], path[512] = "", *json = NULL;
    trophy_client *client = NULL;
    if (strcmp(folder, "-") != 0)
        snprintf(path, sizeof path, "\"path\":\"%s\",", folder);
    snprintf(options, sizeof options,
             "{\"base_url\":\"%s/v1\",\"admin_base_url\":\"%s/admin/v1\",\"queue\":{%s\"durability\":\"%s\","
             "\"max_events\":4000000,\"max_bytes\":4000000000}}",
             base_url, base_url, path, durability);
    if (trophy_client_new("bench.0123456789abcdef0123456789abcdef", options, &client, &json) != TROPHY_STATUS_OK)
        fail("trophy_client_new", json);
    trophy_string_free(json);
    return client;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "enqueue") == 0) {
        size_t count = strtoul(argv[4], NULL, 10);
        uint32_t *samples = calloc(count, sizeof *samples);
        if (samples == NULL)
            return 1;
        memset(samples, 1, count * sizeof *samples);
        /* Nothing listens there. */
        trophy_client *client = open_queue(argv[2], argv[3], "http://127.0.0.1:1");
        long rss_before = process_status("VmRSS");
        uint64_t wall = wall_ns(), cpu = cpu_ns(), before = wall;
        for (size_t i = 0; i < count; i++) {
            char user[128], *json = NULL;
            snprintf(user, sizeof user, "{\"id\":\"%zu\",\"email\":\"user%zu@example.com\",\"tz\":\"Europe/London\"}",
                     1000000 + i, i);
            if (trophy_metrics_event_enqueue(client, "words-written", user, 750,
                                             "{\"genre\":\"poem\",\"device\":\"desktop\"}", NULL, NULL, &json)
                != TROPHY_STATUS_OK)
                fail("enqueue", json);
            trophy_string_free(json);
            uint64_t after = wall_ns();
            samples[i] = (uint32_t)(after - before);
            before = after;
        }
        wall = wall_ns() - wall;
        cpu = cpu_ns() - cpu;
        char more[512], *json = NULL;
        samples_summary(samples, count, more, sizeof more);
        trophy_client_stats(client, &json);
        snprintf(more + strlen(more), sizeof more - strlen(more), ",\"rss_before_kb\":%ld,\"disk_bytes\":%.0f,\"queued\":%.0f",
                 rss_before, trophy_json_number(json, "/bytesOnDisk", -1), trophy_json_number(json, "/queued", -1));
        trophy_string_free(json);
        report(wall, cpu, more);
        trophy_client_free(client);
        return 0;
    }
    if (argc == 4 && (strcmp(argv[1], "recover") == 0 || strcmp(argv[1], "drain") == 0)) {
        char more[128];
        uint64_t start = wall_ns(), cpu = cpu_ns();
        trophy_client *client = open_queue(argv[2], "process", argv[3]);
        uint64_t opened = wall_ns();
        if (strcmp(argv[1], "recover") == 0) {
            snprintf(more, sizeof more, ",\"start_ns\":%llu", (unsigned long long)start);
            report(opened - start, cpu_ns() - cpu, more);
            getchar();
            report(opened - start, cpu_ns() - cpu, more);
        } else {
            char *json = NULL;
            if (trophy_client_flush(client, -1, &json) != TROPHY_STATUS_OK)
                fail("flush", json);
            trophy_string_free(json);
            snprintf(more, sizeof more, ",\"start_ns\":%llu", (unsigned long long)start);
            report(wall_ns() - start, cpu_ns() - cpu, more);
        }
        trophy_client_free(client);
        return 0;
    }
    fprintf(stderr, "usage: queue_trophy enqueue FOLDER DURABILITY COUNT | recover FOLDER URL | drain FOLDER URL\n");
    return 2;
}
