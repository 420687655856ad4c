#!/usr/bin/env python3
"""Measures libtrophy side by side with what a user would pick instead, and prints tables.

run.py FOLDER: FOLDER is cargo's target folder, where `make bench` has put the library as it ships. BENCH_QUICK=1
runs everything once, briefly, and judges nothing; else BENCHMARKS.md and docs/images/bench-*.svg are written. BENCH_ONLY names
some of the measurements. FOLDER/bench has the same files of any run, and results.json.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from document import document
from harness import HERE, QUICK, ROOT, Bench, Skipped
from report import Report, Row

MEASURES = ("host_thread", "latency", "counted", "throughput", "enqueue", "backlog", "cold_start", "weight", "profile")


def draw(folder: Path) -> list[Path]:
    """The plots of FOLDER/results.json in FOLDER/plots; none without matplotlib, which benches/matplotlib.sh installs."""
    plots = folder / "plots"
    shutil.rmtree(plots, ignore_errors=True)
    python = folder / "matplotlib/bin/python"
    if not python.exists():
        print("no plots: matplotlib is not installed; benches/matplotlib.sh does it", file=sys.stderr)
        return []
    subprocess.run([str(python), "-B", str(HERE / "plots.py"), str(folder / "results.json"), str(plots)], check=True)
    return sorted(plots.glob("*.svg"))


def main() -> None:
    bench = Bench(Path(sys.argv[1]).resolve())
    bench.build()
    report = Report(bench.folder, QUICK)
    started = time.monotonic()
    only = os.environ.get("BENCH_ONLY", "").split()
    unknown = set(only) - set(MEASURES)
    if unknown:
        sys.exit(f"BENCH_ONLY: {', '.join(unknown)}: none of {' '.join(MEASURES)}")
    for name in only or MEASURES:
        began = time.monotonic()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        try:
            importlib.import_module(f"measures.{name}").run(bench, report)
        except Skipped as why:
            report.add(Row(name, "all", skipped=str(why)))
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    shutil.rmtree(bench.folder / "queue", ignore_errors=True)
    report.seconds = time.monotonic() - started
    report.versions(bench)
    report.save()
    print(report.table())
    plots = draw(bench.folder)
    (bench.folder / "BENCHMARKS.md").write_text(document(report, plots, bench.folder))
    if not QUICK and not only:
        images = ROOT / "docs/images"
        if plots:
            for old in images.glob("bench-*.svg"):
                old.unlink()
            for plot in plots:
                shutil.copy(plot, images)
        (ROOT / "BENCHMARKS.md").write_text(document(report, sorted(images.glob("bench-*.svg")), ROOT))
        print("\nBENCHMARKS.md and docs/images/bench-*.svg are written.")


if __name__ == "__main__":
    main()
