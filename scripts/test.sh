#!/usr/bin/env bash
# Runs the tests, all or the groups named, and ends in a total: N passed, N failed, N skipped.
#
# A group is a function group_NAME of steps. A step is a command with a log of its own; how much it
# counts is read from what it printed: cargo's results, a line "N passed, N failed, N skipped", or
# else its exit code (77: skipped). A line "skipped: why" is a test that could not run.
#
# All groups run in two lanes side by side, since most wait for time, for disks, or for a linker that has one thread.
# What failed in either is told again at the end, for a reader who sees only the end. What hangs is ended, and has failed:
# each step after 45 minutes, all of them at TEST_UNTIL (seconds since 1970) if that is set.
set -u
cd "$(dirname "$0")/.."
logs=target/test-logs
mkdir -p "$logs"
[ -n "${TEST_TOTAL:-}" ] || rm -f "$logs/failures"
passed=0 failed=0 skipped=0
export RUST_BACKTRACE=0 CARGO_TERM_COLOR=never
# What scripts/built.sh makes.
export TROPHY_LIB_DIR=$PWD/target/built TROPHY_SANDBOX=$PWD/target/built/trophy-sandbox TROPHY_TOOL=$PWD/target/built/trophy

step() { # step NAME COMMAND…
    local name=$1 log="$logs/${1//[^a-zA-Z0-9]/-}.log" start=$SECONDS seconds=2700 left code p f s
    shift
    left=$((${TEST_UNTIL:-9999999999} - $(date +%s)))
    if [ "$left" -lt "$seconds" ]; then seconds=$left; fi
    if [ "$seconds" -le 0 ]; then
        echo "FAILED: not begun, since time is up" >"$log"
        code=124
    elif have timeout; then
        timeout -k 10 "$seconds" "$@" >"$log" 2>&1 </dev/null
        code=$?
        if [ "$code" = 124 ] || [ "$code" = 137 ]; then echo "FAILED: ended after $seconds s" >>"$log"; fi
    else
        "$@" >"$log" 2>&1 </dev/null
        code=$?
    fi
    read -r p f s < <(count "$log" "$code")
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    {
        printf '%-34s %4d passed, %d failed, %d skipped  (%d s)\n' "$name" "$p" "$f" "$s" $((SECONDS - start))
        grep '^skipped:' "$log" | sort -u | sed 's/^/    /' | head -20
        if [ "$f" -gt 0 ]; then
            what_failed "$log" 40
            tail -60 "$log" | sed 's/^/    | /'
        fi
    } | say
    if [ "$f" -gt 0 ]; then
        {
            echo "failed: $name (exit code $code)"
            what_failed "$log" 12
            tail -4 "$log" | cut -c1-300 | sed 's/^/    | /'
        } >>"$logs/failures"
    fi
}

what_failed() { # what_failed LOG LINES
    grep -anE 'FAIL|panicked|^error|: not true|not ok|failed: |  left:| right:' "$1" |
        head -"$2" | cut -c1-300 | sed 's/^/    /'
}

# Prints what it is given as one piece, so that the lanes do not mix.
say() {
    local text
    text=$(cat)
    if [ -z "$text" ]; then return; fi
    if have flock; then flock "$logs/lock" printf '%s\n' "$text"; else printf '%s\n' "$text"; fi
}

count() { # count LOG CODE
    awk -v code="$2" '
        /^test result: / {
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^passed/) p += $(i - 1)
                if ($i ~ /^failed/) f += $(i - 1)
            }
            seen = 1
        }
        /^([A-Za-z]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ {
            line = $0
            sub(/^[A-Za-z]+: /, "", line)
            split(line, n, /[^0-9]+/)
            p += n[1]; f += n[2]; s += n[3]; seen = 1; own = 1
        }
        /^skipped:/ { notes++ }
        END {
            if (!own && seen) { s += notes; p -= notes }
            if (!seen && code == 77) { s++; seen = 1; code = 0 }
            if (!seen && code == 0) { if (notes) s++; else p++ }
            if (code != 0 && !f) f++
            if (p < 0) p = 0
            print p + 0, f + 0, s + 0
        }' "$1"
}

have() { command -v "$1" >/dev/null 2>&1; }

skip() { # skip NAME WHY
    printf '%-34s %4d passed, %d failed, %d skipped\n    skipped: %s\n' "$1" 0 0 1 "$2" | say
    skipped=$((skipped + 1))
}

group_lint() {
    if cargo fmt --version >/dev/null 2>&1; then
        step "rustfmt" cargo fmt --all --check
    else
        skip "rustfmt" "rustfmt is not installed"
    fi
    if cargo clippy --version >/dev/null 2>&1; then
        step "clippy" cargo clippy --workspace --all-targets -- -D warnings
    else
        skip "clippy" "clippy is not installed"
    fi
    step "the rules of the source" bash scripts/rules.sh
}

group_rust() {
    step "build" cargo build --workspace --all-targets
    step "header is as generated" git diff --exit-code -- include/trophy.h
    step "unit tests" cargo test -p trophy --lib -- --show-output
    # The C and C++ suites have a group of their own, since they run in modes.
    for file in tests/*.rs; do
        file=$(basename "$file" .rs)
        case $file in c_api | cpp_api) ;;
        *) step "tests/$file" cargo test -p trophy --test "$file" -- --show-output ;;
        esac
    done
    step "sandbox" cargo test -p trophy-sandbox -- --show-output
    if [ -d examples/cli ]; then
        step "command-line tool" cargo test -p trophy-cli -- --show-output
    fi
}

group_c() {
    step "C" cargo test -p trophy --test c_api -- --show-output
    step "C, ASan and UBSan" env TROPHY_C_MODE=asan cargo test -p trophy --test c_api -- --show-output
    step "C++" cargo test -p trophy --test cpp_api -- --show-output
    step "C++, ASan and UBSan" env TROPHY_C_MODE=asan \
        cargo test -p trophy --test cpp_api -- --show-output --skip the_header::
    # Forks are not tried with ASan: where another thread allocates at that moment, its allocator
    # stays locked in the child (LLVM mended it in 2023, gcc 12 has it still).
    if have valgrind; then
        step "forks, Valgrind" env TROPHY_C_MODE=valgrind \
            cargo test -p trophy --test processes -- --show-output forked
        step "C, Valgrind" env TROPHY_C_MODE=valgrind cargo test -p trophy --test c_api -- --show-output
        step "C++, Valgrind" env TROPHY_C_MODE=valgrind \
            cargo test -p trophy --test cpp_api -- --show-output --skip the_header::
    else
        skip "C, C++ and forks, Valgrind" "valgrind is not installed"
    fi
}

# The wrapper of each language that is installed; `make test-languages` prints them as a table.
group_languages() {
    local test language languages=()
    for test in bindings/*/test.sh examples/cpp/test.sh; do languages+=("$(basename "$(dirname "$test")")"); done
    # dotnet: C# once more, on .NET.
    for language in "${languages[@]}" dotnet; do
        step "language $language" bash scripts/test-languages.sh "$language"
        # Its row of the table: the version, or why it was skipped.
        grep -a "^$language " "$logs/language-$language.log" | sed 's/^/    /' | say
    done
}

# The sandbox against the official SDKs, and against a minute of generated requests: `make schemathesis` has more.
group_sandbox() {
    step "official SDKs" bash tests/sdks.sh
    step "generated requests" bash tests/schemathesis.sh 60
}

# The sandbox's page, in Chromium.
group_page() {
    step "the page" bash tests/page.sh
}

group_demo() {
    step "demo" bash tests/demo.sh
    step "event loops" bash tests/loops.sh
}

group_docs() {
    step "docs" bash tests/docs.sh
}

# Broken on purpose, and shown to hold: a short time of each. Each fuzz target has eight seconds, since most of the time
# goes to building them. `make soak` takes an hour; `make fuzz`, `make test-tsan` and `make test-models` do more, too.
group_reliability() {
    step "fuzz targets" bash tests/fuzz.sh 8
    step "threads in many orders" bash tests/models.sh
    step "licences and sources" bash tests/deny.sh
    step "the long run sees what is broken" cargo test -p trophy-soak
    step "the long run, short" bash tests/soak.sh 20000 1 60 soak-short
    step "RELIABILITY.md is as its results say" python3 -B scripts/reliability.py check
}

group_artifact() {
    step "size and symbols" bash tests/artifact.sh
    step "install" bash tests/install.sh
    # Each runs once; nothing is judged.
    step "benches" bash tests/bench.sh
}

# They have the library that group_artifact built.
group_packages() {
    step "packages of the languages" bash tests/packages.sh
}

# What a release has, and how it installs. `make test-dist` tries it for every platform.
group_dist() {
    step "versions" bash tests/dist/versions.sh
    step "licences" bash tests/dist/notices.sh
    step "ABI" bash tests/dist/abi.sh
    step "archives" bash tests/dist/archives.sh
    step "Debian packages" bash tests/dist/deb.sh
    step "CMake, from source" bash tests/dist/cmake.sh
    step "Conan" bash tests/dist/conan.sh
}

# Other machines: what of `make test-platforms` takes minutes.
group_platforms() {
    step "platforms" env TROPHY_PLATFORMS_QUICK=1 bash scripts/platforms/test.sh
    # Its table.
    grep -E ' passed +[0-9]+ failed' "$logs/platforms.log" | sed 's/^/    /' | say
}

# What installs packages is in the second.
lanes=("lint rust c sandbox page demo docs reliability" "artifact packages dist languages platforms")

if [ -z "${TEST_TOTAL:-}" ]; then step "what the tests share" bash scripts/built.sh; fi
if [ $# -gt 0 ]; then
    for group in "$@"; do
        "group_$group"
    done
else
    for lane in 0 1; do
        rm -f "$logs/total-$lane"
        # shellcheck disable=SC2086
        TEST_TOTAL="$logs/total-$lane" bash scripts/test.sh ${lanes[lane]} &
    done
    wait
    for lane in 0 1; do
        read -r p f s <"$logs/total-$lane" || read -r p f s <<<"0 1 0"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    done
fi

if [ -n "${TEST_TOTAL:-}" ]; then
    echo "$passed $failed $skipped" >"$TEST_TOTAL"
else
    echo
    if [ -e "$logs/failures" ]; then cat "$logs/failures"; fi
    echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ]
