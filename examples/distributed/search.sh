#!/bin/sh
# Measures the first steps of a search for budgets in the processes of an MPI job: each takes a share of them, and the journals, one
# behind the other, are the journal that the search then goes on from.
#   search.sh PARTS FOLDER 'ARGUMENTS OF octavo quantize' [arguments of mpirun]      ARGUMENTS: MODEL --data X.npy --budget ... -o Q.8vo
set -eu
[ $# -ge 3 ] || { echo "usage: search.sh PARTS FOLDER 'ARGUMENTS OF octavo quantize' [arguments of mpirun]" >&2; exit 64; }
here=$(dirname "$0") octavo=${OCTAVO:-octavo} parts=$1 folder=$2 arguments=$3
shift 3
mkdir -p "$folder"
[ -x "$folder/work" ] || mpicc -O2 -o "$folder/work" "$here/work.c"
: >"$folder/list"
k=1
while [ "$k" -le "$parts" ]; do
    j="$folder/part-$k.journal"
    printf "%s\t'%s' quantize %s --part %d/%d --journal '%s'\n" "$j" "$octavo" "$arguments" "$k" "$parts" "$j" >>"$folder/list"
    k=$((k + 1))
done
mpirun "$@" "$folder/work" "$folder/list"
cat "$folder"/part-*.journal >"$folder/journal"
eval "'$octavo' quantize $arguments --journal '$folder/journal'"
