#!/bin/bash
# usage: man.sh PAGE...
# Fails on anything that mandoc calls a warning or worse.
set -euo pipefail
command -v mandoc >/dev/null || {
    echo "skipped: mandoc is not installed"
    exit 77
}
[ $# -gt 0 ] || exit 1
bad=0
mandoc -T lint -W warning "$@" || bad=1
echo "$bad complaints about $# manual pages"
[ "$bad" = 0 ]
