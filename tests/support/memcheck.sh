#!/bin/sh
# Each named test of a test program under valgrind, in a process of its own.
# usage: memcheck.sh PROGRAM NAME...
program=$1
shift
for name; do
    valgrind --quiet --error-exitcode=99 --leak-check=full \
        --errors-for-leak-kinds=definite --show-leak-kinds=definite \
        "$program" "$name" || exit 1
done
