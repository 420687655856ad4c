"""A backlog of a million, or of BENCH_BACKLOG: its space, what its delivery takes, and the first second after a restart."""

import os
import time
from statistics import median

from harness import OTHER_CORE, QUICK, Process, Server, once
from report import Row

EVENTS = 10_000 if QUICK else int(os.environ.get("BENCH_BACKLOG", "1000000"))
SINGLY = 500 if QUICK else 20_000
AT_THE_LIMIT = 5_000 if QUICK else 100_000
# As many requests a second as the option allows: the service is what limits.
NO_LIMIT = 10_000


def run(bench, report):
    space_and_recovery(bench, report)
    delivered(bench, report)
    at_the_limit(bench, report)


def megabytes(count):
    return f"{count / 1e6:,.1f} MB"


def space_and_recovery(bench, report):
    section = f"A backlog of {EVENTS:,}"
    path, put = bench.filled(EVENTS)
    program = bench.program("queue_trophy")
    report.add(Row(section, "bytes an event on disk", "", f"{put['disk_bytes'] / EVENTS:.0f}"))
    report.add(Row(section, "memory over that of an empty queue", "", f"{put['rss_grown_kb'] / 1024:.1f} MB"))
    opened, sent, memory = [], [], []
    for _ in range(1 if QUICK else 5):
        with Server(bench, core=OTHER_CORE) as server, Process([program, "recover", path, server.url], core=None) as process:
            start = process.read()
            deadline = time.monotonic() + 60
            while (stats := server.stats())["requests"] == 0:
                if time.monotonic() > deadline:
                    raise RuntimeError("no request came from a queue that was opened")
                time.sleep(0.02)
            end = process.ask()
        opened.append(start["wall_ns"] / 1e6)
        sent.append((stats["first_ns"] - start["start_ns"]) / 1e6)
        memory.append(end["peak_kb"] / 1024)
    report.add(Row(section, "recovery: trophy_client_new()", "", f"{median(opened):.1f} ms", values=opened))
    report.add(Row(section, "recovery: until the first request arrives", "", f"{median(sent):.1f} ms", values=sent))
    report.add(Row(section, "recovery: peak memory of the process", "", f"{max(memory):.1f} MB"))
    with Server(bench, "--limit", "5", core=OTHER_CORE) as server:
        second = once(program, "first-second", path, server.url)
    report.add(Row(section, "the first second after a restart: CPU", "", f"{second['cpu_ns'] / 1e6:.0f} ms"))
    report.add(Row(section, "…: enqueue meanwhile, median, p99.9, the worst", "",
                   ", ".join(f"{second[key] / 1000:,.1f}" for key in ("median_ns", "p999_ns", "worst_ns")) + " µs"))
    report.add(Row(section, "…: events delivered, at 5 requests a second", "", f"{second['delivered']:,.0f}"))
    report.add(Row(section, "…: read in all; peak memory", "", f"{megabytes(second['rchar'])}; {second['peak_kb'] / 1024:.1f} MB"))


def delivered(bench, report):
    """With no limit but the service's own speed."""
    program = bench.program("queue_trophy")
    drains = {}
    for delivery, events, name in (("batch", EVENTS, "in batches of 1,000"), ("single", SINGLY, "singly")):
        section = f"Delivery, {events:,} {name}"
        path, put = bench.filled(events)
        with Server(bench, core=OTHER_CORE) as server:
            took = once(program, "drain", path, server.url, delivery, str(NO_LIMIT))
            arrived = server.stats()["events"]
        if arrived < events:
            raise RuntimeError(f"{arrived} of {events} events arrived")
        report.add(Row(section, "CPU an event: enqueue", "", f"{put['cpu_ns'] / events / 1000:.2f} µs"))
        report.add(Row(section, "CPU an event: delivery", "", f"{took['cpu_ns'] / events / 1000:.2f} µs"))
        report.add(Row(section, "events a second", "", f"{events / took['wall_ns'] * 1e9:,.0f}"))
        report.add(Row(section, "peak memory of the process that delivers", "", f"{took['peak_kb'] / 1024:.1f} MB"))
        report.add(Row(section, "given to write(): enqueue, delivery", "", f"{megabytes(put['wchar'])}, {megabytes(took['wchar'])}"))
        report.add(Row(section, "written to the disk: enqueue, delivery", "", f"{megabytes(put['write_bytes'])}, {megabytes(took['write_bytes'])}"))
        drains[f"{events:,} {name}"] = took["left"]
    report.series["drain"] = drains


def at_the_limit(bench, report):
    section = "Draining, 5 requests a second"
    path, _ = bench.filled(AT_THE_LIMIT)
    with Server(bench, "--limit", "5", core=OTHER_CORE) as server:
        took = once(bench.program("queue_trophy"), "drain", path, server.url, "batch", "5")
        stats = server.stats()
    if stats["events"] != AT_THE_LIMIT:
        raise RuntimeError(f"{stats['events']} of {AT_THE_LIMIT} events arrived")
    share = (stats["requests"] - 1) / 5 / ((stats["last_ns"] - stats["first_ns"]) / 1e9)
    report.add(Row(section, "share of the limit used", "", f"{share:.1%}", value=share, target=("at least", 0.95)))
    report.add(Row(section, f"{AT_THE_LIMIT:,} events", "", f"{took['wall_ns'] / 1e9:.1f} s; {stats['requests']} requests, and "
                                                            f"{stats['limited']} over the limit"))
    report.series.setdefault("drain", {})[f"{AT_THE_LIMIT:,} at 5 requests a second"] = took["left"]
