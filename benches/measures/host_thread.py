"""The host's own thread: what each call that promises not to wait takes of its caller's time."""

from statistics import median

from harness import QUICK, Process, Server
from report import Detail, Row

SECTION = "The host's own thread"
ROUNDS = 1 if QUICK else 3
# Samples of all rounds together.
CALLS = {
    "event_async": 1_000_000,
    "enqueue": 1_000_000,
    "dispatch-0": 1_000_000,
    "dispatch-1": 10_000,
    "dispatch-10": 3_000,
    "dispatch-100": 1_000,
    "stats": 1_000_000,
    "cancel": 200_000,
}
NAMES = {
    "event_async": "trophy_metrics_event_async()", "enqueue": "trophy_metrics_event_enqueue()", "write": "write() of as many bytes",
    "dispatch-0": "trophy_client_dispatch(), nothing due", "dispatch-1": "trophy_client_dispatch(), 1 due",
    "dispatch-10": "trophy_client_dispatch(), 10 due", "dispatch-100": "trophy_client_dispatch(), 100 due",
    "stats": "trophy_client_stats()", "cancel": "trophy_client_cancel()",
}
SLOW_MS = 200


def run(bench, report):
    program = bench.program("host_thread")
    # (call, threads, service) -> a summary of each round
    took: dict[tuple[str, int, str], list[dict]] = {}
    for service in ("fast", "slow", "gone"):
        with Server(bench, "--delay-ms", str(SLOW_MS if service == "slow" else 0), core=None) as server:
            url = "http://127.0.0.1:1" if service == "gone" else server.url
            for threads in (1, 4):
                for call, samples in CALLS.items():
                    count = max(40, samples // 300) if QUICK else samples // ROUNDS
                    with Process([program, url, bench.fresh("")], core=None) as process:
                        rounds = [process.ask(call, threads, count) for _ in range(ROUNDS)]
                    took[call, threads, service] = rounds
                    if call == "enqueue":
                        took["write", threads, service] = [each["write"] for each in rounds]

    columns = ["call", "threads", "service", "median", "p99", "p99.9", "the worst", "of"]
    rows = [[NAMES[call], str(threads), service, *(time(middle(rounds, key)) for key in ("median_ns", "p99_ns", "p999_ns")),
             time(max(each["worst_ns"] for each in rounds) / 1000),
             f"{sum(each['count'] for each in rounds):,}"]
            for (call, threads, service), rounds in sorted(took.items(), key=lambda it: (list(NAMES).index(it[0][0]), it[0][1]))]
    record = took["enqueue", 1, "gone"][0]["record_bytes"]
    report.detail(Detail(SECTION, f"The slow service answers after {SLOW_MS} ms; where it is gone, connections are refused. The write() appends {record} "
                                  "bytes, as an event takes on disk, to a file of its thread's own, by turns with the enqueues. What is due "
                                  "is shared by the threads that dispatch at once.",
                         columns, rows))
    judge(report, took)
    report.series["host thread"] = {f"{NAMES[call]}, {threads} thread{'s' if threads > 1 else ''}": took[call, threads, "slow"][0]["curve"]
                                    for call in ("event_async", "enqueue", "write", "dispatch-0") for threads in (1, 4)}


def middle(rounds, key):
    return median([each[key] for each in rounds]) / 1000


def time(microseconds):
    if microseconds >= 1000:
        return f"{microseconds / 1000:.1f} ms"
    return f"{microseconds:.{2 if microseconds < 10 else 1 if microseconds < 100 else 0}f} µs"


def judge(report, took):
    """The targets are for the service at its worst for us."""
    for call, threads, key, bound in (("event_async", 1, "median_ns", 1.5), ("event_async", 1, "p999_ns", 30),
                                      ("event_async", 4, "p999_ns", 100), ("dispatch-0", 1, "median_ns", 0.2)):
        worst = max(("fast", "slow", "gone"), key=lambda service: middle(took[call, threads, service], key))
        rounds = took[call, threads, worst]
        value = middle(rounds, key)
        report.add(Row(SECTION, f"{NAMES[call]}, {threads} thread{'s' if threads > 1 else ''}: {PERCENTILES[key]}", f"(service {worst})",
                       time(value), value=value, values=[each[key] / 1000 for each in rounds], target=("under", bound), unit="µs"))
    for key in ("median_ns", "p999_ns"):
        ratios = {service: [each[key] / each["write"][key] for each in took["enqueue", 1, service]] for service in ("fast", "slow", "gone")}
        worst = max(ratios, key=lambda service: median(ratios[service]))
        report.add(Row(SECTION, f"{NAMES['enqueue']}, 1 thread: {PERCENTILES[key]}", f"write() (service {worst})",
                       time(middle(took["enqueue", 1, worst], key)), time(middle(took["write", 1, worst], key)), ratios[worst],
                       target=("at most", 2.5)))


PERCENTILES = {"median_ns": "median", "p99_ns": "p99", "p999_ns": "p99.9", "worst_ns": "the worst"}
