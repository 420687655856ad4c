#!/usr/bin/env bash
# Runs a command with what cargo, make and a C compiler need in the environment to build for another machine:
#
#   scripts/platforms/with.sh aarch64-unknown-linux-gnu sh -c 'cargo build -p trophy && $CC event.c …'
#
# A target is Rust's name for it. With a version of glibc behind it, x86_64-unknown-linux-gnu.2.17, what is built runs
# on that glibc and later. All builds share target/cross. Exits 77 with `skipped: why` where a tool cannot be had.
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
asked=$1 target=${1%%.*} linker=
shift
keep=$project/target/platforms
. "$project/scripts/debian.sh"
mkdir -p "$keep"

skip() {
    echo "skipped: $asked: $1"
    exit 77
}
have() { command -v "$1" >/dev/null 2>&1; }

# Installs packages of apt's, if they are not there yet.
need() { # need PROGRAM PACKAGE…
    have "$1" && return
    shift
    (
        flock 9
        install_packages "$@"
    ) 9>"$keep/apt.lock" || skip "not installed: $*"
}

# zig as C compiler and linker, for a glibc of any age and for musl. cargo-zigbuild's wrapper of it knows what rustc and
# the cc crate pass that zig would refuse.
use_zig() { # use_zig ZIG_TARGET
    local python=$keep/python tools=$keep/zig-$1 processor=
    (
        flock 9
        [ -x "$python/bin/cargo-zigbuild" ] && exit
        python3 -m venv "$python" >&2 && "$python/bin/pip" install -q ziglang==0.17.1 cargo-zigbuild==0.24.1 >&2
    ) 9>"$keep/python.lock" || skip "pip cannot install zig"
    mkdir -p "$tools"
    printf '#!/bin/sh\nexec "%s/bin/python" -m ziglang "$@"\n' "$python" >"$python/bin/python-zig"
    chmod +x "$python/bin/python-zig"
    # Programs that are compiled outside of this environment find zig, too. Its sanitizer, which it has on without -O,
    # would bring calls that an older musl has not.
    local tool start="#!/bin/sh
export PATH='$python/bin':\"\$PATH\" CARGO_ZIGBUILD_ZIG_PATH='$python/bin/python-zig'
exec '$python/bin/cargo-zigbuild' zig"
    # zig calls ARM by no other name, and takes no -march for it, which cargo-zigbuild leaves out. It would use NEON,
    # which Rust's armv7 does without.
    case $1 in arm-*) processor=-mcpu=generic+v7a+vfp3d16-neon ;; esac
    for tool in cc c++; do
        printf '%s %s -- -fno-sanitize=undefined -target %s %s "$@"\n' "$start" "$tool" "$1" "$processor" >"$tools/$tool"
    done
    printf '%s ar -- "$@"\n' "$start" >"$tools/ar"
    chmod +x "$tools"/*
    export PATH=$python/bin:$PATH
    CC=$tools/cc CXX=$tools/c++ AR=$tools/ar
}

use_gcc() { # use_gcc PREFIX PACKAGE…
    need "$1-g++" "${@:2}"
    CC=$1-gcc CXX=$1-g++ AR=$1-ar
    export LD=$1-ld STRIP=$1-strip OBJCOPY=$1-objcopy NM=$1-nm
}

# LLD, which Rust brings along, against the symbols of macOS's C library that zig has: no SDK, and so no framework. zig's
# own linker has no list of what is exported.
use_lld_of_apple() { # use_lld_of_apple ZIG_TARGET
    use_zig "$1"
    local sdk=$keep/macos-sdk zig name
    zig=$("$keep/python/bin/python" -c 'import os, ziglang; print(os.path.dirname(ziglang.__file__))')
    mkdir -p "$sdk/usr/lib"
    # It knows of arm64 as arm64e, with signed pointers; the symbols are the same. Nothing of iconv's is called.
    for name in System c m iconv; do
        sed -z 's/,[[:space:]]*arm64e\.x1-[a-z]*//g; s/arm64e-/arm64-/g' "$zig/lib/libc/darwin/libSystem.tbd" >"$sdk/usr/lib/lib$name.tbd"
    done
    name=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
    [ -x "$name" ] || skip "Rust has no rust-lld"
    # build.rs has an option for clang, which is the linker on a Mac.
    linker=$sdk/ld
    cat >"$linker" <<END
#!/usr/bin/env bash
all=()
for it; do
    case \$it in -Wl,*) IFS=, read -ra some <<<"\${it#-Wl,}"; all+=("\${some[@]}") ;; *) all+=("\$it") ;; esac
done
exec "$name" "\${all[@]}"
END
    chmod +x "$linker"
    export SDKROOT=$sdk
    export RUSTFLAGS="${RUSTFLAGS:-} -Z unstable-options -C linker-flavor=darwin-lld"
}

case $asked in
    x86_64-pc-windows-gnu)
        use_gcc x86_64-w64-mingw32 g++-mingw-w64-x86-64
        # For C and C++ the flavours whose threads are POSIX's.
        linker=$CC CC=$CC-posix CXX=$CXX-posix
        ;;
    aarch64-unknown-linux-gnu) use_gcc aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross ;;
    armv7-unknown-linux-gnueabihf) use_gcc arm-linux-gnueabihf g++-arm-linux-gnueabihf libc6-dev-armhf-cross ;;
    i686-unknown-linux-gnu) use_gcc i686-linux-gnu g++-i686-linux-gnu libc6-dev-i386-cross ;;
    s390x-unknown-linux-gnu) use_gcc s390x-linux-gnu g++-s390x-linux-gnu libc6-dev-s390x-cross ;;
    *-linux-musl)
        use_zig "${target%%-*}-linux-musl"
        # Of musl rustc knows copies of its own, which this toolchain does not have; and a shared library is wanted.
        export RUSTFLAGS="${RUSTFLAGS:-} -C link-self-contained=no -C target-feature=-crt-static"
        ;;
    *-apple-darwin)
        use_lld_of_apple "${target%%-*}-macos"
        ;;
    *-linux-gnu*.*)
        arch=${target%%-*}
        use_zig "${arch/#armv7/arm}-linux-gnu${target##*-gnu}.${asked#*.}"
        ;;
    *) skip "no compiler for it is known to scripts/platforms/with.sh" ;;
esac

# The standard library of this machine is rustup's; that of another is built.
if [ "$target" != "$(rustc -vV | sed -n 's/^host: //p')" ]; then
    rust=$(bash "$project/scripts/platforms/toolchain.sh") || { echo "$rust"; exit 77; }
    export PATH=$rust/bin:$PATH CARGO=$rust/bin/cargo RUSTC=$rust/bin/rustc RUSTDOC=$rust/bin/rustdoc
    # A rustup in front of it would choose another.
    unset RUSTUP_TOOLCHAIN
    export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=${TROPHY_BUILD_STD:-std,panic_unwind,test}
fi
name=${target//-/_} upper=${target^^}
upper=${upper//-/_}
export CARGO=${CARGO:-cargo}
export CC CXX AR CARGO_BUILD_TARGET=$target CARGO_TARGET_DIR=$project/target/cross
export "CC_$name=$CC" "CXX_$name=$CXX" "AR_$name=$AR" "CARGO_TARGET_${upper}_LINKER=${linker:-$CC}"
# Proofs, not for a debugger.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
cd "$project"
exec "$@"
