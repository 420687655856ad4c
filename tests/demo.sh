#!/usr/bin/env bash
# The demo as a newcomer runs it, and after the README's five minutes, in a shell that still has a sandbox's variables.
set -u
cd "$(dirname "$0")/.."
passed=0 failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
unset TROPHY_API_KEY TROPHY_BASE_URL TROPHY_ADMIN_BASE_URL DEMO

check() { # check WHAT COMMAND…
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok      $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
        sed 's/^/        /' "$out"
    fi
}
demo() { make --no-print-directory demo >"$out" 2>&1; }
says() { grep -qF -e "$1" "$out"; }
says_not() { ! grep -qF -e "$1" "$out"; }

check "the demo runs" demo
check "it ends with what the service counted" says 'The service counted 12 events'
check "it does not say that anything was killed" says_not Killed

# A port that nobody listens on: what is left of a sandbox that has ended.
gone=http://127.0.0.1:1
beside() {
    env TROPHY_API_KEY=sandbox_admin.open-sesame TROPHY_BASE_URL=$gone/v1 TROPHY_ADMIN_BASE_URL=$gone/admin/v1 \
        make --no-print-directory demo >"$out" 2>&1
}
check "it has a sandbox of its own beside the variables of another" beside
# Only a key of one's own, or DEMO=live, leads elsewhere; and there is nobody.
live() { ! env TROPHY_BASE_URL=$gone/v1 "$@" make --no-print-directory demo >"$out" 2>&1 && says 'with your own key'; }
check "a key of one's own is for the service itself" live TROPHY_API_KEY=mine.secret
check "and so is DEMO=live" live TROPHY_API_KEY=sandbox_admin.open-sesame DEMO=live
refused() { ! DEMO=live make --no-print-directory demo >"$out" 2>&1 && says 'DEMO=live needs your key'; }
check "DEMO=live without a key says what it needs" refused

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
