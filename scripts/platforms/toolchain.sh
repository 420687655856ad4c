#!/usr/bin/env bash
# Prints the folder of a Rust toolchain that can build its own standard library, for any target: the one in use, with
# the sources of that library beside it. Where `rustup component add rust-src` did not bring them, they come from
# Debian's package of the same version. Exits 77 with `skipped: why` where they cannot be had.
set -eu
cd "$(dirname "$0")/../.."
. scripts/debian.sh
keep=${CARGO_TARGET_DIR:-target}/platforms
mkdir -p "$keep"
keep=$(cd "$keep" && pwd)

version=$(rustc -vV | sed -n 's/^release: //p')
in_use=$(rustc --print sysroot)
own=$keep/rust-$version
sources=lib/rustlib/src/rust/library

has_sources() { [ -f "$1/$sources/Cargo.lock" ]; }

skip() {
    echo "skipped: no standard library for other targets: $1"
    exit 77
}

# The package's sources, unpacked in $1. apt fetches and verifies them with lists of its own, so that no other
# package of the machine is ever taken from there.
from_debian() {
    local apt=$1/apt from package key=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || skip "neither rustup's rust-src nor apt"
    from=$(mirror)
    [ -n "$from" ] || skip "the sources of apt name no mirror of Debian"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    echo "deb [signed-by=$key] $from trixie-backports main" >"$apt/sources"
    local options=(-qq -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
        -o "Dir::Etc::SourceList=$apt/sources" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::status=/dev/null
        -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    apt-get "${options[@]}" update >&2 || skip "apt cannot reach trixie-backports"
    package=$(apt-cache "${options[@]}" madison rust-src |
        awk -F ' *[|] *' -v v="$version+" 'index($2, v) == 1 { print $2; exit }')
    [ -n "$package" ] || skip "trixie-backports has no rust-src $version any more"
    (cd "$apt" && apt-get "${options[@]}" download "rust-src=$package") >&2 || skip "apt cannot fetch rust-src=$package"
    dpkg-deb -x "$apt"/rust-src_*.deb "$1/package" >&2
}

if has_sources "$in_use"; then
    echo "$in_use"
    exit
fi
exec 9>"$keep/toolchain.lock"
flock 9
if ! has_sources "$own"; then
    part=$own.part
    rm -rf "$part" && mkdir -p "$part/rust/lib/rustlib/src/rust"
    from_debian "$part"
    # Links where they can be: cargo finds the sources beside the compiler that it runs.
    for folder in bin lib; do
        cp -al "$in_use/$folder" "$part/rust/" 2>/dev/null || cp -a "$in_use/$folder" "$part/rust/"
    done
    cp -a "$part"/package/usr/src/rustc-"$version"/library "$part/rust/lib/rustlib/src/rust/"
    rm -rf "$own" && mv "$part/rust" "$own"
    rm -rf "$part"
fi
echo "$own"
