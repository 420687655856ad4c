/* disk FOLDER: a small file system, which is filled, runs out of names, and becomes read-only, under a queue on it. The
 * service is a real one; who starts this program compares what it counted with the keys that are printed here. */
#include "on_disk.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

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
    trophy_client *client = make_client_offline();
    /* More than the rest of a page, which the file of records may have, has room for. */
    enqueue(client, 400);
    trophy_client_free(client);
    fill(0);
    client = make_client(options);
    wait_for(client, "/delivered", 350);
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
    make_no_client("space");
    while (made > 0) {
        char name[32];
        snprintf(name, sizeof name, "name-%d", --made);
        path_of(path, sizeof path, name);
        CHECK(unlink(path) == 0);
    }
    trophy_client *client = make_client(options);
    enqueue(client, 5);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
}

static void a_disk_that_became_read_only_says_so_and_goes_on_when_it_may_be_written(void) {
    char command[600];
    trophy_client *client = make_client_offline();
    enqueue(client, 5);
    trophy_client_free(client);
    snprintf(command, sizeof command, "mount -o remount,ro '%s'", folder);
    CHECK(system(command) == 0);
    make_no_client("Read-only");
    snprintf(command, sizeof command, "mount -o remount,rw '%s'", folder);
    CHECK(system(command) == 0);
    deliver_all();
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    put_queue_on(argv[1], "");
    RUN(a_full_disk_refuses_events_in_words_and_keeps_those_it_acknowledged);
    RUN(a_disk_that_is_full_when_deliveries_are_recorded_makes_nothing_count_twice);
    RUN(a_disk_without_names_left_says_so);
    RUN(a_disk_that_became_read_only_says_so_and_goes_on_when_it_may_be_written);
    return RESULT;
}
