/* libuv: replies come to a uv_loop_t, beside its timers and sockets. */
#include <stdio.h>
#include <trophy.h>
#include <uv.h>

enum { EVENTS = 20 };

struct program {
    trophy_client *client;
    uv_async_t wake_up;
    int sent;
    int replies;
    int failures;
    int wake_ups;
};

/* From any thread, as uv_async_send() may be called. */
static void wake(void *user_data) {
    struct program *program = user_data;
    uv_async_send(&program->wake_up);
}

/* Runs inside trophy_client_dispatch(), so on the loop's thread: no lock is needed. */
static void on_reply(trophy_status status, const char *json, void *user_data) {
    struct program *program = user_data;
    program->replies++;
    if (status != TROPHY_STATUS_OK) {
        program->failures++;
        fprintf(stderr, "%s\n", json);
    }
}

static void on_wake_up(uv_async_t *wake_up) {
    struct program *program = wake_up->data;
    program->wake_ups++;
    trophy_client_dispatch(program->client, 0);
    if (program->replies == program->sent) {
        trophy_client_free(program->client); /* After this nobody sends to the handle, and it may be closed. */
        program->client = NULL;
        uv_close((uv_handle_t *)wake_up, NULL); /* The last handle: the loop ends. */
    }
}

int main(void) {
    uv_loop_t *loop = uv_default_loop();
    struct program program = {.wake_up.data = &program};
    char *json = NULL;
    if (trophy_client_new(NULL, "{\"callbacks\": \"dispatch\"}", &program.client, &json) != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        trophy_string_free(json);
        return 1;
    }
    trophy_string_free(json);
    uv_async_init(loop, &program.wake_up, on_wake_up);
    trophy_client_on_ready(program.client, wake, &program);

    for (int i = 0; i < EVENTS; i++) {
        char user_json[64];
        snprintf(user_json, sizeof user_json, "{\"id\": \"uv-%d\"}", i);
        program.sent += trophy_metrics_event_async(program.client, "words-written", user_json, 10, NULL, NULL, NULL,
                                                   on_reply, &program, NULL) == TROPHY_STATUS_OK;
    }
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    printf("%d replies, woken %d times\n", program.replies, program.wake_ups);
    return program.sent == EVENTS && program.failures == 0 ? 0 : 1;
}
