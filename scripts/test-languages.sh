#!/usr/bin/env bash
# Tests the wrappers of all languages, or of those named: runs its test.sh, and prints a table. `dotnet` is C# on .NET.
#
# A test.sh exits with 0, or with 77 after a line "skipped: why". The first number it prints is the version of
# its language. TROPHY_LIB_DIR and TROPHY_SANDBOX say what to test; else it is what `cargo build --workspace` made.
set -u
cd "$(dirname "$0")/.."
logs=target/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0

languages=("$@")
if [ $# = 0 ]; then
    for test in bindings/*/test.sh examples/cpp/test.sh; do languages+=("$(basename "$(dirname "$test")")"); done
    languages+=(dotnet)
fi
# What hangs is ended, and has failed.
within=()
if command -v timeout >/dev/null; then within=(timeout -k 10 900); fi

# Whether the tests show what they have to.
sh bindings/checklist.sh || failed=1

printf '%-10s %-16s %s\n' language version result
for language in "${languages[@]}"; do
    log=$logs/language-$language.log start=$SECONDS
    test=(bindings/"$language"/test.sh)
    case $language in
        cpp) test=(examples/cpp/test.sh) ;;
        dotnet) test=(bindings/csharp/test.sh dotnet) ;;
    esac
    "${within[@]}" "${test[@]}" >"$log" 2>&1 </dev/null
    code=$?
    version=$(grep -v '^skipped:' "$log" | grep -m 1 -oE '[0-9]+(\.[0-9]+)*[^ ",;)]*' | head -n 1)
    case $code in
        0) passed=$((passed + 1)) result="passed ($((SECONDS - start)) s)" ;;
        77) skipped=$((skipped + 1)) result=$(grep -m 1 '^skipped:' "$log" || echo 'skipped') ;;
        124) failed=$((failed + 1)) result="FAILED: not done after $((SECONDS - start)) s" ;;
        *) failed=$((failed + 1)) result="FAILED with exit code $code" ;;
    esac
    printf '%-10s %-16s %s\n' "$language" "${version:--}" "$result"
    case $result in FAILED*) tail -n 40 "$log" | sed 's/^/    | /' ;; esac
done
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
