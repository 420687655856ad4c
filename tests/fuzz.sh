#!/usr/bin/env bash
# A short search by each fuzz target, from its seeds: fuzz.sh SECONDS. `make fuzz` searches longer.
set -u
cd "$(dirname "$0")/.."
skip() { echo "skipped: $1"; exit 77; }
[ "$(uname -sm)" = "Linux x86_64" ] || skip "the sanitizers of the fuzz targets are built on Linux"
command -v python3 >/dev/null || skip "python3 is not installed"
command -v c++ >/dev/null || skip "libFuzzer needs a C++ compiler"
printf 'int main(void) { return 0; }' | cc -x c - -lcurl -o /dev/null 2>/dev/null || skip "libcurl is not installed"
exec python3 -B scripts/fuzz.py "${1:-15}"
