/* Samples of a time, kept one by one: percentiles are exact, not from buckets. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint32_t *us; /* microseconds; a little over an hour fits */
    size_t count, room;
    double sum_us;
} Samples;

static void add_sample(Samples *samples, int64_t ns) {
    if (samples->count == samples->room) {
        samples->room = samples->room ? 2 * samples->room : 4096;
        samples->us = realloc(samples->us, samples->room * sizeof *samples->us);
        if (!samples->us) abort();
    }
    samples->us[samples->count++] = (uint32_t)(ns / 1000);
    samples->sum_us += ns / 1e3;
}

static int by_size(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* The smallest sample that at least `share` of all samples do not exceed. */
static uint32_t quantile(const Samples *samples, double share) {
    size_t rank = (size_t)(share * samples->count + 0.999999);
    return samples->us[rank ? rank - 1 : 0];
}

static void print_samples(const char *name, Samples *samples) {
    if (!samples->count) {
        printf("\"%s\":null", name);
        return;
    }
    qsort(samples->us, samples->count, sizeof *samples->us, by_size);
    printf("\"%s\":{\"count\":%zu,\"mean\":%.1f,\"min\":%u,\"p50\":%u,\"p95\":%u,\"p99\":%u,\"max\":%u}", name, samples->count,
           samples->sum_us / samples->count, samples->us[0], quantile(samples, 0.50), quantile(samples, 0.95),
           quantile(samples, 0.99), samples->us[samples->count - 1]);
}

#endif
