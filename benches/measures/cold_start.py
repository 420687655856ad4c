"""Cold start: a process that has done nothing else makes a client and has its first event counted, over TLS."""

from statistics import median

from harness import QUICK, Server, Skipped
from report import Row

SECTION = "Cold start, TLS"
PEERS = {"trophy": "libtrophy", "curl": "libcurl", "raw": "raw OpenSSL", "reqwest": "reqwest", "hyper": "hyper"}


def run(bench, report):
    ca, *files = bench.certificates()
    took: dict[str, list] = {}
    skipped: dict[str, str] = {}
    with Server(bench, tls=(ca, *files)) as server:
        for _ in range(1 if QUICK else 40):
            order = [name for name in PEERS if name not in skipped]
            bench.random.shuffle(order)
            for name in order:
                try:
                    with bench.peer(name, server.url, ca) as peer:
                        took.setdefault(name, []).append(peer.ask(1))
                except Skipped as why:
                    skipped[name] = str(why)
    for peer, name in PEERS.items():
        if peer == "trophy":
            continue
        for key, what in (("since_start_ns", "until the first event is counted"), ("since_start_cpu_ns", "CPU until then")):
            if peer in skipped:
                report.add(Row(SECTION, what, name, skipped=skipped[peer]))
                continue
            sides = [[each[key] / 1e6 for each in took[it]] for it in ("trophy", peer)]
            report.add(Row(SECTION, what, name, *(f"{median(side):.2f} ms" for side in sides), [a / b for a, b in zip(*sides)],
                           target=("at most", 1) if peer == "curl" and key == "since_start_ns" else None))
    report.series["cold start"] = {PEERS[name]: [each["since_start_ns"] / 1e6 for each in took[name]] for name in PEERS if name in took}
