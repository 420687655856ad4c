/* quota FOLDER: a quota on the disk under a queue. A kernel that keeps none is made to: a filter hands each call that
 * takes room, or a name, to a thread of this program, which lets it through, or has it take a part, or answer EDQUOT.
 * The service is a real one; who starts this program compares what it counted with the keys that are printed here. */
#define _GNU_SOURCE
#if defined(__linux__) && defined(__has_include)
#if __has_include(<linux/seccomp.h>)
#include <linux/seccomp.h>
#endif
#endif
#include "on_disk.h"
#ifdef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { UNLIMITED = INT32_MAX };

/* What is left of the quota. */
static atomic_int bytes_left = UNLIMITED;
static atomic_int may_make_names = 1, may_rename = 1, may_sync = 1;

static void lift_quota(void) {
    bytes_left = UNLIMITED;
    may_make_names = may_rename = may_sync = 1;
}

static int is_on_disk(const char *path) {
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_open_on_disk(__u64 fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%llu", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return is_on_disk(path);
}

/* The argument is a path of this process's own. */
static int makes_a_name(__u64 path) {
    const char *text = (const char *)(uintptr_t)path;
    return is_on_disk(text) && access(text, F_OK) != 0;
}

/* What write() writes here in the caller's place, as the last bytes of a quota are: 0 if it may write all by itself. */
static int64_t write_a_part(const __u64 *arguments) {
    int left = bytes_left;
    if (left == UNLIMITED || arguments[2] <= (__u64)left) {
        bytes_left = left == UNLIMITED ? left : left - (int)arguments[2];
        return 0;
    }
    bytes_left = 0;
    return left == 0 ? -EDQUOT
                     : write((int)arguments[0], (const void *)(uintptr_t)arguments[1], (size_t)left);
}

/* 0 to let it through, else what it answers. */
static int64_t decide(const struct seccomp_data *call) {
    const __u64 *arguments = call->args;
    switch (call->nr) {
    case SYS_write:
        return is_open_on_disk(arguments[0]) ? write_a_part(arguments) : 0;
    case SYS_pwrite64:
    case SYS_writev:
        return is_open_on_disk(arguments[0]) && bytes_left < UNLIMITED ? -EDQUOT : 0;
    case SYS_fsync:
    case SYS_fdatasync:
        return !may_sync && is_open_on_disk(arguments[0]) ? -EDQUOT : 0;
    case SYS_openat:
        return !may_make_names && (arguments[2] & O_CREAT) != 0 && makes_a_name(arguments[1]) ? -EDQUOT : 0;
    case SYS_mkdirat:
        return !may_make_names && makes_a_name(arguments[1]) ? -EDQUOT : 0;
    case SYS_renameat2:
        return !may_rename && is_on_disk((const char *)(uintptr_t)arguments[1]) ? -EDQUOT : 0;
#ifdef SYS_renameat
    case SYS_renameat:
        return !may_rename && is_on_disk((const char *)(uintptr_t)arguments[1]) ? -EDQUOT : 0;
#endif
#ifdef SYS_rename
    case SYS_rename:
        return !may_rename && is_on_disk((const char *)(uintptr_t)arguments[0]) ? -EDQUOT : 0;
    case SYS_mkdir:
        return !may_make_names && makes_a_name(arguments[0]) ? -EDQUOT : 0;
#endif
    default:
        return 0;
    }
}

static atomic_int listener = -1;

/* The one thread that the filter is not for. */
static void *keep_quota(void *unused) {
    (void)unused;
    while (listener < 0) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    for (;;) {
        struct seccomp_notif asked;
        memset(&asked, 0, sizeof asked);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
            continue;
        }
        struct seccomp_notif_resp answer = {.id = asked.id};
        int64_t decided = decide(&asked.data);
        if (decided == 0) {
            answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        } else if (decided < 0) {
            answer.error = (int32_t)decided;
        } else {
            answer.val = decided;
        }
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return NULL;
}

#define ASK(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

/* From here on this thread, and those that it starts, have a quota. */
static int begin_quota(void) {
    struct sock_filter filter[] = {
        /* What is printed is not asked for. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, STDERR_FILENO, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ASK(SYS_write),
        ASK(SYS_pwrite64),
        ASK(SYS_writev),
        ASK(SYS_fsync),
        ASK(SYS_fdatasync),
        ASK(SYS_openat),
        ASK(SYS_mkdirat),
        ASK(SYS_renameat2),
#ifdef SYS_renameat
        ASK(SYS_renameat),
#endif
#ifdef SYS_rename
        ASK(SYS_rename),
        ASK(SYS_mkdir),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, keep_quota, NULL) == 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return 0;
    }
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return listener >= 0;
}

static void a_quota_that_is_reached_refuses_events_in_words_and_keeps_those_it_acknowledged(void) {
    bytes_left = 24 << 10;
    trophy_client *client = make_client(options);
    enqueue(client, 400);
    CHECK(acknowledged > 10 && refused > 10);
    enqueue_in_vain(client, 5, "quota");
    CHECK(stat_of(client, "/delivered") <= acknowledged);
    lift_quota();
    enqueue(client, 10);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    CHECK(stat_of(client, "/delivered") == acknowledged);
    trophy_client_free(client);
}

/* One that the service refuses. */
static void enqueue_dead(const trophy_client *client) {
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "no-such-metric", "{\"id\":\"dead\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_OK);
}

static atomic_int cannot_record;

static void hear_log(trophy_log_level level, const char *message, void *user_data) {
    (void)level;
    (void)user_data;
    if (strstr(message, "a dead event stays until it is on record") != NULL && strstr(message, "quota") != NULL) {
        cannot_record = 1;
    }
}

static void a_dead_event_stays_until_the_quota_has_room_for_its_record(void) {
    trophy_client *client = make_client(options);
    trophy_log_set_callback(TROPHY_LOG_LEVEL_ERROR, hear_log, NULL);
    enqueue(client, 1);
    wait_for(client, "/delivered", 1);
    /* Its files are there, but for the one that lists the dead. */
    may_make_names = 0;
    enqueue_dead(client);
    while (!cannot_record) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    CHECK(stat_of(client, "/dead") == 0 && waiting_in(client) == 1);
    lift_quota();
    wait_for(client, "/dead", 1);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    trophy_log_set_callback(TROPHY_LOG_LEVEL_OFF, NULL, NULL);
    trophy_client_free(client);
}

/* What was delivered cannot be put on record: it is sent again by the next client, under its own key. */
static void a_quota_that_is_reached_when_deliveries_are_recorded_makes_nothing_count_twice(void) {
    trophy_client *client = make_client_offline();
    enqueue(client, 100);
    /* It cannot be put on record either, so that the file with all of them stays. */
    enqueue_dead(client);
    trophy_client_free(client);
    bytes_left = 0;
    client = make_client(options);
    wait_for(client, "/delivered", 100);
    trophy_client_free(client);
    lift_quota();
    deliver_all();
}

static void a_quota_of_names_says_so(void) {
    trophy_client *before = make_client(options);
    may_make_names = 0;
    make_no_client("quota");
    /* It has no file of its own yet. */
    enqueue_in_vain(before, 3, "quota");
    const char *disk = folder;
    char other[512];
    path_of(other, sizeof other, "other");
    put_queue_on(other, "");
    make_no_client("quota");
    put_queue_on(disk, "");
    lift_quota();
    enqueue(before, 3);
    CHECK_STATUS(trophy_client_flush(before, 100000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(before);
}

static void a_rename_that_meets_the_quota_leaves_nothing_behind(void) {
    trophy_client *client = make_client(options);
    may_rename = 0;
    enqueue_in_vain(client, 3, "quota");
    lift_quota();
    enqueue(client, 3);
    CHECK_STATUS(trophy_client_flush(client, 100000, NULL), TROPHY_STATUS_OK);
    trophy_client_free(client);
}

/* Over a network the disk says it at the sync only. */
static void an_event_whose_sync_meets_the_quota_was_not_kept(void) {
    put_queue_on(folder, ", \"durability\": \"power\"");
    trophy_client *client = make_client_offline();
    enqueue(client, 3);
    may_sync = 0;
    enqueue_in_vain(client, 3, "quota");
    CHECK(waiting_in(client) == 3);
    lift_quota();
    enqueue(client, 3);
    trophy_client_free(client);
    deliver_all();
    put_queue_on(folder, "");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    put_queue_on(argv[1], "");
    if (!begin_quota()) {
        printf("skipped: no filter of system calls here: %s\n", strerror(errno));
        return 0;
    }
    RUN(a_quota_that_is_reached_refuses_events_in_words_and_keeps_those_it_acknowledged);
    RUN(a_dead_event_stays_until_the_quota_has_room_for_its_record);
    RUN(a_quota_that_is_reached_when_deliveries_are_recorded_makes_nothing_count_twice);
    RUN(a_quota_of_names_says_so);
    RUN(a_rename_that_meets_the_quota_leaves_nothing_behind);
    RUN(an_event_whose_sync_meets_the_quota_was_not_kept);
    return RESULT;
}
#else
int main(void) {
    printf("skipped: this system's headers know no filter of system calls that asks\n");
    return 0;
}
#endif
