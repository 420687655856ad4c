#!/usr/bin/env bash
# The examples of event loops: each is compiled with its library and run against the sandbox, plainly and, where the
# loop is our own, under the sanitizers. A loop that nobody woke sleeps for ever, and fails when its time is over.
set -u
cd "$(dirname "$0")/.."
debug=${CARGO_TARGET_DIR:-target}/debug
library=$(realpath "${TROPHY_LIB_DIR:-$debug}")/libtrophy.so
passed=0 failed=0 skipped=0
work=$(mktemp -d)
exec 9>/dev/null
trap 'exec 9>&-; rm -rf "$work"' EXIT

for name in libtrophy.so libtrophy.so.1; do ln -s "$library" "$work/$name"; done
export LD_LIBRARY_PATH=$work SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
mkfifo "$work/stdin"
"${TROPHY_SANDBOX:-$debug/trophy-sandbox}" --port 0 --ready-file "$work/ready" --exit-with-stdin <"$work/stdin" >"$work/log" 2>&1 &
sandbox=$!
exec 9>"$work/stdin"
until [ -f "$work/ready" ]; do
    kill -0 "$sandbox" 2>/dev/null || { echo "FAILED  the sandbox did not start: $(cat "$work/log")"; exit 1; }
    sleep 0.05
done
port=$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' "$work/ready")
export TROPHY_API_KEY=sandbox_admin.open-sesame
export TROPHY_BASE_URL=http://127.0.0.1:$port/v1 TROPHY_ADMIN_BASE_URL=http://127.0.0.1:$port/admin/v1

loop() { # loop FILE PACKAGE [FLAGS…]: PACKAGE is pkg-config's, "" for none
    local file=$1 package=$2 compiler=(cc -std=c11 -D_POSIX_C_SOURCE=200809L) flags=()
    shift 2
    [ "${file##*.}" = c ] || compiler=(c++ -std=c++17)
    if ! command -v "${compiler[0]}" >/dev/null; then
        echo "skipped: $file: no ${compiler[0]}"
        skipped=$((skipped + 1))
        return
    fi
    if [ -n "$package" ]; then
        if ! read -ra flags < <(pkg-config --cflags --libs "$package" 2>/dev/null); then
            echo "skipped: $file: pkg-config finds no $package"
            skipped=$((skipped + 1))
            return
        fi
    fi
    # A library's own headers are not ours to warn of.
    flags=("${flags[@]/#-I/-isystem}")
    if "${compiler[@]}" -Wall -Wextra -Wpedantic -Werror "$@" -I include "examples/c/loops/$file" -o "$work/loop" \
        -L "$work" -ltrophy -pthread "${flags[@]}" >"$work/out" 2>&1 &&
        timeout 120 "$work/loop" >"$work/out" 2>&1 && grep -q '^20 replies, woken [1-9]' "$work/out"; then
        passed=$((passed + 1))
        echo "ok      $file $*: $(tail -1 "$work/out")"
    else
        failed=$((failed + 1))
        echo "FAILED  $file $*"
        sed 's/^/        /' "$work/out"
    fi
}

loop poll.c ""
loop poll.c "" -g -fsanitize=address,undefined
loop uv.c libuv
loop glib.c glib-2.0
loop sdl.cpp sdl2
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
