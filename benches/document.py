"""BENCHMARKS.md: how to read it, the machine, the targets in one table, then all results by section, with their plots."""

from __future__ import annotations

import re
from pathlib import Path

from report import COLUMNS, Report, Row, markdown, number

# Each heading has the sections whose names begin so, and a plot.
HEADINGS = (
    ("The host's own thread", ("The host's own thread",), "host-thread"),
    ("One event", ("One event",), "latency"),
    ("Throughput", ("Throughput",), None),
    ("Enqueue", ("Enqueue",), "power"),
    ("Backlog and delivery", ("A backlog", "Delivery", "Draining"), "drain"),
    ("Cold start", ("Cold start",), "cold-start"),
    ("Weight", ("Weight",), "size"),
)
ALT = {
    "host-thread": "Percentiles of what enqueue, an asynchronous event, an idle dispatch and a bare write() take",
    "latency": "How long one event takes with libtrophy and with each other",
    "power": "Percentiles and throughput of enqueue against a power cut, by threads, beside SQLite",
    "drain": "How many events are left of a backlog, over time",
    "cold-start": "How long a new process takes until its first event is counted",
    "size": "How many kB of the library are whose",
    "cpu": "Instructions of one event, by part",
}

# Why a target is missed, for those sections and rows whose reason is known.
REASONS = (
    (r"One event|Throughput.*, 0 ms|CPU an event", "HTTP is ureq's: its types for each request and header cost what a client of our own would not. It is "
                                                   "plainer, and the microseconds are of a call that crosses a network."),
    (r"Throughput", "An asynchronous call has a thread while it is under way, in place of one that polls for all."),
    (r"event_async.*median", "An asynchronous event's JSON is checked, its request written, and entered into its lane and the backlog."),
    (r"event_async", "Callers, the library's threads and the server share this machine's cores; who loses his waits for milliseconds."),
    (r"Enqueue.*power", "Both wait for the same disk; its pauses are the tail."),
    (r"event_enqueue.*p99.9", "What interrupts a thread on this machine takes some 45 µs, and meets a call three times as often that takes three "
                              "times as long."),
    (r"Enqueue, against a crash|event_enqueue", "An enqueue, beside its one write(), checks and writes the event's JSON, and asks whether the file still has "
                                                "its name."),
    (r"share of the limit", "The library keeps below the service's limit by a margin, since clocks and networks jitter."),
)


def document(report: Report, plots: list[Path], root: Path) -> str:
    parts = [HEAD, markdown([["machine", ""], *map(list, report.machine)]), f"The run took {report.seconds / 60:.0f} minutes."]
    parts.append(targets(report))
    left = report.sections()
    for heading, beginnings, plot in HEADINGS:
        sections = [section for section in left if section.startswith(beginnings)]
        if not sections:
            continue
        left = [section for section in left if section not in sections]
        parts.append(f"## {heading}")
        parts.extend(picture(plots, plot, root))
        parts.extend(results(report, sections))
    if left:
        parts.append("## Others")
        parts.extend(results(report, left))
    parts.append(where_it_goes(report, plots, root))
    return "\n\n".join(parts) + "\n"


def picture(plots: list[Path], name: str | None, root: Path) -> list[str]:
    return [f"![{ALT[name]}]({plot.relative_to(root)})" for plot in plots if plot.stem == f"bench-{name}"]


def results(report: Report, sections: list[str]) -> list[str]:
    parts = []
    lines = [COLUMNS]
    for section in sections:
        rows = [row for row in report.rows if row.section == section]
        if rows:
            lines.append([f"**{section}**"] + [""] * (len(COLUMNS) - 1))
            lines.extend(row.cells(False) for row in rows)
    if len(lines) > 1:
        parts.append(markdown(lines))
    for detail in report.details:
        if detail.section in sections:
            parts.extend((detail.note, markdown([detail.columns, *detail.rows])))
    return parts


def targets(report: Report) -> str:
    if not report.judge:
        return "## Targets\n\nA brief run, of which nothing is judged."
    judged = [row for row in report.rows if row.reached() is not None]
    reached = [row for row in judged if row.reached()]
    lines = [["", "against", "measured", "must be", ""]]
    for row in judged:
        lines.append([f"{row.section}: {row.what}", row.against, measured(row), row.goal(), "reached" if row.reached() else "**not reached**"])
    parts = ["## Targets", f"{len(reached)} of {len(judged)} are reached.", markdown(lines)]
    missed = [row for row in judged if not row.reached()]
    reasons: dict[str, list[str]] = {}
    for row in missed:
        reason = reason_of(row)
        if reason:
            reasons.setdefault(reason, []).append(row.section)
    if reasons:
        parts.append("Why some are not:")
        parts.append("\n".join(f"- {', '.join(dict.fromkeys(sections))}: {reason}" for reason, sections in reasons.items()))
    return "\n\n".join(parts)


def measured(row: Row) -> str:
    if row.value is not None:
        return f"{row.value:.1%}" if row.what.startswith("share") else f"{number(row.value)} {row.unit}".strip()
    return number(row.judged()) + (" times as fast" if row.times_faster else "")


def reason_of(row: Row) -> str | None:
    name = f"{row.section}: {row.what}"
    return next((reason for pattern, reason in REASONS if re.search(pattern, name)), None)


def where_it_goes(report: Report, plots: list[Path], root: Path) -> str:
    parts = ["## Where one event goes"]
    parts.extend(picture(plots, "cpu", root))
    if "system_calls" in report.facts:
        parts.append(f"System calls of an event: {report.facts['system_calls']}. None of them wakes a thread: the caller's own does it "
                     f"all. After a pause of over 10 ms: {report.facts['system_calls_paused']}; the additional one looks whether the "
                     "server has closed the connection meanwhile.")
    cpu = report.facts.get("plain_cpu_us")
    if cpu and "raw" in cpu and report.profile:
        total, floor = cpu["trophy"], cpu["raw"]
        instructions = sum(each for _, each in report.profile["parts"])
        rows = [["part", "instructions", "share", "CPU"],
                ["system calls: the kernel's part, as the raw socket has it", "", "", f"{floor:.1f} µs"]]
        for part, each in report.profile["parts"]:
            rows.append([part, f"{each:,.0f}", f"{each / instructions:.0%}", f"{(total - floor) * each / instructions:.1f} µs"])
        rows.append(["together", f"{instructions:,.0f}", "", f"{total:.1f} µs"])
        parts.append("The CPU time of an event, plain. The instructions outside the kernel are counted by Callgrind and given to the "
                     "part whose source they come from; those of Rust's and C's standard libraries to the part that called, except "
                     "for the heap. The time over the floor's is divided as the instructions are.")
        parts.append(markdown(rows))
    if report.profile:
        parts.append(f"Heap allocations of an event: {report.profile['allocations']:.0f}, by part and by the function that asked for them:")
        parts.append(markdown([["part", "function", "allocations"],
                               *([part, f"`{function}`", f"{count:.0f}"] for part, function, count in report.profile["places"])]))
    elif "profile_skipped" in report.facts:
        parts.append("No profile: " + report.facts["profile_skipped"] + ".")
    return "\n\n".join(parts)


HEAD = """# Benchmarks

Made by `make bench`; edit benches/document.py, not this file. It measures libtrophy side by side with what one would
use instead, in one run: raw sockets, libcurl, reqwest, hyper, SQLite, and the official SDKs for Node and Python.

**How to read it.** A ratio is libtrophy's number over the other's, so less is better, except where it says "times
faster" and for events a second. Absolute times are this machine's; ratios carry over to others far better, since all
take turns within seconds: each round asks every peer, in random order, and has a ratio of its own. The tables show the
median of the rounds' ratios, and as the spread the middle half of them.

- *The host's own thread* has the calls that promise not to wait, as a game's frame makes them: each is timed by
  itself, up to a million times, from one thread and from four at once, and with a service that answers at once, one that
  takes its time, and none. Nothing is pinned: the library's threads, the server and the callers share the cores.
- *One event* is `trophy_metrics_event()`, on one connection that is open already, with client and server on one core;
  so a round trip's time holds the server's work as well, the same for all. CPU is the client process's alone. The raw
  peer sends bytes made beforehand and reads a reply of known length: nothing can be faster, and it checks nothing. The
  libcurl peer reuses one easy handle and writes headers, key and body for each event. reqwest is its blocking client;
  hyper has a runtime of one thread, which each call blocks on; both with rustls and ring, as libtrophy has them.
- *Throughput* is `trophy_metrics_event_async()` with as many workers as events in flight, against libcurl's multi
  handle with curl_multi_poll(). Client and server have a core each. With a delay at the server, all that can be had is
  width / delay, and a ratio of 1 means that both get it.
- *Enqueue* is `trophy_metrics_event_enqueue()`, with no service in reach, against an insert into SQLite in WAL mode.
  "Against a crash" is `"durability": "process"` and `synchronous=OFF`; "against a power cut" is `"power"` and
  `synchronous=FULL`, where both wait for the disk. Threads share SQLite's connection under a mutex.
- *Delivery* has no limit but the server's speed. *Draining*: the server refuses what is over 5 requests in any second;
  the share is of requests answered, from the first to the last. What is "given to write()" and "written to the disk"
  is wchar and write_bytes of /proc/self/io; sockets are in neither.
- *Cold start* is from `trophy_client_new()` (or what each has instead) in a new process, with the CA's file to read, to
  the first event's reply: connect, TLS handshake, event.
- *Counted* is exact: the difference between a run of 200 events and one of 1,200.

The server is benches/server.c, one thread with epoll and a fixed reply of 578 bytes, so that it is not what is
measured. Run it on a machine that does nothing else; the load is shown below."""
