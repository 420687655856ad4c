/* GLib: replies come to a GMainLoop, so to a GTK program's own thread. */
#include <glib.h>
#include <stdio.h>
#include <trophy.h>

enum { EVENTS = 20 };

struct program {
    GMainLoop *loop;
    trophy_client *client;
    int sent;
    int replies;
    int failures;
    int wake_ups;
};

/* From any thread, as g_source_set_ready_time() may be called: 0 is "now". */
static void wake(void *user_data) {
    GSource *source = user_data;
    g_source_set_ready_time(source, 0);
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

static gboolean on_wake_up(gpointer user_data) {
    struct program *program = user_data;
    program->wake_ups++;
    trophy_client_dispatch(program->client, 0);
    if (program->replies == program->sent) {
        g_main_loop_quit(program->loop);
    }
    return G_SOURCE_CONTINUE;
}

/* A source that is ready when it was woken, and once for that: what becomes ready from here on wakes again. */
static gboolean dispatch_source(GSource *source, GSourceFunc callback, gpointer user_data) {
    g_source_set_ready_time(source, -1);
    return callback(user_data);
}

int main(void) {
    static GSourceFuncs functions = {.dispatch = dispatch_source};
    struct program program = {0};
    char *json = NULL;
    if (trophy_client_new(NULL, "{\"callbacks\": \"dispatch\"}", &program.client, &json) != TROPHY_STATUS_OK) {
        fprintf(stderr, "%s\n", json);
        trophy_string_free(json);
        return 1;
    }
    trophy_string_free(json);
    program.loop = g_main_loop_new(NULL, FALSE);
    GSource *source = g_source_new(&functions, sizeof *source);
    g_source_set_callback(source, on_wake_up, &program, NULL);
    g_source_attach(source, NULL);
    trophy_client_on_ready(program.client, wake, source);

    for (int i = 0; i < EVENTS; i++) {
        char user_json[64];
        snprintf(user_json, sizeof user_json, "{\"id\": \"glib-%d\"}", i);
        program.sent += trophy_metrics_event_async(program.client, "words-written", user_json, 10, NULL, NULL, NULL,
                                                   on_reply, &program, NULL) == TROPHY_STATUS_OK;
    }
    g_main_loop_run(program.loop);

    trophy_client_free(program.client); /* After this nobody wakes the source, and it may go. */
    g_source_destroy(source);
    g_source_unref(source);
    g_main_loop_unref(program.loop);
    printf("%d replies, woken %d times\n", program.replies, program.wake_ups);
    return program.sent == EVENTS && program.failures == 0 ? 0 : 1;
}
