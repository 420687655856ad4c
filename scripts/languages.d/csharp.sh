#!/bin/sh
# Installs Mono and its C# compiler.
set -eu
command -v mcs >/dev/null 2>&1 && command -v mono >/dev/null 2>&1 ||
	apt-get install -y --no-install-recommends mono-mcs mono-runtime
