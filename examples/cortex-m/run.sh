#!/bin/sh
# run.sh [--board microbit|an386|an500|an505|an547] [--samples N] [--out FOLDER] [--llvm] [MODEL CAL.npy [TEST.npy]]: quantizes MODEL on CAL, compiles it
# for the board's processor (Cortex-M0, M4, M7, M33, M55), by the C compiler or by octavo's own LLVM back end, builds an image with the first N
# samples of TEST and the interpreter's answers in it, and boots that in qemu. Exit 0: every code is the interpreter's. The default model
# is examples/digits. Where the counter of instructions ../shared/tools/qemu-icount is there, it also says how many an inference
# executes; that is no time.
# Needs arm-none-eabi-gcc, qemu-system-arm, and what example.sh needs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../example.sh"
read_options board "$@"
abi=hard
case ${choice:=an386} in
microbit) cpu=cortex-m0plus machine=microbit abi=soft ;;
an386) cpu=cortex-m4 machine=mps2-an386 ;;
an500) cpu=cortex-m7 machine=mps2-an500 ;;
an505) cpu=cortex-m33 machine=mps2-an505 ;;
an547) cpu=cortex-m55 machine=mps3-an547 ;;
*) echo "run.sh: there is no board $choice" >&2 && exit 64 ;;
esac
: "${out:=$root/build-release/cortex-m-$choice}"
build image.elf "arm-none-eabi-gcc -mcpu=$cpu -mthumb -mfloat-abi=$abi" $cpu -nostartfiles -L "$here" -T "$here/$choice.ld" \
    "-Wl,--gc-sections,-z,noexecstack,-Map=$out/image.map" "$here/main.c" "$here/board.c"

plugin=
icount=${OCTAVO_SHARED:-$root/../shared}/tools/qemu-icount/icount.c
if [ -e "$icount" ]; then
    cc -O2 -fPIC -shared -o "$out/icount.so" "$icount"
    plugin="-plugin $out/icount.so,mark=net_run,mark=inference_done,out=$out/counts.tsv"
fi
echo "board: $choice, $cpu"
timeout 60 qemu-system-arm -M $machine -display none -monitor none -serial none -chardev stdio,id=text \
    -semihosting-config enable=on,chardev=text $plugin -kernel "$out/image.elf"
[ -z "$plugin" ] || awk '$1 == "mark" && $2 == "inference_done" { n++; sum += $4; if ($4 > most) most = $4 }
    END { printf "instructions per inference: %.0f on average, at most %d\n", sum / n, most }' "$out/counts.tsv"
