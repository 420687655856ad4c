#!/usr/bin/env bash
# make dist: each archive is unpacked into a path with a space; there a C program is built against it by pkg-config and by
# CMake, shared and static, and runs, natively, under qemu or under wine, as does the tool; twice the same bytes. The code
# asks for glibc 2.17 at most and for no libgcc_s, and runs on that of Debian 11.
# Of this machine's platform as `make ship` built it; with TROPHY_DIST_ALL=1 of every platform that can be built here, or
# of those in TROPHY_DIST_TARGETS.
. "$(dirname "$0")/checks.sh"
[ "$(uname)" = Linux ] || { echo "skipped: it names the libraries as Linux does"; exit 77; }
host=$(rustc -vV | sed -n 's/^host: //p')
if [ -n "${TROPHY_DIST_ALL:-}" ]; then
    targets=${TROPHY_DIST_TARGETS:-$(grep -v '^#' packaging/targets | cut -d' ' -f1)}
else
    targets=native
fi
dist() { DIST_TARGETS="$targets sbom" make --no-print-directory dist DIST="$1"; }
check "make dist" dist "$work/dist" || { total; exit; }
while read -r line; do skip "${line#skipped: }"; done < <(grep '^skipped:' "$work/now")
check "SHA256SUMS is right" env -C "$work/dist" sha256sum --quiet -c SHA256SUMS
check "and names all" [ "$(wc -l <"$work/dist/SHA256SUMS")" = $(($(ls "$work/dist" | wc -l) - 1)) ]
check "make dist again" dist "$work/again"
check "it makes the same bytes" diff -r "$work/dist" "$work/again"
start_sandbox
unset CPATH LIBRARY_PATH LD_LIBRARY_PATH PKG_CONFIG_PATH

cat >"$work/sbom.py" <<'END'
import json, re, sys

bom = json.load(open(sys.argv[1], encoding="utf-8"))
assert bom["bomFormat"] == "CycloneDX", bom["bomFormat"]
named = {(part["name"], part["version"]) for part in bom["components"]}
notices = open("THIRD-PARTY-NOTICES.txt", encoding="utf-8").read()
library = notices.split("In the library and in the command-line tool:\n")[1].split("\n\n")[0]
linked = set(re.findall(r"^  (\S+) (\S+):", library, re.M))
assert len(linked) > 20, linked
assert not linked - named, f"not in it: {linked - named}"
END
for sbom in "$work"/dist/*.cdx.json; do
    [ -e "$sbom" ] || continue
    check "$(basename "$sbom") is CycloneDX, and names what is linked in" python3 "$work/sbom.py" "$sbom"
    check "$(basename "$sbom") has no path of this machine" refused grep -F -e "$PWD" -e "$HOME/" "$sbom"
done

app=$work/app
mkdir "$app"
write_event_c "$app/event.c"
cat >"$app/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(stranger C)
find_package(trophy $version EXACT REQUIRED)
foreach(kind \${KINDS})
  add_executable(\${kind} event.c)
  target_link_libraries(\${kind} PRIVATE trophy::\${kind})
endforeach()
END

with() { bash scripts/platforms/with.sh "$@"; }

# By the versions of the symbols that these files ask for, and the libraries.
old_glibc() { # old_glibc TARGET FILE…
    local target=$1 newest
    shift
    newest=$(readelf -VW "$@" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    check "$target: it needs glibc 2.17 at most: $newest" [ "$(printf '%s\n' GLIBC_2.17 "$newest" | sort -V | tail -n 1)" = GLIBC_2.17 ]
    check "$target: it needs no libgcc_s" refused grep -q 'NEEDED.*libgcc_s' <(readelf -dW "$@")
}

# How a platform's programs are built and run here: the compiler, what CMake calls the platform, what runs them.
platform() { # platform TARGET
    compiler= system= runner=() exe= kinds="trophy static"
    case $1 in
        "$host") compiler=${CC:-cc} ;;
        x86_64-unknown-linux-gnu) compiler=x86_64-linux-gnu-gcc system="Linux x86_64" runner=(qemu-x86_64 -L /usr/x86_64-linux-gnu) ;;
        aarch64-unknown-linux-gnu) compiler=aarch64-linux-gnu-gcc system="Linux aarch64" runner=(qemu-aarch64 -L /usr/aarch64-linux-gnu) ;;
        armv7-unknown-linux-gnueabihf) compiler=arm-linux-gnueabihf-gcc system="Linux armv7l" runner=(qemu-arm -L /usr/arm-linux-gnueabihf) ;;
        # zig has the libgcc_s that the static library wants; Debian has none for musl.
        x86_64-unknown-linux-musl)
            compiler=$(with x86_64-unknown-linux-musl sh -c 'echo "$CC"') || compiler=
            system="Linux x86_64"
            ;;
        x86_64-pc-windows-gnu)
            compiler=x86_64-w64-mingw32-gcc system="Windows x86_64" exe=.exe
            runner=("$(command -v wine64 || echo /usr/lib/wine/wine64)")
            ;;
    esac
}

run() ( # run PROGRAM ARGUMENT…: with the archive's library
    export LD_LIBRARY_PATH=$tree/lib WINEDEBUG=-all WINEPREFIX=$CARGO_TARGET_DIR/dist/wine
    # Windows looks in PATH.
    export WINEPATH="Z:${tree//\//\\}\\bin;Z:${app//\//\\}"
    if [ ${#runner[@]} -gt 0 ] && [[ ${runner[0]} == qemu-* ]]; then
        exec "${runner[@]}" -E "LD_LIBRARY_PATH=$tree/lib" "$@"
    fi
    exec "${runner[@]}" "$@"
)

# This machine's build asks for this machine's glibc. Its code does not: all of it links with one of 2012.
links_for_old_glibc() {
    local zig
    zig=$(with x86_64-unknown-linux-gnu.2.17 sh -c 'echo "$CC"') || { skip "${zig#skipped: }"; return; }
    check "$target: a program with the static library links for glibc 2.17" eval \
        "$zig '$app/event.c' -o '$app/old' -DTROPHY_STATIC -I'$tree/include' '$tree/lib/libtrophy.a' $(cat "$CARGO_TARGET_DIR/ship/native-libs")"
    check "$target: it runs" "$app/old"
    old_glibc "$target, static" "$app/old"
}

# With the glibc of 2020, 2.31, and the compiler of that time.
on_debian_11() {
    root=$work/bullseye
    local why kind; why=$(debian_root bullseye gcc,libc6-dev,pkg-config "$root")
    if [ -n "$why" ]; then skip "$target: no Debian 11 to run in: $why"; return; fi
    cp -a "$tree" "$root/opt/trophy" && cp "$app/event.c" "$root/tmp/"
    for kind in trophy trophy-static; do
        check "$target: Debian 11: a program builds with $kind" inside \
            "export PKG_CONFIG_PATH=/opt/trophy/lib/pkgconfig; gcc -Wall -Wextra -Werror tmp/event.c -o tmp/event \$(pkg-config --cflags --libs $kind)"
        check "$target: Debian 11: it runs" inside "LD_LIBRARY_PATH=/opt/trophy/lib tmp/event"
        check "$target: Debian 11: it is this version" grep -q "^$version ok" "$work/out"
    done
    check "$target: Debian 11: the tool sends an event" inside "/opt/trophy/bin/trophy event words-written --user '{\"id\":\"old\"}' --value 1"
}

for archive in "$work"/dist/trophy-"$version"-*.tar.gz "$work"/dist/trophy-"$version"-*.zip; do
    [ -e "$archive" ] || continue
    name=$(basename "$archive") name=${name%.tar.gz} name=${name%.zip}
    target=${name#trophy-"$version"-}
    place="$work/a folder/$target"
    mkdir -p "$place"
    case $archive in
        *.zip) check "$target: it unpacks" python3 -m zipfile -e "$archive" "$place" ;;
        *) check "$target: it unpacks" tar -C "$place" -xzf "$archive" ;;
    esac
    tree="$place/$name"
    check "$target: into one folder that says what it is" [ "$(ls "$place")" = "$name" ]
    for file in README.md LICENSE-MIT LICENSE-APACHE THIRD-PARTY-NOTICES.txt include/trophy.h include/trophy.hpp share/man/man1/trophy.1; do
        check "$target: $file is there" [ -s "$tree/$file" ]
    done
    check "$target: no path of this machine is in it" refused grep -rlF -e "$PWD/" -e "$HOME/" "$tree"
    platform "$target"
    if [[ $target == *-gnu* && $target != *windows* && -n ${TROPHY_DIST_ALL:-} ]]; then
        old_glibc "$target" "$tree/lib/libtrophy.so" "$tree/bin/trophy"
    fi
    if [ -z "$compiler" ] || ! have "$compiler"; then
        skip "$target: no ${compiler:-compiler} to build a program with"
        continue
    fi
    if [ ${#runner[@]} -gt 0 ] && ! have "${runner[0]}"; then
        skip "$target: no ${runner[0]} to run a program with"
        continue
    fi
    if [[ $target == *-windows-* ]] && [ -f scripts/platforms/bcryptprimitives.c ]; then
        # What an older wine lacks.
        check "$target: bcryptprimitives.dll for wine" "$compiler" -shared scripts/platforms/bcryptprimitives.c -o "$app/bcryptprimitives.dll"
    fi
    if have pkg-config; then
        export PKG_CONFIG_PATH=$tree/lib/pkgconfig
        for kind in $kinds; do
            package=trophy-$kind package=${package%-trophy}
            check "$target: pkg-config $package: a program builds" eval \
                "$compiler -Wall -Wextra -Werror '$app/event.c' -o '$app/event$exe' $(pkg-config --cflags --libs $package)"
            check "$target: pkg-config $package: it runs" run "$app/event$exe"
            check "$target: pkg-config $package: it is this version" grep -q "^$version ok" "$work/out"
        done
        unset PKG_CONFIG_PATH
    else
        skip "no pkg-config"
    fi
    if have cmake; then
        toolchain=(-DCMAKE_C_COMPILER="$compiler")
        if [ -n "$system" ]; then toolchain+=(-DCMAKE_SYSTEM_NAME="${system% *}" -DCMAKE_SYSTEM_PROCESSOR="${system#* }"); fi
        rm -rf "$work/build"
        check "$target: CMake finds it" cmake -S "$app" -B "$work/build" -Dtrophy_DIR="$tree/lib/cmake/trophy" -DKINDS="${kinds// /;}" "${toolchain[@]}"
        check "$target: CMake builds with it" cmake --build "$work/build"
        for kind in $kinds; do
            check "$target: CMake: trophy::$kind runs" run "$work/build/$kind$exe"
        done
    else
        skip "no CMake"
    fi
    check "$target: the tool sends an event" run "$tree/bin/trophy$exe" event words-written --user '{"id":"tool"}' --value 1
    if [ "$target" = x86_64-unknown-linux-gnu ]; then
        if [ -n "${TROPHY_DIST_ALL:-}" ]; then on_debian_11; else links_for_old_glibc; fi
    fi
done
total
