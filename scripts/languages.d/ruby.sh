#!/bin/sh
# Installs Ruby with the ffi gem, and minitest, which most Rubies bring with them.
set -eu
command -v ruby >/dev/null 2>&1 || apt-get install -y --no-install-recommends ruby
ruby -e 'require "ffi"' 2>/dev/null || apt-get install -y --no-install-recommends ruby-ffi
ruby -e 'require "minitest"' 2>/dev/null || apt-get install -y --no-install-recommends ruby-minitest
