#!/bin/sh
# exits.sh CODE COMMAND...: runs the command; fails unless it exits with CODE.
want=$1
shift
"$@"
got=$?
[ "$got" = "$want" ] || { echo "exits.sh: exit code $got, not $want"; exit 1; }
