#!/usr/bin/env bash
# The benches, briefly: every program of them runs, and every plot is drawn; no number is judged.
set -u
cd "$(dirname "$0")/.."
[ "$(uname)" = Linux ] || { echo "skipped: the benches need Linux"; exit 77; }
for tool in cc python3; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
bench=${CARGO_TARGET_DIR:-target}/bench
bash benches/rust_peers.sh "$(realpath -m "$bench/rust_peers")"
bash benches/matplotlib.sh "$bench/matplotlib"
make --no-print-directory bench-quick || exit 1
# A section with a number in it has run; one of nothing else than "skipped" has not.
python3 - "$bench" <<'PYTHON'
import json
import sys
from pathlib import Path
from xml.dom import minidom

bench = Path(sys.argv[1])
results = json.loads((bench / "results.json").read_text())
rows = results["rows"]
sections = {row["section"]: [other for other in rows if other["section"] == row["section"]] for row in rows}
passed = {name for name, rows in sections.items() if any(row["ours"] for row in rows)}
for name in sorted(set(sections) - passed):
    print(f"skipped: {name}: {sections[name][0]['skipped']}")
drawn = sorted((bench / "plots").glob("*.svg"))
document = (bench / "BENCHMARKS.md").read_text()
failed = 0
for plot in drawn:
    texts = minidom.parse(str(plot)).getElementsByTagName("text")
    if not texts or f"(plots/{plot.name})" not in document:
        print(f"FAILED  {plot.name} says nothing, or BENCHMARKS.md does not show it")
        failed += 1
# Each is of one series, but for the two of latency.
expected = len(results["series"].keys() - {"latency, TLS"})
if (bench / "matplotlib").exists() and len(drawn) != expected:
    print(f"FAILED  {len(drawn)} plots are drawn, of {expected}")
    failed += 1
print(f"{len(passed) + len(drawn) - failed} passed, {failed} failed, {len(sections) - len(passed)} skipped")
sys.exit(1 if failed else 0 if passed else 77)
PYTHON
