#!/bin/bash
# Breaks the program in one place after the other (tests/sim/mutants/*.diff) and sees
# whether the simulator notices, within 10,000 short seeds (5 days, up to 4 nodes).
# usage: mutants.sh BUILD [NAME...]     BUILD: a folder in which `sim` has been built
# A line for each: "mutant NAME caught SEEDS ORACLE", or "mutant NAME SURVIVED"; last line
# "N of M caught". --check instead of names: only whether each diff still applies.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

seeds=10000
seconds=${HM_MUTANT_SECONDS-240} # of one mutant

# broken_source NAME FOLDER: the source file that the diff breaks, broken, in FOLDER.
broken_source() {
    local file
    file=$(sed -n 's,^+++ b/,,p' "tests/sim/mutants/$1.diff")
    mkdir -p "$2/$(dirname "$file")"
    cp "$file" "$2/$file"
    (cd "$2" && GIT_CEILING_DIRECTORIES=$PWD/.. git apply --unsafe-paths -) <"tests/sim/mutants/$1.diff" ||
        return 1
    echo "$file"
}

# build NAME FOLDER BUILD: FOLDER/sim with the broken file in place of the real one.
build() {
    local file command
    file=$(broken_source "$1" "$2") || return 1
    command=$(jq -r --arg file "$PWD/$file" \
        '.[] | select(.file == $file) | .command' "$3/compile_commands.json")
    command=${command/-c $PWD\/$file/-w -c $2\/$file}
    command=$(sed 's, -o [^ ]*, -o '"$2"'/broken.o,; s, -M[DTF] *[^ ]*,,g; s,-Werror,,' <<<"$command")
    (cd "$3" && sh -c "$command")
    command=$(ninja -C "$3" -t commands sim | tail -n 1)
    (cd "$3" && sh -c "${command/-o bin\/sim/$2\/broken.o -o $2\/sim}")
}

# judge NAME BUILD: one line.
judge() {
    local folder out
    folder=$(readlink -f "$2")/mutants/$1
    rm -rf "$folder"
    mkdir -p "$folder"
    if ! build "$1" "$folder" "$(readlink -f "$2")" >"$folder/build.log" 2>&1; then
        echo "mutant $1 DOES NOT BUILD: see $folder/build.log"
        return 0
    fi
    out=$("$folder/sim" --short --seeds "$seeds" --first --no-shrink --jobs 1 \
        --seconds "$seconds" --findings "$folder" 2>&1) || true
    echo "$out" >"$folder/sim.log"
    rm -f "$folder/sim" "$folder/broken.o"
    if [[ $out =~ caught\ ([^ ]*)\ after\ ([0-9]*)\ seeds ]]; then
        echo "mutant $1 caught ${BASH_REMATCH[2]} ${BASH_REMATCH[1]}"
    else
        echo "mutant $1 SURVIVED"
    fi
}

check() {
    local folder bad=0 name
    folder=$(mktemp -d)
    for name in "$@"; do
        broken_source "$name" "$folder/$name" >/dev/null || {
            echo "mutant $name: the diff does not apply any more"
            bad=1
        }
    done
    rm -rf "$folder"
    echo "$# diffs were tried"
    [ "$bad" = 0 ] && [ "$#" -ge 25 ]
}

if [ "${1-}" = --one ]; then
    judge "$2" "$3"
    exit 0
fi
build_folder=${1?BUILD}
shift
mapfile -t all < <(cd tests/sim/mutants && ls -- *.diff | sed 's,[.]diff$,,')
if [ "${1-}" = --check ]; then
    check "${all[@]}"
    exit
fi
[ $# = 0 ] || all=("$@")
mkdir -p "$build_folder/mutants"
printf '%s\n' "${all[@]}" |
    xargs -P "$(nproc)" -I{} "$0" --one {} "$build_folder" |
    tee "$build_folder/mutants/table"
caught=$(grep -c ' caught ' "$build_folder/mutants/table" || true)
echo "$caught of ${#all[@]} caught"
[ "$caught" = "${#all[@]}" ]
