#!/usr/bin/env bash
# What a released version promised to those who built against it is still there; and the check can fail.
. "$(dirname "$0")/checks.sh"
python=$(python_with pycparser) || { echo "skipped: no pycparser (python3-pycparser)"; exit 77; }
[ "$(uname)" = Linux ] || { echo "skipped: it reads the symbols of an ELF library"; exit 77; }
make --no-print-directory ship-shared || exit 1
library=$(echo "$CARGO_TARGET_DIR"/ship/libtrophy.so.*)
major=${version%%.*}

still() { "$python" packaging/abi.py check "$@"; }

for released in packaging/abi/"$major".*.txt; do
    check "nothing of $released was taken away or changed" still "$released" include/trophy.h "$library"
done
newest=$(printf '%s\n' packaging/abi/"$major".*.txt | sort -V | tail -n 1)
check "every function of the header is exported, and the other way round" diff \
    <("$python" packaging/abi.py describe include/trophy.h "$library" | sed -n 's/^function: .*\b\(trophy_[a-z_]*\)(.*/\1/p' | sort) \
    <("$python" packaging/abi.py describe include/trophy.h "$library" | sed -n 's/^symbol: //p' | sort)

doctored() { # doctored WHAT SED-SCRIPT: with a header changed so, the check fails, and says which line
    sed "$2" include/trophy.h >"$work/trophy.h"
    check "$1: the header is another" refused cmp -s include/trophy.h "$work/trophy.h"
    check "$1: it is seen" refused still "$newest" "$work/trophy.h" "$library"
    check "$1: it is said" grep -q '^taken away or changed since' "$work/out"
}
doctored "a parameter of another type" 's/trophy_client_flush(const trophy_client \*client, int64_t/trophy_client_flush(const trophy_client *client, int32_t/'
doctored "a parameter more" 's/^void trophy_string_free(char \*/&extra, char */; s/trophy_string_free(char \*s/trophy_string_free(int extra, char *s/'
doctored "another result" 's/^\(TROPHY_API \)*size_t trophy_client_cancel/\1int trophy_client_cancel/; s/size_t trophy_client_cancel/int trophy_client_cancel/'
doctored "another number of a status" 's/TROPHY_STATUS_TLS = 12/TROPHY_STATUS_TLS = 14/'
doctored "a status taken away" '/TROPHY_STATUS_EXPIRED = 32,/d'
doctored "another value of a macro" 's/"users_streak"/"user_streak"/'
doctored "a callback with other parameters" 's/(\*trophy_ready_callback)(void \*user_data)/(*trophy_ready_callback)(int user_data)/'
doctored "a type of another size" 's/typedef int32_t trophy_status/typedef int64_t trophy_status/'
doctored "a function taken away" 's/trophy_version(void)/trophy_release(void)/'

# A library that lacks one, and one with more.
"$python" packaging/abi.py describe include/trophy.h "$library" | sed -n 's/^symbol: \(.*\)/void \1(void) {}/p' >"$work/all.c"
grep -v trophy_json_quote "$work/all.c" | ${CC:-cc} -shared -fPIC -o "$work/lacks.so" -x c -
check "a symbol that is not exported is seen" refused still "$newest" include/trophy.h "$work/lacks.so"
{ cat "$work/all.c"; echo 'void trophy_new_one(void) {}'; } | ${CC:-cc} -shared -fPIC -o "$work/more.so" -x c -
sed -e 's/^  TROPHY_STATUS_PANIC = 99,/&\n  TROPHY_STATUS_NEW = 100,/' \
    -e 's/^#define TROPHY_OP_USERS_STREAK .*/&\n#define TROPHY_OP_NEW_ONE "new_one"\nvoid trophy_new_one(void);/' include/trophy.h >"$work/trophy.h"
check "what is added passes" still "$newest" "$work/trophy.h" "$work/more.so"
check "and it was added" [ "$("$python" packaging/abi.py describe "$work/trophy.h" "$work/more.so" | grep -ciE 'new_one|STATUS_NEW')" = 4 ]
total
