#!/bin/sh
# Installs Node, and what the Node wrapper's test needs from npm.
set -eu
cd "$(dirname "$0")/../../bindings/node"
command -v npm >/dev/null 2>&1 || apt-get install -y --no-install-recommends nodejs npm
[ -d node_modules/koffi ] || npm ci --silent --no-audit --no-fund
