#!/bin/sh
# Every libFuzzer target for 30 seconds (P1); scripts/fuzz.sh runs them for hours.
exec sh "$OCTAVO_SOURCE/scripts/fuzz.sh" 30
