#!/bin/sh
# run.sh [--arch aarch64|armhf] [--samples N] [--out FOLDER] [MODEL CAL.npy [TEST.npy]]: quantizes MODEL on CAL, compiles it into a static
# Linux program with the first N samples of TEST and the interpreter's answers in it, and runs that under qemu. Exit 0: every code is
# the interpreter's. The default model is examples/digits. Needs the cross compiler, qemu-user, and what example.sh needs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../example.sh"
read_options arch "$@"
case ${choice:=aarch64} in
aarch64) cc="aarch64-linux-gnu-gcc" target=aarch64 qemu=qemu-aarch64 ;;
armhf) cc="arm-linux-gnueabihf-gcc -mfpu=neon" target=c99 qemu=qemu-arm ;;
*) echo "run.sh: there is no architecture $choice" >&2 && exit 64 ;;
esac
: "${out:=$root/build-release/linux-$choice}"
build program "$cc" $target -static "$here/main.c"
echo "architecture: $choice, program: $(wc -c <"$out/program") bytes"
timeout 60 $qemu "$out/program"
