#!/usr/bin/env bash
# Installs what the tests use beyond Rust, a C compiler and Python, on Debian 12. Again does nothing.
# What cannot be had is left out: the tests that need it say so.
set -u
cd "$(dirname "$0")/.."

packages=(g++ clang make pkg-config cmake valgrind strace binutils curl debootstrap
    libcurl4-openssl-dev libsqlite3-dev libuv1-dev libglib2.0-dev libsdl2-dev doxygen graphviz python3-venv chromium fonts-dejavu-core
    debhelper dpkg-dev lintian ninja-build python3-pycparser)
missing=()
for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
        for package in "${missing[@]}"; do
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends "$package" ||
                echo "not installed: $package"
        done
fi

rustup component add rustfmt clippy >/dev/null 2>&1 || true

for script in scripts/languages.d/*.sh scripts/dist/install-tools.sh; do
    [ -e "$script" ] || continue
    bash "$script" || echo "not installed: what $script installs"
done
exit 0
