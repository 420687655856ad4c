#!/usr/bin/env bash
# The library's own code that threads share, run by shuttle in many orders (tests/models). TROPHY_MODEL_ORDERS says how many.
set -u
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg shuttle"
exec cargo test --locked --manifest-path tests/models/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/models" -- --show-output
