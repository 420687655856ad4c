#!/usr/bin/env bash
# Prints the folder of a .NET runtime: scripts/dotnet.sh linux, for this machine, or scripts/dotnet.sh windows, for Wine.
# It is Microsoft's .NET Core 3.1.23 for x86-64, without an SDK, from PyPI's package dotnetcore2: a newer one is in no place
# that the tools of this project come from. Exits 77 with `skipped: why` where it cannot be had.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${CARGO_TARGET_DIR:-target}/dotnet"
keep=$(cd "${CARGO_TARGET_DIR:-target}/dotnet" && pwd)

skip() {
    echo "skipped: no .NET: $1"
    exit 77
}

case $1 in
    linux)
        [ "$(uname -sm)" = "Linux x86_64" ] && getconf GNU_LIBC_VERSION >/dev/null 2>&1 || skip "PyPI has it for x86-64 and glibc"
        platform=manylinux1_x86_64 sum=5f076ddc39da0c685e7de20ecb91ee81185928918ec86fbeb3bffc55dd867ab5
        ;;
    windows) platform=win_amd64 sum=e2528813677d7a080522336cb530442408d1e2aea76fa8657018fb532c03c252 ;;
    *) echo "scripts/dotnet.sh linux | windows" >&2; exit 2 ;;
esac

exec 9>"$keep/lock"
flock 9
if [ ! -d "$keep/$1" ]; then
    part=$keep/$1.part
    rm -rf "$part"
    python3 -m venv "$part/venv" >&2 || skip "python3 has no venv"
    echo "dotnetcore2==3.1.23 --hash=sha256:$sum" >"$part/requirements"
    "$part/venv/bin/pip" download -q --disable-pip-version-check --no-deps --only-binary=:all: --platform "$platform" --require-hashes \
        -r "$part/requirements" -d "$part" >&2 || skip "pip cannot download dotnetcore2"
    python3 -m zipfile -e "$part"/*.whl "$part"
    chmod +x "$part"/dotnetcore2/bin/dotnet*
    mv "$part/dotnetcore2/bin" "$keep/$1"
    rm -rf "$part"
fi
echo "$keep/$1"
