#!/bin/bash
# usage: tree.sh ROOT
# Fails when there is another name at the top level than those agreed on.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$1"
allowed='CMakeLists\.txt|dev|README\.md|CHANGELOG\.md|LICENSE|\.[^/]+'
allowed+='|(protocol|storage|daemon|tests|systemd|docs|\.ci)/.*'
all=$("$here/files.sh" . . | wc -l)
[ "$all" -gt 0 ] || {
    echo "no file was looked at: wrong root $1"
    exit 1
}
strange=$("$here/files.sh" . . | grep -Evx "$allowed" | cut -d/ -f1 | sort -u || true)
bad=$(grep -c . <<<"$strange" || true)
[ "$bad" = 0 ] || echo "$strange"
echo "$bad strange names at the top level, $all files"
[ "$bad" = 0 ]
