#!/usr/bin/env bash
# The tests on other machines, or on what stands for them here, and a table: platform, what was proven, passed, failed,
# skipped.
#
#   scripts/platforms/test.sh                 # all of them
#   scripts/platforms/test.sh windows arm64   # some
#   TROPHY_PLATFORMS_QUICK=1                  # what CI has time for: see the list below
#
# Rust's tests are built for the machine and run by wine or qemu; but for the C suite only its programs are, with the
# service and the checks running here. What cannot be had is a line `skipped: why`. Tests that a machine must leave out
# stand in scripts/platforms/exceptions/, in a file for the target or for qemu, each with its reason.
set -u
cd "$(dirname "$0")/../.."
. scripts/debian.sh
export CARGO_TERM_COLOR=never RUST_BACKTRACE=0 WINEDEBUG=-all
cross=$PWD/target/cross keep=$PWD/target/platforms logs=$PWD/target/test-logs
mkdir -p "$keep" "$logs"
quick=${TROPHY_PLATFORMS_QUICK:-}
rows=() total_passed=0 total_failed=0 total_skipped=0

ROOMS=(--lib --test store --test queue --test calls --test ending --test transport --test wire)
# Few random cases: an emulator is slow.
export TROPHY_TEST_CASES=${TROPHY_TEST_CASES:-8}
# Rust's tests want the standard library's crate `test`.
[ -z "$quick" ] || export TROPHY_BUILD_STD=std,panic_unwind TROPHY_PLATFORMS_SECONDS=1200
# In CI: sync, async, dispatch, the queue, the ends of calls in every phase, unloading, and (processes) kill -9; but under
# qemu all.
ESSENTIAL=(library client asynchronous_calls queue the_end_of_calls_in_every_phase loading_and_unloading
    the_readmes_program_works_as_it_stands_linked_either_way)

# Adds what a log says to the platform's figures. A log of no test is one that failed, or was skipped (77).
tally() { # tally LOG CODE
    local p f
    read -r p f < <(awk '/^test result: / {
            for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^failed/) f += $(i - 1) }
        }
        END { print p + 0, f + 0 }' "$1")
    local notes; notes=$(grep -c '^skipped:' "$1")
    if [ "$p" -gt 0 ]; then p=$((p > notes ? p - notes : 0)); fi
    if [ "$2" = 0 ] && [ "$p" = 0 ] && [ "$f" = 0 ]; then p=1; fi
    if [ "$2" != 0 ] && [ "$2" != 77 ] && [ "$f" = 0 ]; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + notes))
    grep '^skipped:' "$1" | sort -u | sed 's/^/    /'
    if [ "$f" -gt 0 ]; then
        grep -nE '^test .*FAILED|panicked|^error|not true' "$1" | head -30 | sed 's/^/    /'
        tail -n 15 "$1" | sed 's/^/    | /'
    fi
}

step() { # step NAME COMMAND…
    local name=$1 log="$logs/platforms-$1.log" start=$SECONDS code
    shift
    # What hangs is ended, and has failed.
    timeout -k 10 "${TROPHY_PLATFORMS_SECONDS:-3600}" "$@" >"$log" 2>&1 </dev/null
    code=$?
    if [ "$code" = 124 ] || [ "$code" = 137 ]; then echo "error: $name did not end" >>"$log"; fi
    tally "$log" "$code"
    took=$((took + SECONDS - start))
    return "$code"
}

platform() { # platform NAME HOW FUNCTION ARGUMENT…
    local name=$1 how=$2
    shift 2
    passed=0 failed=0 skipped=0 took=0
    echo "$name"
    "$@"
    rows+=("$(printf '%-24s %-16s %5d passed %3d failed %3d skipped %5d s' \
        "$name" "$how" "$passed" "$failed" "$skipped" "$took")")
    total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed))
    total_skipped=$((total_skipped + skipped))
}

with() { bash scripts/platforms/with.sh "$@"; }

# What the tests that a machine leaves out are called; the rest of a line is the reason.
exceptions() { # exceptions TARGET RUNNER
    local files=("scripts/platforms/exceptions/$1")
    case $2 in qemu-*) files+=(scripts/platforms/exceptions/qemu) ;; esac
    sed -n 's/^\([^# ][^ ]*\).*/--skip \1/p' "${files[@]}" 2>/dev/null
}

# The rooms' tests, built for the machine and run by $2.
rust_tests() { # rust_tests TARGET RUNNER
    local upper=${1^^} emulator=()
    export "CARGO_TARGET_${upper//-/_}_RUNNER=$2"
    # See tests/emulator/.
    case $2 in qemu-*) emulator=("TROPHY_TEST_RUN=$2") ;; esac
    # shellcheck disable=SC2046
    step "$1-rust" env "${emulator[@]}" bash scripts/platforms/with.sh "$1" sh -c '$CARGO test --no-fail-fast -p trophy "$@"' sh "${ROOMS[@]}" -- \
        --show-output $(exceptions "$1" "$2")
}

# The programs of the C suite, built for the machine and run by $2, nothing if they run as they are; and those that are
# killed.
c_suite() { # c_suite TARGET RUNNER
    local lib=$cross/${1%%.*}/debug log="$logs/platforms-$1-library.log" native cc cxx filter=() test
    step "$1-library" bash scripts/platforms/with.sh "$1" sh -c '$CARGO rustc -p trophy --lib --crate-type cdylib,staticlib -- \
        --print native-static-libs' || return
    native=$(sed -n 's/^note: native-static-libs: //p' "$log" | tail -n 1)
    read -r cc cxx < <(with "$1" sh -c 'echo $CC $CXX')
    # What runs here is built as ever.
    test=(env -u CARGO_PROFILE_DEV_OPT_LEVEL TROPHY_C_TARGET="$1" TROPHY_C_LIB="$lib" TROPHY_C_NATIVE_LIBS="$native" TROPHY_C_RUN="$2"
        TROPHY_C_CC="$cc" TROPHY_C_CXX="$cxx" TROPHY_TEST_KILL_SECONDS=10 cargo test -p trophy)
    # All of it where the library is optimized, as for emulators: so it takes less time than the essential part would else.
    [ -z "$quick" ] || [ -n "${CARGO_PROFILE_DEV_OPT_LEVEL:-}" ] || filter=("${ESSENTIAL[@]}")
    # shellcheck disable=SC2046
    step "$1-c" "${test[@]}" --test c_api -- --show-output "${filter[@]}" $(exceptions "$1" "$2")
    # Where programs are often linked statically.
    case $1 in *-musl)
        step "$1-static" env TROPHY_C_STATIC=1 "${test[@]}" --test c_api -- --show-output "${filter[@]}" \
            --skip loading --skip header --skip a_signature --skip a_dropped --skip readme
        ;;
    esac
    # shellcheck disable=SC2046
    step "$1-processes" "${test[@]}" --test processes -- --show-output $(exceptions "$1" "$2")
    [ -n "$quick" ] || step "$1-cpp" "${test[@]}" --test cpp_api -- --show-output --skip the_header::
}

# The C# wrapper, on .NET under Wine.
csharp() { # csharp TARGET WINE
    local lib=$cross/$1/debug
    [ -e "$lib/trophy.dll" ] || { skipping "$1: no trophy.dll for C#"; return; }
    [ -n "${TROPHY_SANDBOX:-}" ] || step "$1-sandbox" cargo build -p trophy-sandbox || return
    step "$1-csharp" env TROPHY_LIB_DIR="$lib" TROPHY_WINE="$2" sh bindings/csharp/test.sh wine
}

skipping() { echo "    skipped: $1"; skipped=$((skipped + 1)); }

# ---- the platforms

linux() { # linux TARGET RUNNER PACKAGE…
    local target=$1 runner=$2
    shift 2
    # The tests take an eighth of the processor's time so, or less. CI has no time to build Rust's.
    local -x CARGO_PROFILE_DEV_OPT_LEVEL=1
    if ! command -v "${runner%% *}" >/dev/null; then
        install_packages "$@" 2>"$logs/platforms-apt.log" ||
            { skipping "$target: not installed: $*"; return; }
    fi
    c_suite "$target" "$runner"
    [ -n "$quick" ] || rust_tests "$target" "$runner"
}

# Its programs run here as they are, once their loader is there.
natively() { # natively TARGET LOADER PACKAGE…
    local target=$1 loader=$2
    shift 2
    [ -e "$loader" ] || install_packages "$@" 2>"$logs/platforms-apt.log" ||
        { skipping "$target: not installed: $*"; return; }
    c_suite "$target" ""
    [ -n "$quick" ] || rust_tests "$target" env
}

# What is built for glibc 2.17, in the oldest Debian that debootstrap brings.
old_glibc() {
    local target=x86_64-unknown-linux-gnu.2.17 root=$keep/bullseye run=$keep/in-bullseye why=
    unshare --mount mount -t proc proc /mnt 2>/dev/null || why="root may not mount here"
    [ -n "$why" ] || [ -e "$root/usr/bin/gcc" ] || why=$(debian_root bullseye gcc,libc6-dev,pkg-config "$root")
    [ -z "$why" ] || { skipping "$target: no Debian 11 to run in: $why"; return; }
    mkdir -p "$root$PWD"
    # The chroot sees this project, and the folder that the tests make their programs in.
    cat >"$run" <<END
#!/bin/sh
exec unshare --mount --propagation private sh -ec '
    root=\$1
    shift
    for it in /proc /dev /tmp "$PWD"; do mount --rbind "\$it" "\$root\$it"; done
    exec chroot "\$root" "\$@"' sh "$root" "\$@"
END
    chmod +x "$run"
    c_suite "$target" "$run"
}

windows() {
    local target=x86_64-pc-windows-gnu wine prefix=$keep/wine
    wine=$(command -v wine64 || ls /usr/lib/wine/wine64 /usr/lib/wine/wine 2>/dev/null | head -n 1)
    if [ -z "$wine" ]; then
        install_packages wine64 2>"$logs/platforms-apt.log"
        wine=$(ls /usr/lib/wine/wine64 2>/dev/null) || { skipping "$target: not installed: wine64"; return; }
    fi
    local server
    server=$(ls /usr/lib/wine/wineserver64 /usr/lib/wine/wineserver 2>/dev/null | head -n 1)
    export WINEPREFIX=$prefix
    mkdir -p "$prefix"
    # Kept alive, or the first test's output would be held open by what wine leaves in the background.
    "$server" -p >/dev/null 2>&1 </dev/null
    timeout -k 10 300 "$wine" wineboot >/dev/null 2>&1 </dev/null
    # What an older wine lacks.
    [ -e "$prefix/drive_c/windows/system32/bcryptprimitives.dll" ] ||
        with "$target" sh -c '$CC -shared -o "$0" scripts/platforms/bcryptprimitives.c -ladvapi32' \
            "$prefix/drive_c/windows/system32/bcryptprimitives.dll" || skipping "$target: no bcryptprimitives.dll"
    c_suite "$target" "$wine"
    if [ -z "$quick" ]; then
        rust_tests "$target" "$wine"
        csharp "$target" "$wine"
    fi
    "$server" -k >/dev/null 2>&1
}

# Compiled only, as `cargo check` does: a stub stands for the C compiler that ring's build script would call.
compiles() { # compiles TARGET
    local stub=$keep/stub rust
    mkdir -p "$stub"
    cat >"$stub/stub-cc" <<'END'
#!/bin/sh
# Writes an empty object where a C compiler would write a full one.
while [ $# -gt 0 ]; do
    case $1 in -o) shift; : >"$1" ;; -o*) : >"${1#-o}" ;; -Fo*) : >"${1#-Fo}" ;; esac
    shift
done
END
    printf '#!/bin/sh\nfor it; do case $it in -out:*) : >"${it#-out:}" ;; *.a) : >"$it" ;; esac; done\n' >"$stub/stub-ar"
    printf '#!/bin/sh\necho /\n' >"$stub/xcrun"
    chmod +x "$stub"/*
    rust=$(bash scripts/platforms/toolchain.sh) || { skipping "${rust#skipped: }"; return; }
    local name=${1//-/_}
    step "$1-check" env PATH="$stub:$rust/bin:$PATH" RUSTC="$rust/bin/rustc" RUSTC_BOOTSTRAP=1 \
        CARGO_UNSTABLE_BUILD_STD=std,panic_unwind "CC_$name=$stub/stub-cc" "AR_$name=$stub/stub-ar" \
        CARGO_TARGET_DIR="$cross" CARGO_PROFILE_DEV_DEBUG=0 RUSTFLAGS="-D warnings" "$rust/bin/cargo" check -p trophy --lib --target "$1"
}

# Compiled, and linked but for the system's trust store, which takes frameworks of Apple's. The loader finds it by the
# name that is meant, and sees what the header has.
links() { # links TARGET
    compiles "$1"
    [ -z "$quick" ] || return
    # shellcheck disable=SC2016
    step "$1-link" bash scripts/platforms/with.sh "$1" sh -ec '
        $CARGO rustc -p trophy --lib --crate-type cdylib --no-default-features --features admin,proxies
        python3 scripts/platforms/macho.py "$CARGO_TARGET_DIR/$CARGO_BUILD_TARGET/debug/libtrophy.dylib" >"$0"
        cat "$0"
        is() { [ "$2" = "$3" ] || { echo "not true: $1: $2, not $3"; exit 1; }; }
        is "install name" "$(sed -n "s/^install name //p" "$0")" @rpath/libtrophy.1.dylib
        is "what it needs" "$(sed -n "s/^needs //p" "$0")" /usr/lib/libSystem.B.dylib
        is "what it exports" "$(sed -n "s/^exports //p" "$0" | sort)" "$(grep -oE "trophy_[a-z0-9_]+\(" include/trophy.h | tr -d "(" | sort -u)"
        ' "$keep/$1.txt"
}

run() {
    case $1 in
        windows) platform "Windows x86-64 (gnu)" "ran under Wine" windows ;;
        arm64) platform "Linux arm64" "ran under qemu" linux aarch64-unknown-linux-gnu \
            "qemu-aarch64 -L /usr/aarch64-linux-gnu" qemu-user ;;
        armv7) platform "Linux armv7" "ran under qemu" linux armv7-unknown-linux-gnueabihf \
            "qemu-arm -L /usr/arm-linux-gnueabihf" qemu-user ;;
        s390x) platform "Linux s390x (big-endian)" "ran under qemu" linux s390x-unknown-linux-gnu \
            "qemu-s390x -L /usr/s390x-linux-gnu" qemu-user ;;
        i686) platform "Linux i686" "ran natively" natively i686-unknown-linux-gnu /lib/ld-linux.so.2 \
            libc6-i386 lib32gcc-s1 lib32stdc++6 ;;
        musl) platform "Linux x86-64, musl" "ran natively" natively x86_64-unknown-linux-musl \
            /lib/ld-musl-x86_64.so.1 musl ;;
        old-glibc) platform "Linux x86-64, glibc 2.31" "in a chroot" old_glibc ;;
        macos-arm64) platform "macOS arm64" "$macos" links aarch64-apple-darwin ;;
        macos-x86_64) platform "macOS x86-64" "$macos" links x86_64-apple-darwin ;;
        ios) platform "iOS arm64" "compiled" compiles aarch64-apple-ios ;;
        android) platform "Android arm64" "compiled" compiles aarch64-linux-android ;;
        windows-msvc) platform "Windows x86-64 (msvc)" "compiled" compiles x86_64-pc-windows-msvc ;;
        freebsd) platform "FreeBSD x86-64" "compiled" compiles x86_64-unknown-freebsd ;;
        *) echo "there is no platform $1" >&2; exit 2 ;;
    esac
}

macos=linked
[ -z "$quick" ] || macos=compiled
platforms=("$@")
if [ $# = 0 ]; then
    platforms=(windows arm64 musl macos-arm64 ios android windows-msvc freebsd)
    [ -n "$quick" ] || platforms+=(armv7 i686 old-glibc macos-x86_64)
fi
for it in "${platforms[@]}"; do
    run "$it"
done
echo
printf '%s\n' "${rows[@]}"
echo
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" = 0 ]
