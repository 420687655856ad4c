"""System calls, heap allocations and instructions of an event: what more events make more of."""

import os
import re
import subprocess

from harness import CLIENT_CORE, QUICK, Server, Skipped, pinned
from report import Row


def run(bench, report):
    section = "One event, counted"
    few, many = (20, 120) if QUICK else (200, 1200)
    events = many - few

    def ran(command: list[str], prefix: list[str], count: int, *more: int, env: dict[str, str] | None = None) -> str:
        line = " ".join(map(str, (count, *more))) + "\n"
        program = subprocess.run([*prefix, *command], input=line, capture_output=True, text=True, check=True,
                             env={**os.environ, **(env or {})}, preexec_fn=pinned(CLIENT_CORE))
        return program.stderr

    def system_calls(command: list[str], *more: int) -> dict[str, float]:
        """By name; those that came with the events."""
        summary = bench.folder / "strace.txt"
        seen: list[dict[str, int]] = []
        for count in (few, many):
            ran(command, [bench.tool("strace"), "-f", "-c", "-o", str(summary)], count, *more)
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
            ran(command, [], count, env=env)
            seen.append([int(number) for number in file.read_text().split()[:2]])
        return (seen[1][0] - seen[0][0]) / events, (seen[1][1] - seen[0][1]) / events

    def instructions(command: list[str]) -> float:
        seen = []
        for count in (few, many):
            output = ran(command, [bench.tool("valgrind"), "--tool=callgrind", "--callgrind-out-file=/dev/null"], count)
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
