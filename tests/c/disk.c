/* disk FOLDER: a small file system, which is filled, runs out of names, and becomes read-only, under a queue on it. The
 * service is a real one; who starts this program compares what it counted with the keys that are printed here. */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

static const char *folder;
static char options[1024];
static int acknowledged, refused;

static void path_of(char *path, size_t size, const char *name) {
    snprintf(path, size, "%s/%s", folder, name);
}

/* Leaves so much room on the disk. */
static void fill(off_t room) {
    char path[512];
    static char page[4096];
    path_of(path, sizeof path, "filler");
    int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    CHECK(file >= 0);
    while (write(file, page, sizeof page) > 0) {
    }
    CHECK(errno == ENOSPC);
    struct stat status;
    CHECK(fstat(file, &status) == 0);
    CHECK(ftruncate(file, status.st_size - room) == 0);
    close(file);
}

static void make_room(void) {
    char path[512];
    path_of(path, sizeof path, "filler");
    CHECK(unlink(path) == 0);
}

/* A host that tries an event again until it is kept counts it once, too: but here each is tried once. */
static void enqueue(const trophy_client *client, int many) {
    static int number;
    for (int i = 0; i < many; i++, number++) {
        char user[64], key[32], *json = NULL;
        snprintf(user, sizeof user, "{\"id\":\"%d\"}", number);
        snprintf(key, sizeof key, "disk-%d", number);
        trophy_status status = trophy_metrics_event_enqueue(client, "words-written", user, 1, NULL, key, NULL, &json);
        if (status == TROPHY_STATUS_OK) {
            acknowledged++;
            printf("acknowledged %d\n", number);
        } else {
            CHECK_STATUS(status, TROPHY_STATUS_STORAGE);
            CHECK_HOLDS(json, folder);
            refused++;
        }
        trophy_string_free(json);
    }
}

static double stat_of(const trophy_client *client, const char *name) {
    char *json = NULL;
    CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
    double number = trophy_json_number(json, name, -1);
    trophy_string_free(json);
    return number;
}

static void wait_for_delivery(const trophy_client *client, int many) {
    while (stat_of(client, "/delivered") < many) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void deliver_all(void) {
    trophy_client *client = make_client(options);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
}

static void a_full_disk_refuses_events_in_words_and_keeps_those_it_acknowledged(void) {
    fill(24 << 10);
    trophy_client *client = make_client(options);
    enqueue(client, 400);
    CHECK(acknowledged > 10 && refused > 10);
    make_room();
    enqueue(client, 10);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
}

/* What was delivered cannot be put on record: it is sent again by the next client, under its own key. */
static void a_disk_that_is_full_when_deliveries_are_recorded_makes_nothing_count_twice(void) {
    char offline[1100];
    snprintf(offline, sizeof offline, "{\"base_url\": \"http://127.0.0.1:9/v1\", %s", options + 1);
    trophy_client *client = make_client(offline);
    enqueue(client, 50);
    trophy_client_free(client);
    fill(0);
    client = make_client(options);
    wait_for_delivery(client, 40);
    trophy_client_free(client);
    make_room();
    deliver_all();
}

static void a_disk_without_names_left_says_so(void) {
    char path[512];
    int made = 0, file;
    do {
        char name[32];
        snprintf(name, sizeof name, "name-%d", made);
        path_of(path, sizeof path, name);
        file = open(path, O_CREAT | O_WRONLY, 0600);
        if (file >= 0) {
            close(file);
            made++;
        }
    } while (file >= 0);
    CHECK(errno == ENOSPC);
    trophy_client *client = NULL;
    char *json = NULL;
    CHECK_STATUS(trophy_client_new(NULL, options, &client, &json), TROPHY_STATUS_STORAGE);
    CHECK_HOLDS(json, "space");
    trophy_string_free(json);
    while (made > 0) {
        char name[32];
        snprintf(name, sizeof name, "name-%d", --made);
        path_of(path, sizeof path, name);
        CHECK(unlink(path) == 0);
    }
    client = make_client(options);
    enqueue(client, 5);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
}

static void a_disk_that_became_read_only_says_so_and_goes_on_when_it_may_be_written(void) {
    char command[600], offline[1100], *json = NULL;
    snprintf(offline, sizeof offline, "{\"base_url\": \"http://127.0.0.1:9/v1\", %s", options + 1);
    trophy_client *client = make_client(offline);
    enqueue(client, 5);
    trophy_client_free(client);
    snprintf(command, sizeof command, "mount -o remount,ro '%s'", folder);
    CHECK(system(command) == 0);
    client = NULL;
    CHECK_STATUS(trophy_client_new(NULL, options, &client, &json), TROPHY_STATUS_STORAGE);
    CHECK_HOLDS(json, "Read-only");
    trophy_string_free(json);
    snprintf(command, sizeof command, "mount -o remount,rw '%s'", folder);
    CHECK(system(command) == 0);
    deliver_all();
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    folder = argv[1];
    snprintf(options, sizeof options, "{\"queue\": {\"path\": \"%s/queue\", \"requests_per_second\": 1000, \"delivery\": \"single\"}}",
             folder);
    RUN(a_full_disk_refuses_events_in_words_and_keeps_those_it_acknowledged);
    RUN(a_disk_that_is_full_when_deliveries_are_recorded_makes_nothing_count_twice);
    RUN(a_disk_without_names_left_says_so);
    RUN(a_disk_that_became_read_only_says_so_and_goes_on_when_it_may_be_written);
    return RESULT;
}
