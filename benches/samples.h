/* How long each of many operations took. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For a plot of the distribution: shares of the samples, each further out in the tail. */
static const double samples_shares[] = {0,    0.1,   0.25,  0.5,    0.75,   0.9,     0.95,    0.99,
                                        0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999, 1};

static int samples_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t *samples_new(size_t count)
{
    uint32_t *samples = calloc(count + 1, sizeof *samples);
    if (samples == NULL) {
        perror("samples");
        exit(1);
    }
    /* Its pages are there before the clock runs. */
    memset(samples, 1, count * sizeof *samples);
    return samples;
}

/* Sorts them, and writes median, tails and the whole curve in nanoseconds as members of JSON, each with a comma before
   it. */
static void samples_summary(uint32_t *samples, size_t count, char *out, size_t room)
{
    qsort(samples, count, sizeof *samples, samples_compare);
    int used = snprintf(out, room, ",\"median_ns\":%u,\"p99_ns\":%u,\"p999_ns\":%u,\"worst_ns\":%u,\"curve\":[",
                        samples[count / 2], samples[count * 99 / 100], samples[count * 999 / 1000], samples[count - 1]);
    for (size_t i = 0; i < sizeof samples_shares / sizeof *samples_shares; i++) {
        size_t at = (size_t)(samples_shares[i] * (double)count);
        used += snprintf(out + used, room - (size_t)used, "%s[%g,%u]", i > 0 ? "," : "", samples_shares[i],
                         samples[at < count ? at : count - 1]);
    }
    snprintf(out + used, room - (size_t)used, "]");
}

#endif
