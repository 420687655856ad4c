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
found=$(git ls-files 'src/*.rs' | grep -vE '^src/(queue/store/|host/sys/files/|transport/tls\.rs)' | xargs grep -nE 'std::fs\b|\bFile::open' || true)
[ -z "$found" ] || complain "the disk outside src/queue/store/: $found"

# Nothing of the library prints.
found=$(git ls-files 'src/*.rs' | xargs grep -nE '\b(e?println!|e?print!|dbg!)' | grep -v 'src/queue/store/tests' || true)
[ -z "$found" ] || complain "printing: $found"

# What the fuzz targets and the stress program declare of the C API is what the header has, and the targets call all of it.
functions() { sed 's|^ \*.*||' include/trophy.h | grep -oE '\btrophy_[a-z_]+\(' | tr -d '(' | sort -u; }
for file in fuzz/src/c_api.rs fuzz/targets/*.rs; do [ -f "$file" ] || complain "no $file"; done
found=$(comm -23 <(functions) <(cat fuzz/src/lib.rs fuzz/targets/*.rs | grep -oE '\btrophy_[a-z_]+\b' | sort -u))
[ -z "$found" ] || complain "exported, and called by no fuzz target: $found"
found=$(comm -3 <(functions) <(grep -oE 'fn trophy_[a-z_]+' fuzz/src/c_api.rs | sed 's/fn //' | sort -u))
[ -z "$found" ] || complain "include/trophy.h and fuzz/src/c_api.rs differ in $found"

# What docs/security.md names as shown by a test is one, or a file.
for name in $(grep -E '^\|' docs/security.md | sed 's/.*|\([^|]*\)|$/\1/' | grep -oE '`[a-z_/.]+`' | tr -d '\140'); do
    case $name in
    */*) [ -e "$name" ] || complain "docs/security.md: no file $name" ;;
    *) git grep -qE "fn $name\(" -- src tests || complain "docs/security.md: no test $name" ;;
    esac
done

# No path of this machine, no unfinished work.
found=$(git ls-files | grep -v '^Cargo.lock$' | xargs grep -nF -e "$PWD/" -e "$HOME/" 2>/dev/null || true)
[ -z "$found" ] || complain "a path of this machine: $found"
found=$(git ls-files 'src/*' 'examples/*' 'bindings/*' 'include/*' 'benches/*' | xargs grep -nE 'TODO|FIXME|XXX|unimplemented!|todo!\(' 2>/dev/null || true)
[ -z "$found" ] || complain "unfinished: $found"
exit $failed
