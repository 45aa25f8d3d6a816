#!/bin/bash
# usage: units.sh BINARY UNIT...
# Fails when systemd finds fault with a unit, or when its sandbox is weaker than 2.0 of
# 10 by systemd-analyze's measure. BINARY stands in for /usr/bin/hamletd.
set -euo pipefail
command -v systemd-analyze >/dev/null || {
    echo "skipped: systemd-analyze is not installed"
    exit 77
}
binary=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bad=0
for unit in "$@"; do
    # A template is looked at through one of its instances.
    name=$(basename "${unit/@./@instance.}")
    sed "s|/usr/bin/hamletd|$binary|" "$unit" >"$folder/$name"
    # An unknown key is a mere remark with exit code 0, so every remark counts.
    remarks=$(systemd-analyze verify --man=no "$folder/$name" 2>&1) || remarks+=" (failed)"
    if [ -n "$remarks" ]; then
        echo "$remarks"
        bad=$((bad + 1))
    fi
    systemd-analyze security --offline=true --threshold=20 "$folder/$name" \
        >"$folder/log" 2>&1 || bad=$((bad + 1))
    tail -1 "$folder/log"
done
[ $# -gt 0 ] || bad=1
echo "$bad complaints about $# units"
[ "$bad" = 0 ]
