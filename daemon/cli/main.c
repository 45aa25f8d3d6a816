#include <stdio.h>

#include "daemon/cli/cli.h"

int main(int argc, char **argv)
{
    return hm_cli_main(argc, argv, stdin, stdout, stderr);
}
