/* A shared object for LD_PRELOAD: the calls of tests/fault/plan.h, counted and, where
 * the plan says so, failing with the error of that kind, whoever calls: our code,
 * SQLite, zstd, libxml2, the C library's own allocations. */
#define _GNU_SOURCE /* RTLD_NEXT, accept4 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fault/plan.h"

/* Libraries that crash or end the process when they get no memory (libtasn1 and gnutls
 * look into what they did not get, gmp and libuv abort), or whose threads do: what they
 * ask for themselves does not fail. */
static const char *const spared[] = {
    "/libuv.",         "/libgnutls.", "/libgmp.",     "/libtasn1.",
    "/libhogweed.",    "/libnettle.", "/libp11-kit.", "/libcurl-gnutls.",
    "/libmicrohttpd.", "/libidn2.",   "/ld-linux"};

enum { SPARED = sizeof spared / sizeof spared[0], RANGES_MAX = 4 * SPARED };

static struct {
    uintptr_t from;
    uintptr_t to;
} ranges[RANGES_MAX];
static size_t range_count;

static struct hm_fault_plan *plan;
static char *stack_end; /* of the main thread */
static __thread char this_thread;
static __thread bool is_helper;
static char *main_thread;

static int find_spared(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (size_t i = 0; i < SPARED; i++) {
        if (strstr(info->dlpi_name, spared[i]) == NULL) {
            continue;
        }
        for (int j = 0; j < info->dlpi_phnum && range_count < RANGES_MAX; j++) {
            const ElfW(Phdr) *part = &info->dlpi_phdr[j];

            if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
                ranges[range_count].from = info->dlpi_addr + part->p_vaddr;
                ranges[range_count].to =
                    info->dlpi_addr + part->p_vaddr + part->p_memsz;
                range_count++;
            }
        }
    }
    return 0;
}

static bool is_spared(const void *caller)
{
    for (size_t i = 0; i < range_count; i++) {
        if ((uintptr_t)caller >= ranges[i].from && (uintptr_t)caller < ranges[i].to) {
            return true;
        }
    }
    return false;
}

void hm_fault_calls_use(struct hm_fault_plan *new_plan)
{
    range_count = 0;
    (void)dl_iterate_phdr(find_spared, NULL);
    plan = new_plan;
    main_thread = &this_thread;
    stack_end = (char *)environ; /* at or above its first frame */
}

void hm_fault_calls_spare(void)
{
    is_helper = true;
}

/* From where, as far as frame pointers lead: our code keeps them, a library's frames
 * are mostly passed over. Never leaves the stack. */
static void find_path(void **frame, void *out[HM_FAULT_DEPTH])
{
    char *low = (char *)frame;

    memset(out, 0, HM_FAULT_DEPTH * sizeof out[0]);
    out[0] = frame[1];
    for (int i = 1; main_thread == &this_thread && i < HM_FAULT_DEPTH; i++) {
        char *next = frame[0];

        if (next <= low || next >= stack_end - 2 * sizeof(void *) ||
            (uintptr_t)next % sizeof(void *) != 0) {
            return;
        }
        low = next;
        frame = (void **)(void *)next;
        out[i] = frame[1];
    }
}

static uint32_t hash_path(void *const path[HM_FAULT_DEPTH])
{
    uint64_t hash = 0xcbf29ce484222325U;

    for (int i = 0; i < HM_FAULT_DEPTH; i++) {
        hash = (hash ^ (uint64_t)(uintptr_t)path[i]) * 0x100000001b3U;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32);
}

/* Must this call of the kind fail? */
static bool fails_at(enum hm_fault_kind kind, void **frame)
{
    struct hm_fault_plan *p = plan;
    uint64_t n;
    void *path[HM_FAULT_DEPTH];

    if (p == NULL || !p->active || is_helper ||
        (kind == HM_FAULT_ALLOC && is_spared(frame[1]))) {
        return false;
    }
    n = ++p->counts[kind];
    if (p->keep_paths && n <= HM_FAULT_PATHS_MAX) {
        find_path(frame, path);
        p->paths[kind][n - 1] = hash_path(path);
    }
    if (p->n == 0 || kind != p->kind || n < p->n || (n > p->n && !p->later)) {
        return false;
    }
    if (!p->happened) {
        find_path(frame, p->where);
        p->happened = true;
    }
    return true;
}

#define FAILS(kind) fails_at(HM_FAULT_##kind, __builtin_frame_address(0))

/* The function behind ours. POSIX has dlsym() give functions as void *, C has no cast
 * for that. */
static void find(const char *name, void *out_function)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    if (symbol == NULL) {
        static const char text[] = "fault: a function is not there to be called\n";
        ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);

        (void)ignored;
        _exit(3);
    }
    memcpy(out_function, &symbol, sizeof symbol);
}

/* An assert that does not hold ends a faulty run at once, on whatever thread: the
 * test can't go on, and cmocka's jump leads nowhere but on the main thread. */
void cm_print_error(const char *format, ...);
void cm_print_error(const char *format, ...)
{
    va_list ap;
    void (*print)(const char *format, va_list ap);

    if (plan != NULL) {
        plan->active = false;
    }
    find("vprint_error", &print);
    va_start(ap, format);
    print(format, ap);
    va_end(ap);
    if (plan != NULL) {
        _exit(HM_FAULT_FAILED);
    }
}

/* What was to be compared is not there: the test did not look at an error first. */
void _assert_string_equal(const char *a, const char *b, const char *file, int line);
void _assert_string_equal(const char *a, const char *b, const char *file, int line)
{
    void (*compare)(const char *, const char *, const char *, int);

    if (a == NULL || b == NULL) {
        cm_print_error("%s:%d: no text to compare\n", file, line);
    }
    find("_assert_string_equal", &compare);
    compare(a, b, file, line);
}

/* Memory. glibc names its own allocator, which dlsym() may need before it is found. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

#define NO_MEMORY(call) (FAILS(ALLOC) ? (errno = ENOMEM, (void *)NULL) : (call))

void *malloc(size_t size)
{
    return NO_MEMORY(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return NO_MEMORY(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    return NO_MEMORY(__libc_realloc(old, size));
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
    return NO_MEMORY(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return NO_MEMORY(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = NO_MEMORY(__libc_memalign(alignment, size));

    if (memory == NULL) {
        return ENOMEM;
    }
    *out = memory;
    return 0;
}

/* FAKE(KIND, error, failure, type, name, parameters, arguments): name() with its one
 * way to fail. */
#define FAKE(kind, error, failure, type, name, parameters, arguments)                  \
    type name parameters;                                                              \
    type name parameters                                                               \
    {                                                                                  \
        static type(*next) parameters;                                                 \
                                                                                       \
        if (next == NULL) {                                                            \
            find(#name, &next);                                                        \
        }                                                                              \
        if (FAILS(kind)) {                                                             \
            errno = (error);                                                           \
            return failure;                                                            \
        }                                                                              \
        return next arguments;                                                         \
    }

/* Whether what is read or written through fd is kept in a file, goes over a socket, or
 * neither: pipes and the like within the process do not fail, and libuv ends a process
 * in which they do. Standard output belongs to the test. Sockets are never short or
 * interrupted: a server may conclude from a short read that nothing more is there. */
static int moves_what(int fd)
{
    struct stat info;

    if (fd <= STDERR_FILENO || plan == NULL || !plan->active ||
        fstatat(fd, "", &info, AT_EMPTY_PATH) != 0) {
        return 0;
    }
    return S_ISREG(info.st_mode) ? S_IFREG : S_ISSOCK(info.st_mode) ? S_IFSOCK : 0;
}

/* The same for what moves len bytes. */
#define FAKE_MOVE(kind, error, name, parameters, arguments)                            \
    ssize_t name parameters;                                                           \
    ssize_t name parameters                                                            \
    {                                                                                  \
        static ssize_t(*next) parameters;                                              \
        int what = moves_what(fd);                                                     \
                                                                                       \
        if (next == NULL) {                                                            \
            find(#name, &next);                                                        \
        }                                                                              \
        if (what == S_IFREG && FAILS(kind)) {                                          \
            errno = (error);                                                           \
            return -1;                                                                 \
        }                                                                              \
        if (what == S_IFSOCK && FAILS(NET)) {                                          \
            errno = ECONNRESET;                                                        \
            return -1;                                                                 \
        }                                                                              \
        if (what == S_IFREG && FAILS(INTR)) {                                          \
            errno = EINTR;                                                             \
            return -1;                                                                 \
        }                                                                              \
        if (what == S_IFREG && FAILS(SHORT) && len > 1) {                              \
            len /= 2;                                                                  \
        }                                                                              \
        return next arguments;                                                         \
    }

/* open() and its like: the mode is passed on whether it was given or not, as the C
 * library does. */
#define FAKE_OPEN(name, parameters, arguments)                                         \
    int name parameters;                                                               \
    int name parameters                                                                \
    {                                                                                  \
        static int(*next) parameters;                                                  \
        mode_t mode;                                                                   \
        va_list ap;                                                                    \
                                                                                       \
        if (next == NULL) {                                                            \
            find(#name, &next);                                                        \
        }                                                                              \
        if (FAILS(OPEN)) {                                                             \
            errno = EMFILE;                                                            \
            return -1;                                                                 \
        }                                                                              \
        va_start(ap, flags);                                                           \
        mode = va_arg(ap, mode_t);                                                     \
        va_end(ap);                                                                    \
        return next arguments;                                                         \
    }

struct statvfs;
struct sockaddr;
struct msghdr;
struct iovec;

/* clang-format off */
FAKE_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
FAKE_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
FAKE_OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
FAKE(OPEN, EMFILE, -1, int, __open_2, (const char *path, int flags), (path, flags))
FAKE(OPEN, EMFILE, -1, int, __open64_2, (const char *path, int flags), (path, flags))
FAKE(OPEN, EMFILE, -1, int, __openat_2, (int at, const char *path, int flags), (at, path, flags))
FAKE(OPEN, EMFILE, NULL, void *, fopen, (const char *path, const char *mode), (path, mode))
FAKE(OPEN, EMFILE, NULL, void *, fopen64, (const char *path, const char *mode), (path, mode))
FAKE(OPEN, ENOMEM, NULL, void *, fdopen, (int fd, const char *mode), (fd, mode))
FAKE(OPEN, ENOMEM, NULL, void *, open_memstream, (char **text, size_t *len), (text, len))
FAKE(OPEN, ENOMEM, NULL, void *, fmemopen, (void *data, size_t len, const char *mode), (data, len, mode))
FAKE(OPEN, EMFILE, NULL, void *, opendir, (const char *path), (path))
FAKE(OPEN, EMFILE, -1, int, mkstemp, (char *path), (path))

FAKE_MOVE(READ, EIO, read, (int fd, void *data, size_t len), (fd, data, len))
FAKE_MOVE(READ, EIO, pread, (int fd, void *data, size_t len, off_t at), (fd, data, len, at))
FAKE_MOVE(READ, EIO, pread64, (int fd, void *data, size_t len, off_t at), (fd, data, len, at))
FAKE(READ, EIO, 0, size_t, fread, (void *data, size_t size, size_t count, void *file), (data, size, count, file))
FAKE(READ, EIO, NULL, char *, fgets, (char *text, int len, void *file), (text, len, file))
FAKE(READ, EIO, NULL, void *, readdir, (void *folder), (folder))
FAKE(READ, EIO, NULL, void *, readdir64, (void *folder), (folder))

FAKE_MOVE(WRITE, ENOSPC, write, (int fd, const void *data, size_t len), (fd, data, len))
FAKE_MOVE(WRITE, ENOSPC, pwrite, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
FAKE_MOVE(WRITE, ENOSPC, pwrite64, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
FAKE(WRITE, ENOSPC, -1, ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
FAKE(WRITE, ENOSPC, 0, size_t, fwrite, (const void *data, size_t size, size_t count, void *file), (data, size, count, file))
FAKE(WRITE, ENOSPC, -1, int, fflush, (void *file), (file))

FAKE(SYNC, EIO, -1, int, fsync, (int fd), (fd))
FAKE(SYNC, EIO, -1, int, fdatasync, (int fd), (fd))

FAKE(SIZE, ENOSPC, -1, int, ftruncate, (int fd, off_t len), (fd, len))
FAKE(SIZE, ENOSPC, -1, int, ftruncate64, (int fd, off_t len), (fd, len))
FAKE(SIZE, ENOSPC, ENOSPC, int, posix_fallocate, (int fd, off_t at, off_t len), (fd, at, len))
FAKE(SIZE, ENOSPC, ENOSPC, int, posix_fallocate64, (int fd, off_t at, off_t len), (fd, at, len))

FAKE(NAME, EIO, -1, int, rename, (const char *from, const char *to), (from, to))
FAKE(NAME, EIO, -1, int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
FAKE(NAME, EIO, -1, int, link, (const char *from, const char *to), (from, to))
FAKE(NAME, EIO, -1, int, unlink, (const char *path), (path))
FAKE(NAME, EIO, -1, int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
FAKE(NAME, EIO, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))
FAKE(NAME, EIO, NULL, char *, mkdtemp, (char *path), (path))
FAKE(NAME, EIO, -1, int, rmdir, (const char *path), (path))
FAKE(NAME, EIO, -1, int, chmod, (const char *path, mode_t mode), (path, mode))
FAKE(NAME, EIO, -1, int, fchmod, (int fd, mode_t mode), (fd, mode))

FAKE(STAT, EIO, -1, int, stat, (const char *path, struct stat *out), (path, out))
FAKE(STAT, EIO, -1, int, lstat, (const char *path, struct stat *out), (path, out))
FAKE(STAT, EIO, -1, int, fstat, (int fd, struct stat *out), (fd, out))
FAKE(STAT, EIO, -1, int, stat64, (const char *path, struct stat64 *out), (path, out))
FAKE(STAT, EIO, -1, int, lstat64, (const char *path, struct stat64 *out), (path, out))
FAKE(STAT, EIO, -1, int, fstat64, (int fd, struct stat64 *out), (fd, out))
FAKE(STAT, EIO, -1, int, statvfs, (const char *path, struct statvfs *out), (path, out))
FAKE(STAT, EIO, -1, int, access, (const char *path, int mode), (path, mode))
FAKE(STAT, EIO, -1, ssize_t, readlink, (const char *path, char *out, size_t len), (path, out, len))
FAKE(STAT, EIO, NULL, char *, getcwd, (char *out, size_t len), (out, len))
FAKE(STAT, EIO, -1, off_t, lseek, (int fd, off_t at, int from), (fd, at, from))

/* Not fcntl(): SQLite takes a lock that can't be had for one that another holds, and
 * waits for it. */
FAKE(LOCK, EIO, -1, int, flock, (int fd, int how), (fd, how))

FAKE(MAP, ENOMEM, (void *)-1, void *, mmap, (void *at, size_t len, int how, int flags, int fd, off_t from), (at, len, how, flags, fd, from))
FAKE(MAP, ENOMEM, (void *)-1, void *, mmap64, (void *at, size_t len, int how, int flags, int fd, off_t from), (at, len, how, flags, fd, from))

FAKE(NET, EMFILE, -1, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAKE(NET, EMFILE, -1, int, socketpair, (int domain, int type, int protocol, int out[2]), (domain, type, protocol, out))
FAKE(NET, EADDRINUSE, -1, int, bind, (int fd, const struct sockaddr *at, unsigned len), (fd, at, len))
FAKE(NET, EADDRINUSE, -1, int, listen, (int fd, int count), (fd, count))
FAKE(NET, ECONNREFUSED, -1, int, connect, (int fd, const struct sockaddr *to, unsigned len), (fd, to, len))
FAKE(NET, EMFILE, -1, int, accept, (int fd, struct sockaddr *from, unsigned *len), (fd, from, len))
FAKE(NET, EMFILE, -1, int, accept4, (int fd, struct sockaddr *from, unsigned *len, int flags), (fd, from, len, flags))
FAKE(NET, EIO, -1, int, getsockname, (int fd, struct sockaddr *at, unsigned *len), (fd, at, len))
FAKE(NET, EIO, -1, int, setsockopt, (int fd, int level, int name, const void *value, unsigned len), (fd, level, name, value, len))
FAKE(NET, ECONNRESET, -1, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
FAKE(NET, ECONNRESET, -1, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
FAKE_MOVE(NET, ECONNRESET, recv, (int fd, void *data, size_t len, int flags), (fd, data, len, flags))
FAKE_MOVE(NET, ECONNRESET, send, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags))
/* clang-format on */

/* What is closed is closed, whatever it says. */
#define FAKE_CLOSE(type, name, argument, failure)                                      \
    type name(argument);                                                               \
    type name(argument what)                                                           \
    {                                                                                  \
        static type (*next)(argument);                                                 \
        type out;                                                                      \
                                                                                       \
        if (next == NULL) {                                                            \
            find(#name, &next);                                                        \
        }                                                                              \
        out = next(what);                                                              \
        if (FAILS(CLOSE)) {                                                            \
            errno = EIO;                                                               \
            return failure;                                                            \
        }                                                                              \
        return out;                                                                    \
    }

FAKE_CLOSE(int, close, int, -1)
FAKE_CLOSE(int, fclose, void *, -1)
