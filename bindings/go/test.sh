#!/bin/sh
# Vets and tests the Go wrapper against the sandbox: exit 0 passed, 77 skipped, else failed.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
debug=${CARGO_TARGET_DIR:-$root/target}/debug
lib_dir=${TROPHY_LIB_DIR:-$debug}
export TROPHY_SANDBOX="${TROPHY_SANDBOX:-$debug/trophy-sandbox}"

if ! command -v go >/dev/null 2>&1; then
    echo "skipped: go is not installed"
    exit 77
fi
if ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null 2>&1; then
    echo "skipped: cgo needs a C compiler"
    exit 77
fi
go version

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A build of cargo has no file of the name that programs load at run time.
for name in libtrophy.so libtrophy.so.1; do
    if [ -e "$lib_dir/libtrophy.so" ]; then ln -s "$lib_dir/libtrophy.so" "$work/$name"; fi
done
export LD_LIBRARY_PATH="$work" DYLD_LIBRARY_PATH="$lib_dir"
export CGO_ENABLED=1 CGO_CFLAGS="-I$root/include -O1 -g -Wall -Werror" CGO_LDFLAGS="-L$lib_dir"
# There is nothing to fetch.
export GOPROXY=off GOTOOLCHAIN=local GOFLAGS=-mod=mod

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
    echo "gofmt would change: $unformatted"
    exit 1
fi
go vet -tags trophy_folder ./...
race=
case $(go env GOARCH) in amd64 | arm64 | ppc64le) race=-race ;; esac
go test -tags trophy_folder $race -count=1 .

# The program, with the library in it, as a service is often deployed.
# shows: example
run_example() {
    go build "$@" -o "$work/example" ./example
    # The sandbox ends with its stdin, the fifo.
    mkfifo "$work/stdin"
    "$TROPHY_SANDBOX" --port 0 --exit-with-stdin --ready-file "$work/ready" <"$work/stdin" >"$work/log" 2>&1 &
    sandbox=$!
    exec 3>"$work/stdin"
    until [ -e "$work/ready" ]; do
        kill -0 "$sandbox"
        sleep 0.05
    done
    env TROPHY_API_KEY=sandbox_admin.open-sesame \
        TROPHY_BASE_URL="$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/ready")" \
        TROPHY_ADMIN_BASE_URL="$(sed -n 's/.*"adminUrl":"\([^"]*\)".*/\1/p' "$work/ready")" \
        "$work/example" | tee "$work/output"
    exec 3>&-
    wait "$sandbox"
    rm "$work/stdin" "$work/ready"
    grep -qx "total 750" "$work/output"
    grep -qx "streak 1" "$work/output"
}
run_example -tags trophy_folder
if [ -e "$lib_dir/libtrophy.a" ] && pkg-config --version >/dev/null 2>&1 && [ "$(go env GOOS)" = linux ]; then
    sed -e "s|@PREFIX@|$root|; s|@LIBDIR@|$lib_dir|; s|@INCLUDEDIR@|$root/include|; s|@VERSION@|1|" \
        -e "s|@NATIVE_LIBS@|-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc|" \
        -e "s|@STATIC@|libtrophy.a|" \
        "$root/packaging/trophy-static.pc.in" >"$work/trophy-static.pc"
    export PKG_CONFIG_PATH="$work"
    CGO_LDFLAGS='' LD_LIBRARY_PATH='' run_example -tags trophy_static
fi
echo passed
