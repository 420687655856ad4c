#!/usr/bin/env bash
# conan create: both kinds of the library, with Conan's own test of the package. Debug builds unless TROPHY_PROFILE=release.
. "$(dirname "$0")/checks.sh"
for tool in conan cmake cargo; do have $tool || { echo "skipped: no $tool"; exit 77; }; done
# A Conan of its own, which knows no server: nothing is fetched.
export CONAN_HOME=$work/conan
# Conan builds the test beside its sources.
cp -r packaging/conan/test_package "$work/test_package"
build_type=Debug
if [ "${TROPHY_PROFILE:-dev}" = release ]; then build_type=Release; fi
check "a profile" conan profile detect
check "no server is asked" conan remote disable '*'
for shared in False True; do
    # What the crates are built into is kept for the next run.
    check "conan create, shared=$shared" conan create packaging/conan -tf "$work/test_package" -o "trophy/*:shared=$shared" -s build_type=$build_type \
        -c "tools.cmake.cmaketoolchain:extra_variables={'TROPHY_CARGO_TARGET_DIR': '$CARGO_TARGET_DIR/cmake'}"
    check "Conan's test ran it" grep -q "^libtrophy $version: " "$work/out"
done
total
