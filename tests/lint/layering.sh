#!/bin/bash
# usage: layering.sh ROOT
# Fails when a layer includes what it must not know (daemon -> storage -> protocol) or
# asks for the time, randomness or the environment below daemon/. Comments do not count.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$1"

system='time|unistd|fcntl|pthread|threads|signal|syslog|sys/|netinet/|arpa/|poll|dirent'
daemons='uv|curl|microhttpd|gnutls|jansson|systemd|ini|qrencode|archive|xlsxwriter'
declare -A includes=(
    [protocol]="\"(storage|daemon|tests)/|<($system|$daemons|sqlite3|libpq|csv)"
    [storage]="\"(daemon|tests)/|<(time|pthread|threads|signal|syslog|netinet/|arpa/|sys/socket|$daemons)"
)
calls='time|gettimeofday|clock|clock_gettime|timespec_get|localtime|localtime_r|gmtime'
calls+='|gmtime_r|mktime|sleep|usleep|nanosleep|rand|rand_r|srand|random|srandom|drand48'
calls+='|arc4random[a-z_]*|getrandom|getentropy|randombytes[a-z_]*|getenv|secure_getenv'
calls+='|sqlite3_randomness'
# SQL has a clock and dice of its own.
sql="CURRENT_(TIMESTAMP|DATE|TIME)|'now'|randomblob *\\("

seen=0
bad=0
for layer in protocol storage; do
    mapfile -t files < <("$here/files.sh" . "^$layer/.*\\.[ch]$")
    [ ${#files[@]} -gt 0 ] || continue
    seen=$((seen + ${#files[@]}))
    hits=$(
        perl -0777 -ne '
            s{/\*.*?\*/}{ my $c = $&; $c =~ s/[^\n]//g; $c }gse;
            my $n = 0;
            print "$ARGV:", ++$n, ": $_\n" for split /\n/;
        ' "${files[@]}" |
            grep -E "^[^:]+:[0-9]+: *(#[ \t]*include[ \t]*(${includes[$layer]})|.*($sql|(^|[^A-Za-z0-9_.>])($calls)\\())" || true
    )
    if [ -n "$hits" ]; then
        printf '%s must not:\n%s\n' "$layer" "$hits"
        bad=$((bad + $(wc -l <<<"$hits")))
    fi
done
[ "$seen" -gt 0 ] || {
    echo "no file was looked at: wrong root $1"
    exit 1
}
echo "$bad violations in $seen files"
[ "$bad" = 0 ]
