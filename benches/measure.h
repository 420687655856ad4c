/* Clocks, and what the kernel knows of this process, as one line of JSON. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline uint64_t wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Of all threads, user and system. */
static inline uint64_t cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* A line of /proc/self/status as a number: VmRSS and VmHWM in kB, Threads. */
static inline long process_status(const char *name)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long value = -1;
    size_t length = strlen(name);
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            sscanf(line + length + 1, "%ld", &value);
    if (file != NULL)
        fclose(file);
    return value;
}

/* A line of /proc/self/io as a number: rchar, wchar (of read() and write()), read_bytes, write_bytes (of the disk). */
static inline long long process_io(const char *name)
{
    FILE *file = fopen("/proc/self/io", "r");
    char line[256];
    long long value = -1;
    size_t length = strlen(name);
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            sscanf(line + length + 1, "%lld", &value);
    if (file != NULL)
        fclose(file);
    return value;
}

/* `more` is further members, each with a comma before it. */
static inline void report(uint64_t wall, uint64_t cpu, const char *more)
{
    printf("{\"wall_ns\":%llu,\"cpu_ns\":%llu,\"rss_kb\":%ld,\"peak_kb\":%ld,\"threads\":%ld,\"wchar\":%lld,\"write_bytes\":%lld%s}\n",
           (unsigned long long)wall, (unsigned long long)cpu, process_status("VmRSS"), process_status("VmHWM"),
           process_status("Threads"), process_io("wchar"), process_io("write_bytes"), more);
    fflush(stdout);
}

#endif
