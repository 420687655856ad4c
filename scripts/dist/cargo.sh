#!/usr/bin/env bash
# cargo rustc and cargo build, as cargo.sh rustc … and cargo.sh build …, for the platform CARGO_BUILD_TARGET. DIST_LINKER
# says how: "zig", with zig's C library of the version DIST_LIBC, if one is named; "cc", with the platform's own gcc.
# DIST_BUILD_STD=1 builds the standard library too.
set -eu
command=$1
shift
arguments=()
# The tool needs nothing of the system: musl is in it.
if [ "$command" = build ]; then export RUSTFLAGS="${RUSTFLAGS/-C target-feature=-crt-static/}"; fi
if [ "${DIST_BUILD_STD:-}" = 1 ]; then
    export RUSTC_BOOTSTRAP=1
    arguments+=(-Zbuild-std=std,panic_unwind)
fi
if [ "$DIST_LINKER" = cc ]; then
    exec cargo "$command" "${arguments[@]}" "$@"
fi
target=$CARGO_BUILD_TARGET${DIST_LIBC:+.$DIST_LIBC}
unset CARGO_BUILD_TARGET
if [ "$command" = build ]; then command=zigbuild; fi
exec cargo-zigbuild "$command" --target "$target" "${arguments[@]}" "$@"
