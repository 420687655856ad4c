/* killed FOLDER FIRST: enqueues events of the users FIRST, FIRST + 1, … and writes each number once its event
 * is safe, until it is killed. */
#include "check.h"

int main(int argc, char **argv) {
    char options[1024];
    if (argc != 3) {
        return 2;
    }
    snprintf(options, sizeof options,
             "{\"attempt_timeout_in_seconds\": 1, \"queue\": {\"path\": \"%s\", \"requests_per_second\": 500}}", argv[1]);
    trophy_client *client = make_client(options);
    for (long number = atol(argv[2]);; number++) {
        char user[64];
        snprintf(user, sizeof user, "{\"id\":\"%ld\"}", number);
        char *json = NULL;
        if (trophy_metrics_event_enqueue(client, "words-written", user, 1, NULL, NULL, NULL, &json)
            != TROPHY_STATUS_OK) {
            printf("not kept: %s\n", json);
            return 1;
        }
        trophy_string_free(json);
        if (printf("%ld\n", number) < 0 || fflush(stdout) != 0) {
            return 1;
        }
    }
}
