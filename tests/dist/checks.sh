# Sourced by the tests beside it and by those of the packages: checks that are counted, a folder that goes, the sandbox.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/debian.sh
export CARGO_TARGET_DIR; CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
PATH=$PATH:$CARGO_TARGET_DIR/dist/tools/bin
work=$(mktemp -d)
trap 'exec 9>&-; rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
passed=0 failed=0 skipped=0

# What a failed command printed is shown; the next check finds what this one printed in $work/out.
check() { # check WHAT COMMAND…
    local what=$1
    shift
    if [ -e "$work/now" ]; then mv "$work/now" "$work/out"; fi
    if "$@" >"$work/now" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok      $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
        tail -60 "$work/now" | sed 's/^/        /'
        return 1
    fi
}
refused() { ! "$@"; }
skip() { # skip WHY: one thing that could not be tried
    skipped=$((skipped + 1))
    echo "skipped: $1"
}
have() { command -v "$1" >/dev/null 2>&1; }
total() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

# A Python that has this module: the one in PATH, or the system's, for which apt-get installs.
python_with() { # python_with MODULE
    local python
    for python in python3 /usr/bin/python3; do
        "$python" -c "import $1" 2>/dev/null && echo "$python" && return
    done
    return 1
}

# Starts a sandbox that ends with this script, and sets the variables that name it. TROPHY_SANDBOX says which.
start_sandbox() {
    local sandbox=${TROPHY_SANDBOX:-$CARGO_TARGET_DIR/debug/trophy-sandbox} pid
    [ -x "$sandbox" ] || cargo build -q -p trophy-sandbox || exit 1
    mkfifo "$work/stdin"
    "$sandbox" --port 0 --ready-file "$work/ready" --exit-with-stdin <"$work/stdin" >"$work/sandbox.log" 2>&1 &
    pid=$!
    exec 9>"$work/stdin"
    until [ -f "$work/ready" ]; do
        kill -0 "$pid" 2>/dev/null || { cat "$work/sandbox.log"; echo "FAILED: the sandbox did not start"; exit 1; }
        sleep 0.05
    done
    TROPHY_BASE_URL=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/ready")
    TROPHY_ADMIN_BASE_URL=$(sed -n 's/.*"adminUrl":"\([^"]*\)".*/\1/p' "$work/ready")
    TROPHY_API_KEY=sandbox_admin.open-sesame
    export TROPHY_BASE_URL TROPHY_ADMIN_BASE_URL TROPHY_API_KEY
}

# The program of a stranger, in C: it sends one event.
write_event_c() { # write_event_c FILE
    cat >"$1" <<'END'
#include <stdio.h>
#include <trophy.h>

int main(void) {
    trophy_client *client = NULL;
    char *json = NULL;
    trophy_status status = trophy_client_new(NULL, NULL, &client, &json);
    if (status == TROPHY_STATUS_OK) {
        trophy_string_free(json);
        status = trophy_metrics_event(client, "words-written", "{\"id\": \"c\"}", 1, NULL, NULL, NULL, &json);
    }
    printf("%s %s %s\n", trophy_version(), trophy_status_name(status), json);
    trophy_string_free(json);
    trophy_client_free(client);
    return status == TROPHY_STATUS_OK ? 0 : 1;
}
END
}

inside() { # inside COMMAND: in the Debian in $root, with the sandbox
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive TROPHY_API_KEY="$TROPHY_API_KEY" \
        TROPHY_BASE_URL="$TROPHY_BASE_URL" TROPHY_ADMIN_BASE_URL="$TROPHY_ADMIN_BASE_URL" chroot "$root" sh -ec "$1"
}
