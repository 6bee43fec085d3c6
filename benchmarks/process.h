/* What both programs need of the system: the clock, a timer, as many files as allowed. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Wakes at `due_ns`; 0: never. Asks the kernel only if that changed. */
static void arm_timer(int timer_fd, int64_t due_ns) {
    static int64_t armed_ns;
    if (due_ns == armed_ns) return;
    armed_ns = due_ns;
    struct itimerspec at = {.it_value = {due_ns / 1000000000, due_ns % 1000000000}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* A thousand streams need more than the usual 1024 files. */
static void raise_file_limit(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

#endif
