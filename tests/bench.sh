#!/usr/bin/env bash
# The benches, briefly: every program of them runs; no number is judged.
set -u
cd "$(dirname "$0")/.."
[ "$(uname)" = Linux ] || { echo "skipped: the benches need Linux"; exit 77; }
for tool in cc python3; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
make --no-print-directory bench-quick || exit 1
# A section with a number in it has run; one of nothing else than "skipped" has not.
python3 - "${CARGO_TARGET_DIR:-target}/bench/results.json" <<'PYTHON'
import json
import sys

rows = json.load(open(sys.argv[1]))["rows"]
sections = {row["section"]: [other for other in rows if other["section"] == row["section"]] for row in rows}
passed = {name for name, rows in sections.items() if any(row["ours"] for row in rows)}
for name in sorted(set(sections) - passed):
    print(f"skipped: {name}: {sections[name][0]['skipped']}")
print(f"{len(passed)} passed, 0 failed, {len(sections) - len(passed)} skipped")
sys.exit(0 if passed else 77)
PYTHON
