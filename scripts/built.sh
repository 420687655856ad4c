#!/usr/bin/env bash
# Builds everything, and copies what others try (the wrappers, the packages, the page) into target/built/, where no
# cargo that runs meanwhile replaces it: of a build, `libtrophy.so` has the same name whatever it was built for.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --workspace
mkdir -p "$target/built"
# Which cargo holds while it builds.
exec 9<"$target/debug/.cargo-lock"
if command -v flock >/dev/null; then flock --shared 9; fi
for file in libtrophy.so libtrophy.dylib libtrophy.a trophy trophy-sandbox; do
    [ -e "$target/debug/$file" ] || continue
    cp "$target/debug/$file" "$target/built/$file.part"
    mv -f "$target/built/$file.part" "$target/built/$file"
done
