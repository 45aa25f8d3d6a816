#!/bin/bash
# Runs the unit tests and the corpora of build-coverage, and prints which share of their
# branches the files took that a lost answer would hide in: codec, merge, session.
# Fails below 95 % for a file of protocol/ but compress.c, whose other branches are zstd out
# of memory, or for all of them together.
#
# A branch is one side of one condition, as clang counts it. Those of HM_ASSERT() are left
# out: its other side ends the process.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
build=$PWD/build-coverage
protocol=(guard pack change segment compress household household_codec merge policy digest
    feed message upsync downsync backoff id buf)
storage=(accept authorise answer serve upload adopt adopt_blobs log log_send)

rm -rf "$build/profiles"
mkdir -p "$build/profiles"
# Each program adds to one of two files of its own.
if ! LLVM_PROFILE_FILE=$build/profiles/%2m.profraw ctest --test-dir "$build" -L unit \
    -j"$(nproc)" >"$build/coverage.log"; then
    tail -n 20 "$build/coverage.log"
    exit 1
fi
llvm-profdata merge -sparse -o "$build/all.profdata" "$build"/profiles/*.profraw

files=()
for name in "${protocol[@]}"; do
    files+=("$PWD/protocol/$name.c")
done
for name in "${storage[@]}"; do
    files+=("$PWD/storage/$name.c")
done
objects=()
for program in "$build"/tests/bin/{protocol,storage,daemon}_* "$build"/fuzz/fuzz_*; do
    objects+=(-object "$program")
done
# One line a branch: file, line, column, how often it was taken, how often not.
llvm-cov export -instr-profile "$build/all.profdata" "${objects[@]:1}" "${files[@]}" |
    jq -r '.data[0].files[] | .filename as $f | .branches[] |
        [$f, .[0], .[1], .[4], .[5]] | @tsv' >"$build/branches.tsv"

awk -F'\t' -v root="$PWD/" -v missing="$build/branches-missing.txt" '
    # The lines of a file that belong to an HM_ASSERT().
    function read_file(name,    line, n, open) {
        seen[name] = 1
        while ((getline line < name) > 0) {
            n++
            text[name, n] = line
            open = open || line ~ /HM_ASSERT\(/
            asserts[name, n] = open
            open = open && line !~ /;[ \t]*$/
        }
        close(name)
    }
    function note(name, line, side) {
        printf "%s:%d: never %s: %s\n", substr(name, length(root) + 1), line, side,
            text[name, line] > missing
    }
    {
        if (!($1 in seen)) { read_file($1); order[++count] = $1 }
        if (asserts[$1, $2]) next
        all[$1] += 2
        if ($4 > 0) taken[$1]++; else note($1, $2, "true")
        if ($5 > 0) taken[$1]++; else note($1, $2, "false")
    }
    END {
        for (i = 1; i <= count; i++) {
            name = order[i]
            short = substr(name, length(root) + 1)
            layer = substr(short, 1, index(short, "/") - 1)
            sum[layer] += all[name]
            hit[layer] += taken[name]
            share = 100 * taken[name] / all[name]
            printf "%-32s %5d of %5d branches  %5.1f %%\n", short, taken[name], all[name],
                share
            low += layer == "protocol" && share < 95 && short !~ /compress/
        }
        for (layer in sum) {
            printf "%-32s %5d of %5d branches  %5.1f %%\n", layer, hit[layer], sum[layer],
                100 * hit[layer] / sum[layer]
        }
        exit low > 0 || sum["protocol"] == 0 || hit["protocol"] < 0.95 * sum["protocol"]
    }' "$build/branches.tsv"
