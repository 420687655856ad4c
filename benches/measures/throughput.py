"""Asynchronous events, so many in flight, against libcurl's multi handle; each side on a core of its own."""

from statistics import median

from harness import OTHER_CORE, QUICK, Process, Server, Skipped
from report import Row


def run(bench, report):
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
            took: dict[str, list] = {name: [] for name in commands}
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
