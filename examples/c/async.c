/* Fires a hundred calls without waiting; each has its callback, on a thread of the library. */
#include <pthread.h>
#include <stdio.h>
#include <trophy.h>

enum { CALLS = 100 };

/* What a callback is given: it may be freed there, since it runs exactly once. */
struct tally {
    pthread_mutex_t mutex;
    int ok;
    int failed;
    double words;
};

static void count(trophy_status status, const char *json, void *user_data) {
    struct tally *tally = user_data;
    pthread_mutex_lock(&tally->mutex);
    if (status == TROPHY_STATUS_OK) {
        tally->ok++;
        tally->words += trophy_json_number(json, "/total", 0);
    } else {
        printf("%s: %s\n", trophy_status_name(status), json);
        tally->failed++;
    }
    pthread_mutex_unlock(&tally->mutex);
}

int main(void) {
    trophy_client *client = NULL;
    char *json = NULL;
    if (trophy_client_new(NULL, NULL, &client, &json) != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        trophy_string_free(json);
        return 1;
    }
    trophy_string_free(json);

    struct tally tally = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    int accepted = 0;
    for (int i = 0; i < CALLS; i++) {
        char user_json[64];
        snprintf(user_json, sizeof user_json, "{\"id\": \"async-%d\"}", i);
        trophy_status status = trophy_metrics_event_async(client, "words-written", user_json, 10, NULL, NULL, NULL,
                                                          count, &tally, NULL);
        accepted += status == TROPHY_STATUS_OK;
    }
    printf("%d calls taken in, without a wait\n", accepted);

    /* Waits for those under way. After it no callback runs, so `tally` may go out of scope. */
    trophy_client_close(client, 30000, NULL);
    trophy_client_free(client);
    printf("%d callbacks with OK, %d with an error, %.0f words\n", tally.ok, tally.failed, tally.words);
    return accepted == CALLS && tally.ok == CALLS ? 0 : 1;
}
