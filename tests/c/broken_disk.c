/* broken_disk FOLDER IMAGE: a file system, in an image of ext4 that is mounted with errors=remount-ro, breaks under a
 * queue whose files are open: it goes read-only by itself, as after an error that it finds, or its device is taken
 * away. Then it is repaired. The service is a real one; who starts this program compares what it counted with the keys
 * that are printed here. */
#define _GNU_SOURCE
#include "on_disk.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { HELD = 4 };

static const char *image;

/* The kernel takes it for an error that it found. */
static void find_error(void) {
    struct stat status;
    char link[64], path[600], device[512], *name;
    CHECK(stat(folder, &status) == 0);
    snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(status.st_dev), minor(status.st_dev));
    ssize_t length = readlink(link, device, sizeof device - 1);
    device[length > 0 ? length : 0] = '\0';
    name = strrchr(device, '/');
    snprintf(path, sizeof path, "/sys/fs/ext4/%s/trigger_fs_error", name == NULL ? "" : name + 1);
    FILE *trigger = fopen(path, "w");
    CHECK(trigger != NULL);
    if (trigger != NULL) {
        fputs("test", trigger);
        fclose(trigger);
    }
}

/* What the kernel does when a device goes: nothing is written or read any more, not even the journal. */
static void take_device_away(void) {
    const uint32_t without_journal = 2;
    int file = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(ioctl(file, _IOR('X', 125, uint32_t), &without_journal) == 0);
    close(file);
}

static void repair(void) {
    char command[1500];
    /* A device that was let go may be busy for a moment. e2fsck says 1 of what it has mended. */
    snprintf(command, sizeof command,
             "umount '%s' && { e2fsck -fy '%s' >/dev/null 2>&1 || [ $? = 1 ]; } && for try in 1 2 3 4 5 6 7 8 9 10; do "
             "mount -o loop,errors=remount-ro '%s' '%s' && exit 0; sleep 0.3; done; exit 1",
             folder, image, image, folder);
    CHECK(system(command) == 0);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Everything that a client is asked on a broken disk has its answer, and the end comes in time. */
static void answers_and_ends(trophy_client *client, const char *words) {
    enqueue_in_vain(client, 3, words);
    make_no_client(words);
    trophy_status status = trophy_client_flush(client, 100, NULL);
    CHECK(status == (waiting_in(client) > 0 ? TROPHY_STATUS_TIMEOUT : TROPHY_STATUS_OK));
    double begun = seconds();
    trophy_client_close(client, 100, NULL);
    trophy_client_free(client);
    CHECK(seconds() - begun < 10);
}

static void what_was_acknowledged_is_kept(void (*destroy)(void), const char *words) {
    trophy_client *client = make_client_offline();
    enqueue(client, 20);
    destroy();
    CHECK(waiting_in(client) == 20);
    answers_and_ends(client, words);
    repair();
    deliver_all();
}

static void a_file_system_that_goes_read_only_at_an_error_keeps_what_was_acknowledged(void) {
    what_was_acknowledged_is_kept(find_error, "Read-only");
}

static void a_device_that_is_taken_away_and_comes_back_keeps_what_was_acknowledged(void) {
    what_was_acknowledged_is_kept(take_device_away, "Input/output error");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int cancelled;

static void hear(trophy_status status, const char *json, void *user_data) {
    (void)json;
    (void)user_data;
    pthread_mutex_lock(&mutex);
    cancelled += status == TROPHY_STATUS_CANCELLED;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* Calls to a server that takes connections and never answers. Until they are cancelled, the events of the same users
 * wait. */
static int hold_next_events(const trophy_client *client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 2 * HELD) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    for (int i = 0; i < HELD; i++) {
        char user[64], elsewhere[100];
        snprintf(user, sizeof user, "{\"id\":\"%d\"}", number + i);
        snprintf(elsewhere, sizeof elsewhere, "{\"base_url\": \"http://127.0.0.1:%d/v1\"}", ntohs(address.sin_port));
        CHECK_STATUS(trophy_metrics_event_async(client, "words-written", user, 1, NULL, NULL, elsewhere, hear, &cancelled,
                                                NULL),
                     TROPHY_STATUS_OK);
    }
    return listener;
}

/* They go out when the disk is broken already, if it can be read, and it is not on record that they did: they are sent
 * again, under their own keys. */
static void what_is_in_hand_counts_once(void (*destroy)(void), const char *words, int is_readable) {
    trophy_client *client = make_client(options);
    enqueue(client, 10);
    wait_for(client, "/delivered", 10);
    cancelled = 0;
    int listener = hold_next_events(client);
    /* When the one behind them is delivered, those that wait were read, too. */
    enqueue(client, HELD + 1);
    wait_for(client, "/delivered", 11);
    destroy();
    enqueue_in_vain(client, 3, words);
    CHECK(stat_of(client, "/delivered") == 11);
    CHECK(trophy_client_cancel(client, &cancelled) == HELD);
    pthread_mutex_lock(&mutex);
    while (cancelled < HELD) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    close(listener);
    if (is_readable) {
        wait_for(client, "/delivered", 11 + HELD);
        CHECK(waiting_in(client) == 0);
    }
    answers_and_ends(client, words);
    repair();
    deliver_all();
}

static void a_file_system_that_goes_read_only_at_an_error_has_its_events_delivered(void) {
    what_is_in_hand_counts_once(find_error, "Read-only", 1);
}

static void a_device_that_is_taken_away_loses_nothing_that_was_in_hand(void) {
    what_is_in_hand_counts_once(take_device_away, "Input/output error", 0);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    image = argv[2];
    /* What is not synced is the kernel's, which may lose it. */
    put_queue_on(argv[1], ", \"durability\": \"power\"");
    RUN(a_file_system_that_goes_read_only_at_an_error_keeps_what_was_acknowledged);
    RUN(a_device_that_is_taken_away_and_comes_back_keeps_what_was_acknowledged);
    RUN(a_file_system_that_goes_read_only_at_an_error_has_its_events_delivered);
    RUN(a_device_that_is_taken_away_loses_nothing_that_was_in_hand);
    return RESULT;
}
