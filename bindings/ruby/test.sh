#!/bin/sh
# Tests the Ruby wrapper against the sandbox: exit 0 passed, 77 skipped, else failed.
set -eu
cd "$(dirname "$0")"
debug=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/debug
lib_dir=${TROPHY_LIB_DIR:-$debug}
export TROPHY_SANDBOX="${TROPHY_SANDBOX:-$debug/trophy-sandbox}"

if ! command -v ruby >/dev/null 2>&1; then
    echo "skipped: ruby is not installed"
    exit 77
fi
for gem in ffi minitest; do
    if ! ruby -e "require '$gem'" 2>/dev/null; then
        echo "skipped: the gem $gem is not installed (Debian: ruby-$gem)"
        exit 77
    fi
done
for name in libtrophy.so.1 libtrophy.so libtrophy.1.dylib libtrophy.dylib; do
    if [ -e "$lib_dir/$name" ]; then
        export TROPHY_LIBRARY="$lib_dir/$name"
        break
    fi
done

ruby --version
for file in *.rb lib/*.rb test/*.rb; do
    warnings=$(ruby -wc "$file" 2>&1)
    if [ "$warnings" != "Syntax OK" ]; then
        echo "$file: $warnings"
        exit 1
    fi
done
ruby -w test/test_trophy.rb
echo passed
