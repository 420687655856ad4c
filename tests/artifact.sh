#!/usr/bin/env bash
# What ships: its size, its symbols, its name. Uses the release build that the install test made.
set -u
cd "$(dirname "$0")/.."
cargo rustc -q --release --lib --crate-type cdylib || exit 1
library=${CARGO_TARGET_DIR:-target}/release/libtrophy.so
[ -e "$library" ] || { echo "skipped: no ELF library on this system"; exit 77; }
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
passed=0 failed=0
check() { # check WHAT CONDITION…
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); echo "ok      $what"; else failed=$((failed + 1)); echo "FAILED  $what"; fi
}
bytes=$(stat -c %s "$stripped")
echo "stripped: $bytes bytes"
check "smaller than 2.5 MB" [ "$bytes" -lt 2500000 ]
foreign=$(nm -D --defined-only "$stripped" | awk '{print $3}' | sed 's/@.*//' | grep -v '^trophy_' || true)
check "exports trophy_* only $foreign" [ -z "$foreign" ]
dynamic=$(readelf -d "$stripped")
check "SONAME is libtrophy.so.1" grep -q 'soname: \[libtrophy.so.1\]' <<<"$dynamic"
check "NODELETE is set" grep -q NODELETE <<<"$dynamic"
needed=$(grep NEEDED <<<"$dynamic" | sed 's/.*\[\(.*\)\]/\1/' | grep -vE '^(libc|libm|libgcc_s|ld-linux.*)\.so' || true)
check "needs the C library only $needed" [ -z "$needed" ]
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
