#!/bin/bash
# usage: format.sh ROOT
# Fails when a C file is not as .clang-format wants it; ./dev fmt mends that.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$1"
command -v clang-format >/dev/null || {
    echo "skipped: clang-format is not installed"
    exit 77
}
mapfile -t files < <("$here/files.sh" . '\.[ch]$')
[ ${#files[@]} -gt 0 ] || {
    echo "no file was looked at: wrong root $1"
    exit 1
}
bad=0
# In two processes: it is the slowest of the gates.
printf '%s\0' "${files[@]}" |
    xargs -0 -n 40 -P 2 clang-format --style=file --dry-run -Werror --ferror-limit=1 || bad=1
echo "${#files[@]} files looked at"
[ "$bad" = 0 ] || {
    echo "badly formatted files among them"
    exit 1
}
