#!/bin/sh
# Installs what is missing, builds octavo and runs all tests. --full: the long form of the end-to-end tests.
set -eu
cd "$(dirname "$0")/.."
case " $* " in *" --full "*) export OCTAVO_FULL=1 ;; esac
sh scripts/setup.sh --tests --oracles
cmake --preset release >/dev/null
cmake --build --preset release
ctest --test-dir build-release --output-on-failure --no-tests=error -j2
