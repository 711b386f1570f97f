#!/bin/sh
# Installs what is missing on a Debian machine: build tools and libraries, test tools; with --oracles also a Python venv (in
# .venv) holding the peers that tests compare with. Does nothing where everything is present.
set -eu
cd "$(dirname "$0")/.."
packages="build-essential cmake ninja-build pkg-config flex bison ccache libprotobuf-c-dev protobuf-c-compiler libjansson-dev
libxxhash-dev libzip-dev libpng-dev libjpeg62-turbo-dev libcmocka-dev llvm-19-dev python3-venv"
case " $* " in *" --tests "*) packages="$packages llvm-19-tools clang-19 libsimde-dev libonnx-testdata libclang-rt-19-dev qemu-user qemu-system-arm gcc-aarch64-linux-gnu
libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-arm-none-eabi libnewlib-arm-none-eabi valgrind libopenmpi-dev openmpi-bin" ;; esac
missing=""
for p in $packages; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "setup: installing$missing" >&2
    $sudo apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
case " $* " in *" --oracles "*)
    if [ ! -x .venv/bin/python ]; then
        python3 -m venv .venv
        .venv/bin/pip install -q 'onnxruntime==1.31.*' 'onnx==1.19.*' numpy scikit-learn jsonschema
    fi ;;
esac
