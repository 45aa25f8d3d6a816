#!/bin/bash
# usage: length.sh ROOT [LIMIT]
# Fails when a source file has LIMIT (800) lines or more: it should be two files.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
limit=${2-800}
cd "$1"
mapfile -t files < <("$here/files.sh" . \
    '^(protocol|storage|daemon|systemd|tests)/.*\.(c|h|ts|md|sh|mjs|js)$' |
    grep -v '^tests/fixtures/')
[ ${#files[@]} -gt 0 ] || {
    echo "no file was looked at: wrong root $1"
    exit 1
}
long=$(wc -l "${files[@]}" | awk -v limit="$limit" '$1 >= limit && $2 != "total"')
bad=$(grep -c . <<<"$long" || true)
[ "$bad" = 0 ] || echo "$long"
echo "$bad of ${#files[@]} files have $limit lines or more"
[ "$bad" = 0 ]
