#!/bin/sh
# Tests the Node wrapper against the sandbox. 0: passed. 77: skipped, Node or koffi is missing.
set -eu
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/debug
: "${TROPHY_LIB_DIR:=$target}" "${TROPHY_SANDBOX:=$target/trophy-sandbox}"
for name in libtrophy.so.1 libtrophy.so libtrophy.1.dylib libtrophy.dylib; do
	TROPHY_LIBRARY=$TROPHY_LIB_DIR/$name
	[ ! -e "$TROPHY_LIBRARY" ] || break
done
export TROPHY_LIBRARY TROPHY_SANDBOX

if ! node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null; then
	echo "skipped: no Node of 20 or newer"
	exit 77
fi
echo "Node $(node --version)"
if [ ! -d node_modules/koffi ]; then
	# Beside the files, as modules are looked for there; away from the checkout, which stays as it is.
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	export TROPHY_REPLIES="$(cd .. && pwd)/replies.json"
	cp -R ./*.js ./*.ts ./*.json test .npmrc "$scratch"
	cd "$scratch"
	if ! npm ci --silent --no-audit --no-fund >npm.log 2>&1; then
		tail -n 5 npm.log >&2
		echo "skipped: npm cannot install koffi"
		exit 77
	fi
fi
for project in tsconfig.json tsconfig.dom.json; do
	[ ! -e node_modules/typescript/bin/tsc ] || node node_modules/typescript/bin/tsc --project "test/$project"
done
if ! report=$(node --test 2>&1); then
	echo "$report"
	exit 1
fi
echo passed
