#!/usr/bin/env bash
# The Debian packages: lintian has nothing grave to say; in a clean Debian 12 they install with apt, a program is compiled
# with gcc and pkg-config and nothing else, it and the tool run, and nothing is left when they are removed.
. "$(dirname "$0")/checks.sh"
for tool in dpkg-buildpackage dh; do have $tool || { echo "skipped: no $tool"; exit 77; }; done
make --no-print-directory ship || exit 1
check "make deb" make --no-print-directory deb DIST="$work/deb" || { total; exit; }
version=$version arch=$(dpkg --print-architecture)
packages=(libtrophy1 libtrophy-dev trophy-cli)
check "there are three, no more" [ "$(ls "$work/deb" | sort | paste -sd ' ')" = \
    "$(printf "%s_${version}_$arch.deb\n" "${packages[@]}" | sort | paste -sd ' ')" ]
check "make deb again" make --no-print-directory deb DIST="$work/again"
check "it makes the same bytes" diff -r "$work/deb" "$work/again"

control="$work/control"
dpkg-deb -e "$work/deb/libtrophy1_${version}_$arch.deb" "$control"
check "shlibs: who links with libtrophy.so.1 needs libtrophy1" grep -q '^libtrophy 1 libtrophy1' "$control/shlibs"
check "symbols: all that the library exports" [ "$(grep -c '@Base' "$control/symbols")" = \
    "$(nm -D --defined-only "$CARGO_TARGET_DIR/ship/libtrophy.so.$version" | wc -l)" ]
check "ldconfig is run" grep -q ldconfig "$control/triggers"
check "the notices of what is linked in are there" grep -q '/usr/share/doc/libtrophy1/THIRD-PARTY-NOTICES' \
    <(dpkg-deb -c "$work/deb/libtrophy1_${version}_$arch.deb")
if have lintian; then
    # No bug of Debian's tracker asks for it, and the crates have the code that it takes for copies.
    check "lintian has nothing grave to say" lintian --fail-on error --suppress-tags \
        initial-upload-closes-no-bugs,embedded-library --allow-root "$work"/deb/*.deb
else
    skip "no lintian"
fi

root=$work/root
why=$(debian_root bookworm gcc,libc6-dev,pkg-config "$root")
if [ -n "$why" ]; then
    skip "no clean Debian to install in: $why"
    total
    exit
fi
start_sandbox
cp "$work"/deb/*.deb "$root/tmp/"
write_event_c "$root/tmp/event.c"
# All that is there, but for logs, caches and the word of what was done.
files() { (cd "$root" && find . \( -path ./tmp -o -path ./var/log -o -path ./var/cache -o -path ./etc/ld.so.cache -o -path './var/lib/dpkg/*-old' \
    -o -path ./var/lib/apt \) -prune -o -print | sort); }
files >"$work/before"
check "apt installs them" inside "apt-get install -y --no-install-recommends ./tmp/*.deb"
check "a program is compiled with gcc and pkg-config" inside "gcc -Wall -Werror tmp/event.c -o tmp/event \$(pkg-config --cflags --libs trophy)"
check "it runs" inside "tmp/event"
check "it is this version" grep -q "^$version ok" "$work/out"
check "and with the static library" inside "gcc tmp/event.c -o tmp/event \$(pkg-config --cflags --libs trophy-static) && tmp/event"
check "the tool sends an event" inside "trophy event words-written --user '{\"id\":\"deb\"}' --value 1"
check "its man page and completions are there" inside "test -f /usr/share/man/man1/trophy.1.gz -a -f /usr/share/bash-completion/completions/trophy"
check "dpkg finds every file as it was packed" [ -z "$(inside "dpkg --verify ${packages[*]}")" ]
check "apt removes them" inside "apt-get purge -y ${packages[*]}"
files >"$work/after"
check "nothing is left" diff "$work/before" "$work/after"
total
