"""What was measured: rows with ratios and targets, tables of details, series for the plots. document.py makes BENCHMARKS.md of it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    section: str
    what: str
    against: str = ""
    ours: str = ""
    theirs: str = ""
    ratios: list[float] = field(default_factory=list)
    """Of the rounds: ours / theirs, or theirs / ours where `times_faster`."""
    target: tuple[str, float] | None = None
    """How the median of the ratios is judged, or `value` if there is one."""
    value: float | None = None
    values: list[float] = field(default_factory=list)
    unit: str = ""
    times_faster: bool = False
    skipped: str = ""
    note: str = ""

    def judged(self) -> float | None:
        if self.value is not None:
            return self.value
        return statistics.median(self.ratios) if self.ratios else None

    def reached(self) -> bool | None:
        judged = self.judged()
        if self.target is None or judged is None:
            return None
        how, bound = self.target
        return {"at least": round(judged, 2) >= bound, "over": judged > bound, "under": judged < bound, "at most": round(judged, 3) <= bound}[how]

    def goal(self) -> str:
        if self.target is None:
            return ""
        how, bound = self.target
        shown = f"{bound:.0%}" if self.what.startswith("share") else f"{bound:g}" + (f" {self.unit}" if self.unit else "")
        return f"{how} {shown}" + (f" ({self.note})" if self.note else "")

    def cells(self, judge: bool) -> list[str]:
        if self.skipped:
            return [self.what, self.against, "skipped: " + self.skipped, "", "", "", ""]
        ratio = spread = ""
        if self.ratios:
            ratio = number(statistics.median(self.ratios)) + (" times faster" if self.times_faster else "")
            spread = spread_of(self.ratios)
        elif self.values:
            spread = spread_of(self.values)
        goal = self.goal()
        if goal and judge:
            goal += ": " + ("reached" if self.reached() else "**not reached**")
        return [self.what, self.against, self.ours, self.theirs, ratio, spread, goal]


@dataclass
class Detail:
    """A table with columns of its own, under the section of that name."""

    section: str
    note: str
    columns: list[str]
    rows: list[list[str]]


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def spread_of(values: list[float]) -> str:
    """The middle half of the rounds."""
    if len(values) < 4:
        return ""
    low, _, high = statistics.quantiles(values, n=4)
    return f"{number(low)} – {number(high)}"


COLUMNS = ["", "against", "libtrophy", "the other", "ratio", "spread", "must be"]


def markdown(rows: list[list[str]]) -> str:
    """A table whose columns also line up as plain text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


class Report:
    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder = folder
        self.judge = not quick
        self.rows: list[Row] = []
        self.details: list[Detail] = []
        self.facts: dict[str, Any] = {}
        self.series: dict[str, Any] = {}
        """For plots.py, by what is plotted."""
        self.profile: dict[str, Any] | None = None
        self.seconds = 0.0
        self.load_before = os.getloadavg()[0]
        self.machine: list[tuple[str, str]] = []

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def detail(self, detail: Detail) -> None:
        self.details.append(detail)

    def sections(self) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys([row.section for row in self.rows] + [detail.section for detail in self.details]))

    def table(self) -> str:
        """All there is, for a terminal."""
        lines = [COLUMNS]
        for section in dict.fromkeys(row.section for row in self.rows):
            lines.append([f"**{section}**"] + [""] * (len(COLUMNS) - 1))
            lines.extend(row.cells(self.judge) for row in self.rows if row.section == section)
        tables = [markdown(lines)] if self.rows else []
        tables.extend(f"{detail.section}: {detail.note}\n\n{markdown([detail.columns, *detail.rows])}" for detail in self.details)
        return "\n\n".join(tables)

    def versions(self, bench: Any) -> None:
        def said(*command: str) -> str:
            try:
                return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()
            except OSError:
                return ""

        def define(header: str, name: str) -> str:
            """A version from a C header, as the compiler finds it."""
            ran = subprocess.run([os.environ.get("CC", "cc"), "-E", "-dM", "-include", header, "-x", "c", "/dev/null"],
                                 capture_output=True, text=True)
            found = re.search(rf'#define {name} "(.*)"', ran.stdout)
            return found[1] if found else "not installed"

        cpu = "unknown"
        try:
            found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
            cpu = found[1] if found else cpu
        except OSError:
            pass
        curl = said("curl", "--version").split("\n")[0]
        tls = re.search(r"(OpenSSL|GnuTLS|mbedTLS|wolfSSL|BoringSSL)\S*", curl)
        commit = said("git", "rev-parse", "--short", "HEAD")
        changed = said("git", "status", "--porcelain", "--", "../src", "../Cargo.toml", "../Cargo.lock", "../build.rs")
        sdks = bench.folder / "sdks"

        def sdk(path: Path, pattern: str) -> str:
            found = re.search(pattern, path.read_text()) if path.exists() else None
            return found[1] if found else "not installed"

        def peers(name: str) -> str:
            lock = (Path(__file__).parent / "rust_peers/Cargo.lock").read_text()
            return re.search(rf'name = "{name}"\nversion = "(.*?)"', lock)[1]

        metadata = next(iter(sorted(sdks.glob("python/lib/python3*/site-packages/trophy-*.dist-info/METADATA"))), Path("/nonexistent"))
        header = (Path(__file__).parent.parent / "include/trophy.h").read_text()
        self.machine = [
            ("date", datetime.date.today().isoformat()),
            ("libtrophy", re.search(r'TROPHY_VERSION "(.*)"', header)[1] + f", commit {commit}" + (" and changes" if changed else "")),
            ("processor", f"{cpu}, {os.cpu_count()} cores"),
            ("kernel", f"{platform.system()} {platform.release()}, {platform.libc_ver()[0]} {platform.libc_ver()[1]}"),
            ("load before and after", f"{self.load_before:.1f}, {os.getloadavg()[0]:.1f}"),
            ("compilers", said("rustc", "--version") + "; " + said(os.environ.get("CC", "cc"), "--version").split("\n")[0]),
            ("libcurl", define("curl/curl.h", "LIBCURL_VERSION") + (f", with {tls[0]}" if tls else "")),
            ("SQLite", define("sqlite3.h", "SQLITE_VERSION")),
            ("OpenSSL, of the server and the raw peer", define("openssl/opensslv.h", "OPENSSL_VERSION_TEXT")),
            ("reqwest, hyper", f"{peers('reqwest')}, {peers('hyper')}, with rustls {peers('rustls')}"),
            ("Node SDK", "`@trophyso/node` " + sdk(sdks / "node/node_modules/@trophyso/node/package.json", r'"version": "(.*?)"')
             + ", Node " + said("node", "--version").lstrip("v")),
            ("Python SDK", "trophy " + sdk(metadata, r"(?m)^Version: (.*)$") + ", " + said(str(sdks / "python/bin/python"), "--version")),
        ]

    def save(self) -> None:
        (self.folder / "results.json").write_text(json.dumps(
            {"machine": dict(self.machine), "facts": self.facts, "profile": self.profile, "series": self.series,
             "details": [vars(detail) for detail in self.details],
             "rows": [vars(row) | {"judged": row.judged(), "reached": row.reached()} for row in self.rows]}, indent=1))
