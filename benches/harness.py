"""What each measurement uses: the programs, the server, and processes on a core of their own."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Callable

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
    "host_thread": (["host_thread.c"], ["LIBTROPHY", "-pthread"]),
    "queue_sqlite": (["queue_sqlite.c"], ["-lsqlite3", "-pthread"]),
    "queue_trophy": (["queue_trophy.c"], ["LIBTROPHY", "-pthread"]),
    "memory": (["memory.c"], ["LIBTROPHY", "-pthread"]),
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

    def peer(self, name: str, url: str, ca: str | None = None) -> Process:
        """A process that sends events to `url`, as many as it is asked for; see peer.c."""
        env: dict[str, str] = {}
        if name in ("node", "python"):
            command, env = self.sdk(name)
            if ca:
                env |= {"NODE_EXTRA_CA_CERTS": ca, "SSL_CERT_FILE": ca}
            return Process([*command, url], env=env)
        if name in ("reqwest", "hyper"):
            command = [self.rust_peer(name), url]
        else:
            command = [self.program("peer_" + name), url]
        return Process(command + ([ca] if ca else []))

    def rust_peer(self, name: str) -> str:
        path = self.folder / "rust_peers/release" / f"peer_{name}"
        if not path.exists():
            raise Skipped("not built; benches/rust_peers.sh does it")
        return str(path)

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

    # ---- a folder for queues ----

    def fresh(self, name: str) -> str:
        """A path in a folder that holds nothing else."""
        folder = self.folder / "queue"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return str(folder / name)

    def filled(self, events: int) -> tuple[str, Any]:
        """A queue with that many events, and what the program said that put them into it."""
        path = self.fresh("queue")
        answer = once(self.program("queue_trophy"), "enqueue", path, "process", str(events), "1")
        if answer["queued"] != events:
            raise RuntimeError(f"{answer['queued']} of {events} events are queued")
        return path, answer


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

    def ask(self, *words: int | str) -> Any:
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
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


def once(*command: str) -> Any:
    """What a program says that is asked nothing; on all cores."""
    with Process(list(command), core=None) as process:
        return process.read()


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
