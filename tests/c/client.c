/* The client: made, shared by threads and handles, closed, freed. */
#include "check.h"
#include <pthread.h>
#include <sys/stat.h>

static void the_key_comes_from_the_parameter_or_the_environment(void) {
    trophy_client *client = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_new("app.given", NULL, &client, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "null");
    trophy_string_free(json);
    CHECK_STATUS(trophy_users_get(client, "42", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/x-api-key", "app.given");
    trophy_string_free(json);
    trophy_client_free(client);

    client = make_client(NULL);
    CHECK_STATUS(trophy_users_get(client, "42", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/x-api-key", getenv("TROPHY_API_KEY"));
    trophy_string_free(json);
    trophy_client_free(client);
}

static void a_variable_that_is_not_unicode_is_an_error(void) {
#ifndef _WIN32
    static const char *const names[] = {"TROPHY_API_KEY", "TROPHY_BASE_URL", "TROPHY_ADMIN_BASE_URL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        trophy_client *client = NULL;
        char *json = NULL, before[200];
        snprintf(before, sizeof before, "%s", getenv(names[i]));
        CHECK(setenv(names[i], "http://127.0.0.1:1/\xe9", 1) == 0);
        CHECK_STATUS(trophy_client_new(NULL, NULL, &client, &json), TROPHY_STATUS_INVALID_ARGUMENT);
        CHECK_HOLDS(json, names[i]);
        trophy_string_free(json);
        trophy_client_free(client);
        CHECK(setenv(names[i], before, 1) == 0);
    }
#endif
}

static void out_parameters_are_set_on_failure_too(void) {
    trophy_client *client = (trophy_client *)&failed_checks;
    char *json = (char *)&failed_checks;
    CHECK_STATUS(trophy_client_new("app.x", "{\"colour\": 1}", &client, &json), TROPHY_STATUS_INVALID_ARGUMENT);
    CHECK(client == NULL);
    CHECK_JSON(json, "/error/code", "invalid_argument");
    CHECK_HOLDS(json, "colour");
    trophy_string_free(json);
}

static void a_tenants_handle_shares_the_client(void) {
    trophy_client *client = make_client(NULL);
    trophy_client *tenant = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_for_tenant(client, "acme", &tenant, &json), TROPHY_STATUS_OK);
    trophy_string_free(json);
    CHECK_STATUS(trophy_users_get(tenant, "42", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/tenant-id", "acme");
    trophy_string_free(json);
    CHECK_STATUS(trophy_users_get(client, "42", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/tenant-id", NULL);
    trophy_string_free(json);

    /* The first handle goes, the second lives on. */
    trophy_client_free(client);
    CHECK_STATUS(trophy_users_get(tenant, "42", NULL, NULL), TROPHY_STATUS_OK);
    trophy_client_free(tenant);
}

static void a_rotated_key_is_used_by_all_handles(void) {
    trophy_client *client = make_client(NULL);
    trophy_client *tenant = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_for_tenant(client, "acme", &tenant, NULL), TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_client_set_api_key(tenant, "app.new", &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "", "null");
    trophy_string_free(json);
    CHECK_STATUS(trophy_users_get(client, "42", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/x-api-key", "app.new");
    trophy_string_free(json);
    trophy_client_free(tenant);
    trophy_client_free(client);
}

static void the_options_of_a_call_win_over_the_clients(void) {
    trophy_client *client =
        make_client("{\"tenant_id\": \"acme\", \"additional_headers\": {\"X-One\": \"1\", \"X-Two\": \"2\"}}");
    char *json = NULL;
    CHECK_STATUS(trophy_users_get(client, "42",
                                  "{\"options\": {\"tenant_id\": \"other\", \"api_key\": \"app.other\","
                                  " \"additional_headers\": {\"X-Two\": \"zwei\"},"
                                  " \"additional_query_parameters\": {\"a b\": \"&\"}}}",
                                  &json),
                 TROPHY_STATUS_OK);
    CHECK_JSON(json, "/headers/tenant-id", "other");
    CHECK_JSON(json, "/headers/x-api-key", "app.other");
    CHECK_JSON(json, "/headers/x-one", "1");
    CHECK_JSON(json, "/headers/x-two", "zwei");
    CHECK_JSON(json, "/target", "/app/users/42?a%20b=%26");
    trophy_string_free(json);
    trophy_client_free(client);
}

static void stats_has_its_names(void) {
    static const char *const names[] = {"/queued",  "/inFlight", "/delivered",   "/dead",        "/expired", "/dropped",
                                        "/requests", "/retries",  "/rateLimited", "/bytesOnDisk", "/paused"};
    trophy_client *client = make_client(NULL);
    char *json = NULL;
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *value = trophy_json_string(json, names[i]);
        CHECK(value != NULL);
        trophy_string_free(value);
    }
    CHECK(trophy_json_number(json, "/requests", -1) == 0);
    trophy_string_free(json);
    trophy_client_free(client);
}

static void a_closed_client_takes_no_more_work(void) {
    trophy_client *client = make_client(NULL);
    trophy_client *tenant = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_for_tenant(client, "acme", &tenant, NULL), TROPHY_STATUS_OK);
    CHECK_STATUS(trophy_client_close(tenant, 1000, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/undelivered", "0");
    trophy_string_free(json);
    CHECK_STATUS(trophy_users_get(client, "42", NULL, &json), TROPHY_STATUS_CLOSED);
    CHECK_JSON(json, "/error/code", "closed");
    trophy_string_free(json);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_CLOSED);
    CHECK_STATUS(trophy_client_close(client, 0, NULL), TROPHY_STATUS_OK);
    trophy_client_free(tenant);
    trophy_client_free(client);
}

struct sender {
    const trophy_client *client;
    int number;
    int wrong;
};

static void *send_twenty(void *argument) {
    struct sender *sender = argument;
    for (int i = 0; i < 20; i++) {
        char id[32], target[64];
        char *json = NULL, *answered;
        snprintf(id, sizeof id, "%d-%d", sender->number, i);
        snprintf(target, sizeof target, "/app/users/%s", id);
        if (trophy_users_get(sender->client, id, NULL, &json) != TROPHY_STATUS_OK) {
            sender->wrong++;
        }
        answered = trophy_json_string(json, "/target");
        if (answered == NULL || strcmp(answered, target) != 0) {
            sender->wrong++;
        }
        trophy_string_free(answered);
        trophy_string_free(json);
    }
    return NULL;
}

static void threads_share_a_client_and_each_gets_its_own_reply(void) {
    trophy_client *client = make_client(NULL);
    struct sender senders[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        senders[i] = (struct sender){client, i, 0};
        CHECK(pthread_create(&threads[i], NULL, send_twenty, &senders[i]) == 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        CHECK(senders[i].wrong == 0);
    }
    trophy_client_free(client);
}

static void a_ca_file_that_cannot_be_used_is_refused_at_once(void) {
    char folder[] = "/tmp/trophy-client-XXXXXX", path[100], options[200];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/fifo", folder);
#ifdef _WIN32
    CHECK(mkdir(path, 0700) == 0);
#else
    CHECK(mkfifo(path, 0600) == 0);
#endif
    const char *files[] = {path, folder, "/dev/zero", "no/such/file"};
    /* Of which the message may name the rest as the system writes it. */
    const char *names[] = {"fifo", strrchr(folder, '/') + 1, "zero", "file"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        trophy_client *none = NULL;
        char *json = NULL;
        snprintf(options, sizeof options, "{\"ca_file\": \"%s\"}", files[i]);
        CHECK_STATUS(trophy_client_new("app.test", options, &none, &json), TROPHY_STATUS_INVALID_ARGUMENT);
        CHECK(none == NULL);
        CHECK_HOLDS(json, "ca_file");
        CHECK_HOLDS(json, names[i]);
        trophy_string_free(json);
    }
    CHECK((unlink(path) == 0 || rmdir(path) == 0) && rmdir(folder) == 0);
}

int main(void) {
    RUN(the_key_comes_from_the_parameter_or_the_environment);
    RUN(a_variable_that_is_not_unicode_is_an_error);
    RUN(out_parameters_are_set_on_failure_too);
    RUN(a_tenants_handle_shares_the_client);
    RUN(a_rotated_key_is_used_by_all_handles);
    RUN(the_options_of_a_call_win_over_the_clients);
    RUN(stats_has_its_names);
    RUN(a_closed_client_takes_no_more_work);
    RUN(a_ca_file_that_cannot_be_used_is_refused_at_once);
    RUN(threads_share_a_client_and_each_gets_its_own_reply);
    return RESULT;
}
