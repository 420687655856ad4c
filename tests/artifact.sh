#!/usr/bin/env bash
# What ships: its size, its symbols, its name. It is what `make install` installs, built once for both tests.
set -u
cd "$(dirname "$0")/.."
make --no-print-directory ship-shared ship-static || exit 1
ship=${CARGO_TARGET_DIR:-target}/ship
library=$(echo "$ship"/libtrophy.so.*)
[ -e "$library" ] || { echo "skipped: no ELF library on this system"; exit 77; }
passed=0 failed=0
check() { # check WHAT CONDITION…
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); echo "ok      $what"; else failed=$((failed + 1)); echo "FAILED  $what"; fi
}
bytes=$(stat -c %s "$library")
echo "stripped: $bytes bytes"
check "smaller than 2.5 MB" [ "$bytes" -lt 2500000 ]
# Without LTO there is an object for each part of each crate. It leaves compiler_builtins alone.
objects=$(ar t "$(find "$ship/libs" -path '*release/libtrophy.a')" | grep 'rcgu\.o$' | grep -vc '^compiler_builtins')
check "LTO made one object of all Rust code: $objects" [ "$objects" = 1 ]
foreign=$(nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//' | grep -v '^trophy_' || true)
check "libtrophy.so exports trophy_* only $foreign" [ -z "$foreign" ]
foreign=$(nm -g --defined-only "$ship/libtrophy.a" | awk 'NF == 3 {print $3}' | grep -v '^trophy_' || true)
check "libtrophy.a has no global symbol but trophy_* $foreign" [ -z "$foreign" ]
shared=$(nm -D --defined-only "$library" | awk '{print $3}' | sort)
archived=$(nm -g --defined-only "$ship/libtrophy.a" | awk 'NF == 3 {print $3}' | sort)
check "both have the same functions" [ "$shared" = "$archived" ]
dynamic=$(readelf -d "$library")
check "SONAME is libtrophy.so.1" grep -q 'soname: \[libtrophy.so.1\]' <<<"$dynamic"
check "NODELETE is set" grep -q NODELETE <<<"$dynamic"
needed=$(grep NEEDED <<<"$dynamic" | sed 's/.*\[\(.*\)\]/\1/' | grep -vE '^(libc|libm|libgcc_s|ld-linux.*)\.so' || true)
check "needs the C library only $needed" [ -z "$needed" ]
own=$(grep -alF -e "$PWD/" -e "$HOME/" "$library" "$ship/libtrophy.a" || true)
check "no path of this machine is in it $own" [ -z "$own" ]
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
