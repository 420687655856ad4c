#!/bin/sh
# Installs Go, and the C compiler and pkg-config that cgo needs.
set -eu
command -v go >/dev/null 2>&1 || apt-get install -y --no-install-recommends golang-go
command -v cc >/dev/null 2>&1 || apt-get install -y --no-install-recommends gcc libc6-dev
command -v pkg-config >/dev/null 2>&1 || apt-get install -y --no-install-recommends pkg-config
