#include "tests/fuzz/stores.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { STORE_BYTES_MAX = 16 * 1024 * 1024 };

struct image {
    uint8_t *bytes;
    size_t len;
};

static struct hm_village kept;
static struct image images[1 + HM_VILLAGE_LAPTOPS_MAX];

static struct hm_village_node *node_at(struct hm_village *v, size_t i)
{
    return i == 0 ? &v->centre : &v->laptops[i - 1];
}

static void read_image(const char *path, struct image *out)
{
    FILE *file = fopen(path, "rb");

    out->bytes = malloc(STORE_BYTES_MAX);
    assert_non_null(file);
    assert_non_null(out->bytes);
    out->len = fread(out->bytes, 1, STORE_BYTES_MAX, file);
    assert_true(out->len > 0 && out->len < STORE_BYTES_MAX);
    (void)fclose(file);
}

static void write_image(const char *path, const struct image *image)
{
    static const char *const ends[] = {"-wal", "-shm"};
    FILE *file = fopen(path, "wb");
    char beside[600];

    assert_non_null(file);
    assert_int_equal(fwrite(image->bytes, 1, image->len, file), image->len);
    assert_int_equal(fclose(file), 0);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        (void)snprintf(beside, sizeof beside, "%s%s", path, ends[i]);
        (void)remove(beside); /* it need not be there */
    }
}

void hm_fuzz_village_keep(struct hm_village *v)
{
    hm_village_close(v); /* which brings the log of SQLite into the file */
    kept = *v;
    for (size_t i = 0; i <= v->laptop_count; i++) {
        struct hm_village_node *n = node_at(&kept, i);

        n->forms = NULL;
        n->node.store = NULL;
        read_image(n->node.path, &images[i]);
    }
}

void hm_fuzz_village_open(struct hm_village *v)
{
    *v = kept;
    for (size_t i = 0; i <= v->laptop_count; i++) {
        write_image(node_at(v, i)->node.path, &images[i]);
        hm_village_restart(node_at(v, i));
    }
}
