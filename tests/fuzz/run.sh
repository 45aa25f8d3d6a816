#!/bin/bash
# What ./dev fuzz does once the targets are built in build-fuzz:
#   run.sh [TARGET...] [--seconds N]   lets each run for N seconds (60), two at a time
#   run.sh [TARGET...] --merge         takes what build-fuzz/corpus has on top into the tree
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
build=$PWD/build-fuzz seconds=60 merge= targets=()
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=${2-} && shift ;;
    --merge) merge=yes ;;
    -*) echo "fuzz: unknown argument $1" >&2 && exit 2 ;;
    *) targets+=("$1") ;;
    esac
    shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: --seconds takes a number" >&2 && exit 2; }
if [ ${#targets[@]} = 0 ]; then
    for file in tests/fuzz/fuzz_*.c; do
        name=${file##*/fuzz_}
        targets+=("${name%.c}")
    done
fi
for name in "${targets[@]}"; do
    [ -e "tests/fuzz/fuzz_$name.c" ] || { echo "fuzz: no target $name" >&2 && exit 2; }
done

# The smallest set of inputs that reaches what all of them reach: by edges alone, since
# counters make it many times as large.
merge_one() {
    local name=$1 tree=tests/fuzz/corpus/$1 new
    new=$(mktemp -d)
    mkdir -p "$tree" "$build/corpus/$name"
    TMPDIR=$new.tmp
    mkdir "$TMPDIR"
    export TMPDIR HM_FIXTURES=$PWD/tests/fixtures HM_PROGRAMMES=$PWD/daemon/programmes
    "$build/fuzz/fuzz_$name" -merge=1 -use_counters=0 -max_len=16384 -timeout=25 \
        "$new" "$tree" "$build/corpus/$name" >"$new.log" 2>&1 ||
        { cat "$new.log" && exit 1; }
    # What has a name stays, whatever else reaches the same edges: findings that were
    # mended, and scenarios, whose order of events no edge shows.
    find "$tree" -name '*-*' -exec cp {} "$new" \;
    rm -rf "$tree"
    mkdir "$tree"
    cp "$new"/* "$tree"
    rm -rf "$new" "$new.log" "$TMPDIR"
    echo "$name: $(find "$tree" -type f | wc -l) inputs, $(du -sb "$tree" | cut -f1) bytes"
}

if [ -n "$merge" ]; then
    for name in "${targets[@]}"; do
        (merge_one "$name")
    done
    exit
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
printf '%s\n' "${targets[@]}" |
    xargs -P "$(nproc)" -I{} tests/fuzz/one.sh "$build" {} "$seconds" "$build/corpus/{}" |
    tee "$log" || status=1
runs=$(sed -n 's/^[a-z0-9_]*: \([0-9]*\) runs in .*/\1/p' "$log" | awk "{ sum += \$1 } END { print sum + 0 }")
findings=$(grep -c '^[a-z0-9_]*: a finding' "$log") || true
echo "${#targets[@]} targets, $runs runs, $findings findings"
exit $status
