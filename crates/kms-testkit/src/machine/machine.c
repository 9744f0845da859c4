/* Stands between a program and the C library, and lets the machine be in trouble when it is told to:
 * a disk that has no room for more, and a clock that somebody has set. What it is told stands in the
 * file that FAULTS_OF_MACHINE names, which all processes that were started with it share.
 *
 * Without room, what would make a regular file longer fails with ENOSPC, and what is there already can
 * be written over, as on a real file system. Only the clock of the calendar moves; those that measure
 * do not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct orders {
    int64_t full;
    int64_t ahead_s;
};

static const volatile struct orders *orders;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_OF_MACHINE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof(struct orders), PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) orders = found;
    close(file);
}

/* The function that would have been called without this. */
#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int no_room(int file, off_t at, size_t length) {
    struct stat now;
    if (!orders || !orders->full) return 0;
    if (fstat(file, &now) || !S_ISREG(now.st_mode)) return 0;
    if (at < 0) at = fcntl(file, F_GETFL) & O_APPEND ? now.st_size : lseek(file, 0, SEEK_CUR);
    if (at + (off_t)length <= now.st_size) return 0;
    errno = ENOSPC;
    return 1;
}

static size_t sum(const struct iovec *parts, int count) {
    size_t all = 0;
    for (int at = 0; at < count; at++) all += parts[at].iov_len;
    return all;
}

ssize_t write(int file, const void *bytes, size_t length) {
    REAL(write);
    return no_room(file, -1, length) ? -1 : real(file, bytes, length);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    return no_room(file, -1, sum(parts, count)) ? -1 : real(file, parts, count);
}

#define PWRITE(name, offset) \
    ssize_t name(int file, const void *bytes, size_t length, offset at) { \
        REAL(name); \
        return no_room(file, at, length) ? -1 : real(file, bytes, length, at); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset) \
    ssize_t name(int file, const struct iovec *parts, int count, offset at) { \
        REAL(name); \
        return no_room(file, at, sum(parts, count)) ? -1 : real(file, parts, count, at); \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define FALLOCATE(name, offset) \
    int name(int file, int mode, offset at, offset length) { \
        REAL(name); \
        return no_room(file, at, (size_t)length) ? -1 : real(file, mode, at, length); \
    }
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

#define POSIX_FALLOCATE(name, offset) \
    int name(int file, offset at, offset length) { \
        REAL(name); \
        return no_room(file, at, (size_t)length) ? ENOSPC : real(file, at, length); \
    }
POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && orders && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += orders->ahead_s;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    REAL(gettimeofday);
    int failed = real(now, zone);
    if (!failed && orders) now->tv_sec += orders->ahead_s;
    return failed;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
