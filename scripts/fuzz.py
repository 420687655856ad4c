#!/usr/bin/env python3
"""Searches for faults with the targets in fuzz/targets: fuzz.py SECONDS [TARGET ...], each for so many seconds, two at a time.

A target begins with its seeds in fuzz/seeds and with what it has found before in target/fuzz/corpus. Bytes that break it
are kept in target/fuzz/artifacts: what they showed becomes an ordinary test, and they a seed. The executions are summed
by target, over all runs, in target/reliability/fuzz.json; fuzz.py --sum only does that.

It needs what cargo-fuzz needs, but not cargo-fuzz, whose flags these are: `cargo fuzz run TARGET --target-dir target/fuzz`
does the same to one target.
"""

import concurrent.futures
import datetime
import glob
import json
import os
import platform
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)
KEEP = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "fuzz")
RESULT = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "reliability", "fuzz.json")
TARGETS = sorted(os.path.basename(path)[:-3] for path in glob.glob("fuzz/targets/*.rs"))
FLAGS = (
    "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 "
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table "
    "-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing "
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Zsanitizer=address "
    "-Cllvm-args=-sanitizer-coverage-stack-depth -Cdebug-assertions -Ccodegen-units=1"
)
# Longer inputs where what is read is long. The others gain by being short.
LONGEST = {"reply": 4096, "store": 4096, "api": 2048}


def host():
    out = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return re.search(r"^host: (.*)$", out, re.M)[1]


def build():
    # Sanitizers are not for stable Rust yet; the compiler has them all the same.
    env = dict(os.environ, RUSTC_BOOTSTRAP="1", RUSTFLAGS=FLAGS, ASAN_OPTIONS="detect_odr_violation=0")
    command = ["cargo", "build", "--manifest-path", "fuzz/Cargo.toml", "--release", "--bins", "--locked",
               "--target", host(), "--target-dir", KEEP]
    subprocess.run(command, env=env, check=True)
    return os.path.join(KEEP, host(), "release")


def run(programs, target, seconds):
    """Whether it found nothing; prints one line."""
    folders = {name: os.path.join(KEEP, name, target) for name in ("corpus", "artifacts", "logs")}
    for folder in folders.values():
        os.makedirs(folder, exist_ok=True)
    log = os.path.join(folders["logs"], f"{time.time_ns()}.log")
    command = [os.path.join(programs, target), folders["corpus"], *glob.glob(f"fuzz/seeds/{target}"), f"-artifact_prefix={folders['artifacts']}/",
               f"-max_total_time={seconds}", "-print_final_stats=1",
               f"-max_len={LONGEST.get(target, 512)}", "-dict=fuzz/words.dict", "-timeout=30", "-rss_limit_mb=2048"]
    env = dict(os.environ, ASAN_OPTIONS="detect_odr_violation=0:allocator_may_return_null=1")
    with open(log, "w") as out:
        code = subprocess.run(command, env=env, stdout=out, stderr=subprocess.STDOUT).returncode
    executions = executions_of(log)
    print(f"{'ok    ' if code == 0 else 'FAILED'} {target}: {executions} executions", flush=True)
    if code != 0:
        with open(log, errors="replace") as lines:
            print("".join("    | " + line for line in lines.readlines()[-60:]), flush=True)
    return code == 0


def executions_of(log):
    """Of a run that has ended, what it says at its end; of one that goes on or was killed, what it said last."""
    with open(log, errors="replace") as file:
        text = file.read()
    final = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text)
    so_far = re.findall(r"^#(\d+)\s", text, re.M)
    return int((final or so_far or ["0"])[-1])


def sums():
    return {target: sum(map(executions_of, glob.glob(f"{KEEP}/logs/{target}/*.log"))) for target in TARGETS}


def write_sums():
    by_target = sums()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    figures = {"executions in all": sum(by_target.values())}
    figures |= {f"executions of {target}": number for target, number in by_target.items()}
    result = {
        "name": "fuzz",
        "what": "inputs tried by coverage-guided fuzzing under AddressSanitizer, by target (fuzz/targets)",
        "figures": figures,
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    with open(RESULT, "w") as out:
        json.dump(result, out, indent=1)
        out.write("\n")
    print(json.dumps(figures, indent=1))


def main():
    if sys.argv[1:] == ["--sum"]:
        write_sums()
        return 0
    seconds = int(sys.argv[1])
    targets = sys.argv[2:] or TARGETS
    programs = build()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found_nothing = list(pool.map(lambda target: run(programs, target, seconds), targets))
    write_sums()
    print(f"{found_nothing.count(True)} passed, {found_nothing.count(False)} failed")
    return 0 if all(found_nothing) else 1


if __name__ == "__main__":
    sys.exit(main())
