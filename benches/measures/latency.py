"""One event on one warm connection, client and server on one core: against whatever else one would use."""

from statistics import median

from harness import QUICK, Process, Server, Skipped
from report import Row

# How many events a round has of each, so that all rounds take as long.
PEERS = {"trophy": 1000, "raw": 1500, "curl": 700, "reqwest": 500, "hyper": 700, "node": 40, "python": 40}
NAMES = {"curl": "libcurl", "reqwest": "reqwest", "hyper": "hyper", "node": "Node SDK", "python": "Python SDK"}
TARGETS = {
    ("curl", 0): ("at most", 0.85), ("curl", 1): ("at most", 0.75),
    ("node", 0): ("at least", 20), ("python", 0): ("at least", 20),
}


def run(bench, report):
    for tls in (False, True):
        measure(bench, report, tls)


def measure(bench, report, tls):
    section = "One event, TLS" if tls else "One event, plain"
    try:
        ca, *files = bench.certificates() if tls else (None,)
        server = Server(bench, tls=(ca, *files) if tls else None)
    except Skipped as why:
        report.add(Row(section, "all", skipped=str(why)))
        return
    peers: dict[str, Process] = {}
    skipped: dict[str, str] = {}
    took: dict[str, list[tuple[float, float]]] = {}
    with server:
        for name in PEERS:
            try:
                peers[name] = bench.peer(name, server.url, ca)
                took[name] = []
            except Skipped as why:
                skipped[name] = str(why)
        for name, peer in peers.items():
            peer.ask(max(2, PEERS[name] // 10 if QUICK else PEERS[name] * 2))
        for _ in range(2 if QUICK else 50):
            order = list(peers)
            bench.random.shuffle(order)
            for name in order:
                count = max(2, PEERS[name] // (20 if QUICK else 1))
                answer = peers[name].ask(count)
                took[name].append((answer["wall_ns"] / count / 1000, answer["cpu_ns"] / count / 1000))
        for peer in peers.values():
            peer.end()

    for peer, name in {"raw": "raw " + ("OpenSSL" if tls else "socket"), **NAMES}.items():
        for which, what in enumerate(("time", "CPU")):
            if peer in skipped or "trophy" in skipped:
                report.add(Row(section, what, name, skipped=skipped.get(peer) or skipped["trophy"]))
                continue
            ours, theirs = ([times[which] for times in took[it]] for it in ("trophy", peer))
            faster = peer in ("node", "python")
            ratios = [b / a if faster else a / b for a, b in zip(ours, theirs)]
            report.add(Row(section, what, name, f"{median(ours):.1f} µs", f"{median(theirs):.1f} µs", ratios,
                           target=TARGETS.get((peer, which)), times_faster=faster))
    if "raw" in took:
        report.facts["tls_cpu_us" if tls else "plain_cpu_us"] = {name: median([times[1] for times in took[name]]) for name in took}
    labels = {"trophy": "libtrophy", "raw": "raw", **NAMES}
    report.series["latency, TLS" if tls else "latency, plain"] = {labels[name]: [wall for wall, _ in took[name]] for name in took}
