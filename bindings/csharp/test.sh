#!/bin/sh
# Tests the C# wrapper against the sandbox, on Mono; `test.sh dotnet` on .NET, `test.sh wine` on .NET for Windows, under Wine
# (with trophy.dll in TROPHY_LIB_DIR, and Wine in TROPHY_WINE). 0: passed. 77: skipped, with the reason.
set -eu
cd "$(dirname "$0")"
project=$(cd ../.. && pwd) runtime=${1:-mono}

target=${CARGO_TARGET_DIR:-$project/target}/debug
: "${TROPHY_LIB_DIR:=$target}" "${TROPHY_SANDBOX:=$target/trophy-sandbox}"
TROPHY_REPLIES=$project/bindings/replies.json
export TROPHY_SANDBOX TROPHY_REPLIES

tools=mcs
[ "$runtime" != mono ] || tools="mcs mono"
for tool in $tools; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "skipped: no $tool is installed (Debian: mono-mcs, mono-runtime)"
		exit 77
	fi
done
case $runtime in
	mono) mono --version | sed -n 's/^Mono JIT compiler version \([^ ]*\).*/Mono \1/p' ;;
	*)
		platform=linux
		[ "$runtime" = dotnet ] || platform=windows
		dotnet=$(bash "$project/scripts/dotnet.sh" $platform) || { echo "$dotnet"; exit 77; }
		echo ".NET $(ls "$dotnet/shared/Microsoft.NETCore.App")"
		;;
esac

# A program that ends while its threads run is left by Wine 8 now and then: of its threads one is left, which ends too, and
# waits in Wine's own ntdll.so for a lock of one that is gone. Alone it would wait for ever (202 is the call futex).
end_what_wine_leaves() {
	while sleep 1; do
		for thread in $(grep -lsF "${out##*/}" /proc/[0-9]*/task/*/cmdline); do
			thread=${thread%/cmdline} process=${thread%/task/*}
			case $(cat "$thread/syscall") in "202 "*) ;; *) continue ;; esac
			[ "$(grep -h '^State:' "$process"/task/*/status | grep -vc 'Z (')" = 1 ] || continue
			kill "${process#/proc/}" || continue
			echo "ended: process ${process#/proc/}, which Wine left"
		done
	done
}

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for program in Example Test; do
	mcs -optimize -warnaserror -warn:4 -r:Microsoft.CSharp -out:"$out/$program.exe" "$program/$program.cs" Trophy/*.cs
	# Compiled at once as code is that has run often, whose collector takes what is not named any more. Without ICU.
	cat >"$out/$program.runtimeconfig.json" <<-END
		{"runtimeOptions": {
		    "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"}, "rollForward": "Major",
		    "configProperties": {"System.Runtime.TieredCompilation": false, "System.Globalization.Invariant": true}}}
	END
done
# Where there is only libtrophy.so.1, which is not the name that "trophy" is loaded by.
[ "$runtime" = wine ] || [ -e "$TROPHY_LIB_DIR/libtrophy.so" ] || ln -s "$TROPHY_LIB_DIR/libtrophy.so.1" "$out/libtrophy.so"
export LD_LIBRARY_PATH="$TROPHY_LIB_DIR:$out${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
case $runtime in
	mono) mono "$out/Test.exe" ;;
	dotnet) "$dotnet/dotnet" "$out/Test.exe" ;;
	wine)
		cp "$TROPHY_LIB_DIR/trophy.dll" "$out"
		# The sandbox runs here, until this script has ended.
		mkfifo "$out/stdin"
		"$TROPHY_SANDBOX" --port 0 --ready-file "$out/ready" --exit-with-stdin <"$out/stdin" >"$out/sandbox" 2>&1 &
		sandbox=$!
		exec 9>"$out/stdin"
		until [ -e "$out/ready" ]; do
			kill -0 $sandbox 2>/dev/null || { cat "$out/sandbox"; echo "FAILED: the sandbox did not start"; exit 1; }
			sleep 0.1
		done
		TROPHY_API_KEY=sandbox_admin.open-sesame
		TROPHY_BASE_URL=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$out/ready")
		TROPHY_SANDBOX_READY="Z:$out/ready" TROPHY_REPLIES="Z:$TROPHY_REPLIES"
		export TROPHY_API_KEY TROPHY_BASE_URL TROPHY_SANDBOX_READY TROPHY_REPLIES
		end_what_wine_leaves 9>&- >"$out/left" 2>/dev/null &
		left=$!
		# Errors go to a file, which what Wine leaves in the background may keep open. Its debugger would hold up programs
		# that end by an exception, as some of the tests' do.
		under_wine() {
			WINEDLLOVERRIDES="winedbg.exe=d" "$TROPHY_WINE" "$dotnet/dotnet.exe" "$1" 9>&- >"$out/output" 2>"$out/errors" </dev/null ||
				code=$?
			cat "$out/output" "$out/errors"
		}
		code=0
		# The example as NuGet lays it out: the library is not beside it.
		python3 -B "$project/packaging/packages.py" csharp --out "$out" --work "$out/work" \
			--native "x86_64-pc-windows-gnu=$TROPHY_LIB_DIR/trophy.dll"
		mcs -r:"$out/work/csharp/bindings/csharp/Trophy.dll" -out:"$out/app.exe" Example/Example.cs
		python3 -B "$project/tests/dist/nuget.py" "$out"/libtrophy.*.nupkg "$out/app.exe" "$out/app"
		under_wine "$out/app/app.dll"
		grep -q '^streak: 1' "$out/output" || { echo "FAILED: the example with the package of NuGet"; exit 1; }
		under_wine "$out/Test.exe"
		kill $left
		cat "$out/left"
		[ "$code" = 0 ] || exit "$code"
		;;
esac
echo passed
