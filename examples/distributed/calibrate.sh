#!/bin/sh
# Calibrates over shards of the data, in the processes of an MPI job, and quantizes with what they found: the bytes of one run over
# all data, whatever the number of shards and processes. Start it again after a crash: shards that are done stay done.
#   calibrate.sh MODEL DATA SHARDS FOLDER [arguments of mpirun]
set -eu
[ $# -ge 4 ] || { echo "usage: calibrate.sh MODEL DATA SHARDS FOLDER [arguments of mpirun]" >&2; exit 64; }
here=$(dirname "$0") octavo=${OCTAVO:-octavo} model=$1 data=$2 shards=$3 folder=$4
shift 4
mkdir -p "$folder"
[ -x "$folder/work" ] || mpicc -O2 -o "$folder/work" "$here/work.c"
set_of=""
: >"$folder/list"
k=1
while [ "$k" -le "$shards" ]; do
    s="$folder/shard-$k.stats"
    printf "%s\t%s'%s' quantize '%s' --data '%s' --samples %d/%d --threads 1 --save-stats '%s' -o - >/dev/null\n" "$s" "${BEFORE_EACH:-}" "$octavo" "$model" "$data" "$k" "$shards" "$s" >>"$folder/list"
    set_of="$set_of $k"
    k=$((k + 1))
done
mpirun "$@" "$folder/work" "$folder/list"
set --
for k in $set_of; do set -- "$@" "$folder/shard-$k.stats"; done
"$octavo" stats merge "$@" -o "$folder/all.stats"
"$octavo" quantize "$model" --stats "$folder/all.stats" -o "$folder/quantized.8vo"
