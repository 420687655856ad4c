/*
 * What libtrophy weighs in a process that has done nothing else: dlopen, a client, an event.
 *
 *   weigh LIBRARY URL      a line of JSON
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <trophy.h>

#include "measure.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: weigh LIBRARY URL\n");
        return 2;
    }
    char options[256], more[512], *json = NULL;
    snprintf(options, sizeof options, "{\"base_url\":\"%s/v1\"}", argv[2]);
    long rss_bare = process_status("VmRSS");
    uint64_t start = wall_ns(), start_cpu = cpu_ns();
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    uint64_t loaded = wall_ns(), loaded_cpu = cpu_ns();
    __typeof__(trophy_client_new) *client_new = dlsym(library, "trophy_client_new");
    __typeof__(trophy_client_free) *client_free = dlsym(library, "trophy_client_free");
    __typeof__(trophy_metrics_event) *metrics_event = dlsym(library, "trophy_metrics_event");
    __typeof__(trophy_string_free) *string_free = dlsym(library, "trophy_string_free");
    long rss_loaded = process_status("VmRSS");

    trophy_client *client = NULL, *second = NULL;
    uint64_t before = wall_ns(), before_cpu = cpu_ns();
    trophy_status status = client_new("bench.0123456789abcdef", options, &client, &json);
    uint64_t made = wall_ns(), made_cpu = cpu_ns();
    if (status != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        return 1;
    }
    string_free(json);
    long threads = process_status("Threads"), rss_client = process_status("VmRSS");
    uint64_t again = wall_ns();
    status = client_new("bench.0123456789abcdef", options, &second, NULL);
    uint64_t again_made = wall_ns();
    client_free(second);
    if (status == TROPHY_STATUS_OK)
        status = metrics_event(client, "words-written", "{\"id\":\"18\"}", 750, NULL, NULL, NULL, &json);
    if (status != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        return 1;
    }
    string_free(json);
    snprintf(more, sizeof more,
             ",\"dlopen_ns\":%llu,\"dlopen_cpu_ns\":%llu,\"new_ns\":%llu,\"new_cpu_ns\":%llu,\"new_again_ns\":%llu,"
             "\"rss_bare_kb\":%ld,\"rss_loaded_kb\":%ld,\"rss_client_kb\":%ld,\"threads_client\":%ld",
             (unsigned long long)(loaded - start), (unsigned long long)(loaded_cpu - start_cpu),
             (unsigned long long)(made - before), (unsigned long long)(made_cpu - before_cpu),
             (unsigned long long)(again_made - again), rss_bare, rss_loaded, rss_client, threads);
    report(made - start, made_cpu - start_cpu, more);
    client_free(client);
    return 0;
}
