#!/usr/bin/env bash
# Rules of the house that no compiler checks.
set -u
cd "$(dirname "$0")/.."
failed=0
complain() { echo "broken rule: $1"; failed=1; }

# `unsafe` only at the boundary, and in the one file of system calls.
found=$(git ls-files 'src/*.rs' | grep -vE '^src/(ffi/|host/sys/)' | xargs grep -nE '\bunsafe\b *(\{|fn|impl|extern)|allow\(unsafe' || true)
[ -z "$found" ] || complain "unsafe outside src/ffi/ and src/host/sys: $found"

# Only the transport knows ureq and TLS, only the store knows the disk.
found=$(git ls-files 'src/*.rs' | grep -v '^src/transport/' | xargs grep -nE '\b(ureq|rustls)::' || true)
[ -z "$found" ] || complain "HTTP or TLS outside src/transport/: $found"
found=$(git ls-files 'src/*.rs' | grep -vE '^src/(queue/store/|host/sys/files\.rs|transport/tls\.rs)' | xargs grep -nE 'std::fs\b|\bFile::open' || true)
[ -z "$found" ] || complain "the disk outside src/queue/store/: $found"

# Nothing of the library prints.
found=$(git ls-files 'src/*.rs' | xargs grep -nE '\b(e?println!|e?print!|dbg!)' | grep -v 'src/queue/store/tests' || true)
[ -z "$found" ] || complain "printing: $found"

# No path of this machine, no unfinished work.
found=$(git ls-files | grep -v '^Cargo.lock$' | xargs grep -nF -e "$PWD/" -e "$HOME/" 2>/dev/null || true)
[ -z "$found" ] || complain "a path of this machine: $found"
found=$(git ls-files 'src/*' 'examples/*' 'bindings/*' 'include/*' 'benches/*' | xargs grep -nE 'TODO|FIXME|XXX|unimplemented!|todo!\(' 2>/dev/null || true)
[ -z "$found" ] || complain "unfinished: $found"
exit $failed
