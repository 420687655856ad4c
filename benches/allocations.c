/*
 * LD_PRELOAD: counts heap allocations, and at exit writes to the file named by BENCH_ALLOCATIONS how many there were
 * and their bytes; with BENCH_ALLOCATIONS_TRACE set, also who made them: lines of a count and the return addresses,
 * innermost first, as offsets into the library of that name. A realloc counts: it may move.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glibc's own names for its allocator, so that there is nothing to look up first. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

enum { DEPTH = 24, PLACES = 1 << 14 };

struct place {
    unsigned long long count;
    int depth;
    void *stack[DEPTH];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long counted, bytes;
static struct place places[PLACES];
static const char *traced;
static bool ready;
static __thread bool inside __attribute__((tls_model("initial-exec")));

/* Where it came from: the stack without note() and the allocator's function. */
static void trace(void)
{
    void *stack[DEPTH];
    int depth = backtrace(stack, DEPTH);
    uintptr_t hash = 0;
    for (int i = 2; i < depth; i++)
        hash = hash * 1000003 ^ (uintptr_t)stack[i];
    for (size_t probe = 0; probe < PLACES; probe++) {
        struct place *place = &places[(hash + probe) % PLACES];
        if (place->count == 0) {
            memcpy(place->stack, stack, sizeof stack);
            place->depth = depth;
        }
        if (place->depth == depth && memcmp(place->stack + 2, stack + 2, (size_t)(depth - 2) * sizeof *stack) == 0) {
            place->count++;
            return;
        }
    }
}

static void note(size_t size)
{
    if (inside)
        return;
    inside = true;
    pthread_mutex_lock(&lock);
    counted++;
    bytes += size;
    if (ready && traced != NULL)
        trace();
    pthread_mutex_unlock(&lock);
    inside = false;
}

void *malloc(size_t size)
{
    note(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    note(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    note(size);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    note(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    note(size);
    *out = __libc_memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}

__attribute__((constructor)) static void begin(void)
{
    void *first[1];
    inside = true;
    backtrace(first, 1); /* Loads the unwinder, which allocates. */
    inside = false;
    traced = getenv("BENCH_ALLOCATIONS_TRACE");
    ready = true;
}

__attribute__((destructor)) static void tell(void)
{
    inside = true;
    const char *path = getenv("BENCH_ALLOCATIONS");
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    fprintf(file, "%llu %llu\n", counted, bytes);
    for (size_t i = 0; traced != NULL && i < PLACES; i++) {
        if (places[i].count == 0)
            continue;
        fprintf(file, "%llu", places[i].count);
        for (int depth = 2; depth < places[i].depth; depth++) {
            Dl_info info;
            if (dladdr(places[i].stack[depth], &info) != 0 && strstr(info.dli_fname, traced) != NULL)
                fprintf(file, " %zx", (size_t)((char *)places[i].stack[depth] - (char *)info.dli_fbase));
        }
        fputc('\n', file);
    }
    fclose(file);
}
