#!/bin/sh
# Installs LuaJIT.
set -eu
command -v luajit >/dev/null 2>&1 || apt-get install -y --no-install-recommends luajit
