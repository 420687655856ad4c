/* A host of the library, as the long run has several: it sends events in all three ways until it is killed or told to
 * stop, and says on stdout what was acknowledged. It forks, runs out of descriptors and of room for files, and closes
 * and frees its clients at any time.
 *
 *   client CONTROL QUEUE NAME LIFE SEED OPTIONS   QUEUE: the folder; LIFE: how often NAME was started before
 *   client CONTROL QUEUE NAME LIFE - OPTIONS      delivers what the folder holds, and ends
 *
 * A line is a letter and what it is about:
 *   a KEY   an event was acknowledged             u USER  so was one without a key, which may be merged
 *   p KEY   so was one that the service refuses   r PID CLIENT US  a request of the queue went out
 *   e       a queue with requests under way ended x WHAT  what was done to the process
 *   ! TEXT  what must never be */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <trophy.h>
#include <unistd.h>

/* ---- what the driver says, in a file that all processes map */

enum { CLOCK_AHEAD_NS, KEY_NUMBER, STOP, MEAN_PAUSE_MS, FIELDS };
static const int64_t *page;

static int64_t control(int field) {
    return page == NULL ? 0 : __atomic_load_n(&page[field], __ATOMIC_SEQ_CST);
}

/* ---- what is said: a line is one write, so that those of several threads and processes do not mix */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2) {
        length = (int)sizeof line - 2;
    }
    line[length] = '\n';
    while (write(1, line, (size_t)length + 1) < 0 && errno == EINTR) {
    }
}

/* ---- the clock: the library's clock_gettime() is this one */

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*next)(clockid_t, struct timespec *);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = next(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        int64_t ahead = control(CLOCK_AHEAD_NS);
        time->tv_sec += ahead / 1000000000;
    }
    return result;
}

/* ---- the pace: requests of the queue, as they go out */

static int holds(const char *text, size_t length, const char *part) {
    return memmem(text, length, part, strlen(part)) != NULL;
}

ssize_t send(int socket, const void *bytes, size_t length, int flags) {
    static ssize_t (*next)(int, const void *, size_t, int);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "send");
    }
    const char *text = bytes;
    size_t head = length < 2048 ? length : 2048;
    int is_first = length > 5 && memcmp(text, "POST ", 5) == 0;
    /* Those of calls are not paced. */
    if (is_first && !holds(text, head, ": s-") && !holds(text, head, ": c-")) {
        static const char NAME[] = "soak/";
        const char *client = memmem(text, head, NAME, sizeof NAME - 1);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int named = client == NULL ? 0 : (int)strcspn(client, "\r\n");
        say("r %d %.*s %" PRId64, (int)getpid(), named, client == NULL ? "" : client,
            (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    }
    return next(socket, bytes, length, flags);
}

/* ---- chance */

static uint64_t chance(uint64_t *state, uint64_t below) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % below;
}

static void pause_ms(uint64_t ms) {
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Events come in bursts of a hundred on average, with pauses between them. */
static void rest_between_bursts(uint64_t *random) {
    if (chance(random, 100) != 0) {
        return;
    }
    uint64_t ms = chance(random, 2 * (uint64_t)control(MEAN_PAUSE_MS) + 1);
    for (; ms > 0 && !control(STOP); ms -= ms < 20 ? ms : 20) {
        pause_ms(20);
    }
}

/* ---- clients */

static const char *name, *queue, *queue_options;
static uint64_t life;
static int64_t key_number;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* The one that the second thread makes its own handle of, and which of this process it is. */
static trophy_client *shared;
static uint64_t shared_number;
static int waiting_callbacks;

static void key_text(char *key, size_t size) {
    snprintf(key, size, "soak_admin.key-%" PRId64, key_number);
}

static trophy_client *make_client(uint64_t number) {
    char options[2048], key[64];
    snprintf(options, sizeof options,
             "{\"user_agent\": \"soak/%s/%" PRIu64 "/%" PRIu64 "\", \"attempt_timeout_in_seconds\": 2, "
             "\"max_response_bytes\": 1000000, \"queue\": {\"path\": \"%s\", %s}}",
             name, life, number, queue, queue_options);
    while (!control(STOP)) {
        trophy_client *client = NULL;
        char *json = NULL;
        /* Nobody else looks at it: there is no client. */
        key_number = control(KEY_NUMBER);
        key_text(key, sizeof key);
        trophy_status status = trophy_client_new(key, options, &client, &json);
        /* The disk may be full. */
        if (status != TROPHY_STATUS_OK && status != TROPHY_STATUS_STORAGE) {
            say("! no client: %s", json);
        }
        trophy_string_free(json);
        if (status == TROPHY_STATUS_OK) {
            return client;
        }
        pause_ms(5);
    }
    return NULL;
}

/* ---- events */

/* Of one thread, or of a child. */
struct source {
    char name[64];
    uint64_t number;
    uint64_t random;
};

static struct source source(const char *kind, uint64_t seed) {
    struct source made = {.random = seed * 2654435761u + 88172645463325252u, .number = life * 1000000000u};
    snprintf(made.name, sizeof made.name, "%s%s", name, kind);
    return made;
}

static const char *const METRICS[] = {"words-written", "chapters-read"};
static int is_merged;
/* Of each source. */
enum { USERS = 100 };

/* Tries until the event is acknowledged, as a host would; false if there is no use. */
static int enqueue(const trophy_client *client, struct source *from) {
    char user[128], key[96], user_json[160];
    uint64_t number = from->number;
    int is_poison = !is_merged && chance(&from->random, 4000) == 0;
    if (is_merged) {
        snprintf(user, sizeof user, "%s-u%" PRIu64 "-%" PRIu64, from->name, life, number % USERS);
    } else {
        snprintf(user, sizeof user, "%s-q%" PRIu64, from->name, number % USERS);
    }
    snprintf(key, sizeof key, "q-%s-%" PRIu64, from->name, number);
    snprintf(user_json, sizeof user_json, "{\"id\": \"%s\"}", user);
    for (;;) {
        char *json = NULL;
        trophy_status status = trophy_metrics_event_enqueue(
            client, METRICS[number / USERS % 2], user_json, 1, is_poison ? "{\"device\": \"poison\"}" : NULL,
            is_merged ? NULL : key, NULL, &json);
        if (status == TROPHY_STATUS_OK) {
            say("%c %s", is_merged ? 'u' : is_poison ? 'p' : 'a', is_merged ? user : key);
            from->number++;
        } else if (status != TROPHY_STATUS_QUEUE_FULL && status != TROPHY_STATUS_STORAGE &&
                   status != TROPHY_STATUS_CLOSED) {
            say("! enqueue: %s: %s", trophy_status_name(status), json);
        }
        trophy_string_free(json);
        if (status == TROPHY_STATUS_OK) {
            return 1;
        }
        if (status == TROPHY_STATUS_CLOSED || control(STOP)) {
            return 0;
        }
        pause_ms(1 + chance(&from->random, 10));
    }
}

static void describe(char way, struct source *from, char *user_json, size_t user_size, char *key, size_t key_size) {
    uint64_t number = from->number++;
    snprintf(user_json, user_size, "{\"id\": \"%s-%c%" PRIu64 "\"}", from->name, way, number % 3);
    snprintf(key, key_size, "%c-%s-%" PRIu64, way, from->name, number);
}

static const char CALL_OPTIONS[] = "{\"timeout_in_seconds\": 4}";

static void call(const trophy_client *client, struct source *from) {
    char user[160], key[96];
    describe('s', from, user, sizeof user, key, sizeof key);
    if (trophy_metrics_event(client, METRICS[0], user, 1, NULL, key, CALL_OPTIONS, NULL) == TROPHY_STATUS_OK) {
        say("a %s", key);
    }
}

static void hear(trophy_status status, const char *json, void *user_data) {
    (void)json;
    if (status == TROPHY_STATUS_OK) {
        say("a %s", (const char *)user_data);
    }
    free(user_data);
    __atomic_sub_fetch(&waiting_callbacks, 1, __ATOMIC_SEQ_CST);
}

static void start(const trophy_client *client, struct source *from) {
    char user[160], key[96];
    describe('c', from, user, sizeof user, key, sizeof key);
    char *kept = strdup(key);
    __atomic_add_fetch(&waiting_callbacks, 1, __ATOMIC_SEQ_CST);
    if (trophy_metrics_event_async(client, METRICS[1], user, 1, NULL, key, CALL_OPTIONS, hear, kept, NULL) !=
        TROPHY_STATUS_OK) {
        __atomic_sub_fetch(&waiting_callbacks, 1, __ATOMIC_SEQ_CST);
        free(kept);
    }
}

/* ---- the second thread: a tenant's events in all three ways, on handles of its own. The last handle of a client may
 * live on beside the next client, and order is a client's promise: so the events of each have users of their own. */

static void *second(void *seed) {
    struct source from = source("t", *(uint64_t *)seed);
    while (!control(STOP)) {
        trophy_client *client = NULL;
        pthread_mutex_lock(&mutex);
        if (shared != NULL) {
            char *json = NULL;
            if (trophy_client_for_tenant(shared, "tenant", &client, &json) != TROPHY_STATUS_OK) {
                say("! no handle: %s", json);
            }
            trophy_string_free(json);
            snprintf(from.name, sizeof from.name, "%st%" PRIu64, name, shared_number);
        }
        pthread_mutex_unlock(&mutex);
        uint64_t most = 20 + chance(&from.random, 500);
        for (uint64_t i = 0; client != NULL && i < most && !control(STOP); i++) {
            uint64_t way = chance(&from.random, 20);
            if (way == 0) {
                call(client, &from);
            } else if (way < 3) {
                start(client, &from);
            } else if (!enqueue(client, &from)) {
                break;
            }
            rest_between_bursts(&from.random);
        }
        if (client != NULL) {
            /* Perhaps the last handle, with requests under way. */
            say("e");
            trophy_client_free(client);
        }
        pause_ms(1);
    }
    return NULL;
}

/* ---- what is done to the process */

static void without_descriptors(uint64_t ms) {
    struct rlimit limit, none;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    /* As many as are open, so that there is no other. */
    int next = open("/dev/null", O_RDONLY);
    none.rlim_cur = next < 0 ? 8 : (rlim_t)next;
    if (next >= 0) {
        close(next);
    }
    setrlimit(RLIMIT_NOFILE, &none);
    pause_ms(ms);
    setrlimit(RLIMIT_NOFILE, &limit);
    say("x descriptors used up");
}

static void without_room(uint64_t ms, uint64_t bytes) {
    struct rlimit limit, little;
    getrlimit(RLIMIT_FSIZE, &limit);
    little = limit;
    little.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &little);
    pause_ms(ms);
    setrlimit(RLIMIT_FSIZE, &limit);
    say("x no room in a file");
}

/* While the other threads go on. */
static void *hinder(void *seed) {
    uint64_t random = *(uint64_t *)seed * 40503u + 977;
    while (!control(STOP)) {
        pause_ms(500 + chance(&random, 4000));
        if (chance(&random, 2) == 0) {
            without_descriptors(20 + chance(&random, 200));
        } else {
            without_room(20 + chance(&random, 200), chance(&random, 1 << 18));
        }
    }
    return NULL;
}

/* A child sends on its parent's client, and ends with or without a word. */
static void have_child(trophy_client *client, uint64_t number, uint64_t random) {
    pid_t child = fork();
    if (child != 0) {
        return;
    }
    alarm(30);
    char kind[32];
    snprintf(kind, sizeof kind, "f%" PRIu64, number);
    struct source from = source(kind, random);
    uint64_t events = chance(&random, 40);
    for (uint64_t i = 0; i < events && enqueue(client, &from); i++) {
    }
    if (chance(&random, 2) == 0) {
        trophy_client_flush(client, (int64_t)chance(&random, 300), NULL);
    }
    say("e");
    if (chance(&random, 2) == 0) {
        trophy_client_free(client);
    }
    _exit(0);
}

static void end_client(trophy_client *client, uint64_t *random) {
    pthread_mutex_lock(&mutex);
    shared = NULL;
    pthread_mutex_unlock(&mutex);
    say("e");
    if (chance(random, 2) == 0) {
        static const int64_t TIMES[] = {0, 50, 500};
        trophy_client_close(client, TIMES[chance(random, 3)], NULL);
        say("x client closed");
    } else {
        say("x client freed");
    }
    trophy_client_free(client);
    say("e");
}

/* Hears of new keys, as a host would that fetches them. */
static void *rotate(void *unused) {
    (void)unused;
    while (!control(STOP)) {
        pthread_mutex_lock(&mutex);
        if (shared != NULL && control(KEY_NUMBER) != key_number) {
            char key[64], *json = NULL;
            key_number = control(KEY_NUMBER);
            key_text(key, sizeof key);
            if (trophy_client_set_api_key(shared, key, &json) != TROPHY_STATUS_OK) {
                say("! no new key: %s", json);
            }
            trophy_string_free(json);
        }
        pthread_mutex_unlock(&mutex);
        pause_ms(20);
    }
    return NULL;
}

static void run(uint64_t seed) {
    struct source from = source("", seed);
    uint64_t random = seed * 31 + 7, clients = 0, children = 0;
    void *(*const bodies[])(void *) = {second, hinder, rotate};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, bodies[i], &seed);
    }
    while (!control(STOP)) {
        trophy_client *client = make_client(clients);
        if (client == NULL) {
            break;
        }
        pthread_mutex_lock(&mutex);
        shared = client;
        shared_number = clients++;
        pthread_mutex_unlock(&mutex);
        uint64_t most = 50 + chance(&random, 1000);
        for (uint64_t i = 0; i < most && !control(STOP); i++) {
            enqueue(client, &from);
            rest_between_bursts(&random);
            if (chance(&random, 1000) == 0) {
                say("x fork");
                have_child(client, children++, random);
            }
        }
        end_client(client, &random);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    if (waiting_callbacks != 0) {
        say("! %d callbacks never came", waiting_callbacks);
    }
}

static void deliver_the_rest(void) {
    char *json = NULL;
    trophy_client *client = make_client(0);
    trophy_status status = trophy_client_flush(client, 1800000, &json);
    if (status != TROPHY_STATUS_OK) {
        char *stats = NULL;
        trophy_client_stats(client, &stats);
        say("! not all was delivered: %s %s", json, stats);
        trophy_string_free(stats);
    }
    trophy_string_free(json);
    trophy_client_free(client);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        return 2;
    }
    int file = open(argv[1], O_RDONLY);
    void *mapped = mmap(NULL, FIELDS * sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        return 2;
    }
    close(file);
    page = mapped;
    queue = argv[2];
    name = argv[3];
    life = strtoull(argv[4], NULL, 10);
    queue_options = argv[6];
    is_merged = strstr(queue_options, "coalesce") != NULL;
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    if (strcmp(argv[5], "-") == 0) {
        deliver_the_rest();
    } else {
        run(strtoull(argv[5], NULL, 10));
    }
    return 0;
}
