/* A process that runs out of memory. An allocation that fails ends it with SIGABRT, as Rust's standard library does, or
 * the call returns an error: never another signal, never a call that hangs, never a callback that does not come. And
 * text of the host's own size for which there is no memory is refused in words. */
#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* ---- the allocator: glibc's, of which the call with a certain number fails */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static int armed;
static long calls, fails_at;
static _Thread_local int is_spared;

static int fails(void) {
    if (!__atomic_load_n(&armed, __ATOMIC_SEQ_CST) || is_spared) {
        return 0;
    }
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) != fails_at) {
        return 0;
    }
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }
void *aligned_alloc(size_t alignment, size_t size) { return fails() ? NULL : __libc_memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *made = fails() ? NULL : __libc_memalign(alignment, size);
    if (made == NULL) {
        return ENOMEM;
    }
    *out = made;
    return 0;
}

/* What Rust's thread-locals register their destructors with. When its calloc() fails, glibc 2.31 writes through the NULL,
 * and 2.36 aborts: nothing that the library could do about either. */
typedef int register_destructor(void (*)(void *), void *, void *);

int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *library) {
    register_destructor *next;
    is_spared = 1;
    *(void **)&next = dlsym(RTLD_NEXT, "__cxa_thread_atexit_impl");
    int result = next(destructor, object, library);
    is_spared = 0;
    return result;
}

/* ---- what is tried, each with a client of its own */

static trophy_client *client;
static char *json;
static int called;
static char options[512];

static const char *const user = "{\"id\": \"42\", \"name\": \"Ada\"}";

static void hear(trophy_status status, const char *text, void *user_data) {
    (void)status;
    (void)text;
    (void)user_data;
    __atomic_add_fetch(&called, 1, __ATOMIC_SEQ_CST);
}

/* Ends the child with 3 if the callback of a call that was taken does not come. */
static void wait_for_callback(trophy_status taken) {
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int tries = 0; taken == TROPHY_STATUS_OK && __atomic_load_n(&called, __ATOMIC_SEQ_CST) == 0; tries++) {
        if (tries > 20000) {
            _exit(3);
        }
        trophy_client_dispatch(client, 0);
        nanosleep(&moment, NULL);
    }
}

static void make_a_client(void) {
    trophy_client *made = NULL;
    if (trophy_client_new("app.key", options, &made, &json) == TROPHY_STATUS_OK) {
        trophy_client_free(made);
    }
}

static void make_a_tenants(void) {
    trophy_client *made = NULL;
    if (trophy_client_for_tenant(client, "t", &made, &json) == TROPHY_STATUS_OK) {
        trophy_client_free(made);
    }
}

static void send_an_event(void) {
    (void)trophy_metrics_event(client, "m", user, 1, "{\"a\": \"b\"}", NULL, "{\"max_retries\": 0}", &json);
}

static void send_an_event_async(void) {
    wait_for_callback(trophy_metrics_event_async(client, "m", user, 1, NULL, NULL, NULL, hear, NULL, &json));
}

static void enqueue_an_event(void) {
    trophy_client_on_delivery(client, hear, NULL);
    char *more = NULL;
    (void)trophy_metrics_event_enqueue(client, "m", user, 1, NULL, NULL, NULL, &json);
    (void)trophy_client_flush(client, 50, &more);
    trophy_string_free(more);
}

static void call_async(void) {
    wait_for_callback(trophy_call_async(client, TROPHY_OP_LEADERBOARDS_ALL, NULL, hear, NULL, &json));
}

static void call(void) {
    (void)trophy_call(client, TROPHY_OP_USERS_STREAK, "{\"id\": \"42\", \"historyPeriods\": 14}", &json);
}

static void read_a_user(void) { (void)trophy_users_get(client, "42", NULL, &json); }
static void create_a_user(void) { (void)trophy_users_create(client, user, NULL, &json); }
static void complete(void) { (void)trophy_achievements_complete(client, "a", user, NULL, &json); }
static void refuse(void) { (void)trophy_users_get(client, "42", "{\"none\": 1}", &json); }
static void stats(void) { (void)trophy_client_stats(client, &json); }
static void rotate(void) { (void)trophy_client_set_api_key(client, "app.other", &json); }
static void end(void) { (void)trophy_client_close(client, 10, &json); }
static void cancel(void) { (void)trophy_client_cancel(client, NULL); }
static void verify(void) {
    trophy_status status = trophy_webhook_verify((const uint8_t *)"{}", 2, "c2lnbmF0dXJl", "secret", &json);
    (void)status;
}
static void quote(void) { json = trophy_json_quote("a \"quoted\" text"); }
static void read_json(void) {
    json = trophy_json_string("{\"a\": [1, {\"b\": \"c\\u00e9\"}]}", "/a/1/b");
    (void)trophy_json_length("[1, 2]", "");
    (void)trophy_json_number("{\"a\": 1}", "/a", 0);
}

typedef void scenario(void);

/* Runs it in a child whose allocation `number` fails. False once it makes no more than that. */
static int try_one(const char *name, scenario *run, long number) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        /* The message of the standard library. */
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(4);
        }
        alarm(60);
        if (run != make_a_client) {
            client = make_client(options);
        }
        fails_at = number;
        __atomic_store_n(&armed, 1, __ATOMIC_SEQ_CST);
        run();
        __atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST);
        trophy_string_free(json);
        trophy_client_free(client);
        _exit(calls < number ? 2 : 0);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    int is_end = WIFEXITED(status) && WEXITSTATUS(status) == 2;
    int is_well = is_end || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                  (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (!is_well) {
        printf("%s, allocation %ld: status %x\n", name, number, (unsigned)status);
    }
    CHECK(is_well);
    return is_well && !is_end;
}

/* Each of the first, then fewer and fewer: a sixth of their number apart, or as far as TROPHY_TEST_ALLOCATIONS says, of
 * which 1000000 tries each. */
static void try_all(const char *name, scenario *run) {
    const char *asked = getenv("TROPHY_TEST_ALLOCATIONS");
    long part = asked != NULL ? atol(asked) : 6, number = 1, tried = 0;
    for (; try_one(name, run, number); number += 1 + number / part) {
        tried++;
        alarm(120);
    }
    printf("       %s: %ld of %ld allocations\n", name, tried, number);
    CHECK(tried > 0);
}

#define TRY(name) try_all(#name, name)

static void an_allocation_that_fails_ends_the_call_or_the_process(void) {
    TRY(make_a_client);
    TRY(make_a_tenants);
    TRY(send_an_event);
    TRY(send_an_event_async);
    TRY(enqueue_an_event);
    TRY(call_async);
    TRY(call);
    TRY(read_a_user);
    TRY(create_a_user);
    TRY(complete);
    TRY(refuse);
    TRY(stats);
    TRY(rotate);
    TRY(end);
    TRY(verify);
    TRY(quote);
    TRY(read_json);
}

/* They allocate nothing. */
static void what_needs_no_memory_needs_none(void) {
    client = make_client(options);
    fails_at = 1;
    __atomic_store_n(&armed, 1, __ATOMIC_SEQ_CST);
    cancel();
    (void)trophy_version();
    (void)trophy_status_name(TROPHY_STATUS_OK);
    trophy_string_free(NULL);
    __atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST);
    CHECK(calls == 0);
    trophy_client_free(client);
    client = NULL;
}

/* ---- text of the host's own size */

enum { MEGABYTE = 1 << 20, LARGE = 64 * MEGABYTE };

static long megabytes_in_use(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
}

static void text_for_which_there_is_no_memory_is_refused_in_words(void) {
    client = make_client(options);
    char *large = malloc(LARGE + 1);
    memset(large, ' ', LARGE);
    large[0] = '{';
    memcpy(large + LARGE - 8, "\"id\":\"\"}", 9);
    struct rlimit before, little;
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    little = before;
    little.rlim_cur = (rlim_t)(megabytes_in_use() + 128) * MEGABYTE;
    CHECK(setrlimit(RLIMIT_AS, &little) == 0);
    char *too_large = malloc((size_t)256 * MEGABYTE);
    if (too_large != NULL) {
        /* qemu-user takes such a limit and does not keep it. */
        puts("skipped: no limit of a process's memory is kept here");
        free(too_large);
        free(large);
        trophy_client_free(client);
        client = NULL;
        return;
    }

#define REFUSED(name, call) \
    do { \
        CHECK_STATUS((call), TROPHY_STATUS_INVALID_ARGUMENT); \
        CHECK_HOLDS(json, name ": there is no memory for a text of 67108864 bytes"); \
        trophy_string_free(json); \
    } while (0)

    REFUSED("user_json", trophy_metrics_event(client, "m", large, 1, NULL, NULL, NULL, &json));
    REFUSED("attributes_json", trophy_metrics_event_enqueue(client, "m", user, 1, large, NULL, NULL, &json));
    REFUSED("options_json", trophy_metrics_event_async(client, "m", user, 1, NULL, NULL, large, hear, NULL, &json));
    REFUSED("args_json", trophy_call(client, TROPHY_OP_USERS_CREATE, large, &json));
    REFUSED("user_json", trophy_users_create(client, large, NULL, &json));
    REFUSED("id", trophy_users_get(client, large, NULL, &json));
    REFUSED("body", trophy_webhook_verify((uint8_t *)large, LARGE, "s", "s", &json));
    trophy_client *made = NULL;
    REFUSED("options_json", trophy_client_new("app.key", large, &made, &json));
    CHECK(trophy_json_quote(large) == NULL);
    CHECK(trophy_json_string(large, "/id") == NULL);
    json = NULL;

    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
    char *quoted = trophy_json_quote(large);
    CHECK(quoted != NULL);
    trophy_string_free(quoted);
    free(large);
    trophy_client_free(client);
    client = NULL;
}

int main(void) {
    /* The children that abort leave no core, and look up no names for a backtrace. */
    const struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_CORE, &none) == 0 && setenv("RUST_BACKTRACE", "0", 1) == 0);
    snprintf(options, sizeof options,
             "{\"max_retries\": 0, \"timeout_in_seconds\": 10, \"workers\": 2, \"callbacks\": "
             "\"worker\", \"queue\": {\"requests_per_second\": 1000}}");
    RUN(what_needs_no_memory_needs_none);
    RUN(text_for_which_there_is_no_memory_is_refused_in_words);
    RUN(an_allocation_that_fails_ends_the_call_or_the_process);
    return RESULT;
}
