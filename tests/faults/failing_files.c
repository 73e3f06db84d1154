/* A medium that fails: preloaded, every write and sync of a file whose name begins as FAILING_FILES says answers EIO
   while the file FAILING_NOW exists. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int file)
{
    const char *prefix = getenv("FAILING_FILES"), *now = getenv("FAILING_NOW");
    char link[64], path[3000];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = prefix && now ? readlink(link, path, sizeof path - 1) : 0;
    if (length <= 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, prefix, strlen(prefix)) || access(now, F_OK))
        return 0;
    errno = EIO;
    return 1;
}

int fsync(int file) { return fails(file) ? -1 : (int)syscall(SYS_fsync, file); }
int fdatasync(int file) { return fails(file) ? -1 : (int)syscall(SYS_fdatasync, file); }
ssize_t write(int file, const void *data, size_t size) { return fails(file) ? -1 : syscall(SYS_write, file, data, size); }
ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    return fails(file) ? -1 : syscall(SYS_pwrite64, file, data, size, at);
}
ssize_t pwrite64(int file, const void *data, size_t size, off_t at) { return pwrite(file, data, size, at); }
