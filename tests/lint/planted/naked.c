/* Built without any protection, to see that hardening.sh says so. */
#include <stdio.h>

int main(int argc, char **argv)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%s", argv[argc - 1]);
    return printf("%d %s\n", argc, text) < 0;
}
