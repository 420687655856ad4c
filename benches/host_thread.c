/*
 * What the calls that promise not to wait take of their caller's time.
 *
 *   host_thread URL FOLDER         then lines of "CALL THREADS COUNT" on stdin
 *
 * COUNT is of all threads together. CALL is a row of the table at the end of this file. Each line has a client of its
 * own, and is answered with a line of JSON.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <trophy.h>
#include <unistd.h>

#include "measure.h"
#include "peer.h"
#include "samples.h"

#define ATTRIBUTES "{\"genre\":\"poem\",\"device\":\"desktop\"}"

enum { MOST_THREADS = 16, IN_FLIGHT = 8000, FEW = 1000 };

struct thread {
    unsigned number;
    size_t count, taken;
    uint32_t *samples;
    /* Of a bare write(), beside an enqueue. */
    uint32_t *written;
    atomic_uint called_back;
};

static trophy_client *client;
static const char *base_url, *folder;
static unsigned threads_count;
static struct thread threads[MOST_THREADS];
static pthread_barrier_t barrier;
static atomic_uint users;
static size_t record_bytes;

void fail(const char *what, const char *more)
{
    fprintf(stderr, "%s: %s\n", what, more != NULL ? more : "");
    exit(1);
}

static void check(const char *what, trophy_status status, char *json)
{
    if (status != TROPHY_STATUS_OK)
        fail(what, json);
    trophy_string_free(json);
}

static void open_client(const char *more)
{
    char options[2048], *json = NULL;
    snprintf(options, sizeof options, "{\"base_url\":\"%s/v1\",\"admin_base_url\":\"%s/admin/v1\"%s}", base_url,
             base_url, more);
    check("trophy_client_new", trophy_client_new(API_KEY, options, &client, &json), json);
}

static double stat_of(const char *pointer)
{
    char *json = NULL;
    if (trophy_client_stats(client, &json) != TROPHY_STATUS_OK)
        fail("trophy_client_stats", json);
    double number = trophy_json_number(json, pointer, -1);
    trophy_string_free(json);
    return number;
}

static void called_back(trophy_status status, const char *json, void *user_data)
{
    (void)status;
    (void)json;
    struct thread *thread = user_data;
    atomic_fetch_add(&thread->called_back, 1);
}

static void send_event(struct thread *thread, trophy_callback callback, void *user_data)
{
    char user[64], *json = NULL;
    snprintf(user, sizeof user, "{\"id\":\"%u\"}", 1000000 + atomic_fetch_add(&users, 1));
    uint64_t start = wall_ns();
    trophy_status status
        = trophy_metrics_event_async(client, "words-written", user, 750, ATTRIBUTES, NULL, NULL, callback, user_data, &json);
    bool ok = status == TROPHY_STATUS_OK;
    if (ok)
        trophy_string_free(json);
    if (thread != NULL)
        thread->samples[thread->taken++] = (uint32_t)(wall_ns() - start);
    if (!ok)
        fail("trophy_metrics_event_async", json);
}

static void await_callbacks(struct thread *thread, unsigned many)
{
    while (atomic_load(&thread->called_back) < many)
        usleep(200);
    atomic_store(&thread->called_back, 0);
}

/* As many as may wait at once; then they are ended, while nobody measures. */
static void event_async(struct thread *thread)
{
    while (thread->taken < thread->count) {
        size_t before = thread->taken, block = IN_FLIGHT / threads_count;
        while (thread->taken < thread->count && thread->taken - before < block)
            send_event(thread, called_back, thread);
        pthread_barrier_wait(&barrier);
        trophy_client_cancel(client, thread);
        await_callbacks(thread, (unsigned)(thread->taken - before));
        pthread_barrier_wait(&barrier);
    }
}

static atomic_uint cancelled;

static void was_cancelled(trophy_status status, const char *json, void *user_data)
{
    (void)status;
    (void)json;
    (void)user_data;
    atomic_fetch_add(&cancelled, 1);
}

/* One call, of so many that wait. */
static void cancel(struct thread *thread)
{
    static char tags[MOST_THREADS][FEW];
    while (thread->taken < thread->count) {
        size_t block = thread->count - thread->taken < FEW ? thread->count - thread->taken : FEW;
        atomic_store(&cancelled, 0);
        pthread_barrier_wait(&barrier);
        for (size_t i = 0; i < block; i++)
            send_event(NULL, was_cancelled, &tags[thread->number][i]);
        for (size_t i = 0; i < block; i++) {
            uint64_t start = wall_ns();
            trophy_client_cancel(client, &tags[thread->number][i]);
            thread->samples[thread->taken++] = (uint32_t)(wall_ns() - start);
        }
        while (atomic_load(&cancelled) < block * threads_count)
            usleep(200);
        pthread_barrier_wait(&barrier);
    }
}

/* While calls and events wait. */
static void stats(struct thread *thread)
{
    if (thread->number == 0) {
        for (unsigned i = 0; i < FEW; i++) {
            char *json = NULL;
            send_event(NULL, called_back, thread);
            check("enqueue", trophy_metrics_event_enqueue(client, "words-written", "{\"id\":\"42\"}", 750, ATTRIBUTES, NULL, NULL, &json), json);
        }
    }
    pthread_barrier_wait(&barrier);
    while (thread->taken < thread->count) {
        char *json = NULL;
        uint64_t start = wall_ns();
        trophy_status status = trophy_client_stats(client, &json);
        trophy_string_free(json);
        thread->samples[thread->taken++] = (uint32_t)(wall_ns() - start);
        if (status != TROPHY_STATUS_OK)
            fail("trophy_client_stats", "");
    }
}

static void enqueue_one(struct thread *thread)
{
    unsigned number = atomic_fetch_add(&users, 1);
    char user[128], *json = NULL;
    snprintf(user, sizeof user, "{\"id\":\"%u\",\"email\":\"user%u@example.com\",\"tz\":\"Europe/London\"}", 1000000 + number,
             number);
    uint64_t start = wall_ns();
    trophy_status status
        = trophy_metrics_event_enqueue(client, "words-written", user, 750, ATTRIBUTES, NULL, NULL, &json);
    bool ok = status == TROPHY_STATUS_OK;
    if (ok)
        trophy_string_free(json);
    if (thread != NULL)
        thread->samples[thread->taken++] = (uint32_t)(wall_ns() - start);
    if (!ok)
        fail("trophy_metrics_event_enqueue", json);
}

/* By turns with a write() of as many bytes to a file of the thread's own. */
static void enqueue(struct thread *thread)
{
    char path[600], bytes[4096];
    snprintf(path, sizeof path, "%s/written-%u", folder, thread->number);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (file < 0)
        fail("open", path);
    memset(bytes, 'x', sizeof bytes);
    while (thread->taken < thread->count) {
        size_t first = thread->taken;
        while (thread->taken < thread->count && thread->taken - first < 100)
            enqueue_one(thread);
        for (size_t i = first; i < thread->taken; i++) {
            uint64_t start = wall_ns();
            if (write(file, bytes, record_bytes) != (ssize_t)record_bytes)
                fail("write", path);
            thread->written[i] = (uint32_t)(wall_ns() - start);
        }
    }
    close(file);
    unlink(path);
}

/* With `due` callbacks due. All threads dispatch at once; the first has made them due. */
static void dispatch_due(struct thread *thread, unsigned due)
{
    while (thread->taken < thread->count) {
        if (thread->number == 0) {
            for (unsigned i = 0; i < due; i++)
                send_event(NULL, called_back, &threads[0]);
            if (due > 0) {
                trophy_client_cancel(client, &threads[0]);
                while (stat_of("/callsUnderWay") + stat_of("/callsWaiting") > 0)
                    usleep(100);
                usleep(100);
            }
        }
        if (due > 0)
            pthread_barrier_wait(&barrier);
        uint64_t start = wall_ns();
        trophy_client_dispatch(client, 0);
        thread->samples[thread->taken++] = (uint32_t)(wall_ns() - start);
        if (due == 0)
            continue;
        pthread_barrier_wait(&barrier);
        if (thread->number == 0) {
            while (atomic_load(&threads[0].called_back) < due)
                trophy_client_dispatch(client, 1);
            atomic_store(&threads[0].called_back, 0);
        }
    }
}

static void dispatch_0(struct thread *thread) { dispatch_due(thread, 0); }
static void dispatch_1(struct thread *thread) { dispatch_due(thread, 1); }
static void dispatch_10(struct thread *thread) { dispatch_due(thread, 10); }
static void dispatch_100(struct thread *thread) { dispatch_due(thread, 100); }

#define DISPATCH ",\"callbacks\":\"dispatch\""

static const struct call {
    const char *name, *options;
    void (*run)(struct thread *);
} calls[] = {
    {"event_async", "", event_async},
    {"enqueue", "", enqueue},
    {"dispatch-0", DISPATCH, dispatch_0},
    {"dispatch-1", DISPATCH, dispatch_1},
    {"dispatch-10", DISPATCH, dispatch_10},
    {"dispatch-100", DISPATCH, dispatch_100},
    {"stats", "", stats},
    {"cancel", "", cancel},
};

static const struct call *running;

static void *run(void *thread)
{
    pthread_barrier_wait(&barrier);
    running->run(thread);
    return NULL;
}

/* Bytes that an event takes on disk, as a queue has them that nothing leaves. */
static void measure_record(void)
{
    char options[1024];
    const char *service = base_url;
    base_url = "http://127.0.0.1:1";
    snprintf(options, sizeof options, ",\"queue\":{\"path\":\"%s/queue-of-records\"}", folder);
    open_client(options);
    for (unsigned i = 0; i < 100; i++)
        enqueue_one(NULL);
    double before = stat_of("/bytesOnDisk");
    for (unsigned i = 0; i < FEW; i++)
        enqueue_one(NULL);
    record_bytes = (size_t)((stat_of("/bytesOnDisk") - before) / FEW);
    trophy_client_free(client);
    base_url = service;
    if (record_bytes < 100 || record_bytes > 1000)
        fail("bytesOnDisk", "is not what events take");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail(argv[0], "usage: URL FOLDER < lines of CALL THREADS COUNT");
    base_url = argv[1];
    folder = argv[2];
    measure_record();
    char line[128];
    for (unsigned round = 0; fgets(line, sizeof line, stdin) != NULL; round++) {
        char name[32] = "";
        size_t count = 0;
        sscanf(line, "%31s %u %zu", name, &threads_count, &count);
        running = NULL;
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            if (strcmp(calls[i].name, name) == 0)
                running = &calls[i];
        if (running == NULL || threads_count < 1 || threads_count > MOST_THREADS || count < threads_count)
            fail("not a line of CALL THREADS COUNT", line);

        char options[1024];
        snprintf(options, sizeof options,
                 "%s,\"queue\":{\"path\":\"%s/queue-%u\",\"max_events\":4000000,\"max_bytes\":4000000000}", running->options,
                 folder, round);
        open_client(options);
        bool writes = running->run == enqueue;
        size_t each = count / threads_count;
        count = each * threads_count;
        uint32_t *samples = samples_new(count), *written = writes ? samples_new(count) : NULL;
        pthread_t handles[MOST_THREADS];
        pthread_barrier_init(&barrier, NULL, threads_count);
        uint64_t wall = wall_ns(), cpu = cpu_ns();
        for (unsigned i = 0; i < threads_count; i++) {
            threads[i] = (struct thread){.number = i, .count = each, .samples = samples + i * each,
                                         .written = writes ? written + i * each : NULL};
            if (pthread_create(&handles[i], NULL, run, &threads[i]) != 0)
                fail("pthread_create", "");
        }
        for (unsigned i = 0; i < threads_count; i++)
            pthread_join(handles[i], NULL);
        wall = wall_ns() - wall;
        cpu = cpu_ns() - cpu;
        pthread_barrier_destroy(&barrier);
        trophy_client_free(client);

        char summary[2048], bare[1024] = "", more[4096];
        samples_summary(samples, count, summary, sizeof summary);
        if (writes) {
            samples_summary(written, count, bare, sizeof bare);
            snprintf(more, sizeof more, ",\"count\":%zu%s,\"record_bytes\":%zu,\"write\":{\"count\":%zu%s}", count, summary, record_bytes, count, bare);
        } else {
            snprintf(more, sizeof more, ",\"count\":%zu%s", count, summary);
        }
        report(wall, cpu, more);
        free(samples);
        free(written);
    }
    return 0;
}
