#!/usr/bin/env bash
# Cargo.toml says the version; all else follows it.
. "$(dirname "$0")/checks.sh"
make --no-print-directory ship || exit 1
ship=$CARGO_TARGET_DIR/ship
major=${version%%.*}

check "it is a version: $version" [ -z "$(sed -E "s/^[0-9]+\.[0-9]+\.[0-9]+$//" <<<"$version")" ]
check "the packages of the workspace have it" [ "$(cargo metadata --no-deps --format-version 1 --locked |
    grep -oE '"version":"[^"]*","id"' | sort -u)" = "\"version\":\"$version\",\"id\"" ]
check "the header has it" grep -qx "#define TROPHY_VERSION \"$version\"" include/trophy.h
check "the header's numbers are its parts" [ "$(sed -n 's/^#define TROPHY_VERSION_\(MAJOR\|MINOR\|PATCH\) //p' include/trophy.h | paste -sd .)" = "$version" ]
check "the library's file has it" [ -f "$ship/libtrophy.so.$version" ]
if have readelf; then
    check "the SONAME has its first number" grep -q "SONAME.*\[libtrophy.so.$major\]" <(readelf -d "$ship/libtrophy.so.$version")
else
    skip "no readelf"
fi
check "the tool says it" [ "$("$ship/trophy" --version)" = "trophy $version" ]
check "the newest entry of the changelog is about it" [ "$(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -n 1)" = "$version" ]
check "what its minor version promised is kept" [ -f "packaging/abi/${version%.*}.txt" ]
if have cmake; then
    check "CMake has it" grep -q "libtrophy $version for" <(cmake -S . -B "$work/cmake" -DTROPHY_INSTALL=OFF 2>&1)
else
    skip "no CMake"
fi
check "README and docs/embedding.md name files of this version" [ "$(grep -ohE '[0-9]+\.[0-9]+\.[0-9]+' README.md docs/embedding.md |
    sort -u)" = "$version" ]
check "vcpkg's port repeats it, since vcpkg reads nothing else" grep -q "\"version-semver\": \"$version\"" packaging/vcpkg/vcpkg.json
total
