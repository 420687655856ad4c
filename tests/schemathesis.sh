#!/usr/bin/env bash
# Requests that schemathesis generates from the service's OpenAPI files, against the sandbox, both APIs: no 5xx, no
# status that the files do not name, no reply that breaks its schema. For a minute, or as many seconds as
# schemathesis.sh SECONDS says. SEED repeats a run, which tells its seed. TROPHY_SANDBOX says which sandbox.
#
# Not judged: whether a request is refused that the files allow, or taken that they do not; the files do not say what
# there is, and what the service is lenient about. The key may all, and limits are off, since 429 and, for most
# operations, 403 are not in the files. The 202 of an event's replay is added to them (describe.py).
set -u
cd "$(dirname "$0")/.."
seconds=${1:-60}
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
sandbox=${TROPHY_SANDBOX:-$target/debug/trophy-sandbox}
shared=${TROPHY_SHARED:-$PWD/../shared}
key=sandbox_admin.open-sesame
[ -x "$sandbox" ] || { echo "FAILED: no sandbox $sandbox; cargo build --workspace makes it"; exit 1; }
[ -e "$shared/trophy-api/application.json" ] || { echo "skipped: the service's OpenAPI files are not here"; exit 77; }

tools=$target/schemathesis
if ! [ -x "$tools/bin/st" ]; then
    mkdir -p "$tools"
    python3 -m venv "$tools" >"$tools/install.log" 2>&1 &&
        "$tools/bin/python" -m pip install --quiet --retries 1 'schemathesis==4.*' >>"$tools/install.log" 2>&1 ||
        { rm -rf "$tools"; echo "skipped: pip could not install schemathesis"; exit 77; }
fi

work=$(mktemp -d)
trap 'exec 9>&-; rm -rf "$work"' EXIT
mkfifo "$work/stdin"
"$sandbox" --port 0 --world examples/sandbox/worlds/everything.json --ready-file "$work/ready" --exit-with-stdin \
    <"$work/stdin" >"$work/sandbox.log" 2>&1 &
pid=$!
exec 9>"$work/stdin"
until [ -f "$work/ready" ]; do
    kill -0 "$pid" 2>/dev/null || { cat "$work/sandbox.log"; echo "FAILED: the sandbox did not start"; exit 1; }
    sleep 0.05
done
url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/ready")
origin=${url%/v1}
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
python3 -B tests/schemathesis/describe.py "$shared/trophy-api" "$work" "$origin" "$key" || exit 1

checks=not_a_server_error,status_code_conformance,content_type_conformance
checks=$checks,response_headers_conformance,response_schema_conformance
passed=0 failed=0
cd "$work" || exit 1
for api in application admin; do
    [ $api = admin ] && url=$origin/admin/v1
    # What the files allow, which goes further in, and then what they do not as well.
    for mode in positive all; do
        # A request that gets no answer is an error: the sandbox panicked or hangs.
        if "$tools/bin/st" run "$api.json" --url "$url" --checks "$checks" --header "X-API-KEY: $key" --mode $mode \
            --max-time $((seconds > 3 ? seconds / 4 : 1)) --max-examples 25 --request-timeout 20 \
            --continue-on-failure --suppress-health-check all --warnings off --no-color ${SEED:+--seed "$SEED"} >"$api.log" 2>&1; then
            passed=$((passed + 1))
            grep -E '^  +[0-9]+ generated|^Seed' "$api.log" | sed "s/^ */$api, $mode: /"
        else
            failed=$((failed + 1))
            sed -n '/FAILURES\|ERRORS/,$p' "$api.log" | head -300
            grep -q 'FAILURES\|ERRORS' "$api.log" || tail -50 "$api.log"
        fi
        kill -0 "$pid" 2>/dev/null || { failed=$((failed + 1)); tail -20 "$work/sandbox.log"; echo "FAILED: it ended"; }
    done
done
# What was answered, by operation and by status.
python3 - "$origin" <<'EOF'
import json, sys, urllib.request
ledger = json.load(urllib.request.urlopen(sys.argv[1] + "/_sandbox/ledger"))
print(len(ledger["requests"]), "operations,", ledger["statuses"], ledger["events"], "events counted")
EOF
if grep -q panicked "$work/sandbox.log"; then
    failed=$((failed + 1))
    grep -A3 panicked "$work/sandbox.log" | head -40
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
