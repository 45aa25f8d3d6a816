#!/bin/bash
# one.sh BUILD TARGET SECONDS [KEEP]: lets libFuzzer run a target over its corpus in the
# tree, over KEEP (where new inputs then stay) and over what it makes of them.
# Prints one line; on a finding the whole report and how to repeat it, and fails.
set -euo pipefail
build=$1 target=$2 seconds=$3
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# The stores of the targets that have some: in memory where there is such a folder.
tmp=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR-/tmp}")")
trap 'rm -rf "$tmp"' EXIT
export TMPDIR=$tmp HM_FIXTURES=$here/../fixtures HM_PROGRAMMES=$here/../../daemon/programmes
# Short stacks: SQLite allocates much, and each allocation remembers where it was made.
export ASAN_OPTIONS=strict_string_checks=1:malloc_context_size=6:quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1

corpus=$here/corpus/${target#planted_}
keep=${4-$tmp/corpus}
findings=$build/findings
[ "$target" = "${target#planted_}" ] || findings=$tmp
mkdir -p "$keep" "$findings"
case ${target#planted_} in
segment | adopt) len=70000 ;;
xform | csv | serve) len=16384 ;;
two_cores | merge) len=400 ;;
*) len=4096 ;;
esac
options=(-max_len=$len -max_total_time="$seconds" -timeout=25 -rss_limit_mb=1500
    -malloc_limit_mb=300 -print_final_stats=1 -artifact_prefix="$findings/$target-"
    -reload=0 -use_value_profile=1)
# Long stories from the beginning.
[[ $target != *two_cores && $target != *merge ]] || options+=(-len_control=0)
[ ! -e "$here/$target.dict" ] || options+=(-dict="$here/$target.dict")
# The sanitizers' shadow memory and full address randomization get in each other's way.
launcher=()
if setarch -R true 2>/dev/null; then
    launcher=(setarch -R)
fi
start=$SECONDS
if ! "${launcher[@]}" "$build/fuzz/fuzz_$target" "${options[@]}" "$keep" "$corpus" \
    >"$tmp/log" 2>&1; then
    cat "$tmp/log"
    input=$(sed -n 's/^.*Test unit written to //p' "$tmp/log" | tail -n1)
    echo "$target: a finding after $((SECONDS - start)) s: ${input:-no input was kept}"
    echo "to repeat it: tests/fuzz/repeat.sh $target $input"
    exit 1
fi
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$tmp/log")
edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$tmp/log" | tail -n1)
echo "$target: $runs runs in $((SECONDS - start)) s, $edges edges"
