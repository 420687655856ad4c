#!/usr/bin/env python3
"""What a program that was built against libtrophy relies on, as lines to compare.

    abi.py describe HEADER LIBRARY            prints it: the functions of the header with their types, the types, the
                                              numbers of the enums, the macros, the symbols that the library exports
    abi.py check RELEASED HEADER LIBRARY      fails if a line of RELEASED, a file of packaging/abi/, is not there any more

A changed line is one taken away and one added, so what is changed fails and what is added passes. CC names the C
compiler, which expands the macros; pycparser reads the C. A release adds a file: see packaging/abi/README.md.
"""

import os
import re
import subprocess
import sys
import tempfile

from pycparser import c_ast, c_generator, c_parser

# What the header includes, as far as a parser without extensions wants to know.
STANDARD_HEADERS = {
    "stddef.h": "typedef unsigned long size_t;",
    "stdint.h": "typedef int int32_t; typedef long int64_t; typedef unsigned int uint32_t; typedef unsigned long uint64_t;"
                " typedef unsigned char uint8_t;",
}
# They say which version it is: what else should differ between two of them?
VERSION = re.compile(r"TROPHY_VERSION(_MINOR|_PATCH|_NUMBER)?$")


def preprocessed(header, *flags):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in STANDARD_HEADERS.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        command = [os.environ.get("CC", "cc"), "-std=c11", "-E", "-P", "-nostdinc", "-isystem", folder,
                   "-D__attribute__(x)=", *flags, header]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class WithoutNames(c_ast.NodeVisitor):
    """Names of parameters are documentation, not part of a type."""

    def visit_TypeDecl(self, node):
        node.declname = None
        self.generic_visit(node)

    def visit_Decl(self, node):
        node.name = None
        self.generic_visit(node)


def type_text(node):
    if isinstance(node, c_ast.FuncDecl) and node.args:
        for parameter in node.args.params:
            WithoutNames().visit(parameter)
    return re.sub(r"\s+", " ", c_generator.CGenerator().visit(node)).strip()


def enumerators(enum):
    number = -1
    for item in enum.values.enumerators:
        number = int(item.value.value, 0) if item.value else number + 1
        yield f"enum {enum.name}: {item.name} = {number}"


def declarations(header):
    tree = c_parser.CParser().parse(preprocessed(header))
    for node in tree.ext:
        inner = node.type
        if isinstance(inner, c_ast.Enum) and inner.values:
            yield from enumerators(inner)
        elif isinstance(inner, c_ast.FuncDecl):
            yield f"function: {type_text(inner)}"
        elif isinstance(node, c_ast.Typedef) and "trophy" in node.name:
            function = inner.type if isinstance(inner, c_ast.PtrDecl) else inner
            if isinstance(function, c_ast.FuncDecl):
                type_text(function)
            yield f"type: {type_text(node)}"


def macros(header):
    for name, value in re.findall(r"^#define (TROPHY_\w+) ?(.*)$", preprocessed(header, "-dM"), re.M):
        if not VERSION.match(name) and name != "TROPHY_H":
            yield f"macro: {name} {value}".strip()


def symbols(library):
    listed = subprocess.run(["nm", "-D", "--defined-only", library], check=True, stdout=subprocess.PIPE, text=True)
    for line in listed.stdout.splitlines():
        yield f"symbol: {line.split()[-1]}"


def describe(header, library):
    return sorted({*declarations(header), *macros(header), *symbols(library)})


def main():
    if sys.argv[1] == "describe":
        print("\n".join(describe(*sys.argv[2:])))
        return
    released, *now = sys.argv[2:]
    with open(released, encoding="utf-8") as file:
        gone = set(file.read().splitlines()) - set(describe(*now))
    for line in sorted(gone):
        print(f"taken away or changed since {released}: {line}")
    sys.exit(1 if gone else 0)


if __name__ == "__main__":
    main()
