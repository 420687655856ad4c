/* poll() and a pipe: a program that sleeps until there is something to dispatch, or something else to do. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <trophy.h>
#include <unistd.h>

enum { EVENTS = 20 };

struct program {
    int wake_up[2]; /* The pipe: poll() sleeps on the first end, wake() writes to the second. */
    int replies;
    int failures;
};

/* From any thread. Neither end blocks: where a full pipe takes no byte, the loop is as good as woken. */
static void wake(void *user_data) {
    struct program *program = user_data;
    if (write(program->wake_up[1], "", 1) < 0) {
        return;
    }
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

static int make_pipe(int ends[2]) {
    return pipe(ends) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0;
}

int main(void) {
    struct program program = {{-1, -1}, 0, 0};
    trophy_client *client = NULL;
    char *json = NULL;
    if (!make_pipe(program.wake_up)) {
        perror("pipe");
        return 1;
    }
    if (trophy_client_new(NULL, "{\"callbacks\": \"dispatch\"}", &client, &json) != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        trophy_string_free(json);
        return 1;
    }
    trophy_string_free(json);
    trophy_client_on_ready(client, wake, &program);

    int sent = 0, wake_ups = 0;
    for (int i = 0; i < EVENTS; i++) {
        char user_json[64];
        snprintf(user_json, sizeof user_json, "{\"id\": \"poll-%d\"}", i);
        sent += trophy_metrics_event_async(client, "words-written", user_json, 10, NULL, NULL, NULL, on_reply,
                                           &program, NULL) == TROPHY_STATUS_OK;
    }
    while (program.replies < sent) {
        struct pollfd readable = {.fd = program.wake_up[0], .events = POLLIN}; /* Your other descriptors beside it. */
        if (poll(&readable, 1, -1) > 0) {
            char bytes[64];
            while (read(program.wake_up[0], bytes, sizeof bytes) > 0) {
            }
            /* In this order: what becomes ready from here on wakes again. */
            trophy_client_dispatch(client, 0);
            wake_ups++;
        }
    }

    trophy_client_free(client); /* After this nobody writes to the pipe. */
    close(program.wake_up[0]);
    close(program.wake_up[1]);
    printf("%d replies, woken %d times\n", program.replies, wake_ups);
    return sent == EVENTS && program.failures == 0 ? 0 : 1;
}
