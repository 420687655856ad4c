/* A game that sends events while it plays: callbacks run inside its own loop, and no frame waits. */
#include <stdio.h>
#include <time.h>
#include <trophy.h>

enum { FRAMES = 120, EVERY = 12, EVENTS = FRAMES / EVERY };
static const double FRAME_MS = 16;

struct hud {
    int replies;
    int failures;
    double total;
};

/* Runs inside trophy_client_dispatch(), so on this thread: no lock is needed. */
static void show(trophy_status status, const char *json, void *user_data) {
    struct hud *hud = user_data;
    hud->replies++;
    if (status != TROPHY_STATUS_OK) {
        hud->failures++;
        return;
    }
    hud->total = trophy_json_number(json, "/total", hud->total);
    char *name = trophy_json_string(json, "/achievements/0/name");
    if (name != NULL) {
        printf("   * %s *\n", name);
    }
    trophy_string_free(name);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

static void sleep_ms(double ms) {
    if (ms > 0) {
        struct timespec pause = {0, (long)(ms * 1e6)};
        nanosleep(&pause, NULL);
    }
}

int main(void) {
    trophy_client *client = NULL;
    char *json = NULL;
    if (trophy_client_new(NULL, "{\"callbacks\": \"dispatch\"}", &client, &json) != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        trophy_string_free(json);
        return 1;
    }
    trophy_string_free(json);

    struct hud hud = {0, 0, 0};
    double longest = 0;
    for (int frame = 0; frame < FRAMES; frame++) {
        double start = now_ms();
        if (frame % EVERY == 0) {
            trophy_metrics_event_async(client, "words-written", "{\"id\": \"player-1\"}", 75, NULL, NULL, NULL,
                                       show, &hud, NULL);
        }
        trophy_client_dispatch(client, 0); /* What is ready; never waits. */
        double spent = now_ms() - start;
        longest = spent > longest ? spent : longest;
        sleep_ms(FRAME_MS - spent);
    }

    /* On the way out: let the last replies come, then run their callbacks, here. */
    trophy_client_close(client, 5000, NULL);
    trophy_client_free(client);
    printf("%d frames of %.0f ms, %d events, %d replies, total %.0f\n", FRAMES, FRAME_MS, EVENTS, hud.replies,
           hud.total);
    printf("the longest time that a frame spent on Trophy: %.2f ms\n", longest);
    return hud.replies == EVENTS && hud.failures == 0 ? 0 : 1;
}
