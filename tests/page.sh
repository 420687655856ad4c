#!/usr/bin/env bash
# The sandbox's page in a real browser, Chromium, which playwright-core drives: it is installed below target/, where the
# registry can be reached. The screenshots are left in target/page/; `make screenshots` puts them into docs/images/.
# TROPHY_SANDBOX says which sandbox, CHROMIUM which browser.
set -u
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
export TROPHY_SANDBOX=${TROPHY_SANDBOX:-$target/debug/trophy-sandbox}
export TROPHY_LIB_DIR=${TROPHY_LIB_DIR:-$target/debug}
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
tools=$target/page
mkdir -p "$tools"

skip() {
    echo "skipped: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

[ -x "$TROPHY_SANDBOX" ] || { echo "FAILED: no sandbox $TROPHY_SANDBOX; cargo build --workspace makes it"; exit 1; }
command -v node >/dev/null && command -v npm >/dev/null || skip "node and npm are not installed"
[ -n "$CHROMIUM" ] || skip "chromium is not installed"
[ -e "$tools/node_modules/playwright-core/package.json" ] ||
    npm install --silent --no-audit --no-fund --fetch-retries 1 --prefix "$tools" playwright-core >"$tools/npm.log" 2>&1 ||
    skip "npm could not install playwright-core"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
library=$(realpath "$TROPHY_LIB_DIR/libtrophy.so")
# By its soname too, as it is installed.
soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
ln -s "$library" "$work/libtrophy.so"
[ "$soname" = libtrophy.so ] || ln -s "$library" "$work/$soname"
"${CC:-cc}" -Wall -Wextra -I include tests/page/send.c -o "$work/send" -L "$work" -ltrophy -Wl,-rpath,"$work" || { echo "FAILED: send.c does not compile"; exit 1; }
export TROPHY_SEND=$work/send WORK=$work SCREENSHOTS=$PWD/$tools/screenshots
export PLAYWRIGHT=$PWD/$tools/node_modules/playwright-core/index.mjs
# Nothing but this machine.
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
mkdir -p "$SCREENSHOTS"
node tests/page/page.mjs "$@"
