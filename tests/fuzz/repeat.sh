#!/bin/bash
# repeat.sh TARGET INPUT...: runs a fuzz target of build-fuzz over inputs, once each.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
target=$1
shift
export HM_FIXTURES=$here/../fixtures HM_PROGRAMMES=$here/../../daemon/programmes
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}
exec "$here/../../build-fuzz/fuzz/fuzz_$target" "$@"
