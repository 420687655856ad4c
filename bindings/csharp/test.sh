#!/bin/sh
# Tests the C# wrapper against the sandbox. 0: passed. 77: skipped, Mono is missing.
set -eu
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/debug
: "${TROPHY_LIB_DIR:=$target}" "${TROPHY_SANDBOX:=$target/trophy-sandbox}"
TROPHY_REPLIES=$(cd .. && pwd)/replies.json
export TROPHY_SANDBOX TROPHY_REPLIES

for tool in mcs mono; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "skipped: no $tool is installed (Debian: mono-mcs, mono-runtime)"
		exit 77
	fi
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mono --version | sed -n 's/^Mono JIT compiler version \([^ ]*\).*/Mono \1/p'
for program in Example Test; do
	mcs -warnaserror -warn:4 -r:Microsoft.CSharp -out:"$out/$program.exe" "$program/$program.cs" Trophy/*.cs
done
# Where there is only libtrophy.so.1, which is not the name that "trophy" is loaded by.
[ -e "$TROPHY_LIB_DIR/libtrophy.so" ] || ln -s "$TROPHY_LIB_DIR/libtrophy.so.1" "$out/libtrophy.so"
export LD_LIBRARY_PATH="$TROPHY_LIB_DIR:$out${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
mono "$out/Test.exe"
echo passed
