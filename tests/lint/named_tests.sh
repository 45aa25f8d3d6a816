#!/bin/bash
# usage: named_tests.sh ROOT FILE...
# Fails when a document names a test, `folder.file.name`, that is not in ROOT/tests.
set -euo pipefail
root=$1
shift
seen=0
missing=0
while IFS=. read -r folder file name; do
    seen=$((seen + 1))
    if ! grep -qs "^HM_TEST($name)" "$root/tests/$folder/test_$file.c"; then
        echo "no such test: $folder.$file.$name"
        missing=$((missing + 1))
    fi
done < <(grep -ohE '`(protocol|storage|daemon|e2e)\.[a-z0-9_]+\.[a-z0-9_]+`' "$@" | tr -d '`' | sort -u)
echo "$seen tests named, $missing of them missing"
[ "$seen" -gt 0 ] && [ "$missing" = 0 ]
