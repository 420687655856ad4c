/* The same with libcurl's multi handle, as many_trophy.c. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "curl_event.h"
#include "measure.h"
#include "peer.h"

void fail(const char *what, const char *more)
{
    fprintf(stderr, "%s: %s\n", what, more);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail(argv[0], "usage: URL WIDTH < rounds");
    unsigned width = (unsigned)atoi(argv[2]), number = 0;
    char line[64];
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)width);
    CURL **handles = calloc(width, sizeof *handles);
    struct curl_event *events = calloc(width, sizeof *events);
    for (unsigned i = 0; i < width; i++) {
        handles[i] = curl_easy_init();
        curl_event_setup(handles[i], &events[i], argv[1], NULL);
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned left = (unsigned)atoi(line), under_way = 0;
        uint64_t wall = wall_ns(), cpu = cpu_ns();
        for (; under_way < width && left > 0; under_way++, left--) {
            curl_event_prepare(handles[under_way], &events[under_way], number++);
            curl_multi_add_handle(multi, handles[under_way]);
        }
        while (under_way > 0) {
            int running, queued;
            CURLMsg *message;
            curl_multi_perform(multi, &running);
            while ((message = curl_multi_info_read(multi, &queued)) != NULL) {
                struct curl_event *event;
                CURL *handle = message->easy_handle;
                if (message->data.result != CURLE_OK)
                    fail("curl", curl_easy_strerror(message->data.result));
                curl_easy_getinfo(handle, CURLINFO_PRIVATE, &event);
                curl_multi_remove_handle(multi, handle);
                curl_event_finish(handle, event);
                if (left == 0) {
                    under_way--;
                    continue;
                }
                left--;
                curl_event_prepare(handle, event, number++);
                curl_multi_add_handle(multi, handle);
            }
            if (under_way > 0)
                curl_multi_poll(multi, NULL, 0, 1000, NULL);
        }
        report(wall_ns() - wall, cpu_ns() - cpu, "");
    }
    return 0;
}
