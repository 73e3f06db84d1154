/* Moves the wall clock of one process, and nothing else: preloaded, it adds the int64 nanoseconds that the file named by
   WALL_CLOCK_FILE holds at that moment to whatever CLOCK_REALTIME tells. The monotonic clocks stay as they are. The
   kernel's word on NTP is about the clock that was not moved, so it becomes "not synchronised". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_ns;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WALL_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    if (at != MAP_FAILED)
        shift_ns = at;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && shift_ns && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t moved = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + *shift_ns;
        now->tv_sec = moved / 1000000000;
        now->tv_nsec = moved % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec moved;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &moved);
    now->tv_sec = moved.tv_sec;
    now->tv_usec = moved.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec moved;
    clock_gettime(CLOCK_REALTIME, &moved);
    if (out)
        *out = moved.tv_sec;
    return moved.tv_sec;
}

int adjtimex(struct timex *answer)
{
    memset(answer, 0, sizeof *answer);
    answer->status = STA_UNSYNC;
    return TIME_ERROR;
}
