/* Runs a fuzz target over files and folders of them, once each, without libFuzzer: the
 * corpus as a test of every compiler. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/test.h"

enum { INPUT_BYTES_MAX = 1024 * 1024 };

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

/* Exactly as large as the file, so that a sanitizer sees what is read behind it. */
static bool run_file(const char *path, size_t bytes)
{
    uint8_t *input = malloc(bytes == 0 ? 1 : bytes);
    FILE *file = fopen(path, "rb");
    bool good = file != NULL && input != NULL && bytes <= INPUT_BYTES_MAX &&
                fread(input, 1, bytes, file) == bytes;

    if (file != NULL) {
        (void)fclose(file);
    }
    if (good) {
        (void)LLVMFuzzerTestOneInput(input, bytes);
    } else {
        (void)fprintf(stderr, "%s can't be read\n", path);
    }
    free(input);
    return good;
}

static bool run(const char *path, size_t *count)
{
    struct stat info;
    struct dirent *entry;
    bool good = true;
    DIR *dir;

    if (stat(path, &info) != 0) {
        (void)fprintf(stderr, "%s is missing\n", path);
        return false;
    }
    if (!S_ISDIR(info.st_mode)) {
        (*count)++;
        return run_file(path, (size_t)info.st_size);
    }
    dir = opendir(path);
    while (good && dir != NULL && (entry = readdir(dir)) != NULL) {
        char inner[4096];

        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        good = entry->d_name[0] == '.' || run(inner, count);
    }
    good = good && dir != NULL;
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return good;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    bool good = LLVMFuzzerInitialize(&argc, &argv) == 0;

    for (int i = 1; i < argc && good; i++) {
        good = run(argv[i], &count);
    }
    (void)printf("%zu inputs\n", count);
    hm_test_folder_remove();
    return good && count > 0 ? 0 : 1;
}
