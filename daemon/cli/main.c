#include <stdio.h>
#include <sys/stat.h>

#include "daemon/cli/cli.h"

int main(int argc, char **argv)
{
    (void)umask(077); /* what is written here is about families */
    return hm_cli_main(argc, argv, stdin, stdout, stderr);
}
