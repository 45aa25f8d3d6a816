#!/bin/bash
# Does "git and apt on a Debian 12" really suffice? Makes such a system in a folder and
# runs ./dev there, as a newcomer would.
#
# usage: bare-root.sh MIRROR SOURCE [COMMAND...]    as root; COMMAND is ./dev test
#        bare-root.sh --host SOURCE [COMMAND...]    with the mirror this machine uses
#
# HM_BARE_KEEP=FOLDER keeps the system there. Exit 77: cannot be tried on this machine.
set -euo pipefail

skip() {
    echo "skipped: $*"
    exit 77
}

mirror=$1
source=$(readlink -f "$2")
shift 2
[ $# -gt 0 ] || set -- ./dev test
[ "$(id -u)" = 0 ] || skip "needs root"
command -v debootstrap >/dev/null || skip "needs debootstrap"
unshare --mount true 2>/dev/null || skip "no mount namespace may be made here"
if [ "$mirror" = --host ]; then
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
    [ -n "$mirror" ] || skip "this machine's apt knows no bookworm main"
fi

root=${HM_BARE_KEEP:-$(mktemp -d)}
mkdir -p "$root"
chmod 755 "$root" # apt's own user must get in
if [ -z "${HM_BARE_KEEP-}" ]; then
    # Nothing is mounted there: all mounts live in the namespace of enter().
    trap 'rm -rf --one-file-system "$root"' EXIT
fi

enter() {
    # shellcheck disable=SC2016
    unshare --mount --propagation private bash -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            ${http_proxy:+http_proxy="$http_proxy"} \
            ${https_proxy:+https_proxy="$https_proxy"} \
            chroot "$root" bash -euc "cd /src && \"\$@\"" - "$@"' - "$root" "$@"
}

start=$SECONDS
if [ ! -e "$root/usr/bin/git" ]; then
    debootstrap --variant=minbase --include=git bookworm "$root" "$mirror" \
        >"$root.log" 2>&1 || { tail -20 "$root.log" && exit 1; }
    rm -f "$root.log"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
fi
rm -rf "$root/src"
git -c safe.directory='*' clone --quiet --no-hardlinks "$source" "$root/src"
echo "== bare system made in $((SECONDS - start)) s; now: $*"

start=$SECONDS
enter "$@"
echo "== $* took $((SECONDS - start)) s"
