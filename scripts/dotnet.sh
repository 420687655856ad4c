#!/usr/bin/env bash
# Prints the folder of a .NET runtime: scripts/dotnet.sh linux, for this machine, or scripts/dotnet.sh windows, for Wine.
# It is Microsoft's for x86-64, without an SDK: for Linux .NET 9.0.5, which npm's package @azure/mcp-linux-x64 has for a
# program of its own; for Windows, and where there is no npm, .NET Core 3.1.23 from PyPI's package dotnetcore2. Newer ones
# are in npm and PyPI in programs of a single file, which run nothing else. Exits 77 with `skipped: why` where it cannot be
# had.
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

# The runtime of a program that brings its own, in the folder $1: laid out as the command `dotnet` looks for it. That is
# not in it, but that of $2 does, since it only loads libhostfxr.so, which is newer.
from_npm() { # from_npm FOLDER OLDER
    local version=9.0.5 sum=b003275259d7d414908416cd0fbbeef30b22c3c8a431c33a49bc4fe668072ba95655882fede52389288bc433e672e6d28b55c7ee9eb42b87b3d312f9a1b8a200
    mkdir -p "$1/host/fxr/$version"
    (cd "$1" && timeout 300 npm pack --silent --fetch-retries=1 @azure/mcp-linux-x64@0.5.0 >/dev/null) || return
    echo "$sum  $1/azure-mcp-linux-x64-0.5.0.tgz" | sha512sum --check --quiet || return
    tar -C "$1" -xzf "$1/azure-mcp-linux-x64-0.5.0.tgz" || return
    python3 - "$1/package/dist" "$1/shared/Microsoft.NETCore.App/$version" <<'END' || return
import json, os, sys

program, runtime = sys.argv[1:]
with open(program + "/azmcp.deps.json") as file:
    depends = json.load(file)
target = depends["runtimeTarget"]["name"]
(name, files), = (it for it in depends["targets"][target].items() if it[0].startswith("runtimepack.Microsoft.NETCore.App."))
# The program has one file of the runtime's in a later version.
files["runtime"]["System.Formats.Asn1.dll"] = {}
os.makedirs(runtime)
for file in [*files["runtime"], *files["native"]]:
    os.rename(f"{program}/{file}", f"{runtime}/{file}")
depends["targets"] = {target: {name: files}}
depends["libraries"] = {name: depends["libraries"][name]}
with open(runtime + "/Microsoft.NETCore.App.deps.json", "w") as file:
    json.dump(depends, file)
END
    mv "$1/shared/Microsoft.NETCore.App/$version/libhostfxr.so" "$1/host/fxr/$version/" || return
    cp "$2/dotnet" "$1/" || return
    rm -r "$1/package" "$1"/*.tgz
}

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
if [ "$1" = linux ]; then
    newer=$keep/linux-9
    if [ ! -d "$newer" ] && command -v npm >/dev/null 2>&1; then
        rm -rf "$newer.part"
        if from_npm "$newer.part" "$keep/linux" >&2; then mv "$newer.part" "$newer"; fi
    fi
    if [ -d "$newer" ]; then
        echo "$newer"
        exit
    fi
fi
echo "$keep/$1"
