"""Where one event goes: instructions (Callgrind) and heap allocations, by the source they come from."""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

EVENTS = 2000

FFI = "C boundary, checks, lanes, retries"
JSON = "JSON"
TRANSPORT = "connections: sockets, deadlines, cancelling"
HTTP = "HTTP: the request's bytes, the reply's end"
HEAP = "heap: malloc, free"
HOST = "the bench program"

# A source file's part, by the first that fits; none: part of whoever called.
SOURCES = [
    (r"/(serde_json|serde_core|serde|itoa|ryu|zmij)-\d|trophy/src/api/json/", JSON),
    (r"/(ureq|ureq-proto|http|httparse|bytes|percent-encoding|utf8-zero)-\d|trophy/src/transport/(request|reply|url)\.rs", HTTP),
    (r"trophy/src/transport/|/socket2-\d", TRANSPORT),
    (r"malloc\.c$|malloc/arena\.c$", HEAP),
    (r"/benches/", HOST),
    (r"trophy/src/", FFI),
]


def part_of(source: str) -> str | None:
    # Rust's and C's standard libraries, and the small crates that all use.
    if re.search(r"/rustc/|/library/(core|alloc|std)/|/hashbrown-\d|/arc-swap-\d", source):
        return None
    return next((part for pattern, part in SOURCES if re.search(pattern, source)), None)


def build(root: Path, folder: Path) -> Path:
    """The library as it ships, with debug information."""
    target = folder / "profile"
    # The paths as SOURCES has them.
    flags = f"{os.environ.get('RUSTFLAGS', '')} --remap-path-prefix={root}=trophy"
    env = {**os.environ, "CARGO_PROFILE_RELEASE_DEBUG": "1", "CARGO_PROFILE_RELEASE_STRIP": "none", "RUSTFLAGS": flags.strip()}
    subprocess.run(["cargo", "rustc", "--quiet", "--release", "--lib", "--crate-type", "cdylib", "--target-dir", str(target)],
                   cwd=root, env=env, check=True)
    folder = target / "release"
    link = folder / "libtrophy.so.1"
    link.unlink(missing_ok=True)
    link.symlink_to("libtrophy.so")
    return folder / "libtrophy.so"


def measure(program: str, url: str, library: Path, folder: Path, counter: str) -> dict:
    env = {**os.environ, "LD_LIBRARY_PATH": str(library.parent)}
    out = folder / "callgrind.out"
    subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no", "--compress-pos=no",
                    "--toggle-collect=peer_event", program, url], input=f"{EVENTS}\n", text=True, check=True, capture_output=True, env=env)
    parts = defaultdict(float)
    for part, cost in by_part(out).items():
        parts[part] += cost / EVENTS

    file = folder / "allocations.txt"
    subprocess.run([program, url], input=f"{EVENTS}\n", text=True, check=True, capture_output=True,
                   env={**env, "LD_PRELOAD": counter, "BENCH_ALLOCATIONS": str(file), "BENCH_ALLOCATIONS_TRACE": "libtrophy.so"})
    places = defaultdict(float)
    lines = [line.split() for line in file.read_text().splitlines()[1:]]
    # Those of each event, not those of the beginning.
    stacks = [(int(line[0]), line[1:]) for line in lines if int(line[0]) >= EVENTS // 2 and len(line) > 1]
    names = resolve(library, {address for _, stack in stacks for address in stack})
    for count, stack in stacks:
        frames = [frame for address in stack for frame in names[address]]
        function, source = next(((function, source) for function, source in frames if part_of(source)), frames[-1])
        places[part_of(source) or "other", function] += count / EVENTS
    order = sorted(parts, key=lambda part: -parts[part])
    return {
        "parts": [(part, parts[part]) for part in order if parts[part] >= 0.5],
        "allocations": sum(places.values()),
        "places": [(*place, count) for place, count in sorted(places.items(), key=lambda it: (it[0][0], -it[1]))],
    }


def by_part(out: Path) -> dict[str, float]:
    """The cost of each part. What belongs to none goes to the callers, in proportion."""
    own: dict[tuple[str, str], float] = defaultdict(float)  # (function, source of the line) -> cost
    arcs: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))  # called -> caller -> inclusive cost
    home: dict[str, str] = {}
    function = source = called = ""
    after_calls = False
    for line in out.read_text(errors="replace").splitlines():
        if line.startswith("fl="):
            source = file = line[3:]
        elif line.startswith(("fi=", "fe=")):
            source = line[3:]
        elif line.startswith("fn="):
            function = line[3:]
            home.setdefault(function, file)
        elif line.startswith("cfn="):
            called = line[4:]
        elif line.startswith("calls="):
            after_calls = True
        elif line and line[0] in "0123456789+-*":
            cost = float(line.split()[1])
            if after_calls:
                # A function that calls itself is its own caller already.
                if called != function:
                    arcs[called][function] += cost
                after_calls = False
            else:
                own[function, source] += cost

    # What part a function is, as shares: its own source's, else as its callers are.
    shares: dict[str, dict[str, float]] = {}
    functions = {function for function, _ in own} | set(arcs)
    for function in functions:
        part = HEAP if re.match(r"(malloc|free|calloc|realloc|_int_\w+|malloc_consolidate|unlink_chunk\S*|sysmalloc|systrim\S*)$", function) \
            else part_of(home.get(function, ""))
        shares[function] = {part: 1.0} if part else {}
    undecided = [function for function in functions if not shares[function]]
    for _ in range(40):
        for function in undecided:
            mixed: dict[str, float] = defaultdict(float)
            for caller, cost in arcs[function].items():
                for part, share in shares.get(caller, {}).items():
                    mixed[part] += cost * share
            total = sum(mixed.values())
            shares[function] = {part: cost / total for part, cost in mixed.items()} if total else {}

    costs: dict[str, float] = defaultdict(float)
    for (function, source), cost in own.items():
        heap = shares[function] == {HEAP: 1.0}
        part = HEAP if heap else part_of(source)
        for each, share in ({part: 1.0} if part else shares[function] or {"other": 1.0}).items():
            costs[each] += cost * share
    return costs


def short(function: str) -> str:
    """`<trophy::delivery::control::Control as core::default::Default>::default` as `Control::default`."""
    function = re.sub(r"::h[0-9a-f]{16}$", "", function)
    method = re.fullmatch(r"<(.+?) as .+>::(\w+)", function)
    if method:
        function = re.sub(r"(\w+::)+", "", method[1]).lstrip("<") + "::" + method[2]
    return re.sub(r"<.*>", "<…>", function)


def resolve(library: Path, addresses: set[str]) -> dict[str, list[tuple[str, str]]]:
    """Function and source of each return address, those inlined first."""
    ordered = sorted(addresses)
    # One before the return address is the call.
    asked = "".join(f"0x{int(address, 16) - 1:x}\n" for address in ordered)
    answer = subprocess.run(["addr2line", "-a", "-i", "-f", "-C", "-e", str(library)], input=asked, capture_output=True, text=True,
                            check=True).stdout.splitlines()
    names: dict[str, list[tuple[str, str]]] = {}
    at = -1
    index = 0
    while index < len(answer):
        if answer[index].startswith("0x"):
            at += 1
            names[ordered[at]] = []
            index += 1
            continue
        names[ordered[at]].append((short(answer[index]), answer[index + 1].rsplit(":", 1)[0]))
        index += 2
    return names
