#!/usr/bin/env bash
# soak.sh EVENTS SEED SECONDS NAME: the long run, and its figures as target/reliability/NAME.json.
set -eu
cd "$(dirname "$0")/.."
events=$1 seed=$2 seconds=$3 name=$4
target=${CARGO_TARGET_DIR:-target}
if [ "$(uname -s)" != Linux ]; then
    echo "skipped: the long run takes the place of clock_gettime(), and finds who drains, as Linux lets it"
    exit 77
fi
cargo build --quiet -p trophy -p trophy-soak
folder=$target/reliability/run-$name
mkdir -p "$folder"
# With mounts of its own, so that the small disk is gone when it ends, however it ends.
for apart in "unshare --mount" "unshare --map-root-user --mount" ""; do
    # shellcheck disable=SC2086
    if $apart true 2>/dev/null; then break; fi
done
export RELIABILITY_COMMIT=${RELIABILITY_COMMIT:-}
# shellcheck disable=SC2086
$apart "$target/debug/trophy-soak" "$events" "$seed" "$seconds" "$folder"
python3 -B scripts/reliability.py note "$name" \
    "Nine processes on five queues, shared and of their own, with one disk between them, send events in all three ways \
through the C API; seed $seed, at most $seconds seconds. Everything at once and at random: \`kill -9\`, of the process \
that drains by preference; processes stopped, forked, without descriptors, without room for a file; clients closed and \
freed at any time; the disk full, the clock stepped, the key rotated; and each request may meet what is listed. Then \
what was acknowledged is compared with what the service counted ([tests/soak](tests/soak/src/main.rs))." \
    "$folder/soak.json"
echo "1 passed, 0 failed"
