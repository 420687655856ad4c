#!/bin/sh
# Installs PHP's command line, which has FFI in it.
set -eu
command -v php >/dev/null 2>&1 || apt-get install -y --no-install-recommends php-cli
