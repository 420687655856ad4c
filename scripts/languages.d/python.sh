#!/bin/sh
# Installs what the Python wrapper's test needs, and the type checker it uses where there is one.
set -eu
command -v python3 >/dev/null || apt-get install -y --no-install-recommends python3
python3 -m mypy --version >/dev/null 2>&1 || {
    python3 -m pip --version >/dev/null 2>&1 || apt-get install -y --no-install-recommends python3-pip
    # A system Python that pip may not write to (PEP 668) tests without it.
    python3 -m pip install --quiet mypy || echo "mypy not installed: the test runs without it"
}
