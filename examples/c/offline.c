/* Events survive: `offline FOLDER write N` keeps N events, sent or not, until it is killed;
   `offline FOLDER deliver` sends what the folder holds and tells how each ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <trophy.h>
#include <unistd.h>

static void tell(trophy_status status, const char *json, void *user_data) {
    char *key = trophy_json_string(json, "/idempotencyKey");
    int *delivered = user_data;
    /* With single delivery a reply is the whole reply; a batch has none for each event. */
    printf("  %-12s %s\n", key != NULL ? key : "?", trophy_status_name(status));
    *delivered += status == TROPHY_STATUS_OK;
    trophy_string_free(key);
}

static int write_events(trophy_client *client, int count) {
    for (int i = 1; i <= count; i++) {
        char row[32];
        snprintf(row, sizeof row, "offline-%d", i);
        char *json = NULL;
        if (trophy_metrics_event_enqueue(client, "words-written", "{\"id\": \"traveller\"}", 10, NULL, row, NULL,
                                         &json) != TROPHY_STATUS_OK) {
            fprintf(stderr, "%s\n", json);
            trophy_string_free(json);
            return 1;
        }
        trophy_string_free(json); /* From here on the event is safe. */
    }
    printf("%d events kept\n", count);
    fflush(stdout);
    for (;;) {
        pause(); /* Until it is killed. */
    }
}

static int deliver(trophy_client *client) {
    int delivered = 0;
    trophy_client_on_delivery(client, tell, &delivered);
    trophy_status status = trophy_client_close(client, 60000, NULL);
    printf("%d events delivered\n", delivered);
    return status == TROPHY_STATUS_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    int writes = argc == 4 && strcmp(argv[2], "write") == 0;
    if (!writes && !(argc == 3 && strcmp(argv[2], "deliver") == 0)) {
        fprintf(stderr, "usage: %s FOLDER write N | %s FOLDER deliver\n", argv[0], argv[0]);
        return 2;
    }
    char *path = trophy_json_quote(argv[1]);
    char options_json[4096];
    snprintf(options_json, sizeof options_json, "{\"queue\": {\"path\": %s}}", path);
    trophy_string_free(path);

    trophy_client *client = NULL;
    char *json = NULL;
    if (trophy_client_new(NULL, options_json, &client, &json) != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        trophy_string_free(json);
        return 1;
    }
    trophy_string_free(json);
    int result = writes ? write_events(client, atoi(argv[3])) : deliver(client);
    trophy_client_free(client);
    return result;
}
