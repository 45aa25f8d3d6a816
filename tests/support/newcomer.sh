#!/bin/bash
# What somebody does with a fresh machine, in this order, so that a package missing in
# the list of ./dev is missed here: run, test, package, install the package, remove it.
# Run as root on a machine that may be thrown away (bare-root.sh makes one).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

# ./dev run ends at Ctrl-C; its pages must be up before. Job control gives it a group of
# its own in which SIGINT is not ignored, as at a terminal.
log=$(mktemp)
set -m
./dev run >"$log" 2>&1 &
demo=$!
set +m
for _ in $(seq 900); do
    if grep -q 'http://127\.0\.0\.1:' "$log" || ! kill -0 "$demo" 2>/dev/null; then
        break
    fi
    sleep 1
done
cat "$log"
grep -q 'http://127\.0\.0\.1:' "$log"
kill -INT -- "-$demo"
for _ in $(seq 60); do
    kill -0 -- "-$demo" 2>/dev/null || break
    sleep 1
done
if kill -0 -- "-$demo" 2>/dev/null; then
    kill -KILL -- "-$demo"
    echo "./dev run did not end at SIGINT"
    exit 1
fi

./dev test
./dev package
apt-get -qq install -y --no-install-recommends ./build/hamletd_*.deb
test "$(stat -c '%U %a' /var/lib/hamletd)" = "hamletd 700"
test -L /etc/hamletd/hamletd.conf
systemctl is-enabled hamletd.service
runuser -u hamletd -- hamlet init /var/lib/hamletd --name "A new node"
runuser -u hamletd -- hamletd --dir /var/lib/hamletd \
    --config /etc/hamletd/hamletd.conf --check
apt-get -qq purge -y hamletd
test ! -e /etc/hamletd
test -d /var/lib/hamletd
echo "a newcomer gets through"
