#!/usr/bin/env bash
# The official SDKs, in their newest versions, against the sandbox: what they can call, they can read. Python's calls
# all 85 operations; Node's all that it has in common with them. They are installed below target/, where the
# registries can be reached. TROPHY_SANDBOX says which sandbox.
set -u
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
sandbox=${TROPHY_SANDBOX:-$target/debug/trophy-sandbox}
[ -x "$sandbox" ] || { echo "FAILED: no sandbox $sandbox; cargo build --workspace makes it"; exit 1; }
tools=$target/sdks
mkdir -p "$tools"
work=$(mktemp -d)
trap 'exec 9>&-; rm -rf "$work"' EXIT
failed=0

# A sandbox of its own for each; it ends when descriptor 9 is closed.
start_sandbox() {
    rm -f "$work/stdin" "$work/ready"
    mkfifo "$work/stdin"
    "$sandbox" --port 0 --ready-file "$work/ready" --exit-with-stdin <"$work/stdin" >"$work/sandbox.log" 2>&1 &
    local pid=$!
    exec 9>"$work/stdin"
    until [ -f "$work/ready" ]; do
        kill -0 "$pid" 2>/dev/null || { cat "$work/sandbox.log"; echo "FAILED: the sandbox did not start"; exit 1; }
        sleep 0.05
    done
    TROPHY_BASE_URL=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/ready")
    TROPHY_ADMIN_BASE_URL=$(sed -n 's/.*"adminUrl":"\([^"]*\)".*/\1/p' "$work/ready")
    TROPHY_ORIGIN=${TROPHY_BASE_URL%/v1}
    export TROPHY_BASE_URL TROPHY_ADMIN_BASE_URL TROPHY_ORIGIN
    export TROPHY_API_KEY=sandbox_admin.open-sesame TROPHY_APPLICATION_KEY=app_sandbox.player-18
    export TROPHY_SHARED=${TROPHY_SHARED:-$PWD/../shared}
    # Nothing but this machine.
    export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
}

run() { # run COMMAND…
    start_sandbox
    "$@" || failed=1
    exec 9>&-
}

skip() {
    echo "skipped: $1"
    echo "0 passed, 0 failed, 1 skipped"
}

# The newest, each time; without the registry, what was installed before.
if ! [ -x "$tools/python/bin/python" ] && ! python3 -m venv "$tools/python" >"$tools/python.log" 2>&1; then
    rm -rf "$tools/python"
    skip "Python has no venv"
elif "$tools/python/bin/python" -m pip install --quiet --upgrade --retries 1 trophy >"$tools/python.log" 2>&1 ||
    "$tools/python/bin/python" -c 'import trophy' 2>/dev/null; then
    run "$tools/python/bin/python" -B tests/sdks/official.py
else
    skip "pip could not install trophy"
fi

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    skip "node and npm are not installed"
elif npm install --silent --no-audit --no-fund --fetch-retries 1 --prefix "$tools/node" @trophyso/node@latest \
    >"$tools/node.log" 2>&1 || [ -e "$tools/node/node_modules/@trophyso/node/package.json" ]; then
    NODE_PATH=$PWD/$tools/node/node_modules run node tests/sdks/official.js
else
    skip "npm could not install @trophyso/node"
fi

exit "$failed"
