#!/bin/bash
# usage: hardening.sh BINARY...
# Fails when a program was built without position independence, read-only relocations,
# immediate binding, stack protector or fortified calls.
set -euo pipefail
bad=0
seen=0

lacks() {
    echo "$binary: no $1"
    bad=$((bad + 1))
}

for binary in "$@"; do
    seen=$((seen + 1))
    headers=$(readelf -W -h -l "$binary")
    dynamic=$(readelf -W -d "$binary")
    imports=$(readelf -W --dyn-syms "$binary" |
        awk '$7 == "UND" { sub(/@.*/, "", $8); print $8 }')
    grep -q 'Flags:.*PIE' <<<"$dynamic" || lacks PIE
    grep -q GNU_RELRO <<<"$headers" || lacks RELRO
    grep -Eq 'BIND_NOW|Flags:.*NOW' <<<"$dynamic" || lacks BIND_NOW
    grep -Eq 'GNU_STACK.* RW ' <<<"$headers" || lacks "non-executable stack"
    # A program that calls nothing has nothing that could be guarded.
    if grep -Eqv '^(__libc_start_main|__cxa_finalize|__gmon_start__|_ITM_.*)?$' <<<"$imports"; then
        grep -q '^__stack_chk_fail$' <<<"$imports" || lacks "stack protector"
        grep -Eq '^__[a-z0-9_]+_chk$' <<<"$imports" || lacks "fortified calls"
    fi
done
[ "$seen" -gt 0 ] || {
    echo "no program was looked at"
    exit 1
}
echo "$bad weaknesses in $seen programs"
[ "$bad" = 0 ]
