/* Sends events for a user and shows what each changed: total, streak, achievements and points. */
#include <stdio.h>
#include <string.h>
#include <trophy.h>

/* Names of the achievements that a reply tells of, joined by commas. */
static void print_achievements(const char *reply) {
    int64_t count = trophy_json_length(reply, "/achievements");
    for (int64_t i = 0; i < count; i++) {
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/achievements/%lld/name", (long long)i);
        char *name = trophy_json_string(reply, pointer);
        printf("%s%s", i == 0 ? "   unlocked: " : ", ", name != NULL ? name : "?");
        trophy_string_free(name);
    }
    printf("\n");
}

static void print_error(const char *error) {
    char *code = trophy_json_string(error, "/error/code");
    char *message = trophy_json_string(error, "/error/message");
    printf("%s: %s\n", code != NULL ? code : "error", message != NULL ? message : "?");
    trophy_string_free(code);
    trophy_string_free(message);
}

/* Sends one event. `row` is your own id of what happened: with the same id it counts once. */
static trophy_status write_words(trophy_client *client, const char *user_json, double words, const char *row) {
    char *json = NULL;
    trophy_status status =
        trophy_metrics_event(client, "words-written", user_json, words, NULL, row, NULL, &json);
    if (status == TROPHY_STATUS_OK) {
        char *replayed = trophy_json_string(json, "/idempotentReplayed");
        printf("%5.0f words   total %5.0f", words, trophy_json_number(json, "/total", 0));
        if (replayed != NULL && strcmp(replayed, "true") == 0) {
            printf("   the same once more: it did not count\n");
        } else {
            printf("   streak %.0f   xp %3.0f", trophy_json_number(json, "/currentStreak/length", 0),
                   trophy_json_number(json, "/points/xp/total", 0));
            print_achievements(json);
        }
        trophy_string_free(replayed);
    } else {
        print_error(json);
    }
    trophy_string_free(json);
    return status;
}

int main(int argc, char **argv) {
    /* The key and the URLs come from TROPHY_API_KEY, TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL. */
    trophy_client *client = NULL;
    char *json = NULL;
    if (trophy_client_new(NULL, NULL, &client, &json) != TROPHY_STATUS_OK) {
        print_error(json);
        trophy_string_free(json);
        return 1;
    }
    trophy_string_free(json);

    /* Quoted by the library, so that any id makes sound JSON. */
    char *id = trophy_json_quote(argc > 1 ? argv[1] : "example-user");
    char user_json[512];
    snprintf(user_json, sizeof user_json, "{\"id\": %s, \"name\": \"Ada\", \"tz\": \"Europe/London\"}", id);
    trophy_string_free(id);

    int failures = 0;
    failures += write_words(client, user_json, 300, "chapter-1") != TROPHY_STATUS_OK;
    failures += write_words(client, user_json, 450, "chapter-2") != TROPHY_STATUS_OK;
    failures += write_words(client, user_json, 450, "chapter-2") != TROPHY_STATUS_OK;
    failures += write_words(client, user_json, 800, "chapter-3") != TROPHY_STATUS_OK;

    /* A metric that is not set up: every error has a code and a sentence that says what to do. */
    printf("\nAn event of a metric that does not exist:\n");
    failures += trophy_metrics_event(client, "no-such-metric", user_json, 1, NULL, NULL, NULL, &json) ==
                TROPHY_STATUS_OK;
    print_error(json);
    trophy_string_free(json);

    trophy_client_free(client);
    return failures == 0 ? 0 : 1;
}
