/* Calls one function that may block, on the main thread or on another. For the test of
 * the loop guard: main_blocking fsync|fdatasync|sqlite3_step|getaddrinfo main|thread */
#include <netdb.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int step(void)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int ok;

    ok = sqlite3_open(":memory:", &db) == SQLITE_OK &&
         sqlite3_prepare_v2(db, "SELECT 1", -1, &statement, NULL) == SQLITE_OK &&
         sqlite3_step(statement) == SQLITE_ROW;
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return ok;
}

static int look_up(void)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int ok = getaddrinfo("127.0.0.1", "1", &hints, &found) == 0;

    freeaddrinfo(found);
    return ok;
}

static int sync_file(const char *what)
{
    FILE *file = tmpfile();
    int fd = file == NULL ? -1 : fileno(file);
    int ok = fd >= 0 && (strcmp(what, "fsync") == 0 ? fsync(fd) : fdatasync(fd)) == 0;

    if (file != NULL) {
        (void)fclose(file);
    }
    return ok;
}

static void *call(void *arg)
{
    const char *what = arg;
    int ok = strcmp(what, "sqlite3_step") == 0  ? step()
             : strcmp(what, "getaddrinfo") == 0 ? look_up()
                                                : sync_file(what);

    (void)printf("%s %s\n", what, ok ? "done" : "failed");
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    if (argc != 3) {
        return 2;
    }
    if (strcmp(argv[2], "main") == 0) {
        (void)call(argv[1]);
        return 0;
    }
    return pthread_create(&thread, NULL, call, argv[1]) == 0 &&
                   pthread_join(thread, NULL) == 0
               ? 0
               : 1;
}
