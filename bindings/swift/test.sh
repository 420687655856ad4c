#!/bin/sh
# Tests the Swift wrapper against the sandbox: exit 0 passed, 77 skipped, else failed.
# Where no Swift 6 is on PATH it runs itself in a Debian 13 that has one (scripts/swift.sh).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$project/target}
lib_dir=${TROPHY_LIB_DIR:-$target/debug}
sandbox=${TROPHY_SANDBOX:-$target/debug/trophy-sandbox}
build=${TROPHY_SWIFT_BUILD:-$target/swift/build}

if [ ! -x "$sandbox" ]; then
    echo "no sandbox: build it (make build), or say in TROPHY_SANDBOX where it is" >&2
    exit 1
fi
if ! swift --version 2>/dev/null | grep -q 'Swift version [6-9]'; then
    exec sh "$project/scripts/swift.sh" project="$project" lib="$lib_dir" sandbox="$sandbox" -- \
        env TROPHY_LIB_DIR=/trophy/lib TROPHY_SANDBOX=/trophy/sandbox TROPHY_SWIFT_BUILD=/var/tmp/trophy \
        /trophy/project/bindings/swift/test.sh
fi
swift --version 2>/dev/null | grep 'Swift version'

# What `make install` would put in place: the library under its name at run time, and where pkg-config finds it.
mkdir -p "$build/lib"
for name in libtrophy.so libtrophy.dylib; do
    [ -e "$lib_dir/$name" ] || continue
    ln -sf "$lib_dir/$name" "$build/lib/$name"
    ln -sf "$lib_dir/$name" "$build/lib/libtrophy${name#libtrophy}.1"
done
cat >"$build/lib/trophy.pc" <<PC
Name: trophy
Description: libtrophy as it was just built
Version: 1.0.0
Cflags: -I$project/include
Libs: -L$build/lib -ltrophy
PC

cd "$here"
export PKG_CONFIG_PATH="$build/lib" TROPHY_SANDBOX="$sandbox"
swift_package() {
    command=$1
    shift
    swift "$command" "$@" --scratch-path "$build" --disable-automatic-resolution \
        -Xswiftc -warnings-as-errors -Xlinker -rpath -Xlinker "$build/lib" >"$build/$command.log" 2>&1
}
failed() {
    cat "$build/$1.log"
    exit 1
}
# Twice, since the compiler and the package manager of 6.0.3 crash now and then: what is wrong in the code stays wrong.
swift_package build --build-tests || swift_package build --build-tests || failed build
swift_package test --skip-build --disable-xctest || failed test
grep 'Test run with' "$build/test.log" | tail -n 1
echo passed
