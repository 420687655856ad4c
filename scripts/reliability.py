#!/usr/bin/env python3
"""RELIABILITY.md from results.

    reliability.py note NAME WHAT FIGURES.json   writes target/reliability/NAME.json: figures, with when and where
    reliability.py collect                       takes what target/reliability has into tests/reliability.json, and
                                                 writes RELIABILITY.md
    reliability.py check                         whether RELIABILITY.md is what tests/reliability.json makes

A result is {"name", "what", "figures", "date", "commit", "machine"}; figures are numbers, words, or an object of
them. WHAT is a sentence or two: how it is tested.
"""

import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "reliability"
KEPT = ROOT / "tests/reliability.json"
PAGE = ROOT / "RELIABILITY.md"
FRONT = ROOT / "docs/reliability.md.in"


def machine():
    processor = platform.processor() or platform.machine()
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{processor}, {os.cpu_count()} processors, {system}"


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "include", "Cargo.lock")
    return git("rev-parse", "--short=9", "HEAD") + (" and changes" if changed else "")


def note(name, what, figures):
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {
        "name": name,
        "what": what,
        "figures": json.loads(pathlib.Path(figures).read_text()),
        "date": datetime.date.today().isoformat(),
        "commit": os.environ.get("RELIABILITY_COMMIT") or commit(),
        "machine": machine(),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def kept():
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def collect():
    results = kept()
    for file in sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text())
        missing = {"name", "what", "figures", "date", "commit", "machine"} - result.keys()
        if missing:
            sys.exit(f"{file}: no {', '.join(sorted(missing))}")
        results[result["name"]] = result
    KEPT.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    PAGE.write_text(page(kept()))


def number(value):
    return f"{value:,}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def rows(figures):
    for name, value in figures.items():
        if not isinstance(value, dict):
            yield name, number(value)


def page(results):
    text = FRONT.read_text().rstrip() + "\n"
    for name in sorted(results):
        result = results[name]
        text += f"\n### {name.replace('-', ' ').capitalize()}\n\n{result['what']}\n\n"
        text += f"{result['date']}, commit `{result['commit']}`; {result['machine']}.\n\n"
        text += "| | |\n|---|---:|\n"
        text += "".join(f"| {name} | {value} |\n" for name, value in rows(result["figures"]))
        for name, value in result["figures"].items():
            if isinstance(value, dict) and value:
                parts = (f"{part} {number(amount)}" for part, amount in value.items())
                text += f"\n{name.capitalize()}: {'; '.join(parts)}.\n"
    return text


def check():
    if PAGE.read_text() != page(kept()):
        sys.exit("RELIABILITY.md is not what tests/reliability.json makes: make reliability")


def main():
    match sys.argv[1:]:
        case ["note", name, what, figures]:
            note(name, what, figures)
        case ["collect"]:
            collect()
        case ["check"]:
            check()
        case _:
            sys.exit(__doc__)


main()
