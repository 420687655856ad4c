#!/usr/bin/env bash
# deb.sh OUT [VARIABLE=VALUE…]: builds the Debian packages libtrophy1, libtrophy-dev and trophy-cli for this machine in
# the folder OUT, of what `make ship` has built; make is given the variables. Exits 77 where debhelper is not installed.
set -eu
cd "$(dirname "$0")/.."
for tool in dpkg-buildpackage dh; do
    command -v "$tool" >/dev/null || { echo "skipped: Debian packages: no $tool"; exit 77; }
done
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export TROPHY_SOURCE=$PWD TROPHY_MAKE_ARGUMENTS="$*"

# Always the same folder, since it is built in its path.
stage=${CARGO_TARGET_DIR:-target}/dist/deb
rm -rf "$stage"
mkdir -p "$stage/trophy-$version"
cp -R packaging/debian "$stage/trophy-$version/debian"
maintainer=$(sed -n 's/^Maintainer: //p' packaging/debian/control)
cat >"$stage/trophy-$version/debian/changelog" <<END
trophy ($version) unstable; urgency=medium

  * What changed is in CHANGELOG.md, which is installed as changelog.gz.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END

# Since which version each function is there: that of the first file of packaging/abi/ which has it.
{
    echo "libtrophy.so.${version%%.*} libtrophy${version%%.*} #MINVER#"
    for released in $(printf '%s\n' packaging/abi/*.txt | sort -V); do
        sed -n "s/^symbol: \(.*\)/\1 $(basename "$released" .txt)/p" "$released"
    done | awk '!seen[$1]++ { print " " $1 "@Base " $2 }' | LC_ALL=C sort
} >"$stage/trophy-$version/debian/libtrophy1.symbols"

# -d: Rust may come from rustup instead of a package.
(cd "$stage/trophy-$version" && dpkg-buildpackage -b -d --no-sign)
install -m 644 "$stage"/*.deb "$out/"
