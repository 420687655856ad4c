"""The table of ratios, and BENCHMARKS.md around it."""

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
        return round(judged, 2) >= bound if how == "at least" else judged < bound if how == "under" else round(judged, 3) <= bound

    def cells(self, judge: bool) -> list[str]:
        if self.skipped:
            return [self.what, self.against, "skipped: " + self.skipped, "", "", "", ""]
        ratio = spread = ""
        if self.ratios:
            ratio = number(statistics.median(self.ratios)) + (" times faster" if self.times_faster else "")
            spread = spread_of(self.ratios)
        elif self.values:
            spread = spread_of(self.values)
        goal = ""
        if self.target is not None:
            how, bound = self.target
            goal = f"{how} {bound:.0%}" if self.what.startswith("share") else f"{how} {bound:g}" + (f" {self.unit}" if self.unit else "")
            if self.note:
                goal += f" ({self.note})"
            if judge:
                goal += ": " + ("reached" if self.reached() else "**not reached**")
        return [self.what, self.against, self.ours, self.theirs, ratio, spread, goal]


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
        self.facts: dict[str, Any] = {}
        self.profile: dict[str, Any] | None = None
        self.seconds = 0.0
        self.load_before = os.getloadavg()[0]
        self.machine: list[tuple[str, str]] = []

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def table(self) -> str:
        lines, section = [COLUMNS], ""
        for row in self.rows:
            if row.section != section:
                section = row.section
                lines.append([f"**{section}**"] + [""] * (len(COLUMNS) - 1))
            lines.append(row.cells(self.judge))
        return markdown(lines)

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
            ("Node SDK", "`@trophyso/node` " + sdk(sdks / "node/node_modules/@trophyso/node/package.json", r'"version": "(.*?)"')
             + ", Node " + said("node", "--version").lstrip("v")),
            ("Python SDK", "trophy " + sdk(metadata, r"(?m)^Version: (.*)$") + ", " + said(str(sdks / "python/bin/python"), "--version")),
        ]
        (self.folder / "results.json").write_text(json.dumps(
            {"machine": dict(self.machine), "facts": self.facts, "profile": self.profile,
             "rows": [vars(row) | {"judged": row.judged(), "reached": row.reached()} for row in self.rows]}, indent=1))

    def document(self) -> str:
        judged = [row for row in self.rows if row.reached() is not None]
        missed = [row for row in judged if not row.reached()]
        parts = [HEAD]
        parts.append(markdown([["machine", ""], *map(list, self.machine)]))
        parts.append(f"The run took {self.seconds / 60:.0f} minutes.")
        parts.append("## Results")
        parts.append("What got slower, and why: HTTP is ureq's now, no client of our own, and an asynchronous call has a "
                     "thread while it is under way, in place of one that polls for all. Both are plainer, and cost "
                     "microseconds of a call that crosses a network. What ships is built for size (opt-level z), since "
                     "TLS, its roots and ureq are near 2.5 MB; that costs an enqueue some microseconds, too.")
        parts.append(f"{len(judged) - len(missed)} of {len(judged)} targets are reached."
                     + (" Not reached:" if missed else ""))
        if missed:
            parts.append("\n".join(f"- {row.section}: {row.what}" + (f", against {row.against}" if row.against else "")
                                   + f": {number(row.judged())}, must be {row.target[0]} {row.target[1]:g}" for row in missed))
        parts.append(self.table())
        parts.append(self.where_it_goes())
        return "\n\n".join(parts) + "\n"

    def where_it_goes(self) -> str:
        parts = ["## Where one event goes"]
        if "system_calls" in self.facts:
            parts.append(f"System calls of an event: {self.facts['system_calls']}. None of them wakes a thread: the caller's own does it "
                         f"all. After a pause of over 10 ms: {self.facts['system_calls_paused']}; the additional one looks whether the "
                         "server has closed the connection meanwhile.")
        cpu = self.facts.get("plain_cpu_us")
        if cpu and "raw" in cpu and self.profile:
            total, floor = cpu["trophy"], cpu["raw"]
            instructions = sum(each for _, each in self.profile["parts"])
            rows = [["part", "instructions", "share", "CPU"],
                    ["system calls: the kernel's part, as the raw socket has it", "", "", f"{floor:.1f} µs"]]
            for part, each in self.profile["parts"]:
                rows.append([part, f"{each:,.0f}", f"{each / instructions:.0%}", f"{(total - floor) * each / instructions:.1f} µs"])
            rows.append(["together", f"{instructions:,.0f}", "", f"{total:.1f} µs"])
            parts.append("The CPU time of an event, plain. The instructions outside the kernel are counted by Callgrind and given to the "
                         "part whose source they come from; those of Rust's and C's standard libraries to the part that called, except "
                         "for the heap. The time over the floor's is divided as the instructions are.")
            parts.append(markdown(rows))
        if self.profile:
            parts.append(f"Heap allocations of an event: {self.profile['allocations']:.0f}, by part and by the function that asked for them:")
            parts.append(markdown([["part", "function", "allocations"],
                                   *([part, f"`{function}`", f"{count:.0f}"] for part, function, count in self.profile["places"])]))
        elif "profile_skipped" in self.facts:
            parts.append("No profile: " + self.facts["profile_skipped"] + ".")
        return "\n\n".join(parts)


HEAD = """# Benchmarks

Made by `make bench`; edit benches/report.py, not this file. It measures libtrophy side by side with what one would
use instead, in one run: raw sockets, libcurl, SQLite, and the official SDKs for Node and Python.

**How to read it.** A ratio is libtrophy's number over the other's, so less is better, except where it says "times
faster" and for events a second. Absolute times are this machine's; ratios carry over to others far better, since all
take turns within seconds: each round asks every peer, in random order, and has a ratio of its own. The table shows the
median of the rounds' ratios, and as the spread the middle half of them.

- *One event* is `trophy_metrics_event()`, on one connection that is open already, with client and server on one core;
  so a round trip's time holds the server's work as well, the same for all. CPU is the client process's alone. The raw
  peer sends bytes made beforehand and reads a reply of known length: nothing can be faster, and it checks nothing. The
  libcurl peer reuses one easy handle and writes headers, key and body for each event.
- *Throughput* is `trophy_metrics_event_async()` with as many workers as events in flight, against libcurl's multi
  handle with curl_multi_poll(). Client and server have a core each. With a delay at the server, all that can be had is
  width / delay, and a ratio of 1 means that both get it.
- *Enqueue* is `trophy_metrics_event_enqueue()`, with no service in reach, against an insert into SQLite in WAL mode.
  "Against a crash" is `"durability": "process"` and `synchronous=OFF`; "against a power cut" is `"power"` and
  `synchronous=FULL`, where both wait for the disk.
- *Draining*: the server refuses what is over 5 requests in any second; the share is of requests answered, from the
  first to the last.
- *Counted* is exact: the difference between a run of 200 events and one of 1,200.

The server is benches/server.c, one thread with epoll and a fixed reply of 578 bytes, so that it is not what is
measured. Run it on a machine that does nothing else; the load is shown below."""
