/* How long each of many operations took. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int samples_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts them, and writes median and tails in nanoseconds as members of JSON, each with a comma before it. */
static void samples_summary(uint32_t *samples, size_t count, char *out, size_t room)
{
    qsort(samples, count, sizeof *samples, samples_compare);
    snprintf(out, room, ",\"median_ns\":%u,\"p99_ns\":%u,\"p999_ns\":%u", samples[count / 2], samples[count * 99 / 100],
             samples[count * 999 / 1000]);
}

#endif
