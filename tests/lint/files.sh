#!/bin/bash
# usage: files.sh ROOT REGEX
# Prints the files below ROOT that belong to the source (tracked or new, not ignored) and
# whose path from ROOT matches; without what was planted to prove the gates.
# Outside of git, as in a source archive, all files but builds and dotfolders count.
set -euo pipefail
cd "$1"
if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
    git -c safe.directory='*' -c core.quotePath=off \
        ls-files --cached --others --exclude-standard
else
    find . -path './build*' -prune -o -path './.[!.]*/*' -prune -o -type f -printf '%P\n'
fi | sort -u | grep -v '^tests/lint/planted/' | grep -E "$2" | while IFS= read -r file; do
    # Deleted but not yet committed is not there.
    [ ! -e "$file" ] || printf '%s\n' "$file"
done
