#!/bin/sh
# Runs the LuaJIT wrapper and its example against the sandbox. 0: passed. 77: skipped, LuaJIT is not installed.
set -eu
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/debug
: "${TROPHY_LIB_DIR:=$target}" "${TROPHY_SANDBOX:=$target/trophy-sandbox}"
TROPHY_LIBRARY=$TROPHY_LIB_DIR/libtrophy.so.1
[ -e "$TROPHY_LIBRARY" ] || TROPHY_LIBRARY=$TROPHY_LIB_DIR/libtrophy.so
export TROPHY_LIBRARY TROPHY_SANDBOX

if ! command -v luajit >/dev/null 2>&1; then
	echo "skipped: luajit is not installed"
	exit 77
fi
luajit -v
luajit test.lua
echo passed
