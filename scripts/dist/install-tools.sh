#!/usr/bin/env bash
# Installs what `make dist` and its tests use, in target/dist/tools: Conan and cargo-cyclonedx, and with TROPHY_DIST_ALL=1
# what runs programs of other platforms. scripts/install-tools.sh runs it.
set -u
cd "$(dirname "$0")/../.."
tools=${CARGO_TARGET_DIR:-target}/dist/tools
if [ -n "${TROPHY_DIST_ALL:-}" ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf musl-tools qemu-user wine64 ||
        echo "not installed: what programs of other platforms are run with"
fi
[ -x "$tools/bin/python3" ] || python3 -m venv "$tools" || exit 1
"$tools/bin/pip" install -q conan
# Without optimisation: it runs a second.
command -v cargo-cyclonedx >/dev/null || [ -x "$tools/bin/cargo-cyclonedx" ] ||
    cargo install -q cargo-cyclonedx --version 0.5.9 --locked --debug --root "$tools" --target-dir "$tools/build"
rm -rf "$tools/build"
