"""Events put into the queue, no service in reach, against SQLite with the same durability."""

from statistics import median

from harness import QUICK, Skipped, once
from report import Row

PERCENTILES = (("median_ns", "median"), ("p99_ns", "p99"), ("p999_ns", "p99.9"))


def run(bench, report):
    against_a_crash(bench, report)
    against_a_power_cut(bench, report)


def rounds_of(bench, durability, count, threads, rounds):
    """What both said in each round."""
    ours, theirs = bench.program("queue_trophy"), bench.program("queue_sqlite")
    took = {"trophy": [], "sqlite": []}
    for _ in range(rounds):
        order = list(took)
        bench.random.shuffle(order)
        for name in order:
            if name == "trophy":
                took[name].append(once(ours, "enqueue", bench.fresh("queue"), durability, str(count), str(threads)))
            else:
                took[name].append(once(theirs, bench.fresh("events.db"), durability, str(count), str(threads)))
    return took["trophy"], took["sqlite"]


def compared(report, section, what, sides, unit="µs", digits=2, **more):
    """Times faster than SQLite, round by round."""
    ours, theirs = sides
    shown = (f"{median(side):,.{digits}f} {unit}".strip() for side in sides)
    report.add(Row(section, what, "SQLite", *shown, [b / a for a, b in zip(ours, theirs)], times_faster=True, **more))


def against_a_crash(bench, report):
    section = "Enqueue, against a crash"
    count, rounds = (5_000, 1) if QUICK else (100_000, 9)
    try:
        took = rounds_of(bench, "process", count, 1, rounds)
    except Skipped as why:
        report.add(Row(section, "all", "SQLite", skipped=str(why)))
        return
    ours = [each["median_ns"] / 1000 for each in took[0]]
    report.add(Row(section, "median", "", f"{median(ours):.2f} µs", value=median(ours), values=ours, target=("under", 3.0), unit="µs"))
    for key, what in PERCENTILES:
        compared(report, section, what, [[each[key] / 1000 for each in side] for side in took],
                 target=("at least", 5) if key == "median_ns" else None)
    compared(report, section, "CPU an event, the sender's thread too", [[each["cpu_ns"] / 1000 / count for each in side] for side in took])


def against_a_power_cut(bench, report):
    """Each waits for the disk; what several threads wait for may be one wait."""
    rates = {}
    curves = {}
    for threads in (1, 4, 16):
        section = f"Enqueue, against a power cut, {threads} thread{'s' if threads > 1 else ''}"
        count, rounds = (max(threads, 32), 1) if QUICK else (2000, 9)
        try:
            took = rounds_of(bench, "power", count, threads, rounds)
        except Skipped as why:
            report.add(Row(section, "all", "SQLite", skipped=str(why)))
            return
        for key, what in PERCENTILES:
            compared(report, section, what, [[each[key] / 1000 for each in side] for side in took], target=("at least", 1))
        done = count // threads * threads
        rate = [[done / each["wall_ns"] * 1e9 for each in side] for side in took]
        report.add(Row(section, "events a second", "SQLite", *(f"{median(side):,.0f}" for side in rate),
                       [a / b for a, b in zip(*rate)], times_faster=True, target=("at least", 1)))
        compared(report, section, "CPU an event", [[each["cpu_ns"] / 1000 / done for each in side] for side in took])
        rates[threads] = rate[0]
        if threads > 1:
            fewer = threads // 4
            ratios = [a / b for a, b in zip(rates[threads], rates[fewer])]
            report.add(Row(section, "events a second", f"libtrophy with {fewer}", f"{median(rates[threads]):,.0f}",
                           f"{median(rates[fewer]):,.0f}", ratios, target=("over", 1), times_faster=True))
        curves[str(threads)] = {name: {what: median([each[key] / 1000 for each in side]) for key, what in PERCENTILES}
                                | {"rate": median(rate[which])}
                                for which, (name, side) in enumerate(zip(("libtrophy", "SQLite"), took))}
    report.series["power"] = curves
