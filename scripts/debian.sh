# What scripts that fetch from Debian, or from another release of it, have in common; to be sourced.

# Where apt gets Debian from on this machine; before its first update, where by its name it would.
mirror() {
    uri=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian|Debian|//p' | head -n 1)
    [ -n "$uri" ] || uri=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 2>/dev/null |
        grep -m 1 '/debian\(\.list\)\?/*$') || true
    uri=${uri%/}
    case $uri in
        # A list of mirrors, as Debian's cloud images have it.
        mirror+file:*) grep -m 1 -o '^http[^[:space:]]*' "${uri#mirror+file:}" || true ;;
        *) echo "$uri" ;;
    esac
}

# apt's proxy, for debootstrap, which fetches without apt. An environment that has one already keeps it.
use_proxy_of_apt() {
    proxy=
    eval "$(apt-config shell proxy "Acquire::${1%%:*}::Proxy" 2>/dev/null)"
    case $proxy in '' | DIRECT) return ;; esac
    export "http_proxy=${http_proxy:-$proxy}" "https_proxy=${https_proxy:-$proxy}"
}

# Installs packages of this machine's own release; false where that cannot be.
install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    for try in 1 2; do
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 && return
        # The lists may be old, or not there yet.
        [ "$try" = 2 ] || apt-get update -qq >&2
    done
    return 1
}

# A clean Debian of that release, with these packages, in a folder; prints why not, if not. Its archive is kept.
debian_root() { # debian_root RELEASE PACKAGES FOLDER
    base=$PWD/target/debian/$1.tar
    [ -z "${CARGO_TARGET_DIR:-}" ] || base=$CARGO_TARGET_DIR/debian/$1.tar
    [ "$(id -u)" = 0 ] || { echo "a chroot takes root"; return; }
    if [ ! -f "$base" ]; then
        command -v debootstrap >/dev/null 2>&1 || { echo "no debootstrap"; return; }
        from=$(mirror)
        [ -n "$from" ] || { echo "the sources of apt name no mirror of Debian"; return; }
        use_proxy_of_apt "$from"
        rm -rf --one-file-system "$base.root"
        mkdir -p "$base.root"
        if ! debootstrap --variant=minbase --include="$2" "$1" "$base.root" "$from" >"$base.log" 2>&1; then
            echo "debootstrap failed: $(tail -n 1 "$base.log") (all of it: $base.log)"
            return
        fi
        rm -rf "$base.root"/var/cache/apt/archives/*.deb
        tar -C "$base.root" -cf "$base.part" . && mv "$base.part" "$base"
        rm -rf --one-file-system "$base.root"
    fi
    mkdir -p "$3" && tar -C "$3" -xpf "$base" || echo "it does not unpack"
}
