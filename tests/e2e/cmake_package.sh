#!/bin/sh
# find_package(octavo): octavo is installed into a prefix, and the example project is built with it for the host and by every toolchain
# file of the example, and run; it is made again when anything changes that it was made of, and only then; misuse of octavo_add_model is
# told.
set -eu
rm -rf "$OCTAVO_OUT"
mkdir -p "$OCTAVO_OUT"
cd "$OCTAVO_OUT"
die() {
    echo "cmake_package: $*" >&2
    exit 1
}
cmake --install "$(dirname "$OCTAVO")" --prefix "$PWD/prefix" >install.log || die "cannot install: $(cat install.log)"
[ "$(prefix/bin/octavo --version)" = "$("$OCTAVO" --version)" ] || die "what was installed does not run"
cp -r "$OCTAVO_SOURCE/examples" .
unset OCTAVO # only what is installed

configure() { # folder, arguments
    to=$1
    shift
    cmake -S examples/cmake -B "$to" -G Ninja -DCMAKE_PREFIX_PATH="$PWD/prefix" -DCMAKE_C_FLAGS_RELEASE=-O2 -DCMAKE_BUILD_TYPE=Release "$@" >"$to.log" 2>&1
}
make() { cmake --build "$1" >"$1.log" 2>&1 || die "$1 does not build: $(cat "$1.log")"; }
machines="host $(cd examples/cmake && echo *.cmake | sed "s/[.]cmake//g")"
for machine in $machines; do
    toolchain=
    run=
    if [ "$machine" != host ]; then
        toolchain="-DCMAKE_TOOLCHAIN_FILE=$PWD/examples/cmake/$machine.cmake"
        run="timeout 60 $(sed -n 's/^set(CMAKE_CROSSCOMPILING_EMULATOR \(.*\))/\1/p' "examples/cmake/$machine.cmake" | tr ';' ' ')"
    fi
    configure $machine $toolchain || die "$machine: cmake fails: $(cat $machine.log)"
    make $machine
    ! grep -i warning $machine.log || die "$machine: warnings"
    said=$($run $machine/classify 2>&1 </dev/null) || die "$machine: exit $?, $said"
    [ "$said" = "this is a 5" ] || die "$machine: $said"
done

# ---- made again when it must be, and only then
again() { make host && grep -q 'octavo: digits' host.log; }
! again || die "made again without a reason"
for f in digits.8vo digits.safetensors digits_cal.npy; do
    sleep 0.01
    touch examples/digits/$f
    again || die "not made again after $f changed: $(cat host.log)"
    ! again || die "made again twice after $f changed"
done


# ---- what options name is seen too, by make as by ninja
printf '{"default": {"act_observer": "minmax"}}\n' >examples/digits/q.json
cp examples/cmake/CMakeLists.txt plain.txt
sed 's/octavo_add_model(digits/& OPTIONS --config ${CMAKE_CURRENT_SOURCE_DIR}\/..\/digits\/q.json/' plain.txt >examples/cmake/CMakeLists.txt
for generator in Ninja "Unix Makefiles"; do
    rm -rf host
    configure host -G "$generator" || die "$generator: $(cat host.log)"
    again || die "$generator: not made"
    ! again || die "$generator: made again without a reason"
    sleep 1.1 # make sees seconds
    touch examples/digits/q.json
    again || die "$generator: not made again after q.json changed: $(cat host.log)"
    ! again || die "$generator: made again twice"
done
cp plain.txt examples/cmake/CMakeLists.txt

# ---- weights by the assembler
sed 's/LANGUAGES C/& ASM/; s/octavo_add_model(digits/& WEIGHTS incbin/' examples/cmake/CMakeLists.txt >incbin.txt
cp examples/cmake/CMakeLists.txt plain.txt
cp incbin.txt examples/cmake/CMakeLists.txt
configure incbin || die "incbin: $(cat incbin.log)"
make incbin
[ -e incbin/digits.octavo/digits.weights.S ] || die "no weights.S"
[ "$(incbin/classify)" = "this is a 5" ] || die "incbin: another answer"

# ---- misuse
misuse() { # wanted text, sed command on the project
    sed "$2" plain.txt >examples/cmake/CMakeLists.txt
    ! configure misuse || die "no error: $2"
    tr -s '\n ' ' ' <misuse.log | grep -q -- "$1" || die "no '$1' in: $(cat misuse.log)"
    rm -r misuse
}
misuse 'octavo_add_model(NAME MODEL FILE' 's/ MODEL [^ ]*//'
misuse 'octavo_add_model(NAME MODEL FILE' 's/ DATA / DATUM /'
misuse 'there is no model .*none.8vo' 's/digits.8vo/none.8vo/'
misuse 'WEIGHTS is inline or incbin, not tape' 's/ MODEL / WEIGHTS tape MODEL /'
misuse 'compatible with requested version "0.9"' 's/octavo 0.1/octavo 0.9/'
for machine in aarch64 armhf cortex-m0plus cortex-m4 cortex-m7 cortex-m33 cortex-m55; do
    case " $machines " in *" $machine "*) ;; *) die "there is no toolchain file for $machine" ;; esac
done
echo "cmake_package: $(echo $machines)"
