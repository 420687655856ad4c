#!/usr/bin/env bash
# From source by CMake: FetchContent of a git repository and add_subdirectory, shared and static, installed and found
# again, as a stranger does it; and Rust's names for the toolchains that CMake knows.
. "$(dirname "$0")/checks.sh"
have cmake || { echo "skipped: no CMake"; exit 77; }

# The toolchains' names: CMake's variables, then Rust's name.
named() { # named TARGET VARIABLE=VALUE…
    local target=$1 arguments=()
    shift
    for variable in "$@"; do arguments+=("-D$variable"); done
    check "$* is $target" cmake "${arguments[@]}" -DEXPECTED="$target" -P "$work/named.cmake"
}
cat >"$work/named.cmake" <<END
include("$PWD/packaging/cmake/rust-target.cmake")
trophy_rust_target(target)
if(NOT target STREQUAL EXPECTED)
  message(FATAL_ERROR "it is taken for \${target}")
endif()
END
named x86_64-unknown-linux-gnu CMAKE_SYSTEM_NAME=Linux CMAKE_SYSTEM_PROCESSOR=x86_64 CMAKE_C_COMPILER_TARGET=x86_64-linux-gnu
named i686-unknown-linux-gnu CMAKE_SYSTEM_NAME=Linux CMAKE_SYSTEM_PROCESSOR=x86_64 CMAKE_SIZEOF_VOID_P=4 CMAKE_C_COMPILER_TARGET=x86_64-linux-gnu
named x86_64-unknown-linux-musl CMAKE_SYSTEM_NAME=Linux CMAKE_SYSTEM_PROCESSOR=x86_64 CMAKE_C_COMPILER_TARGET=x86_64-alpine-linux-musl
named aarch64-unknown-linux-gnu CMAKE_SYSTEM_NAME=Linux CMAKE_SYSTEM_PROCESSOR=aarch64 CMAKE_C_COMPILER_TARGET=aarch64-linux-gnu
named armv7-unknown-linux-gnueabihf CMAKE_SYSTEM_NAME=Linux CMAKE_SYSTEM_PROCESSOR=armv7l CMAKE_C_COMPILER_TARGET=arm-linux-gnueabihf
named armv7-unknown-linux-gnueabi CMAKE_SYSTEM_NAME=Linux CMAKE_SYSTEM_PROCESSOR=arm CMAKE_C_COMPILER_TARGET=arm-linux-gnueabi
named riscv64gc-unknown-linux-gnu CMAKE_SYSTEM_NAME=Linux CMAKE_SYSTEM_PROCESSOR=riscv64 CMAKE_C_COMPILER_TARGET=riscv64-linux-gnu
named aarch64-linux-android CMAKE_SYSTEM_NAME=Android ANDROID_ABI=arm64-v8a CMAKE_SYSTEM_PROCESSOR=aarch64 CMAKE_C_COMPILER_TARGET=aarch64-none-linux-android21
named armv7-linux-androideabi CMAKE_SYSTEM_NAME=Android CMAKE_ANDROID_ARCH_ABI=armeabi-v7a CMAKE_SYSTEM_PROCESSOR=armv7-a CMAKE_C_COMPILER_TARGET=armv7a-linux-androideabi21
named aarch64-unknown-linux-ohos CMAKE_SYSTEM_NAME=OHOS OHOS_ARCH=arm64-v8a CMAKE_SYSTEM_PROCESSOR=aarch64 CMAKE_C_COMPILER_TARGET=aarch64-linux-ohos
named x86_64-pc-windows-msvc CMAKE_SYSTEM_NAME=Windows CMAKE_SYSTEM_PROCESSOR=AMD64 MSVC=1 CMAKE_C_COMPILER_ARCHITECTURE_ID=x64
named aarch64-pc-windows-msvc CMAKE_SYSTEM_NAME=Windows CMAKE_SYSTEM_PROCESSOR=AMD64 MSVC=1 CMAKE_C_COMPILER_ARCHITECTURE_ID=ARM64
named x86_64-pc-windows-gnu CMAKE_SYSTEM_NAME=Windows CMAKE_SYSTEM_PROCESSOR=x86_64 CMAKE_C_COMPILER_TARGET=x86_64-w64-mingw32
named aarch64-apple-darwin CMAKE_SYSTEM_NAME=Darwin APPLE=1 CMAKE_SYSTEM_PROCESSOR=x86_64 CMAKE_OSX_ARCHITECTURES=arm64 CMAKE_C_COMPILER_TARGET=none
named aarch64-apple-ios CMAKE_SYSTEM_NAME=iOS APPLE=1 CMAKE_SYSTEM_PROCESSOR=arm64 CMAKE_OSX_SYSROOT=iphoneos CMAKE_C_COMPILER_TARGET=none
named aarch64-apple-ios-sim CMAKE_SYSTEM_NAME=iOS APPLE=1 CMAKE_SYSTEM_PROCESSOR=arm64 CMAKE_OSX_SYSROOT=iphonesimulator CMAKE_C_COMPILER_TARGET=none
named riscv32-something TROPHY_RUST_TARGET=riscv32-something
check "a platform without a name is refused" refused cmake -DCMAKE_SYSTEM_NAME=Haiku -DCMAKE_SYSTEM_PROCESSOR=vax -DCMAKE_C_COMPILER_TARGET=none -DEXPECTED= -P "$work/named.cmake"
check "and it says what to set" grep -q TROPHY_RUST_TARGET "$work/out"

have cargo || { echo "skipped: no cargo"; total; exit; }
start_sandbox
unset CPATH LIBRARY_PATH LD_LIBRARY_PATH PKG_CONFIG_PATH

# The sources as they are, in a repository of their own.
source="$work/a clone"
mkdir "$source"
git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -cf - -T - | tar -xf - -C "$source"
git -C "$source" -c init.defaultBranch=main init -q
git -C "$source" add -A
git -C "$source" -c user.name=stranger -c user.email=stranger@invalid commit -qm sources
git -C "$source" tag "v$version"
# Debug builds, whose dependencies are kept for the next run. TROPHY_PROFILE=release tries what ships.
options=("-DTROPHY_PROFILE=${TROPHY_PROFILE:-dev}" "-DTROPHY_CARGO_TARGET_DIR=$CARGO_TARGET_DIR/cmake")

# Three lines beyond CMake's own.
fetch="$work/fetch"
mkdir "$fetch"
cat >"$fetch/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(stranger CXX)
include(FetchContent)
add_executable(event event.cpp)
target_compile_features(event PRIVATE cxx_std_17)

FetchContent_Declare(trophy GIT_REPOSITORY "file://$source" GIT_TAG v$version)
FetchContent_MakeAvailable(trophy)
target_link_libraries(event PRIVATE trophy::trophy)
END
cat >"$fetch/event.cpp" <<'END'
#include <iostream>
#include <trophy.hpp>

int main() {
    const trophy::Client client;
    std::cout << trophy::version() << ' ' << client.event("words-written", "cpp", 1)->text() << '\n';
}
END
check "FetchContent: configure" cmake -S "$fetch" -B "$fetch/build" "${options[@]}"
check "FetchContent: build" cmake --build "$fetch/build"
check "FetchContent: the program runs" "$fetch/build/event"
check "FetchContent: it is this version" grep -q "^$version " "$work/out"
check "FetchContent: it is linked with the shared library" grep -q 'NEEDED.*\[libtrophy.so.1\]' <(readelf -d "$fetch/build/event")
check "FetchContent: again does nothing" cmake --build "$fetch/build"
check "FetchContent: no cargo ran" refused grep -q 'cargo builds' "$work/out"
check "FetchContent: the stranger's install has nothing of ours" cmake --install "$fetch/build" --prefix "$work/nothing"
check "FetchContent: nothing" [ ! -e "$work/nothing/lib" ]

# Statically, in C, below a folder of the project's.
below="$work/below"
mkdir "$below"
write_event_c "$below/event.c"
cat >"$below/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(stranger C)
add_subdirectory("$source" trophy)
add_executable(event event.c)
target_link_libraries(event PRIVATE trophy::static)
END
generator=()
if have ninja; then generator=(-G Ninja); fi
check "add_subdirectory: configure" cmake "${generator[@]}" -S "$below" -B "$below/build" "${options[@]}"
check "add_subdirectory: build" cmake --build "$below/build"
check "add_subdirectory: the program runs" "$below/build/event"
check "add_subdirectory: the library is in it" refused grep -q 'NEEDED.*libtrophy' <(readelf -d "$below/build/event")
foreign=$(nm -g --defined-only "$below/build/trophy/lib/libtrophy.a" | awk 'NF == 3 {print $3}' | grep -v '^trophy_')
check "add_subdirectory: the static library has no global symbol but trophy_*" [ -z "$foreign" ]

# By itself, installed, moved, and found.
check "by itself: configure" cmake -S "$source" -B "$work/build" "${options[@]}"
check "by itself: build" cmake --build "$work/build"
check "by itself: install" cmake --install "$work/build" --prefix "$work/first"
mkdir "$work/a place"
mv "$work/first" "$work/a place/moved"
for target in trophy::trophy trophy::static; do
    cat >"$below/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(stranger C)
find_package(trophy $version EXACT REQUIRED)
add_executable(event event.c)
target_link_libraries(event PRIVATE $target)
END
    check "installed: $target is found" cmake -S "$below" -B "$work/found" -DCMAKE_PREFIX_PATH="$work/a place/moved"
    check "installed: a program builds with it" cmake --build "$work/found"
    check "installed: it runs" "$work/found/event"
done
if have pkg-config; then
    pc=$(find "$work/a place/moved" -name pkgconfig)
    check "installed: pkg-config" eval "${CC:-cc} '$below/event.c' -o '$work/event' $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs trophy-static)"
    check "installed: it runs" "$work/event"
else
    skip "no pkg-config"
fi

# For another machine, without a standard library for it: one sentence.
if [ ! -d "$(rustc --print target-libdir --target riscv64gc-unknown-linux-gnu)" ]; then
    check "a missing standard library is said" refused cmake -S "$source" -B "$work/other" -DTROPHY_RUST_TARGET=riscv64gc-unknown-linux-gnu
    check "with what installs it" eval "tr -s '\n ' ' ' <'$work/out' | grep -q 'rustup target add riscv64gc'"
fi
total
