/* An enrolment code for people: to copy, to point a camera at, to read aloud. */
#include <qrencode.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_print.h"

enum { QUIET = 4 }; /* light modules around the code */

static bool is_dark(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width) {
        return false;
    }
    return (code->data[y * code->width + x] & 1) != 0;
}

/* Two modules in each character, upper and lower half. Colours are set, since a camera
 * wants dark on light and most terminals are the other way round. */
static void print_qr(FILE *out, const char *text)
{
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

    if (code == NULL) {
        return; /* the line above says the same */
    }
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        (void)fputs("\x1b[30;107m", out);
        for (int x = -QUIET; x < code->width + QUIET; x++) {
            bool upper = is_dark(code, x, y);
            bool lower = is_dark(code, x, y + 1);

            (void)fputs(
                upper ? (lower ? "\u2588" : "\u2580") : (lower ? "\u2584" : " "), out);
        }
        (void)fputs("\x1b[0m\n", out);
    }
    QRcode_free(code);
}

/* A code comes in groups already: blanks instead of dashes are easier to read out. */
static void print_groups(FILE *out, const char *title, const char *text, size_t len)
{
    (void)fprintf(out, "%-8s ", title);
    for (size_t i = 0; i < len; i++) {
        (void)fputc(text[i] == '-' ? ' ' : text[i], out);
    }
    (void)fputc('\n', out);
}

/* hamlet://HOST:PORT/SECRET#KEYHASH */
static void print_spoken(FILE *out, const char *code)
{
    const char *host = strstr(code, "://");
    const char *secret = host == NULL ? NULL : strchr(host + 3, '/');
    const char *key = secret == NULL ? NULL : strchr(secret, '#');

    if (key == NULL) {
        return;
    }
    (void)fprintf(out, "%-8s %.*s\n", "address", (int)(secret - host - 3), host + 3);
    print_groups(out, "secret", secret + 1, (size_t)(key - secret - 1));
    print_groups(out, "key", key + 1, strlen(key + 1));
}

void hm_cli_show_invitation(struct hm_cli *cli, const json_t *document)
{
    const char *code = json_string_value(json_object_get(document, "code"));
    int fd = fileno(cli->out);

    hm_cli_print_fill(cli->out, document, "{code}\n");
    if (code != NULL && fd >= 0 && isatty(fd) != 0) {
        print_qr(cli->out, code);
    }
    if (code != NULL) {
        print_spoken(cli->out, code);
    }
    hm_cli_print_fill(cli->out, document, "valid    until {expires}, for one device\n");
}
