/* The 26 functions of one operation each: method, path, query and body on the wire. */
#include "check.h"

#define ID "a/b \xc3\xa9"
#define KEY "k/\xc3\xa9"
#define PERIOD "{\"aggregation\": \"daily\", \"startDate\": \"2026-01-01\", \"endDate\": \"2026-01-31\"}"

static trophy_client *client;

/* The reply holds what was received. Frees it. */
static void check_wire(const char *name, trophy_status status, char *json, const char *method, const char *target,
                       const char *body) {
    int before = failed_checks;
    CHECK_STATUS(status, TROPHY_STATUS_OK);
    CHECK_JSON(json, "/method", method);
    CHECK_JSON(json, "/target", target);
    CHECK_JSON(json, "/body", body);
    trophy_string_free(json);
    if (failed_checks != before) {
        printf("  in %s\n", name);
    }
}

static void every_function_sends_its_operation(void) {
    char *json = NULL;
    trophy_status status;

    status = trophy_achievements_all(client, "{\"userAttributes\": \"plan:pro\"}", &json);
    check_wire("achievements_all", status, json, "GET", "/app/achievements?userAttributes=plan%3Apro", "null");

    status = trophy_achievements_complete(client, KEY, "{\"id\": \"42\", \"sign_up_date\": \"2026-01-01\"}", NULL, &json);
    check_wire("achievements_complete", status, json, "POST", "/app/achievements/k%2F%C3%A9/complete", "{\"user\":{\"id\":\"42\",\"signUpDate\":\"2026-01-01\"}}");

    status = trophy_users_create(client, "{\"id\": \"42\"}", NULL, &json);
    check_wire("users_create", status, json, "POST", "/app/users", "{\"id\":\"42\"}");

    status = trophy_users_get(client, ID, NULL, &json);
    check_wire("users_get", status, json, "GET", "/app/users/a%2Fb%20%C3%A9", "null");

    status = trophy_users_identify(client, ID, "{\"name\": \"Zo\xc3\xab\"}", NULL, &json);
    check_wire("users_identify", status, json, "PUT", "/app/users/a%2Fb%20%C3%A9", "{\"name\":\"Zo\xc3\xab\"}");

    status = trophy_users_update(client, ID, "{\"subscribe_to_emails\": false}", NULL, &json);
    check_wire("users_update", status, json, "PATCH", "/app/users/a%2Fb%20%C3%A9", "{\"subscribeToEmails\":false}");

    status = trophy_users_get_preferences(client, ID, NULL, &json);
    check_wire("users_get_preferences", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/preferences", "null");

    status = trophy_users_update_preferences(client, ID, "{\"notifications\": {}}", NULL, &json);
    check_wire("users_update_preferences", status, json, "PATCH", "/app/users/a%2Fb%20%C3%A9/preferences", "{\"notifications\":{}}");

    status = trophy_users_all_metrics(client, ID, NULL, &json);
    check_wire("users_all_metrics", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/metrics", "null");

    status = trophy_users_single_metric(client, ID, KEY, NULL, &json);
    check_wire("users_single_metric", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/metrics/k%2F%C3%A9", "null");

    status = trophy_users_metric_event_summary(client, ID, KEY, PERIOD, &json);
    check_wire("users_metric_event_summary", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/metrics/k%2F%C3%A9/event-summary?aggregation=daily&startDate=2026-01-01&endDate=2026-01-31", "null");

    status = trophy_users_achievements(client, ID, "{\"includeIncomplete\": true}", &json);
    check_wire("users_achievements", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/achievements?includeIncomplete=true", "null");

    status = trophy_users_streak(client, ID, "{\"historyPeriods\": 14}", &json);
    check_wire("users_streak", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/streak?historyPeriods=14", "null");

    status = trophy_streaks_list(client, "{\"userIds\": [\"42\", \"a&b\"]}", &json);
    check_wire("streaks_list", status, json, "GET", "/app/streaks?userIds=42&userIds=a%26b", "null");

    status = trophy_users_points(client, ID, KEY, "{\"awards\": 20}", &json);
    check_wire("users_points", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/points/k%2F%C3%A9?awards=20", "null");

    status = trophy_users_points_boosts(client, ID, KEY, NULL, &json);
    check_wire("users_points_boosts", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/points/k%2F%C3%A9/boosts", "null");

    status = trophy_users_points_event_summary(client, ID, KEY, PERIOD, &json);
    check_wire("users_points_event_summary", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/points/k%2F%C3%A9/event-summary?aggregation=daily&startDate=2026-01-01&endDate=2026-01-31", "null");

    status = trophy_users_leaderboard(client, ID, KEY, "{\"run\": \"2026-01-05\", \"numEvents\": 30}", &json);
    check_wire("users_leaderboard", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/leaderboards/k%2F%C3%A9?run=2026-01-05&numEvents=30", "null");

    status = trophy_users_wrapped(client, ID, "{\"year\": 2025}", &json);
    check_wire("users_wrapped", status, json, "GET", "/app/users/a%2Fb%20%C3%A9/wrapped?year=2025", "null");

    status = trophy_points_summary(client, KEY, "{\"userAttributes\": \"plan:pro\"}", &json);
    check_wire("points_summary", status, json, "GET", "/app/points/k%2F%C3%A9/summary?userAttributes=plan%3Apro", "null");

    status = trophy_points_system(client, KEY, NULL, &json);
    check_wire("points_system", status, json, "GET", "/app/points/k%2F%C3%A9", "null");

    status = trophy_points_boosts(client, KEY, "{\"includeFinished\": true}", &json);
    check_wire("points_boosts", status, json, "GET", "/app/points/k%2F%C3%A9/boosts?includeFinished=true", "null");

    status = trophy_points_levels(client, KEY, NULL, &json);
    check_wire("points_levels", status, json, "GET", "/app/points/k%2F%C3%A9/levels", "null");

    status = trophy_points_level_summary(client, KEY, NULL, &json);
    check_wire("points_level_summary", status, json, "GET", "/app/points/k%2F%C3%A9/level-summary", "null");

    status = trophy_leaderboards_all(client, "{\"includeFinished\": true}", &json);
    check_wire("leaderboards_all", status, json, "GET", "/app/leaderboards?includeFinished=true", "null");

    status = trophy_leaderboards_get(client, KEY, "{\"offset\": 5, \"limit\": 10, \"run\": \"2026-01-05\", \"userId\": \"42\", \"userAttributes\": \"city:London\"}", &json);
    check_wire("leaderboards_get", status, json, "GET", "/app/leaderboards/k%2F%C3%A9?offset=5&limit=10&run=2026-01-05&userId=42&userAttributes=city%3ALondon", "null");

}

static void dots_that_are_no_step_are_part_of_a_name(void) {
    static const char *const names[] = {"...", "a..b", ".a", "a."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char target[32];
        char *json = NULL;
        snprintf(target, sizeof target, "/app/users/%s", names[i]);
        CHECK_STATUS(trophy_users_get(client, names[i], NULL, &json), TROPHY_STATUS_OK);
        CHECK_JSON(json, "/target", target);
        trophy_string_free(json);
    }
}

static void an_empty_reply_is_null(void) {
    char *json = NULL;
    CHECK_STATUS(trophy_users_get(client, "no-body", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "null");
    trophy_string_free(json);
}

int main(void) {
    client = make_client(NULL);
    RUN(every_function_sends_its_operation);
    RUN(dots_that_are_no_step_are_part_of_a_name);
    RUN(an_empty_reply_is_null);
    trophy_client_free(client);
    return RESULT;
}
