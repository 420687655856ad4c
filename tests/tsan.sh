#!/usr/bin/env bash
# The whole C API from many threads at once (tests/stress) under ThreadSanitizer, for so many seconds: tsan.sh SECONDS.
# The standard library is built with it too: else its locks are not seen, and every wait is taken for a race.
set -u
cd "$(dirname "$0")/.."
skip() { echo "skipped: $1"; exit 77; }
[ "$(uname -sm)" = "Linux x86_64" ] || skip "ThreadSanitizer is built on Linux"
toolchain=$(bash scripts/platforms/toolchain.sh) || { echo "$toolchain"; exit 77; }
keep=${CARGO_TARGET_DIR:-target}/tsan
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTC_BOOTSTRAP=1 RUSTC="$toolchain/bin/rustc" RUSTFLAGS="-Zsanitizer=thread" \
    "$toolchain/bin/cargo" build --locked --release --manifest-path tests/stress/Cargo.toml --target-dir "$keep" \
    --target "$target" -Zbuild-std=std,panic_unwind || exit 1
TSAN_OPTIONS="suppressions=tests/stress/suppressions halt_on_error=0 exitcode=66" \
    "$keep/$target/release/trophy-stress" "${1:-20}"
