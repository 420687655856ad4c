"""Where the time of one event goes; from a build of the same code with debug information."""

import profile_event
from harness import QUICK, ROOT, Server, Skipped


def run(bench, report):
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
        return
    if report.profile:
        report.series["instructions by part"] = report.profile["parts"]
