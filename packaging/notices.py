#!/usr/bin/env python3
"""Writes THIRD-PARTY-NOTICES.txt: the licences of what is linked into libtrophy and the command-line tool.

--check only says whether that file, or the one named after it, is up to date. cargo says what is linked in, for the platforms of
packaging/targets; the texts are those of the crates' own sources. Of a choice that includes MIT, MIT is taken.
"""

import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOTICES = os.path.join(ROOT, "THIRD-PARTY-NOTICES.txt")
# What a program may carry if it repeats the notice. Anything else is for a person to look at.
FINE = {"MIT", "Apache-2.0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Zlib", "0BSD", "Unicode-3.0", "Unlicense",
        "CC0-1.0", "CDLA-Permissive-2.0", "BSL-1.0"}
LINE = "=" * 80


def cargo(*arguments):
    command = [os.environ.get("CARGO", "cargo"), *arguments, "--locked"]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def targets():
    with open(os.path.join(ROOT, "packaging", "targets"), encoding="utf-8") as file:
        return [line.split()[0] for line in file if line.strip() and not line.startswith("#")]


def linked(package):
    """{(name, version)} of the crates in what this package's build links, itself left out."""
    crates = set()
    for target in targets():
        tree = cargo("tree", "-p", package, "-e", "normal,no-proc-macro", "--target", target, "--prefix", "none",
                     "--no-dedupe", "-f", "{p}")
        # A path in brackets: a package of this repository.
        crates |= {tuple(line.split()[:2]) for line in tree.splitlines() if line and not re.search(r" \(/", line)}
    return {(name, version.removeprefix("v")) for name, version in crates}


def alternatives(expression):
    """The licences of which one is enough, each as the words it is made of."""
    return [re.findall(r"[\w.-]+", part.replace(" AND ", " ")) for part in re.split(r" OR |/", expression)]


def texts(crate):
    """The texts of the licences that are taken, from the crate's own folder."""
    folder = os.path.dirname(crate["manifest_path"])
    names = sorted(name for name in os.listdir(folder)
                   if re.match(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", name, re.I)
                   and os.path.isfile(os.path.join(folder, name)))
    if ["MIT"] in alternatives(crate["license"]):
        names = [name for name in names if re.search("MIT", name, re.I)] or names
    found = []
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            found.append("\n".join(line.rstrip() for line in file.read().strip().splitlines()))
    return found


def wrapped(words, width=80):
    lines, line = [], ""
    for word in words:
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def notices():
    crates = {(crate["name"], crate["version"]): crate
              for crate in json.loads(cargo("metadata", "--format-version", "1"))["packages"]}
    library = linked("trophy")
    tool = linked("trophy-cli") - library
    by_text = {}
    for key in sorted(library | tool):
        crate = crates[key]
        if not any(FINE.issuperset(words) for words in alternatives(crate["license"] or "none")):
            sys.exit(f"{key[0]} {key[1]}: may its licence be linked in? {crate['license']}")
        found = texts(crate)
        if not found:
            sys.exit(f"{key[0]} {key[1]}: its source holds no text of its licence")
        for text in found:
            by_text.setdefault(text, []).append(key)

    def listed(keys):
        return "\n".join(f"  {name} {version}: {crates[name, version]['license']}" for name, version in sorted(keys))

    out = [
        wrapped("libtrophy is licensed under MIT OR Apache-2.0 (LICENSE-MIT, LICENSE-APACHE). Linked into it are the "
                "crates below, under their own licences, and the standard library of Rust, which is Copyright (c) "
                "The Rust Project Contributors, under MIT OR Apache-2.0 like the crates it is made of.".split()),
        "Written by packaging/notices.py.",
        "In the library and in the command-line tool:\n" + listed(library),
        "In the command-line tool only:\n" + listed(tool),
    ]
    for text, keys in sorted(by_text.items(), key=lambda item: item[1]):
        out.append(f"{LINE}\n{wrapped(', '.join(f'{name} {version}' for name, version in keys).split(' '))}\n{LINE}\n\n{text}")
    return "\n\n".join(out) + "\n"


def main():
    text = notices()
    if sys.argv[1:2] == ["--check"]:
        with open(sys.argv[2] if sys.argv[2:] else NOTICES, encoding="utf-8") as file:
            if file.read() != text:
                sys.exit("THIRD-PARTY-NOTICES.txt is out of date: python3 packaging/notices.py writes it")
        return
    with open(NOTICES, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
