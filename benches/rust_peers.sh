#!/usr/bin/env bash
# Builds the peers in Rust, for the bench only, into FOLDER: rust_peers.sh FOLDER. Without them their rows are skipped.
set -u
cd "$(dirname "$0")/rust_peers" || exit 1
log=$1.log
mkdir -p "$1"
if ! cargo build --quiet --release --locked --target-dir "$1" >"$log" 2>&1; then
    # What was built once would be of another source.
    rm -f "$1"/release/peer_*
    echo "skipped: reqwest and hyper: they could not be built"
    tail -20 "$log"
fi
exit 0
