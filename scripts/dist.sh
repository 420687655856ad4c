#!/usr/bin/env bash
# make dist: what a release has, in dist/ or in DIST=folder. An archive for each platform of packaging/targets, the Debian
# packages, those of the languages, a list of what is inside (SBOM), and SHA256SUMS of all. DIST_TARGETS chooses: names
# of packaging/targets; "native", this machine's platform with its own C library, as `make install` has it; "deb",
# "packages", "sbom". What a tool is missing for is said, "skipped: why", and the rest goes on.
#
# The same sources and tools give the same bytes: no path of the machine, one time, names in order, no owner.
set -eu
cd "$(dirname "$0")/.."
umask 022
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR; CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# Where scripts/dist/install-tools.sh puts what it installs.
PATH=$PATH:$CARGO_TARGET_DIR/dist/tools/bin
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
# with.sh has a build folder and a compiler of its own.
work=${DIST_WORK:-$CARGO_TARGET_DIR/dist}
mkdir -p "$work" "${DIST:=dist}"
out=$(cd "$DIST" && pwd)
export DIST_WORK=$work DIST=$out DIST_SYSROOT=${DIST_SYSROOT:-$(rustc --print sysroot)}
targets=${DIST_TARGETS:-$(grep -v '^#' packaging/targets | cut -d' ' -f1) deb packages sbom}
make=${MAKE:-make}

skipped() { echo "skipped: $1"; }
have() { command -v "$1" >/dev/null 2>&1; }

# An archive of what `make install` installs, with the licences. It unpacks anywhere, into a folder with its name.
archive() { # archive TARGET OPTION…: make's options
    local name=trophy-$version-$1 target=$1
    shift
    rm -rf "$work/stage/$name"
    $make --no-print-directory install PREFIX="/$name" DESTDIR="$work/stage" BINDIR="/$name/bin" LIBDIR="/$name/lib" \
        INCLUDEDIR="/$name/include" MANDIR="/$name/share/man" BASHCOMPDIR="/$name/share/bash-completion/completions" \
        ZSHCOMPDIR="/$name/share/zsh/site-functions" FISHCOMPDIR="/$name/share/fish/vendor_completions.d" \
        PWSHCOMPDIR="/$name/share/trophy" "$@"
    install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE THIRD-PARTY-NOTICES.txt "$work/stage/$name/"
    # Of the crates in Rust's standard library, as the toolchain has it.
    if [ -f "$DIST_SYSROOT/share/doc/rust/COPYRIGHT-library.html" ]; then
        install -m 644 "$DIST_SYSROOT/share/doc/rust/COPYRIGHT-library.html" "$work/stage/$name/RUST-STANDARD-LIBRARY.html"
    fi
    case $target in
        *-windows-*) python3 packaging/zip.py "$work/stage" "$name" "$out/$name.zip" ;;
        *)
            tar --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go-w \
                -C "$work/stage" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
            ;;
    esac
}

# With the compiler and the standard library of that platform.
archive_of() { # archive_of TARGET
    local target=$1 row libc prefix code=0
    row=$(grep "^$target " packaging/targets) || { echo "DIST_TARGETS: $target is not in packaging/targets" >&2; exit 2; }
    read -r _ libc prefix <<<"$row"
    [ "$prefix" != - ] || prefix=
    case $libc in glibc.*) libc=.${libc#glibc.} ;; *) libc= ;; esac
    # The man pages and completions are written by a tool that runs here: TROPHY_TOOL, or the one built now.
    [ -n "${TROPHY_TOOL:-}" ] || cargo build -q -p trophy-cli
    export DIST_TOOL_HERE=${TROPHY_TOOL:-$CARGO_TARGET_DIR/debug/trophy}
    TROPHY_BUILD_STD=std,panic_unwind bash scripts/platforms/with.sh "$target$libc" \
        bash "$PWD/scripts/dist.sh" --in-environment "$target" "$prefix" >"$work/$target.log" 2>&1 || code=$?
    case $code in
        0) ;;
        77) grep '^skipped:' "$work/$target.log" || skipped "$target" ;;
        *) tail -n 60 "$work/$target.log"; return 1 ;;
    esac
}

# The packages for Debian, of the library that the archive has if there is one.
debian_packages() {
    local options=()
    if [ -f "$work/ship/$host/libtrophy.so.$version" ]; then options=("SHIP=$work/ship/$host"); fi
    # dpkg-dev has its own name for what a binary needs; all of it is in Debian since long.
    bash scripts/deb.sh "$out" "${options[@]}" >"$work/deb.log" 2>&1 || {
        case $? in 77) grep '^skipped:' "$work/deb.log" ;; *) cat "$work/deb.log"; return 1 ;; esac
    }
}

# What the library and the tool are made of, for all platforms. It is written beside each Cargo.toml.
sbom() {
    local package file
    have cargo-cyclonedx || { skipped "SBOM: no cargo-cyclonedx (cargo install cargo-cyclonedx)"; return; }
    cargo cyclonedx -q --format json --spec-version 1.5 --no-build-deps --target all --override-filename trophy-sbom
    for package in libtrophy=. trophy-cli=examples/cli; do
        file=${package#*=}/trophy-sbom.json
        # Paths of this machine are no part of what ships.
        sed "s|file://$PWD|file:///trophy|g; s|$PWD|/trophy|g" "$file" >"$out/${package%%=*}-$version.cdx.json"
    done
    rm -f trophy-sbom.json */*/trophy-sbom.json
}

# archive_of, in with.sh's environment: its arguments are the platform and the prefix of its binutils.
if [ "${1:-}" = --in-environment ]; then
    for tool in ld nm objcopy strip; do
        have "$3$tool" || { skipped "$2: no $3$tool"; exit 77; }
    done
    archive "$2" SHIP="$work/ship/$2" SHIP_LIBS="$work/ship/$2/libs" FOLD= TOOL_HERE="$DIST_TOOL_HERE" \
        LD="$3ld" NM="$3nm" OBJCOPY="$3objcopy" STRIP="$3strip" AR="$3ar"
    exit
fi

for target in $targets; do
    case $target in
        native) archive "$host" ;;
        deb) debian_packages ;;
        packages) $make --no-print-directory packages PACKAGES="$out" NATIVE_DIR="$work/ship" ;;
        sbom) sbom ;;
        *) archive_of "$target" ;;
    esac
done
(cd "$out" && rm -f SHA256SUMS && find . -type f ! -name SHA256SUMS | sed 's|^\./||' | LC_ALL=C sort | xargs -r -d '\n' sha256sum >"$work/sums")
install -m 644 "$work/sums" "$out/SHA256SUMS"
cat "$out/SHA256SUMS"
