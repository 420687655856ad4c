#!/bin/sh
# one-object.sh IN OUT: makes of rustc's static library one of a single object, with all there is and nothing global but
# trophy_*: a host that has a ring, a zlib or a Rust library of its own does not meet ours. For ELF. NM, LD, OBJCOPY and
# AR name the binutils.
set -eu
in=$1 out=$2
${NM:-nm} -g --defined-only "$in" 2>/dev/null | sed -n 's/.* T \(trophy_.*\)/-u \1/p' >"$out.roots"
${LD:-ld} -r --gc-sections --force-group-allocation "@$out.roots" -o "$out.o" "$in"
${OBJCOPY:-objcopy} --wildcard --keep-global-symbol='trophy_*' --strip-unneeded \
    --remove-section=.llvmbc --remove-section=.llvmcmd "$out.o"
rm -f "$out"
# The object's name in the archive is its file's.
mv "$out.o" "${out%.a}.o"
${AR:-ar} rcsD "$out" "${out%.a}.o"
rm -f "$out.roots" "${out%.a}.o"
