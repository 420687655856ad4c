#!/bin/sh
# Runs the PHP wrapper and its example against the sandbox. 0: passed. 77: skipped, PHP or its FFI is missing.
set -eu
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/debug
: "${TROPHY_LIB_DIR:=$target}" "${TROPHY_SANDBOX:=$target/trophy-sandbox}"
TROPHY_LIBRARY=$TROPHY_LIB_DIR/libtrophy.so.1
[ -e "$TROPHY_LIBRARY" ] || TROPHY_LIBRARY=$TROPHY_LIB_DIR/libtrophy.so
export TROPHY_LIBRARY TROPHY_SANDBOX

if ! command -v php >/dev/null 2>&1; then
	echo "skipped: php is not installed"
	exit 77
fi
if ! php -r 'exit(PHP_VERSION_ID >= 80100 && extension_loaded("FFI") ? 0 : 1);'; then
	echo "skipped: this php is older than 8.1, or has no FFI"
	exit 77
fi
php -r 'echo "PHP ", PHP_VERSION, "\n";'
php -l Trophy.php >/dev/null
php -d ffi.enable=1 -d error_reporting=-1 -d display_errors=stderr test.php
echo passed
