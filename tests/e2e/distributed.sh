#!/bin/sh
# Calibration over shards by more than one process: two processes of an MPI job make what one run makes, to the byte; so does a job
# of which a process was killed, when it is started again. The scripts of the array job run too, job by job.
set -eu
if ! command -v mpirun >/dev/null || ! command -v mpicc >/dev/null; then
    echo "distributed: no MPI (scripts/setup.sh --tests installs it)"
    [ -z "${CI:-}" ] || exit 1
    exit 77
fi
rm -rf "$OCTAVO_OUT"
mkdir -p "$OCTAVO_OUT"
cd "$OCTAVO_OUT"
there=$OCTAVO_SOURCE/examples/distributed model=$OCTAVO_SOURCE/examples/digits/digits.8vo data=$OCTAVO_SOURCE/examples/digits/digits_cal.npy
mpi="-n 2 --oversubscribe --allow-run-as-root"
checks=0
die() {
    echo "distributed: $*" >&2
    exit 1
}
same() {
    cmp "$1" "$2" >&2 || die "$1 and $2 differ"
    checks=$((checks + 1))
}
model_of() { grep -v '^weights' "$1"; }

"$OCTAVO" quantize "$model" --data "$data" --save-stats one.stats -o one.8vo

# ---- two processes
sh "$there/calibrate.sh" "$model" "$data" 5 two $mpi >two.log
grep -q '5 of 5 pieces made by 2 processes' two.log || die "not all was made: $(cat two.log)"
same one.stats two/all.stats
same one.safetensors two/quantized.safetensors
model_of one.8vo >a
model_of two/quantized.8vo >b
same a b

# ---- one of them is killed in the middle; the rest is made when it is started again
export BEFORE_EACH='sleep 0.4; '
sh "$there/calibrate.sh" "$model" "$data" 6 killed $mpi >killed.log 2>&1 &
job=$!
i=0
while [ ! -e killed/shard-1.stats.done ] && [ $i -lt 200 ]; do
    i=$((i + 1))
    sleep 0.05
done
victim=$(ps -eo pid,args | awk -v w="killed/work killed/list" '$0 ~ w && !/mpirun|awk/ { print $1; exit }')
[ -n "$victim" ] || die "no process to kill"
kill -9 "$victim"
! wait $job || die "the job did not notice that a process was killed"
[ ! -e killed/all.stats ] || die "a killed job merged"
done_before=$(ls killed/*.done | wc -l)
[ "$done_before" -ge 1 ] && [ "$done_before" -lt 6 ] || die "$done_before of 6 shards were done when the process was killed"
touch -d '2001-01-01' killed/shard-1.stats.done
sh "$there/calibrate.sh" "$model" "$data" 6 killed $mpi >again.log
grep -q '6 of 6 pieces made by 2 processes' again.log || die "not all was made: $(cat again.log)"
[ -n "$(find killed/shard-1.stats.done ! -newermt '2002-01-01')" ] || die "a shard that was done was made again"
same one.stats killed/all.stats
same one.safetensors killed/quantized.safetensors
unset BEFORE_EACH

# ---- a search whose first steps are measured by two processes finds what one finds
budget="$model --data $data --samples :8 --budget sqnr>=25 --threads 1 -o"
"$OCTAVO" quantize $budget searched.8vo 2>/dev/null
sh "$there/search.sh" 2 search "$(printf "%s" "$budget" | sed "s/sqnr>=25/'sqnr>=25'/") search/q.8vo" $mpi >search.log 2>&1
model_of searched.8vo >a
model_of search/q.8vo >b
same a b

# ---- a piece that fails fails the job
printf 'none\tfalse\n' >failing
! mpirun $mpi two/work failing >failing.log 2>&1 || die "a piece that fails goes unnoticed"
grep -q '0 of 1 pieces made' failing.log || die "no count of what was made"
checks=$((checks + 1))

# ---- the array job, as Slurm would start it
for f in calibrate.sh search.sh calibrate.slurm; do
    sh -n "$there/$f"
    bash -n "$there/$f"
done
for k in 1 2 3; do
    SLURM_ARRAY_TASK_ID=$k SLURM_ARRAY_TASK_COUNT=3 sh "$there/calibrate.slurm" "$model" "$data" array
done
"$OCTAVO" stats merge array/shard-*.stats -o array.stats
same one.stats array.stats
echo "distributed: $checks checks"
