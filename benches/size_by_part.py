"""How many bytes of the shared library are whose: code by the crate it is from, the rest by what it is for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

# Sections of the stripped file that are not code.
SECTIONS = (
    (r"\.rodata|\.data\.rel\.ro|\.data|\.tdata", "constants: texts, tables, Mozilla's certificate authorities"),
    (r"\.eh_frame.*|\.gcc_except_table", "unwinding, so that a bug ends a call and not the host"),
    (r"\.rela.*|\.relr.*", "relocations"),
)
REST = "symbols and headers"
STANDARD = {"std", "core", "alloc", "compiler_builtins", "rustc_demangle", "hashbrown", "gimli", "addr2line", "object", "miniz_oxide", "panic_unwind"}
SMALL = 8_000


def of(unstripped: Path, stripped: Path) -> list[tuple[str, int]] | None:
    """None where nm or readelf is not installed."""
    if not (shutil.which("nm") and shutil.which("readelf")):
        return None
    code = by_crate(unstripped)
    parts: dict[str, int] = defaultdict(int)
    left = stripped.stat().st_size
    for name, size in sections(stripped):
        part = next((part for pattern, part in SECTIONS if re.fullmatch(pattern, name)), None)
        if name == ".text":
            known = sum(code.values())
            for crate, each in code.items():
                parts[f"code: {crate}"] += round(each * min(1, size / known))
            parts["code: no name"] += max(0, size - known)
        elif part:
            parts[part] += size
        else:
            continue
        left -= size
    parts[REST] = left
    small = sum(size for part, size in parts.items() if size < SMALL and part.startswith("code: "))
    shown = {part: size for part, size in parts.items() if size >= SMALL or not part.startswith("code: ")}
    return sorted(shown.items(), key=lambda it: -it[1]) + ([("code: what is smaller", small)] if small else [])


def sections(library: Path) -> list[tuple[str, int]]:
    """Those that take room in the file."""
    found = []
    for line in subprocess.run(["readelf", "-SW", str(library)], capture_output=True, text=True, check=True).stdout.splitlines():
        row = re.match(r"\s*\[ *\d+\] (\S+)\s+(\S+)\s+[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)", line)
        if row and row[2] != "NOBITS":
            found.append((row[1], int(row[3], 16)))
    return found


def by_crate(library: Path) -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    seen = set()
    for line in subprocess.run(["nm", "-S", "-C", "--defined-only", str(library)], capture_output=True, text=True, check=True).stdout.splitlines():
        row = re.match(r"([0-9a-f]+) ([0-9a-f]+) [tTwW] (.*)", line)
        # Functions that are the same are one, with several names.
        if row and row[1] not in seen:
            seen.add(row[1])
            sizes[crate_of(row[3])] += int(row[2], 16)
    return sizes


def crate_of(name: str) -> str:
    if name.startswith("trophy_"):
        return "trophy"
    crates = re.findall(r"(?<![\w:])([a-z_][a-z0-9_]*)::", name)
    first = next((crate for crate in crates if crate not in STANDARD), None)
    if first:
        return first
    if crates or name.startswith(("__rust", "_R", "rust_")):
        return "Rust's standard library, its generic types too"
    # ring's C and assembly.
    return "ring" if re.search(r"ring_core|bignum|aes|sha|poly1305|chacha|x25519|p256|p384|gcm|ghash|ecp|mont|mul", name) else "C"
