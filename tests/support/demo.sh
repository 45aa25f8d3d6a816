#!/bin/bash
# ./dev run: a centre and two laptops on loopback, and the main job on a made-up commune.
# Needs HM_BIN, the folder of the programs. Ends at Ctrl-C, and ends what it started.
set -euo pipefail

bin=${HM_BIN:?HM_BIN is the folder of the programs}
export HAMLETD_DATA=${HAMLETD_DATA:-$bin/../share/hamletd}
port=${HM_DEMO_PORT:-8470}
households=${HM_DEMO_HOUSEHOLDS:-3000}
dir=
sample=yes
pids=()
made_dir=

usage() {
    echo "usage: ./dev run [--empty] [--dir D]" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --empty) sample=no ;;
    --dir)
        [ $# -ge 2 ] || usage
        dir=$2
        shift
        ;;
    *) usage ;;
    esac
    shift
done

finish() {
    local pid

    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    [ -z "$made_dir" ] || rm -rf "$made_dir"
    echo
    echo "Stopped.${made_dir:+ Its data is gone; keep it next time with --dir D.}"
}
trap finish EXIT
trap 'exit 0' INT TERM

if [ -z "$dir" ]; then
    dir=$(mktemp -d "${TMPDIR:-/tmp}/hamletd-run-XXXXXX")
    made_dir=$dir
fi
mkdir -p "$dir"

h() { # NODE COMMAND...
    local node=$1

    shift
    "$bin/hamlet" --dir "$dir/$node" "$@"
}

say() {
    printf '\n== %s\n' "$*"
}

start() { # NODE: returns when it answers
    "$bin/hamletd" --dir "$dir/$1" 2>"$dir/$1.log" &
    pids+=($!)
    for _ in $(seq 100); do
        if h "$1" status >/dev/null 2>&1; then
            return
        fi
        kill -0 "${pids[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "$1 did not start:" >&2
    tail -n 5 "$dir/$1.log" >&2
    exit 1
}

fresh=no
if [ ! -e "$dir/centre/hamletd.conf" ]; then
    fresh=yes
    h centre init "$dir/centre" --name centre --web "127.0.0.1:$port" \
        --listen "127.0.0.1:$((port + 1))" --programme vn-poverty >/dev/null
    h an init "$dir/an" --name an --web "127.0.0.1:$((port + 2))" >/dev/null
    h binh init "$dir/binh" --name binh --web "127.0.0.1:$((port + 3))" >/dev/null
fi
start centre
start an
start binh

if [ $fresh = yes ] && [ $sample = yes ]; then
    say "A made-up commune: $households households, imported at the centre"
    "$bin/gen_commune" --seed 2026 --households "$households" \
        --hamlets "$(seq -s, 19885001 19885008)" >"$dir/commune.csv"
    h centre import "$dir/commune.csv" --form register
fi

if [ $fresh = yes ]; then
    say "Two laptops are invited and enrolled: hamlets 1 and 2, and 2 and 3"
    code=$(h centre device invite --scope 19885001 19885002 --name an --json | jq -r .code)
    h an enroll "$code"
    code=$(h centre device invite --scope 19885002 19885003 --name binh --json | jq -r .code)
    h binh enroll "$code"
fi

put() { # NODE HOUSEHOLD JSON-of-values-and-rows
    jq -n --arg id "$2" --argjson more "$3" '{household: $id, form: "register"} + $more' |
        h "$1" household put >/dev/null
}

main_job() {
    local ids one two members

    say "Both go offline and edit the same households of hamlet 2"
    h an sync pause
    h binh sync pause
    mapfile -t ids < <(h an household list --scope 19885002 --json |
        jq -r '[.[] | select(.members >= 2)][0, 1].household')
    one=${ids[0]}
    two=${ids[1]}
    mapfile -t members < <(h an household show "$one" --json |
        jq -r '[.rows[] | select(.repeat == "members")][0, 1].item')
    put an "$one" '{"values": {"phone": "0905000001"}}'
    put binh "$one" '{"values": {"note": "mái tôn, nền đất"}}'
    put an "$one" "{\"rows\": [{\"repeat\": \"members\", \"item\": \"${members[0]}\", \"values\": {\"job\": \"làm nông\"}}]}"
    put binh "$one" "{\"rows\": [{\"repeat\": \"members\", \"item\": \"${members[1]}\", \"values\": {\"job\": \"thợ nề\"}}]}"
    put an "$two" '{"values": {"phone": "0905000002"}}'
    put binh "$two" '{"values": {"phone": "0914000002"}}'
    echo "household $one: an wrote the phone and one member's job, binh the note and another's"
    echo "household $two: both wrote the phone, differently"

    say "The link comes back"
    h an sync resume
    h binh sync resume
    h an sync --wait 30
    h binh sync --wait 30
    h an sync --wait 30

    say "Merged by itself, as the centre shows it now"
    h centre household show "$one" --json | jq -r --arg a "${members[0]}" --arg b "${members[1]}" '
        (.rows[] | select(.repeat == null) | "phone: \(.values.phone)\nnote: \(.values.note)"),
        (.rows[] | select(.item == $a or .item == $b) | "\(.values.name): \(.values.job)")'

    say "What waits for a person, the same at all three"
    h centre conflict list
    echo "decide it with:  hamlet --dir $dir/an conflict resolve $two --cell register:phone --take 1"
}

if [ $fresh = yes ] && [ $sample = yes ]; then
    main_job
fi

say "Running; Ctrl-C stops all three"
for node in centre an binh; do
    case $node in
    centre) at=$port ;;
    an) at=$((port + 2)) ;;
    *) at=$((port + 3)) ;;
    esac
    printf '%-7s http://127.0.0.1:%s/  token in %s/%s/api-token  hamlet --dir %s/%s status\n' \
        "$node" "$at" "$dir" "$node" "$dir" "$node"
done
if [ -n "${HM_DEMO_ONCE:-}" ]; then
    exit 0
fi
wait
