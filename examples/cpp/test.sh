#!/bin/sh
# Builds the C++ example in each way it can be, and runs it against the sandbox. 0: passed. 77: no C++ compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
debug=${CARGO_TARGET_DIR:-$root/target}/debug
lib_dir=${TROPHY_LIB_DIR:-$debug}
sandbox=${TROPHY_SANDBOX:-$debug/trophy-sandbox}
include_dir=${TROPHY_INCLUDE_DIR:-$root/include}
cxx=${CXX:-c++}

if ! command -v "$cxx" >/dev/null 2>&1; then
	echo "skipped: no C++ compiler ($cxx)"
	exit 77
fi
"$cxx" --version | head -n 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
	echo "$1"
	exit 1
}

# The linker and the loader look for different names.
case $(uname) in
Darwin) library=libtrophy.dylib named=libtrophy.1.dylib ;;
*) library=libtrophy.so named=libtrophy.so.1 ;;
esac
ln -s "$lib_dir/$library" "$work/$library"
ln -s "$lib_dir/$library" "$work/$named"
for standard in c++17 c++20; do
	"$cxx" "-std=$standard" -Wall -Wextra -Wpedantic -Werror -I "$include_dir" "$here/example.cpp" \
		-o "$work/example-$standard" -L "$work" -ltrophy -pthread
done

# The sandbox ends with this script: its stdin is descriptor 9.
mkfifo "$work/stdin"
"$sandbox" --port 0 --ready-file "$work/ready" --exit-with-stdin <"$work/stdin" >"$work/sandbox.log" 2>&1 &
pid=$!
exec 9>"$work/stdin"
until [ -f "$work/ready" ]; do
	kill -0 "$pid" 2>/dev/null || fail "the sandbox did not start: $(cat "$work/sandbox.log")"
	sleep 0.05
done
TROPHY_BASE_URL=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/ready")
TROPHY_ADMIN_BASE_URL=$(sed -n 's/.*"adminUrl":"\([^"]*\)".*/\1/p' "$work/ready")
TROPHY_API_KEY=sandbox_admin.open-sesame
LD_LIBRARY_PATH=$work DYLD_LIBRARY_PATH=$work
export TROPHY_BASE_URL TROPHY_ADMIN_BASE_URL TROPHY_API_KEY LD_LIBRARY_PATH DYLD_LIBRARY_PATH

# shows: counts-once, example
# The second run sends the same events, which count no second time.
for standard in c++17 c++20; do
	"$work/example-$standard" >"$work/out" || fail "the example failed"
	cat "$work/out"
	for line in '^total 750' '^delivered chapter-1$' '^undelivered 0$' '^streak 1$'; do
		grep -q "$line" "$work/out" || fail "the example printed no $line"
	done
done

# An error is told on stderr, and no exception gets out.
code=0
TROPHY_API_KEY=sandbox_admin.n0t-it "$work/example-c++17" >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 1 ] || fail "with a wrong key it ended with $code"
[ -s "$work/err" ] || fail "it said nothing of the wrong key"
if grep n0t-it "$work/err"; then fail "it told the key"; fi

exec 9>&-
wait "$pid" || true
echo passed
