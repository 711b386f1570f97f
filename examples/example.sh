# example.sh - what the examples' run.sh share; sourced, with $here the script's folder. Needs python3 and octavo (the variable OCTAVO, or
# the release build).
root=$(cd "$here/../.." && pwd)
octavo=${OCTAVO:-$root/build-release/octavo}

# read_options CHOICE "$@": --CHOICE NAME, --samples N, --out FOLDER, --llvm, then MODEL CAL.npy [TEST.npy]; sets choice, samples, out,
# llvm, model, cal, test. The default model is examples/digits; test data are the calibration data unless named.
read_options() {
    option=$1 choice= samples=16 out= llvm=
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --"$option") choice=$2 && shift 2 ;;
        --samples) samples=$2 && shift 2 ;;
        --out) out=$2 && shift 2 ;;
        --llvm) llvm=yes && shift ;;
        -*) echo "run.sh: there is no option $1" >&2 && exit 64 ;;
        *) break ;;
        esac
    done
    [ $# -gt 1 ] || set -- "$root/examples/digits/digits.8vo" "$root/examples/digits/digits_cal.npy" "$root/examples/digits/digits_test.npy"
    model=$1 cal=$2 test=${3:-$2}
}

# build PROGRAM CC TARGET ARGUMENTS...: quantizes the model, makes $out/net.o of it, as C by CC or, where $llvm says so, without a
# compiler, and links that, the samples with the interpreter's answers, and what ARGUMENTS name, to $out/PROGRAM.
build() {
    program=$1 cc=$2 target=$3
    shift 3
    python3 "$root/examples/embed.py" "$octavo" "$model" "$cal" "$test" "$samples" "$out"
    if [ -z "$llvm" ]; then
        "$octavo" compile "$out/q.8vo" --target "$target" --emit obj --cc "$cc" --cflags "${CFLAGS:--O3}" -o "$out/net"
    else
        "$octavo" compile "$out/q.8vo" --target "$target" --emit obj -o "$out/net"
    fi
    quantize=$(sed -n 's/^void \(net_quantize_[a-z0-9_A-Z]*\)(.*/\1/p' "$out/net.h")
    $cc -std=c11 -O2 -Wall -Wextra -I "$out" "-Wa,-I,$out" "-DQUANTIZE=$quantize" "$@" "$root/examples/samples.S" "$out/net.o" -o "$out/$program"
}
