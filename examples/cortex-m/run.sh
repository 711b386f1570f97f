#!/bin/sh
# run.sh [--board an386|an500|an547] [--samples N] [--out FOLDER] [MODEL CAL.npy [TEST.npy]]: quantizes MODEL on CAL, compiles it for the
# board's processor (Cortex-M4, M7, M55), builds an image with the first N samples of TEST and the interpreter's answers in it, and boots
# that in qemu. Exit 0: every code is the interpreter's. The default model is examples/digits. Where the counter of instructions
# ../shared/tools/qemu-icount is there, it also says how many an inference executes; that is no time.
# Needs arm-none-eabi-gcc, qemu-system-arm, python3 and octavo (the variable OCTAVO, or the release build).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
octavo=${OCTAVO:-$root/build-release/octavo}
board=an386 samples=16 out=
while :; do
    case ${1-} in
    --board) board=$2 && shift 2 ;;
    --samples) samples=$2 && shift 2 ;;
    --out) out=$2 && shift 2 ;;
    -*) echo "run.sh: there is no option $1" >&2 && exit 64 ;;
    *) break ;;
    esac
done
case $board in
an386) cpu=cortex-m4 machine=mps2-an386 ;;
an500) cpu=cortex-m7 machine=mps2-an500 ;;
an547) cpu=cortex-m55 machine=mps3-an547 ;;
*) echo "run.sh: there is no board $board" >&2 && exit 64 ;;
esac
digits=$root/examples/digits
[ $# -gt 1 ] || set -- "$digits/digits.8vo" "$digits/digits_cal.npy" "$digits/digits_test.npy"
: "${out:=$root/build-release/cortex-m-$board}"
cc="arm-none-eabi-gcc -mcpu=$cpu -mthumb -mfloat-abi=hard"
flags=${CFLAGS:--O3}

python3 "$here/../embed.py" "$octavo" "$1" "$2" "${3:-$2}" "$samples" "$out"
"$octavo" compile "$out/q.8vo" --target $cpu --emit obj --cc "$cc" --cflags "$flags" -o "$out/net"
quantize=$(sed -n 's/^void \(net_quantize_[a-z0-9_A-Z]*\)(.*/\1/p' "$out/net.h")
$cc -std=c11 -O2 -Wall -Wextra -nostartfiles -I "$out" "-Wa,-I,$out" "-DQUANTIZE=$quantize" -L "$here" -T "$here/$board.ld" -Wl,--gc-sections,-z,noexecstack \
    "$here/main.c" "$here/board.c" "$here/../samples.S" "$out/net.o" -o "$out/image.elf"

plugin=
icount=${OCTAVO_SHARED:-$root/../shared}/tools/qemu-icount/icount.c
if [ -e "$icount" ]; then
    cc -O2 -fPIC -shared -o "$out/icount.so" "$icount"
    plugin="-plugin $out/icount.so,mark=net_run,mark=inference_done,out=$out/counts.tsv"
fi
echo "board: $board, $cpu"
timeout 60 qemu-system-arm -M $machine -display none -monitor none -serial none -chardev stdio,id=text -semihosting-config enable=on,chardev=text $plugin -kernel "$out/image.elf"
[ -z "$plugin" ] || awk '$1 == "mark" && $2 == "inference_done" { n++; sum += $4; if ($4 > most) most = $4 }
    END { printf "instructions per inference: %.0f on average, at most %d\n", sum / n, most }' "$out/counts.tsv"
