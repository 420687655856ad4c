"""What the loader of macOS reads of a dylib: python3 macho.py FILE prints its install name, the libraries it needs, and
the names that it exports, a line each."""

import struct
import sys

ID_DYLIB, LOAD_DYLIB, DYLD_INFO, EXPORTS_TRIE = 0xD, 0xC, 0x80000022, 0x80000033


def commands(data):
    magic, _, _, _, count, _ = struct.unpack_from("<6I", data)
    assert magic == 0xFEEDFACF, "not a 64-bit Mach-O file"
    at = 32
    for _ in range(count):
        kind, size = struct.unpack_from("<2I", data, at)
        yield kind, data[at : at + size]
        at += size


def number(data, at):
    """A ULEB128, and what comes after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def names(trie, at=0, start=b""):
    """The exports, a tree of the beginnings that names have in common."""
    size, at = number(trie, at)
    if size:
        yield start.decode()
    at += size
    children = trie[at]
    at += 1
    for _ in range(children):
        end = trie.index(0, at)
        child, after = number(trie, end + 1)
        yield from names(trie, child, start + trie[at:end])
        at = after


def main():
    data = open(sys.argv[1], "rb").read()
    for kind, command in commands(data):
        if kind in (ID_DYLIB, LOAD_DYLIB):
            name = command[struct.unpack_from("<I", command, 8)[0] :].split(b"\0")[0].decode()
            print("install name" if kind == ID_DYLIB else "needs", name)
        elif kind in (DYLD_INFO, EXPORTS_TRIE):
            offset, size = struct.unpack_from("<2I", command, 40 if kind == DYLD_INFO else 8)
            for name in sorted(names(data[offset : offset + size])) if size else ():
                print("exports", name.removeprefix("_"))


main()
