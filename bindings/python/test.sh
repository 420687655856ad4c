#!/bin/sh
# Tests the Python wrapper against the sandbox: exit 0 passed, 77 skipped, else failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
debug=${CARGO_TARGET_DIR:-$here/../../target}/debug
lib_dir=${TROPHY_LIB_DIR:-$debug}
export TROPHY_SANDBOX="${TROPHY_SANDBOX:-$debug/trophy-sandbox}"
python=${PYTHON:-python3}

if ! "$python" -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    echo "skipped: no python3 of 3.8 or newer"
    exit 77
fi
for name in libtrophy.so.1 libtrophy.so libtrophy.1.dylib libtrophy.dylib; do
    if [ -e "$lib_dir/$name" ]; then
        export TROPHY_LIBRARY="$lib_dir/$name"
        break
    fi
done
export PYTHONDONTWRITEBYTECODE=1

"$python" --version
cd "$here"
export PYTHONPATH="$here/src" MYPYPATH="$here/src"
if "$python" -m mypy --version >/dev/null 2>&1; then
    "$python" -m mypy --strict --cache-dir=/dev/null src/libtrophy example.py tests/test_trophy.py
fi
if "$python" -m ruff --version >/dev/null 2>&1; then
    "$python" -m ruff check --no-cache --quiet --line-length 115 --select E,F,W,I,B .
    "$python" -m ruff format --no-cache --quiet --line-length 115 --check .
fi
"$python" -m unittest --quiet tests/test_trophy.py
echo passed
