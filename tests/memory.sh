#!/usr/bin/env bash
# memory.sh EVENTS: tests/memory.rs with so many events, and its figures as target/reliability/memory.json.
set -eu
cd "$(dirname "$0")/.."
folder=$PWD/${CARGO_TARGET_DIR:-target}/reliability/run-memory
mkdir -p "$folder"
TROPHY_TEST_EVENTS=$1 TROPHY_FIGURES=$folder/figures.json cargo test -p trophy --test memory -- --nocapture
python3 -B scripts/reliability.py note memory \
    "One process sends events of as many users in all three ways, with callbacks, refused input, clients that come and \
go, and a service that fails one request in seven. What it takes is looked at after a half of the events and at the \
end, each time when all is delivered ([tests/memory.rs](tests/memory.rs))." "$folder/figures.json"
