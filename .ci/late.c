/* The clock of the wall goes ahead by so many seconds as stand in the file that VAKHTA_TESTS_LATE names, from the moment
 * that they are written there. Monotonic time and the times of files stay as they are. Made and preloaded by .ci/late.
 *
 * libfaketime cannot do it: with Python from 3.11 on, time.sleep() fails under it where monotonic time is left alone,
 * and waiting for a lock never ends where it is not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t none = 0;
static const volatile int64_t *ahead = &none;
static int (*really)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    really = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *name = getenv("VAKHTA_TESTS_LATE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *seen = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (seen != MAP_FAILED)
        ahead = seen;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!really)
        begin();
    int failed = really(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *also)
{
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    if (also)
        *also = exact.tv_sec;
    return exact.tv_sec;
}
