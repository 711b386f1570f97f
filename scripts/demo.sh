#!/bin/sh
# Installs what is missing, builds octavo, and runs its main job on the example that ships with it: a float network for
# handwritten digits becomes an int8 C file, is linked into a program and tried on images it has never seen.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release >build-release/demo-build.log 2>&1 || { cat build-release/demo-build.log; exit 1; }
octavo=build-release/octavo ex=examples/digits out=build-release/demo
mkdir -p $out

echo "1. quantize: 200 calibration images choose the ranges"
$octavo quantize $ex/digits.8vo --data $ex/digits_cal.npy -o $out/digits_q.8vo
echo "2. accuracy on 200 test images, float and int8"
$octavo eval $out/digits_q.8vo --data $ex/digits_test.npy --labels $ex/digits_labels.npy --against $ex/digits.8vo 2>/dev/null
echo "3. compile to C"
$octavo compile $out/digits_q.8vo -o $out/digits
echo "4. link it and run it"
cc -std=c99 -O3 -Wall -I $out -I runtime $ex/main.c $out/digits.c -o $out/digits_demo
$out/digits_demo $ex/digits_test.npy $ex/digits_labels.npy
sed -n 's/^ *"weight_bytes": \([0-9]*\),.*/weights \1 bytes/p' $out/digits.json
echo
echo "The C is $out/digits.c, its interface $out/digits.h, the report $out/digits.json;"
echo "the quantized model, readable and editable, is $out/digits_q.8vo."
