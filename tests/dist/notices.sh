#!/usr/bin/env bash
# The licences: the project's own, and the notices of what is linked in, which are up to date; the check can fail.
. "$(dirname "$0")/checks.sh"
for package in trophy trophy-cli trophy-sandbox; do
    check "$package is MIT OR Apache-2.0" grep -q "\"license\":\"MIT OR Apache-2.0\"" \
        <(cargo metadata --no-deps --format-version 1 --locked | tr '{' '\n' | grep "\"name\":\"$package\",\"version\"")
done
for file in LICENSE-MIT LICENSE-APACHE; do check "$file is there" [ -s $file ]; done
check "THIRD-PARTY-NOTICES.txt is up to date" python3 packaging/notices.py --check
sed '0,/^  serde /d' THIRD-PARTY-NOTICES.txt >"$work/old"
check "one that lacks a crate is not" refused python3 packaging/notices.py --check "$work/old"
check "and says what writes it" grep -q 'packaging/notices.py' "$work/out"
total
