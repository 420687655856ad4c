/* shared_queue FOLDER NAME: one of several processes on one folder. It enqueues events of the users NAME-0 to NAME-3,
 * which may be coalesced, and writes the user's number once an event is safe, until it is killed. With a third
 * argument it enqueues one event only, then waits to be killed. */
#include "check.h"
#include <time.h>

static void pause_ms(long ms) {
    struct timespec time = {0, ms * 1000000};
    nanosleep(&time, NULL);
}

int main(int argc, char **argv) {
    char options[1024];
    if (argc < 3) {
        return 2;
    }
    /* A segment is an eighth of max_bytes. */
    snprintf(options, sizeof options,
             "{\"attempt_timeout_in_seconds\": 1, \"queue\": {\"path\": \"%s\", \"coalesce\": true, "
             "\"max_bytes\": 65536, \"requests_per_second\": 500}}",
             argv[1]);
    trophy_client *client = make_client(options);
    for (long number = 0;; number++) {
        char user[64];
        snprintf(user, sizeof user, "{\"id\":\"%s-%ld\"}", argv[2], number % 4);
        char *json = NULL;
        trophy_status status = trophy_metrics_event_enqueue(client, "words-written", user, 1, NULL, NULL, NULL, &json);
        if (status == TROPHY_STATUS_QUEUE_FULL) {
            trophy_string_free(json);
            number--;
            pause_ms(2);
            continue;
        }
        if (status != TROPHY_STATUS_OK) {
            printf("not kept: %s\n", json);
            return 1;
        }
        trophy_string_free(json);
        if (printf("%ld\n", number % 4) < 0 || fflush(stdout) != 0) {
            return 1;
        }
        while (argc > 3) {
            pause_ms(1000);
        }
    }
}
