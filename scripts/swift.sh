#!/bin/sh
# Runs a command in a Debian 13, whose packages have a Swift: a chroot, made once and kept.
#
#   scripts/swift.sh lib=/usr/local/lib -- ls /trophy/lib
#
# What is named before the -- is there below /trophy, read-only. Exits 77 with `skipped: why` where no such chroot
# can be made. TROPHY_SWIFT_ROOT says where it is kept, if not in the build folder: 3.2 GB.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
root=${TROPHY_SWIFT_ROOT:-${CARGO_TARGET_DIR:-$project/target}/swift/trixie}
needed_kb=5000000

skip() {
    echo "skipped: no Swift 6 on PATH, and no Debian 13 to run one in: $1"
    exit 77
}

. "$project/scripts/debian.sh"

is_made() {
    chroot "$root" test -x /usr/bin/swift 2>/dev/null
}

make_root() {
    command -v debootstrap >/dev/null 2>&1 || skip "debootstrap is not installed"
    # A folder that somebody named and that holds something else is not ours to remove.
    if [ -e "$root" ] && [ -n "${TROPHY_SWIFT_ROOT:-}" ] && [ ! -e "$root/trophy" ] && ! rmdir "$root" 2>/dev/null; then
        skip "TROPHY_SWIFT_ROOT=$root holds something else"
    fi
    from=$(mirror)
    [ -n "$from" ] || skip "the sources of apt name no mirror of Debian"
    rm -rf --one-file-system "$root" "$root.part"
    free_kb=$(df -Pk "$(dirname "$root")" | awk 'NR == 2 { print $4 }')
    [ "$free_kb" -ge "$needed_kb" ] || skip "$((needed_kb / 1000)) MB of disk are needed, $((free_kb / 1000)) are free"
    use_proxy_of_apt "$from"
    echo "making a Debian chroot with Swift in it: a large download, some minutes" >&2
    # It gets its name when it is whole: one that was interrupted is a .part, which is made anew.
    if ! debootstrap --variant=minbase --include=swiftlang,libc6-dev trixie "$root.part" "$from" >"$root.log" 2>&1; then
        rm -rf --one-file-system "$root.part"
        skip "debootstrap failed: $(tail -n 1 "$root.log") (all of it: $root.log)"
    fi
    rm -rf "$root.part"/var/cache/apt/archives/*.deb
    mkdir "$root.part/trophy"
    mv "$root.part" "$root"
}

if [ "$1" != --in-own-namespace ]; then
    [ "$(id -u)" = 0 ] || skip "that takes root"
    unshare --mount mount -t proc proc /mnt 2>/dev/null || skip "root may not mount here"
    # What is mounted below is seen by this process and its children only, and gone with them, however they end.
    exec unshare --mount --propagation private sh "$0" --in-own-namespace "$@"
fi
shift

mkdir -p "$(dirname "$root")"
# Held also by what an interrupted run has left running, so that nobody builds where it still writes.
exec 9>"$root.lock"
flock 9
is_made || make_root
exec 9>&-

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    from=${1#*=} to=$root/trophy/${1%%=*}
    if [ -d "$from" ]; then mkdir -p "$to"; else : >>"$to"; fi
    mount -o bind,ro "$from" "$to"
    shift
done
shift
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot "$root" "$@"
