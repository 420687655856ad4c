"""What the library weighs: on disk by part, in a program that links it, in memory by how much it is used."""

import os
import subprocess
from statistics import median

import size_by_part
from harness import HERE, OTHER_CORE, QUICK, ROOT, Process, Server, Skipped, once
from report import Detail, Row

SECTION = "Weight"


def run(bench, report):
    sizes(bench, report)
    loading(bench, report)
    memory(bench, report)


def megabytes(size):
    return f"{size / 1e6:.2f} MB"


def sizes(bench, report):
    size = bench.library.stat().st_size
    report.add(Row(SECTION, "libtrophy.so, stripped", "", megabytes(size), value=size / 1e6, target=("under", 2.5), unit="MB",
                   note="the aim is 1.5"))
    report.add(static_link(bench, bench.ship, "added to a program by libtrophy.a, stripped"))
    small = bench.target / "ship-small"
    library = next(iter(sorted(small.glob("libtrophy.so.*.*.*"))), None)
    if library is None:
        report.add(Row(SECTION, "libtrophy.so of SMALL=1", skipped="not built; make ship-shared SMALL=1"))
    else:
        report.add(Row(SECTION, "libtrophy.so of SMALL=1, stripped", "the full one", megabytes(library.stat().st_size), megabytes(size),
                       [library.stat().st_size / size]))
        report.add(static_link(bench, small, "added to a program by libtrophy.a of SMALL=1, stripped"))
    unstripped = bench.ship / "libs/release/libtrophy.so"
    parts = size_by_part.of(unstripped, bench.library) if unstripped.exists() else None
    if parts is None:
        report.add(Row(SECTION, "by part", skipped="nm, of binutils, is not installed" if unstripped.exists() else "a build for another machine"))
        return
    report.detail(Detail("Weight, by part", "Of libtrophy.so, stripped. Code by the crate it is from, as nm tells; that of generic types by the "
                                            "crate that is named first, those of the standard library apart.",
                         ["part", "kB", "share"], [[part, f"{each / 1000:,.0f}", f"{each / size:.0%}"] for part, each in parts]))
    report.series["size by part"] = parts


def static_link(bench, ship, what):
    archive = ship / "libtrophy.a"
    if not archive.exists():
        return Row(SECTION, what, skipped="not built; make ship-static")
    linked = []
    for name, libraries in (("static_without", []), ("static_with", [str(archive), *(ship / "native-libs").read_text().split()])):
        out = bench.folder / name
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s",
                        "-I", str(ROOT / "include"), str(HERE / (name + ".c")), *libraries, "-o", str(out)], check=True)
        linked.append(out.stat().st_size)
    return Row(SECTION, what, "", megabytes(linked[1] - linked[0]))


def loading(bench, report):
    with Server(bench, core=OTHER_CORE) as server:
        weighed = []
        for _ in range(2 if QUICK else 41):
            with Process([bench.program("weigh"), str(bench.library), server.url]) as process:
                weighed.append(process.read())

    def middle(key):
        return median([it[key] for it in weighed])

    report.add(Row(SECTION, "dlopen()", "", f"{middle('dlopen_ns') / 1e6:.2f} ms"))
    first = [it["new_ns"] / 1e6 for it in weighed]
    report.add(Row(SECTION, "trophy_client_new(), the first of a process", "", f"{median(first):.3f} ms", value=median(first), values=first,
                   target=("under", 1.0), unit="ms"))
    report.add(Row(SECTION, "trophy_client_new(), another", "", f"{middle('new_again_ns') / 1e6:.3f} ms"))
    report.add(Row(SECTION, "resident memory: the library, a client, after an event", "",
                   ", ".join(f"{(middle(key) - middle('rss_bare_kb')) / 1024:.1f}" for key in ("rss_loaded_kb", "rss_client_kb", "rss_kb")) + " MB"))
    report.add(Row(SECTION, "threads after a client, after an event", "",
                   f"{middle('threads_client'):.0f}, {middle('threads'):.0f}", value=middle("threads")))


def memory(bench, report):
    program = bench.program("memory")
    rows = []
    few, some, many = (1, 2, 5) if QUICK else (1, 10, 100)
    with Server(bench, "--delay-ms", "500" if not QUICK else "50", core=OTHER_CORE) as slow, Server(bench, core=OTHER_CORE) as fast:
        try:
            ca, *files = bench.certificates()
            secure = Server(bench, "--delay-ms", "500" if not QUICK else "50", core=OTHER_CORE, tls=(ca, *files))
        except Skipped:
            ca, secure = None, None
        for what, command in (("clients, an event sent by each", ("clients", fast.url)), ("connections of a client, all in use", ("connections", slow.url)),
                              *([("connections of a client, all in use, TLS", ("connections", secure.url, ca))] if secure else [])):
            rows.append([what, *grown(program, command, (few, some, many))])
        if secure:
            secure.end()
    events = (100, 1000, 2000) if QUICK else (1000, 100_000, 1_000_000)
    rows.append(["events queued in a folder", *grown(program, ("queued", bench.fresh), events)])
    rows.append(["events queued in memory", *grown(program, ("queued", "-"), events)])
    report.detail(Detail("Weight, in memory", "By how much the resident memory of a process grows that uses so many, at their peak. A thread a call "
                                              "under way is in it.", ["", "", "", ""], rows))


def grown(program, command, counts):
    """A cell for each count."""
    what, where, *more = command
    cells = []
    for count in counts:
        at = where("queue") if callable(where) else where
        said = once(program, what, at, str(count), *more)
        cells.append(f"{count:,}: {said['rss_grown_kb'] / 1024:.1f} MB")
    return cells
