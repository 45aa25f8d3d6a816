/* A shared object for LD_PRELOAD: ends the process with one line when something that
 * may wait for a disk or a name server runs on the main thread, where the loop turns.
 */
#define _GNU_SOURCE /* RTLD_NEXT, gettid */

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct addrinfo;
struct sqlite3_stmt;

/* The names that are taken over; not from the system's headers, whose attributes differ
 * between versions. */
int fsync(int fd);
int fdatasync(int fd);
int sqlite3_step(struct sqlite3_stmt *statement);
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out);

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));

    (void)ignored; /* nobody is left to tell */
}

static void check_thread(const char *name)
{
    if (gettid() == getpid()) {
        say("loop guard: ");
        say(name);
        say("() on the main thread\n");
        abort();
    }
}

/* The function behind ours. POSIX has dlsym() give functions as void *, C has no cast
 * for that. */
static void find(const char *name, void *out_function, size_t len)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    if (symbol == NULL || len != sizeof symbol) {
        say("loop guard: no ");
        say(name);
        say("() to call\n");
        abort();
    }
    memcpy(out_function, &symbol, len);
}

int fsync(int fd)
{
    int (*next)(int);

    check_thread("fsync");
    find("fsync", &next, sizeof next);
    return next(fd);
}

int fdatasync(int fd)
{
    int (*next)(int);

    check_thread("fdatasync");
    find("fdatasync", &next, sizeof next);
    return next(fd);
}

int sqlite3_step(struct sqlite3_stmt *statement)
{
    int (*next)(struct sqlite3_stmt *);

    check_thread("sqlite3_step");
    find("sqlite3_step", &next, sizeof next);
    return next(statement);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    int (*next)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);

    check_thread("getaddrinfo");
    find("getaddrinfo", &next, sizeof next);
    return next(node, service, hints, out);
}
