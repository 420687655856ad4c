#!/usr/bin/env bash
# Installs, and uses what was installed as a stranger does: programs in C and C++ outside the project, found by
# pkg-config and by CMake, shared and static, run against the sandbox. TROPHY_SANDBOX says which.
. "$(dirname "$0")/dist/checks.sh"
if [ "$(uname)" != Linux ]; then
    echo "skipped: it names the libraries as Linux does"
    exit 77
fi
make --no-print-directory ship || exit 1
install_in() { make --no-print-directory install "$@"; }

start_sandbox
unset CPATH LIBRARY_PATH LD_LIBRARY_PATH PKG_CONFIG_PATH

# A project of somebody else.
app=$work/app
mkdir "$app"
write_event_c "$app/event.c"
cat >"$app/event.cpp" <<'END'
#include <iostream>
#include <trophy.hpp>

int main() {
    const trophy::Client client;
    std::cout << trophy::version() << ' ' << client.event("words-written", "cpp", 1)->text() << '\n';
}
END
cat >"$app/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.16)
project(stranger C CXX)
set(CMAKE_CXX_STANDARD 17)
set(prefix "mine")
find_package(trophy ${WANTED} REQUIRED)
if(NOT prefix STREQUAL "mine")
  message(FATAL_ERROR "find_package changed a variable of ours")
endif()
find_package(trophy REQUIRED) # again does nothing
foreach(language c cpp)
  add_executable(shared-${language} event.${language})
  target_link_libraries(shared-${language} PRIVATE trophy::trophy)
  add_executable(static-${language} event.${language})
  target_link_libraries(static-${language} PRIVATE trophy::static)
endforeach()
END

needs() { readelf -d "$1" | grep -q 'NEEDED.*\[libtrophy.so.1\]'; }
needs_not() { ! needs "$1"; }

by_pkg_config() { # by_pkg_config WHAT PREFIX NEEDS FLAGS…: C and C++, built with these flags, run with PREFIX/lib
    local what=$1 prefix=$2 needs=$3 language compiler
    shift 3
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
    for language in c cpp; do
        case $language in c) compiler=${CC:-cc} ;; cpp) compiler="${CXX:-c++} -std=c++17" ;; esac
        rm -f "$app/event"
        # As a makefile has it: the shell reads what pkg-config prints, in which a space is escaped.
        check "$what: $language builds" \
            eval "$compiler -Wall -Wextra -Wpedantic -Werror '$app/event.$language' -o '$app/event' $(pkg-config "$@")"
        check "$what: $language links as asked" "$needs" "$app/event"
        check "$what: $language runs" env LD_LIBRARY_PATH="$prefix/lib" "$app/event"
    done
    unset PKG_CONFIG_PATH
}

by_cmake() { # by_cmake WHAT PREFIX
    local what=$1 prefix=$2 build=$work/build program
    rm -rf "$build"
    check "$what: CMake finds it" cmake -S "$app" -B "$build" -DCMAKE_PREFIX_PATH="$prefix" -DWANTED=1.0
    check "$what: CMake builds with it" cmake --build "$build"
    for program in shared-c shared-cpp static-c static-cpp; do
        case $program in
            shared*) check "$what: $program is linked so" needs "$build/$program" ;;
            static*) check "$what: $program is linked so" needs_not "$build/$program" ;;
        esac
        # The library's folder is in the program's run path.
        check "$what: $program runs" "$build/$program"
    done
    rm -rf "$build"
    check "$what: CMake refuses it as version 2" \
        refused cmake -S "$app" -B "$build" -DCMAKE_PREFIX_PATH="$prefix" -DWANTED=2.0
}

the_tool() { # the_tool WHAT PREFIX
    check "$1: the tool runs" "$2/bin/trophy" event words-written --user '{"id":"tool"}' --value 1
    check "$1: the tool's library is in it" needs_not "$2/bin/trophy"
    check "$1: the man page is the tool's" grep -q 'trophy\\-import' "$2/share/man/man1/trophy.1"
    check "$1: bash takes the completions" bash -n "$2/share/bash-completion/completions/trophy"
    check "$1: they complete the flags" grep -q -e --skip-invalid "$2/share/bash-completion/completions/trophy"
}

prefix="$work/first"
check "make install" install_in PREFIX="$prefix"
find "$prefix" ! -type d | sed "s|^$prefix/||" | sort >"$work/installed"
cat >"$work/expected" <<END
bin/trophy
include/trophy.h
include/trophy.hpp
lib/cmake/trophy/trophy-config-version.cmake
lib/cmake/trophy/trophy-config.cmake
lib/cmake/trophy/trophy-targets.cmake
lib/libtrophy.a
lib/libtrophy.so
lib/libtrophy.so.1
lib/libtrophy.so.$version
lib/pkgconfig/trophy-static.pc
lib/pkgconfig/trophy.pc
share/bash-completion/completions/trophy
share/fish/vendor_completions.d/trophy.fish
share/man/man1/trophy-call.1
share/man/man1/trophy-doctor.1
share/man/man1/trophy-enqueue.1
share/man/man1/trophy-event.1
share/man/man1/trophy-import.1
share/man/man1/trophy-operations.1
share/man/man1/trophy-queue-dead.1
share/man/man1/trophy-queue-flush.1
share/man/man1/trophy-queue-status.1
share/man/man1/trophy-queue.1
share/man/man1/trophy-tail.1
share/man/man1/trophy-webhook-verify.1
share/man/man1/trophy-webhook.1
share/man/man1/trophy.1
share/trophy/trophy.ps1
share/zsh/site-functions/_trophy
END
check "it installs what it says" diff "$work/expected" "$work/installed"
check "libtrophy.so names libtrophy.so.1" [ "$(readlink "$prefix/lib/libtrophy.so")" = libtrophy.so.1 ]
check "libtrophy.so.1 names the version" [ "$(readlink "$prefix/lib/libtrophy.so.1")" = "libtrophy.so.$version" ]
check "nothing names this checkout or the prefix" refused grep -rF -e "$PWD/" -e "$prefix" "$prefix"
check "all may read it" test -z "$(find "$prefix" ! -type l ! -perm -o=r)"

# From here on it is elsewhere: an installed tree may be moved.
mkdir "$work/a folder"
moved="$work/moved"
mv "$prefix" "$moved"
if have pkg-config; then
    check "pkg-config knows the version" \
        env PKG_CONFIG_PATH="$moved/lib/pkgconfig" pkg-config --exact-version "$version" trophy
    by_pkg_config "pkg-config" "$moved" needs --cflags --libs trophy
    by_pkg_config "pkg-config trophy-static" "$moved" needs_not --cflags --libs trophy-static
    cp -a "$moved" "$work/only-static"
    rm "$work/only-static/lib/"libtrophy.so*
    by_pkg_config "pkg-config --static" "$work/only-static" needs_not --static --cflags --libs trophy
else
    skip "no pkg-config"
fi
if have cmake; then
    by_cmake "CMake" "$moved"
    # As /lib is a link to /usr/lib on many systems.
    mkdir "$work/linked"
    ln -s "$moved/lib" "$work/linked/lib"
    check "CMake finds it through a link" \
        cmake -S "$app" -B "$work/build" -Dtrophy_DIR="$work/linked/lib/cmake/trophy" -DWANTED=1.0
    mv "$moved" "$work/a folder/moved"
    by_cmake "CMake, in a path with a space" "$work/a folder/moved"
    mv "$work/a folder/moved" "$moved"
else
    skip "no CMake"
fi
the_tool "install" "$moved"

spaced="$work/a folder/first"
check "make install, in a path with a space" install_in PREFIX="$spaced"
check "it installs the same there" \
    [ "$(find "$spaced" ! -type d | sed "s|^$spaced/||" | sort)" = "$(cat "$work/expected")" ]
mv "$spaced" "$work/a folder/then here"
if have pkg-config; then
    by_pkg_config "pkg-config, in a path with a space" "$work/a folder/then here" needs --cflags --libs trophy
    by_pkg_config "pkg-config trophy-static, in a path with a space" "$work/a folder/then here" needs_not \
        --cflags --libs trophy-static
fi

mv "$moved" "$prefix"
touch "$prefix/lib/libother.so"
check "make uninstall" make --no-print-directory uninstall PREFIX="$prefix"
check "it leaves nothing, and what is another's" \
    [ "$(find "$prefix" ! -type d)" = "$prefix/lib/libother.so" ]
check "no folder of its own is left" [ ! -e "$prefix/lib/cmake/trophy" ]

root=$work/root libdir=/usr/lib/somewhere
check "make install with DESTDIR" install_in DESTDIR="$root" PREFIX=/usr LIBDIR=$libdir
check "all is below DESTDIR" [ "$(ls "$root")" = usr ]
check "the library is in LIBDIR" [ -f "$root$libdir/libtrophy.so.1" ]
check "no file names DESTDIR" refused grep -rF "$root" "$root"
if have pkg-config; then
    got=$(PKG_CONFIG_PATH=$root$libdir/pkgconfig pkg-config --variable=prefix trophy)
    check "a deeper LIBDIR finds its prefix" [ "$(realpath "$got")" = "$root/usr" ]
    got=$(PKG_CONFIG_PATH=$root$libdir/pkgconfig pkg-config --variable=includedir trophy)
    check "and its headers" [ -f "$got/trophy.h" ]
fi
check "make uninstall with DESTDIR" make --no-print-directory uninstall DESTDIR="$root" PREFIX=/usr LIBDIR=$libdir
check "it leaves nothing" [ -z "$(find "$root" ! -type d)" ]

# The build for devices: the same functions, of which some say that they are not in it.
cat >"$app/small.c" <<'END'
#include <stdio.h>
#include <string.h>
#include <trophy.h>

static trophy_client *client = NULL;
static char *json = NULL;
static int wrong = 0;

static void refused(trophy_status status, trophy_status expected, const char *words) {
    int right = status == expected && json != NULL && strstr(json, words) != NULL;
    printf("%s %s\n", right ? "right" : "WRONG", json);
    wrong += !right;
    trophy_string_free(json);
}

static void done(trophy_status status) {
    printf("%s %s\n", status == TROPHY_STATUS_OK ? "right" : "WRONG", json);
    wrong += status != TROPHY_STATUS_OK;
    trophy_string_free(json);
}

int main(void) {
    trophy_status status = trophy_client_new("key.0123456789abcdef", "{\"proxy\":\"http://proxy:1\"}", &client, &json);
    refused(status, TROPHY_STATUS_INVALID_ARGUMENT, "`proxy`: this build of the library has no proxies");
    status = trophy_client_new("key.0123456789abcdef", "{\"tls_roots\":\"system\"}", &client, &json);
    refused(status, TROPHY_STATUS_INVALID_ARGUMENT, "`tls_roots`: \\\"system\\\": this build of the library does not read");
    status = trophy_client_new(NULL, NULL, &client, &json);
    done(status);
    status = trophy_call(client, TROPHY_OP_ADMIN_METRICS_LIST, NULL, &json);
    refused(status, TROPHY_STATUS_INVALID_ARGUMENT, "is not in this build");
    status = trophy_call(client, "no_such", NULL, &json);
    refused(status, TROPHY_STATUS_INVALID_ARGUMENT, "is none");
    status = trophy_call(client, TROPHY_OP_USERS_STREAK, "{\"id\":\"c\"}", &json);
    done(status);
    status = trophy_call(client, TROPHY_OP_ADMIN_METRICS_BATCH_EVENTS,
                         "{\"body\":[{\"user\":{\"id\":\"c\"},\"key\":\"words-written\",\"value\":1}]}", &json);
    done(status);
    trophy_client_free(client);
    /* HTTPS_PROXY is set, and not for loopback. */
    status = trophy_client_new("key.0123456789abcdef", "{\"base_url\":\"https://trophy.invalid/v1\",\"max_retries\":0}", &client, &json);
    done(status);
    status = trophy_call(client, TROPHY_OP_USERS_STREAK, "{\"id\":\"c\"}", &json);
    refused(status, TROPHY_STATUS_NETWORK, "HTTPS_PROXY: this build of the library has no proxies");
    trophy_client_free(client);
    return wrong;
}
END
small=$work/small whole="$work/a folder/then here"
check "make install SMALL=1" install_in SMALL=1 PREFIX="$small"
check "it installs the same, but for the tool" \
    [ "$(find "$small" ! -type d | sed "s|^$small/||" | sort)" = "$(grep -v -e '^bin/' -e '^share/' "$work/expected")" ]
full=$(stat -c %s "$whole/lib/libtrophy.so.$version") bytes=$(stat -c %s "$small/lib/libtrophy.so.$version")
echo "stripped: $bytes bytes, the full one $full"
check "it is smaller" [ "$bytes" -lt "$full" ]
functions() { nm -D --defined-only "$1/lib/libtrophy.so.$version" | awk '{print $3}' | sort; }
check "it has the same functions" [ "$(functions "$small")" = "$(functions "$whole")" ]
check "its header is the same" cmp "$small/include/trophy.h" "$whole/include/trophy.h"
check "its header is the one of the source" git diff --exit-code -- include/trophy.h
if have pkg-config; then
    by_pkg_config "small" "$small" needs --cflags --libs trophy
    export PKG_CONFIG_PATH=$small/lib/pkgconfig
    check "a program that asks for more builds" \
        eval "${CC:-cc} -Wall -Wextra -Werror '$app/small.c' -o '$app/small' $(pkg-config --cflags --libs trophy-static)"
    unset PKG_CONFIG_PATH
    check "it is told what is left out" env HTTPS_PROXY=http://proxy:1 "$app/small"
fi

total
