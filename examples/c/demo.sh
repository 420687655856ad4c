#!/usr/bin/env bash
# Compiles and runs the C examples against a local Trophy that it starts; with DEMO=live, or where
# TROPHY_API_KEY is a key that is none of a sandbox, event.c against the real one. Builds no library:
# TROPHY_LIB_DIR, TROPHY_INCLUDE_DIR, TROPHY_SANDBOX and CC say what to use.
set -eu

root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
built=${CARGO_TARGET_DIR:-$root/target}/debug
libraries=${TROPHY_LIB_DIR:-$built}
headers=${TROPHY_INCLUDE_DIR:-$root/include}
sandbox=${TROPHY_SANDBOX:-$built/trophy-sandbox}
work=$(mktemp -d)

heading() { printf '\n\033[1m%s\033[0m\n' "$1"; }
fail() { printf 'demo: %s\n' "$1" >&2; exit 1; }

compile() {
    "${CC:-cc}" -Wall -Wextra -I "$headers" "$root/examples/c/$1.c" -o "$work/$1" \
        -L "$work" -ltrophy -pthread
}

# Starts the sandbox on port $1 (0: a free one), and sets $port. It ends when descriptor 9 is closed.
start_sandbox() {
    rm -f "$work/ready" "$work/stdin"
    mkfifo "$work/stdin"
    "$sandbox" --port "$1" --ready-file "$work/ready" --exit-with-stdin \
        < "$work/stdin" > "$work/sandbox.log" 2>&1 &
    sandbox_pid=$!
    exec 9> "$work/stdin"
    while [ ! -f "$work/ready" ]; do
        kill -0 "$sandbox_pid" 2> /dev/null || fail "the sandbox did not start: $(cat "$work/sandbox.log")"
        sleep 0.05
    done
    port=$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' "$work/ready")
    export TROPHY_BASE_URL="http://127.0.0.1:$port/v1"
    export TROPHY_ADMIN_BASE_URL="http://127.0.0.1:$port/admin/v1"
}

# A GET, without a tool for it.
ask() {
    exec 8<> "/dev/tcp/127.0.0.1/$port"
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$1" "$port" >&8
    cat <&8
    exec 8>&-
}

stop_sandbox() {
    exec 9>&-
    wait "$sandbox_pid" || true
}

clean_up() {
    exec 9>&-
    for pid in ${writer_pid:-}; do kill -9 "$pid" 2> /dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT

# The linker and the loader look for different names.
for name in libtrophy.so libtrophy.so.1 libtrophy.dylib libtrophy.1.dylib; do
    file=$libraries/libtrophy.${name##*.}
    case $name in *.so*) file=$libraries/libtrophy.so ;; esac
    if [ -f "$file" ]; then ln -s "$file" "$work/$name"; fi
done
export LD_LIBRARY_PATH="$work${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export DYLD_LIBRARY_PATH="$work"

# A shell in which a sandbox was tried still has its variables: they name one that may be gone.
case ${TROPHY_API_KEY:-} in
    '' | sandbox_* | app_sandbox*) live=${DEMO:-} ;;
    *) live=${DEMO:-live} ;;
esac
if [ "$live" = live ]; then
    [ -n "${TROPHY_API_KEY:-}" ] || fail 'DEMO=live needs your key in TROPHY_API_KEY'
    heading 'event.c, with your own key: events of a user'
    compile event
    "$work/event"
    exit
fi

export TROPHY_API_KEY=sandbox_admin.open-sesame
for program in event async game_loop offline; do compile "$program"; done
start_sandbox 0

heading 'event.c: events of a user, one of them sent twice'
"$work/event"
heading 'async.c: a hundred calls, a hundred callbacks'
"$work/async"
heading 'game_loop.c: two seconds of a game'
"$work/game_loop"

heading 'offline.c: the service is down, and the program is killed'
stop_sandbox
"$work/offline" "$work/queue" write 12 > "$work/kept" &
writer_pid=$!
while ! grep -q kept "$work/kept"; do
    kill -0 "$writer_pid" 2> /dev/null || fail 'offline.c ended early'
    sleep 0.05
done
cat "$work/kept"
# Both within the redirection, or bash says itself that the job was killed.
{ kill -9 "$writer_pid" && wait "$writer_pid"; } 2> /dev/null || true
writer_pid=
echo 'kill -9'

heading 'offline.c: the service is back, and so is the program'
start_sandbox "$port"
"$work/offline" "$work/queue" deliver

# What the service itself counted.
ledger=$(ask "/_sandbox/ledger?user=traveller")
case $ledger in
    *'"events":12,'*) echo 'The service counted 12 events: each arrived, and once.' ;;
    *) fail "the service counted something else: $ledger" ;;
esac
