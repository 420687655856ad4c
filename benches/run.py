#!/usr/bin/env python3
"""Measures libtrophy side by side with what a user would pick instead, and prints one table.

run.py FOLDER: FOLDER is cargo's target folder, where `make bench` has put the library as it ships. BENCH_QUICK=1
runs everything once, briefly, judges nothing and writes no file; else BENCHMARKS.md is written.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any, Callable

import profile_event
from report import Report, Row

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
QUICK = os.environ.get("BENCH_QUICK", "0") not in ("", "0")

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
CLIENT_CORE, OTHER_CORE = CORES[-1], CORES[0]

PROGRAMS = {
    "server": (["server.c"], ["-lssl", "-lcrypto"]),
    "peer_raw": (["peer.c", "peer_raw.c"], ["-lssl", "-lcrypto"]),
    "peer_curl": (["peer.c", "peer_curl.c"], ["-lcurl"]),
    "peer_trophy": (["peer.c", "peer_trophy.c"], ["LIBTROPHY"]),
    "many_curl": (["many_curl.c"], ["-lcurl"]),
    "many_trophy": (["many_trophy.c"], ["LIBTROPHY", "-pthread"]),
    "queue_sqlite": (["queue_sqlite.c"], ["-lsqlite3"]),
    "queue_trophy": (["queue_trophy.c"], ["LIBTROPHY"]),
    "weigh": (["weigh.c"], ["-ldl"]),
    "allocations.so": (["allocations.c"], ["-shared", "-fPIC", "-ldl", "-pthread"]),
}


class Skipped(Exception):
    """Something that is not on this machine; its rows say so."""


def pinned(core: int | None) -> Callable[[], None]:
    """For a child: its core, and a priority that other work does not often interrupt, where that is allowed."""

    def prepare() -> None:
        if core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})
        try:
            os.nice(-20)
        except OSError:
            pass

    return prepare


class Bench:
    def __init__(self, target: Path) -> None:
        self.target = target
        self.ship = target / "ship"
        self.folder = target / "bench"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.missing: dict[str, str] = {}
        self.random = random.Random()
        self.library = next(iter(sorted(self.ship.glob("libtrophy.so.*.*.*"))), None)
        if self.library is None:
            sys.exit("no libtrophy.so in " + str(self.ship) + ": make ship-shared")

    # ---- programs ----

    def build(self) -> None:
        """Compiles the programs. One whose library is not installed is missing, with the compiler's word for it."""
        libraries = self.folder / "lib"
        libraries.mkdir(exist_ok=True)
        for name in ("libtrophy.so", "libtrophy.so.1"):
            link = libraries / name
            link.unlink(missing_ok=True)
            link.symlink_to(self.library.resolve())
        ours = ["-L" + str(libraries), "-ltrophy", "-Wl,-rpath," + str(libraries.resolve())]
        for name, (sources, needs) in PROGRAMS.items():
            command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-I", str(ROOT / "include")]
            command += [str(HERE / source) for source in sources] + ["-o", str(self.folder / name)]
            for need in needs:
                command += ours if need == "LIBTROPHY" else [need]
            built = subprocess.run(command, capture_output=True, text=True)
            if built.returncode != 0:
                header = re.search(r"fatal error: (\S+): No such file", built.stderr)
                if header is None and "cannot find -l" not in built.stderr:
                    sys.exit(built.stderr)
                self.missing[name] = f"{header[1] if header else needs[0].removeprefix('-l')} is not installed"

    def program(self, name: str) -> str:
        if name in self.missing:
            raise Skipped(self.missing[name])
        return str(self.folder / name)

    def tool(self, name: str) -> str:
        path = shutil.which(name)
        if path is None:
            raise Skipped(f"{name} is not installed")
        return path

    def certificates(self) -> tuple[str, str, str]:
        self.tool("openssl")
        folder = self.folder / "tls"
        if subprocess.run(["bash", str(HERE / "certificates.sh"), str(folder)]).returncode != 0:
            raise Skipped("openssl made no certificate")
        return str(folder / "ca.pem"), str(folder / "server.pem"), str(folder / "server.key")

    def sdk(self, name: str) -> tuple[list[str], dict[str, str]]:
        """How an official SDK's peer is started."""
        folder = self.folder / "sdks"
        skipped = folder / f"{name}.skipped"
        if skipped.exists():
            raise Skipped(skipped.read_text().strip())
        if name == "node":
            if not (folder / "node/node_modules/@trophyso/node").exists():
                raise Skipped("not installed; benches/sdks.sh does it")
            return [self.tool("node"), str(HERE / "peer_node.js")], {"NODE_PATH": str(folder / "node/node_modules")}
        if not (folder / "python/installed").exists():
            raise Skipped("not installed; benches/sdks.sh does it")
        return [str(folder / "python/bin/python"), str(HERE / "peer_python.py")], {}


class Process:
    """A program that is asked, line by line, and answers each line with JSON."""

    def __init__(self, command: list[str], core: int | None = CLIENT_CORE, env: dict[str, str] | None = None) -> None:
        self.name = command[0]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})}, preexec_fn=pinned(core))

    def read(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, *numbers: int) -> Any:
        self.process.stdin.write(" ".join(map(str, numbers)) + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: Any) -> None:
        self.end()


class Server(Process):
    def __init__(self, bench: Bench, *flags: str, core: int | None = CLIENT_CORE, tls: tuple[str, str, str] | None = None) -> None:
        command = [bench.program("server"), *flags]
        if tls is not None:
            command += ["--tls", tls[1], tls[2]]
        super().__init__(command, core)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.read()}"

    def stats(self) -> Any:
        """What came since the last look."""
        with urllib.request.urlopen(self.url + "/stats") as reply:
            return json.load(reply)


# ---- what is measured ----


def latency(bench: Bench, report: Report, tls: bool) -> None:
    """An event on one warm connection, client and server on one core."""
    section = "One event, TLS" if tls else "One event, plain"
    try:
        files = bench.certificates() if tls else None
        server = Server(bench, tls=files)
    except Skipped as why:
        report.add(Row(section, "all", skipped=str(why)))
        return
    ca = [files[0]] if files else []
    peers: dict[str, Process] = {}
    skipped: dict[str, str] = {}
    with server:
        for name in ("trophy", "raw", "curl"):
            try:
                peers[name] = Process([bench.program("peer_" + name), server.url, *ca])
            except Skipped as why:
                skipped[name] = str(why)
        for name in ("node", "python"):
            try:
                command, env = bench.sdk(name)
                if files:
                    env |= {"NODE_EXTRA_CA_CERTS": files[0], "SSL_CERT_FILE": files[0]}
                peers[name] = Process([*command, server.url], env=env)
            except Skipped as why:
                skipped[name] = str(why)
        counts = {"trophy": 1000, "raw": 1500, "curl": 700, "node": 40, "python": 40}
        rounds = 2 if QUICK else 50
        warm = 0.05 if QUICK else 1
        for name, peer in peers.items():
            peer.ask(max(2, int(counts[name] * 2 * warm)))
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
        for _ in range(rounds):
            order = list(peers)
            bench.random.shuffle(order)
            for name in order:
                count = max(2, counts[name] // (20 if QUICK else 1))
                answer = peers[name].ask(count)
                took[name].append((answer["wall_ns"] / count / 1000, answer["cpu_ns"] / count / 1000))
        for peer in peers.values():
            peer.end()

    targets = {
        ("curl", 0): ("at most", 0.85), ("curl", 1): ("at most", 0.75),
        ("node", 0): ("at least", 20), ("python", 0): ("at least", 20),
    }
    names = {"raw": "raw " + ("OpenSSL" if tls else "socket"), "curl": "libcurl", "node": "Node SDK", "python": "Python SDK"}
    for peer, name in names.items():
        for which, what in enumerate(("time", "CPU")):
            if peer in skipped:
                report.add(Row(section, what, name, skipped=skipped[peer]))
                continue
            ours, theirs = ([times[which] for times in took[it]] for it in ("trophy", peer))
            faster = peer in ("node", "python")
            ratios = [b / a if faster else a / b for a, b in zip(ours, theirs)]
            report.add(Row(section, what, name, f"{median(ours):.1f} µs", f"{median(theirs):.1f} µs", ratios,
                           target=targets.get((peer, which)), times_faster=faster))
    if "raw" in took:
        key = "tls" if tls else "plain"
        report.facts[f"{key}_cpu_us"] = {name: median([times[1] for times in took[name]]) for name in took}
        report.facts[f"{key}_wall_us"] = {name: median([times[0] for times in took[name]]) for name in took}


def counted(bench: Bench, report: Report) -> None:
    """System calls, heap allocations and instructions of an event: what more events make more of."""
    section = "One event, counted"
    few, many = (20, 120) if QUICK else (200, 1200)
    events = many - few

    def run(command: list[str], prefix: list[str], count: int, *more: int, env: dict[str, str] | None = None) -> str:
        line = " ".join(map(str, (count, *more))) + "\n"
        ran = subprocess.run([*prefix, *command], input=line, capture_output=True, text=True, check=True,
                             env={**os.environ, **(env or {})}, preexec_fn=pinned(CLIENT_CORE))
        return ran.stderr

    def system_calls(command: list[str], *more: int) -> dict[str, float]:
        """By name; those that came with the events."""
        summary = bench.folder / "strace.txt"
        seen: list[dict[str, int]] = []
        for count in (few, many):
            run(command, [bench.tool("strace"), "-f", "-c", "-o", str(summary)], count, *more)
            lines = [line.split() for line in summary.read_text().splitlines()]
            seen.append({line[-1]: int(line[3]) for line in lines if len(line) >= 5 and line[3].isdigit()})
        names = set(seen[1]) - {"total", "clock_nanosleep"}
        calls = {name: (seen[1][name] - seen[0].get(name, 0)) / events for name in names}
        return {name: calls[name] for name in sorted(calls, key=lambda name: -calls[name]) if calls[name] >= 0.02}

    def told(calls: dict[str, float]) -> str:
        return ", ".join(name if 0.995 <= each < 1.005 else f"{each:.2g} {name}" for name, each in calls.items())

    def allocations(command: list[str]) -> tuple[float, float]:
        file = bench.folder / "allocations.txt"
        env = {"LD_PRELOAD": bench.program("allocations.so"), "BENCH_ALLOCATIONS": str(file)}
        seen = []
        for count in (few, many):
            run(command, [], count, env=env)
            seen.append([int(number) for number in file.read_text().split()[:2]])
        return (seen[1][0] - seen[0][0]) / events, (seen[1][1] - seen[0][1]) / events

    def instructions(command: list[str]) -> float:
        seen = []
        for count in (few, many):
            output = run(command, [bench.tool("valgrind"), "--tool=callgrind", "--callgrind-out-file=/dev/null"], count)
            seen.append(int(re.search(r"Collected : (\d+)", output)[1]))
        return (seen[1] - seen[0]) / events

    with Server(bench) as server:
        commands: dict[str, list[str]] = {}
        for name in ("trophy", "raw", "curl"):
            if "peer_" + name not in bench.missing:
                commands[name] = [bench.program("peer_" + name), server.url]
        try:
            calls = {name: system_calls(command) for name, command in commands.items()}
            total = {name: sum(calls[name].values()) for name in calls}
            for peer, name in (("raw", "raw socket"), ("curl", "libcurl")):
                if peer in calls:
                    report.add(Row(section, "system calls", name, f"{total['trophy']:.2f}", f"{total[peer]:.2f}",
                                   target=("at most", 2) if peer == "raw" else None, value=total["trophy"]))
            report.facts["system_calls"] = told(calls["trophy"])
            paused = system_calls(commands["trophy"], 15)
            report.facts["system_calls_paused"] = told(paused)
        except Skipped as why:
            report.add(Row(section, "system calls", skipped=str(why)))
        try:
            made = {name: allocations(command) for name, command in commands.items()}
            for peer, name in (("raw", "raw socket"), ("curl", "libcurl")):
                if peer in made:
                    report.add(Row(section, "heap allocations", name, *(f"{made[it][0]:.1f} ({made[it][1] / 1000:.1f} kB)"
                                                                        for it in ("trophy", peer))))
        except Skipped as why:
            report.add(Row(section, "heap allocations", skipped=str(why)))
        try:
            cost = {name: instructions(command) for name, command in commands.items()}
            for peer, name in (("raw", "raw socket"), ("curl", "libcurl")):
                if peer in cost:
                    report.add(Row(section, "instructions outside the kernel", name, f"{cost['trophy']:,.0f}",
                                   f"{cost[peer]:,.0f}", [cost["trophy"] / cost[peer]] if peer == "curl" else []))
        except Skipped as why:
            report.add(Row(section, "instructions outside the kernel", skipped=str(why)))


def throughput(bench: Bench, report: Report) -> None:
    """Asynchronous events, so many in flight, against libcurl's multi handle; each side on a core of its own."""
    for delay in (0, 20):
        for width in (8, 32, 128):
            section = f"Throughput, {width} in flight, {delay} ms"
            try:
                commands = {name: bench.program("many_" + name) for name in ("trophy", "curl")}
            except Skipped as why:
                report.add(Row(section, "all", "libcurl multi", skipped=str(why)))
                continue
            rate = 15000 if delay == 0 else min(width * 1000 / delay, 10000)
            count = max(width, int(rate * (0.1 if QUICK else 0.4)))
            rounds = 1 if QUICK else 9
            took: dict[str, list[Any]] = {name: [] for name in commands}
            with Server(bench, "--delay-ms", str(delay), core=OTHER_CORE) as server:
                programs = {name: Process([command, server.url, str(width)]) for name, command in commands.items()}
                for program in programs.values():
                    program.ask(width * 2 if QUICK else max(width * 4, count // 4))
                for _ in range(rounds):
                    order = list(programs)
                    bench.random.shuffle(order)
                    for name in order:
                        took[name].append(programs[name].ask(count))
                for program in programs.values():
                    program.end()
            ours, theirs = took["trophy"], took["curl"]
            rates = [[count / it["wall_ns"] * 1e9 for it in side] for side in (ours, theirs)]
            cpu = [[it["cpu_ns"] / count / 1000 for it in side] for side in (ours, theirs)]
            # With a delay, all that can be had is WIDTH events a delay: as many is as many.
            report.add(Row(section, "events a second", "libcurl multi", *(f"{median(side):,.0f}" for side in rates),
                           [a / b for a, b in zip(*rates)], target=("at least", 1.0)))
            report.add(Row(section, "CPU an event", "libcurl multi", *(f"{median(side):.1f} µs" for side in cpu),
                           [a / b for a, b in zip(*cpu)], target=("at most", 1.0)))
            report.add(Row(section, "peak memory; threads", "libcurl multi",
                           *(f"{max(it['peak_kb'] for it in side) / 1024:.1f} MB; {side[-1]['threads']}" for side in (ours, theirs))))


class Queue:
    """The folder of the queue benches, and the programs that fill it."""

    def __init__(self, bench: Bench) -> None:
        self.folder = bench.folder / "queue"
        self.program = bench.program("queue_trophy")

    def fresh(self, name: str) -> str:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        return str(self.folder / name)

    @staticmethod
    def run(*command: str) -> Any:
        with Process(list(command), core=None) as process:
            return process.read()

    def filled(self, events: int) -> tuple[str, Any]:
        """A queue with that many events, and what the program said that put them into it."""
        path = self.fresh("queue")
        answer = self.run(self.program, "enqueue", path, "process", str(events))
        if answer["queued"] != events:
            raise RuntimeError(f"{answer['queued']} of {events} events are queued")
        return path, answer


def enqueue(bench: Bench, report: Report) -> None:
    """Events put into the queue, no service in reach, against SQLite with the same durability."""
    queue = Queue(bench)
    for durability, count, rounds in (("process", 100_000, 9), ("power", 300, 5)):
        section = f"Enqueue, against a {'crash' if durability == 'process' else 'power cut'}"
        if QUICK:
            count, rounds = count // 20, 1
        took: dict[str, list[Any]] = {"trophy": [], "sqlite": []}
        order = ["trophy", "sqlite"]
        try:
            sqlite = bench.program("queue_sqlite")
        except Skipped as why:
            order.remove("sqlite")
            report.add(Row(section, "all", "SQLite", skipped=str(why)))
        for _ in range(rounds):
            bench.random.shuffle(order)
            for name in order:
                if name == "trophy":
                    took[name].append(queue.run(queue.program, "enqueue", queue.fresh("queue"), durability, str(count)))
                else:
                    took[name].append(queue.run(sqlite, queue.fresh("events.db"), durability, str(count)))

        def sides(key: str, per: float) -> list[list[float]]:
            return [[it[key] / per for it in took[name]] for name in ("trophy", "sqlite")]

        judged = durability == "process"
        if judged:
            ours = sides("median_ns", 1000)[0]
            report.add(Row(section, "median", "", f"{median(ours):.2f} µs", value=median(ours), values=ours,
                           target=("under", 3.0), unit="µs"))
        if "sqlite" in order:
            for key, what in (("median_ns", "median"), ("p99_ns", "p99"), ("p999_ns", "p99.9")):
                both = sides(key, 1000)
                report.add(Row(section, what, "SQLite", *(f"{median(side):,.2f} µs" for side in both), [b / a for a, b in zip(*both)],
                               times_faster=True, target=("at least", 5) if judged and key == "median_ns" else None))
            both = sides("cpu_ns", 1000 * count)
            report.add(Row(section, "CPU an event, the sender's thread too", "SQLite", *(f"{median(side):,.2f} µs" for side in both),
                           [b / a for a, b in zip(*both)], times_faster=True))


def backlog(bench: Bench, report: Report) -> None:
    """A million events queued: their space, and how soon a new process sends the first of them."""
    section = "A million queued"
    queue = Queue(bench)
    events = 20_000 if QUICK else 1_000_000
    path, put = queue.filled(events)
    report.add(Row(section, "bytes an event on disk", "", f"{put['disk_bytes'] / events:.0f}"))
    report.add(Row(section, "memory over that of an empty queue", "", f"{(put['rss_kb'] - put['rss_before_kb']) / 1024:.1f} MB"))
    opened, sent, memory = [], [], []
    for _ in range(1 if QUICK else 5):
        with Server(bench, core=OTHER_CORE) as server, Process([queue.program, "recover", path, server.url], core=None) as process:
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


def draining(bench: Bench, report: Report) -> None:
    """A backlog at the service's limit."""
    section = "Draining, 5 requests a second"
    queue = Queue(bench)
    events = 5_000 if QUICK else 100_000
    path, _ = queue.filled(events)
    with Server(bench, "--limit", "5", core=OTHER_CORE) as server:
        took = queue.run(queue.program, "drain", path, server.url)
        stats = server.stats()
    if stats["events"] != events:
        raise RuntimeError(f"{stats['events']} of {events} events arrived")
    share = (stats["requests"] - 1) / 5 / ((stats["last_ns"] - stats["first_ns"]) / 1e9)
    report.add(Row(section, "share of the limit used", "", f"{share:.1%}", value=share, target=("at least", 0.95)))
    report.add(Row(section, f"{events:,} events", "", f"{took['wall_ns'] / 1e9:.1f} s; {stats['requests']} requests, and "
                                                     f"{stats['limited']} over the limit"))


def weight(bench: Bench, report: Report) -> None:
    section = "Weight"
    size = bench.library.stat().st_size
    report.add(Row(section, "libtrophy.so, stripped", "", f"{size / 1e6:.2f} MB", value=size / 1e6, target=("under", 2.5), unit="MB",
                   note="the aim is 1.5"))
    archive = bench.ship / "libtrophy.a"
    if archive.exists():
        sizes = []
        for name, libraries in (("static_without", []), ("static_with", [str(archive), *(bench.ship / "native-libs").read_text().split()])):
            out = bench.folder / name
            subprocess.run([os.environ.get("CC", "cc"), "-O2", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s",
                            "-I", str(ROOT / "include"), str(HERE / (name + ".c")), *libraries, "-o", str(out)], check=True)
            sizes.append(out.stat().st_size)
        report.add(Row(section, "added to a program by libtrophy.a, stripped", "", f"{(sizes[1] - sizes[0]) / 1e6:.2f} MB"))
    else:
        report.add(Row(section, "added to a program by libtrophy.a", skipped="make ship-static"))
    with Server(bench, core=OTHER_CORE) as server:
        weighed = []
        for _ in range(2 if QUICK else 41):
            with Process([bench.program("weigh"), str(bench.library), server.url]) as process:
                weighed.append(process.read())
    def middle(key: str) -> float:
        return median([it[key] for it in weighed])
    report.add(Row(section, "dlopen()", "", f"{middle('dlopen_ns') / 1e6:.2f} ms"))
    first = [it["new_ns"] / 1e6 for it in weighed]
    report.add(Row(section, "trophy_client_new(), the first of a process", "", f"{median(first):.3f} ms", value=median(first), values=first,
                   target=("under", 1.0), unit="ms"))
    report.add(Row(section, "trophy_client_new(), another", "", f"{middle('new_again_ns') / 1e6:.3f} ms"))
    report.add(Row(section, "resident memory: the library, a client, after an event", "",
                   ", ".join(f"{(middle(key) - middle('rss_bare_kb')) / 1024:.1f}" for key in ("rss_loaded_kb", "rss_client_kb", "rss_kb")) + " MB"))
    report.add(Row(section, "threads after a client, after an event", "",
                   f"{middle('threads_client'):.0f}, {middle('threads'):.0f}", value=middle("threads")))


def profile(bench: Bench, report: Report) -> None:
    """Where the time of one event goes; from a build of the same code with debug information."""
    if QUICK:
        return
    try:
        bench.tool("valgrind")
        library = profile_event.build(ROOT, bench.folder)
        with Server(bench) as server:
            report.profile = profile_event.measure(bench.program("peer_trophy"), server.url, library, bench.folder,
                                                   bench.program("allocations.so"))
    except Skipped as why:
        report.facts["profile_skipped"] = str(why)


def main() -> None:
    bench = Bench(Path(sys.argv[1]).resolve())
    bench.build()
    report = Report(bench.folder, QUICK)
    started = time.monotonic()
    only = os.environ.get("BENCH_ONLY", "").split()
    for name, run in (("latency", lambda: (latency(bench, report, False), latency(bench, report, True))),
                      ("counted", lambda: counted(bench, report)), ("throughput", lambda: throughput(bench, report)),
                      ("queue", lambda: (enqueue(bench, report), backlog(bench, report), draining(bench, report))),
                      ("weight", lambda: weight(bench, report)),
                      ("profile", lambda: profile(bench, report))):
        if not only or name in only:
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                run()
            except Skipped as why:
                report.add(Row(name, "all", skipped=str(why)))
    report.seconds = time.monotonic() - started
    report.versions(bench)
    print(report.table())
    if not QUICK and not only:
        (ROOT / "BENCHMARKS.md").write_text(report.document())
        print("\nBENCHMARKS.md is written.")


if __name__ == "__main__":
    main()
