#!/usr/bin/env python3
"""Makes the packages of the languages, with the shared library inside, from the wrappers in bindings/.

    packages.py python node … --out dist --work target/packages --native x86_64-unknown-linux-gnu=libtrophy.so.1.0.0

--native may be given for several platforms: Rust's name of each, and its library. A package for many platforms
has all of them; of a package for one (a wheel, a gem) there is one for each. The version is that of Cargo.toml. The
same sources and libraries give the same bytes, with the time that SOURCE_DATE_EPOCH says. Ends with 77 after a line
`skipped: why` for each language whose tool is missing.
"""

from __future__ import annotations

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HATCHLING = "hatchling==1.27.0"  # pinned, since its version is written into a wheel


class Platform(NamedTuple):
    """A platform by the name that each language has for it; None where it has none."""

    wheel: str  # {libc} is the oldest one that the library runs with
    node: str
    gem: str
    nuget: str
    jna: str | None
    loaded_as: str = "libtrophy.so.1"
    linked_as: str = "libtrophy.so"


PLATFORMS = {
    "x86_64-unknown-linux-gnu": Platform("{libc}_x86_64", "linux-x64", "x86_64-linux", "linux-x64", "linux-x86-64"),
    "aarch64-unknown-linux-gnu": Platform("{libc}_aarch64", "linux-arm64", "aarch64-linux", "linux-arm64", "linux-aarch64"),
    "armv7-unknown-linux-gnueabihf": Platform("{libc}_armv7l", "linux-arm", "arm-linux", "linux-arm", "linux-arm"),
    # JNA itself is not made for musl.
    "x86_64-unknown-linux-musl": Platform(
        "musllinux_1_2_x86_64", "linux-x64-musl", "x86_64-linux-musl", "linux-musl-x64", None
    ),
    "x86_64-pc-windows-gnu": Platform(
        "win_amd64", "win32-x64", "x64-mingw-ucrt", "win-x64", "win32-x86-64", "trophy.dll", "trophy.dll"
    ),
}


class Skipped(Exception):
    pass


class Build(NamedTuple):
    version: str
    epoch: int
    out: str
    work: str
    natives: dict[str, str]
    licences: dict[str, str]

    def stage(self, language: str) -> str:
        """A copy of a wrapper with the licences in it, below a copy of Cargo.toml, where it reads its version."""
        stage = os.path.join(self.work, language, "bindings", language)
        shutil.rmtree(os.path.join(self.work, language), ignore_errors=True)
        ignored = shutil.ignore_patterns("node_modules", "__pycache__", ".build", "test.sh", "*_test.go", ".gitignore")
        shutil.copytree(os.path.join(ROOT, "bindings", language), stage, ignore=ignored)
        copy(os.path.join(ROOT, "Cargo.toml"), os.path.join(self.work, language, "Cargo.toml"))
        for name, path in self.licences.items():
            copy(path, os.path.join(stage, name))
        for folder, _, names in os.walk(stage):
            for name in names:
                os.chmod(os.path.join(folder, name), 0o644)
        return stage

    def put(self, target: str, path: str) -> str:
        copy(self.natives[target], path)
        return path

    def filled_in(self, path: str) -> str:
        with open(path, encoding="utf-8") as file:
            return file.read().replace("@VERSION@", self.version)

    def zip(self, name: str, files: dict[str, str | bytes]) -> None:
        """A zip whose entries are a path of a file, or bytes. They keep the order they are given in."""
        path = os.path.join(self.out, name)
        date = time.gmtime(max(self.epoch, 315532800))[:6]  # a zip knows no time before 1980
        with zipfile.ZipFile(path, "w") as archive:
            for entry, source in files.items():
                info = zipfile.ZipInfo(entry, date)
                info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
                if isinstance(source, str):
                    with open(source, "rb") as file:
                        source = file.read()
                archive.writestr(info, source, compresslevel=9)
        print(path)

    def tree(self, stage: str, prefix: str = "") -> dict[str, str | bytes]:
        """Every file below a folder, in order."""
        paths = sorted(path for path in glob.glob(stage + "/**", recursive=True) if os.path.isfile(path))
        return {prefix + os.path.relpath(path, stage): path for path in paths}


def licences() -> dict[str, str]:
    """Those of the project, of what is linked in, and of Rust's standard library, as far as the toolchain has them."""
    paths = {name: os.path.join(ROOT, name) for name in ("LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-NOTICES.txt")}
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    standard_library = os.path.join(sysroot, "share/doc/rust/COPYRIGHT-library.html")
    if os.path.exists(standard_library):
        paths["RUST-STANDARD-LIBRARY.html"] = standard_library
    return paths


def copy(source: str, to: str) -> None:
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copyfile(source, to)
    os.chmod(to, 0o644)


def need(tool: str, why: str) -> str:
    path = shutil.which(tool)
    if not path:
        raise Skipped(f"no {tool} is installed, which {why}")
    return path


def run(*command: str, folder: str | None = None, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")


def oldest_libc(library: str) -> str:
    """As a wheel names it: the oldest glibc that has all the versions of symbols that the library asks for."""
    needs = subprocess.run(["readelf", "-V", library], stdout=subprocess.PIPE, text=True, check=True).stdout
    major, minor = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_(\d+\.\d+)", needs))
    return "manylinux2014" if (major, minor) <= (2, 17) else f"manylinux_{major}_{minor}"


def python(build: Build) -> None:
    """A wheel for each platform, by hatchling."""
    venv = os.path.join(build.work, "hatchling")
    interpreter = os.path.join(venv, "bin", "python")
    if not os.path.exists(os.path.join(venv, "bin", "hatchling")):
        install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", HATCHLING]
        for command in ([sys.executable, "-m", "venv", "--clear", venv], install):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise Skipped("pip could not install hatchling: " + (done.stdout.strip().splitlines() or ["?"])[-1])
    for target in build.natives:
        stage, platform = build.stage("python"), PLATFORMS[target]
        library = build.put(target, f"{stage}/src/libtrophy/{platform.loaded_as}")
        tag = platform.wheel.format(libc=oldest_libc(library) if "{libc}" in platform.wheel else "")
        run(interpreter, "-m", "hatchling", "build", "-t", "wheel", "-d", build.out, folder=stage, TROPHY_WHEEL_PLATFORM=tag)
        print(f"{build.out}/libtrophy-{build.version}-py3-none-{tag}.whl")


def node(build: Build) -> None:
    """One package, which has a folder for each platform."""
    npm, stage = need("npm", "packs the package for Node"), build.stage("node")
    for target in build.natives:
        build.put(target, f"{stage}/prebuilds/{PLATFORMS[target].node}/{PLATFORMS[target].loaded_as}")
    run(npm, "pkg", "set", f"version={build.version}", folder=stage)
    run(npm, "pack", "--ignore-scripts", "--pack-destination", build.out, folder=stage)
    print(f"{build.out}/libtrophy-{build.version}.tgz")


def ruby(build: Build) -> None:
    """A gem for each platform."""
    gem = need("gem", "builds the gem")
    for target in build.natives:
        stage, platform = build.stage("ruby"), PLATFORMS[target]
        build.put(target, f"{stage}/native/{platform.loaded_as}")
        name = f"{build.out}/libtrophy-{build.version}-{platform.gem}.gem"
        run(gem, "build", "libtrophy.gemspec", "--output", name, folder=stage, TROPHY_GEM_PLATFORM=platform.gem)
        print(name)


def csharp(build: Build) -> None:
    """A NuGet package, as NuGet's documentation has it: a zip of the Open Packaging Conventions."""
    compiler, stage = need("mcs", "compiles the assembly"), build.stage("csharp")
    with open(f"{stage}/Version.cs", "w", encoding="utf-8") as file:
        file.write(f'[assembly: System.Reflection.AssemblyVersion("{build.version}.0")]\n')
    sources = sorted(os.path.relpath(path, stage) for path in glob.glob(f"{stage}/Trophy/*.cs"))
    # 1573 and 1591: what speaks for itself has no comment.
    run(compiler, "-target:library", "-optimize", "-warnaserror", "-nowarn:1573,1591", "-out:Trophy.dll", "-doc:Trophy.xml",
        "Version.cs", *sources, folder=stage)  # fmt: skip
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": b'<?xml version="1.0" encoding="utf-8"?>\n'
        b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />'
        + b"".join(
            b'<Default Extension="%s" ContentType="application/octet" />' % extension
            for extension in (b"nuspec", b"dll", b"xml", b"so", b"md", b"txt", b"html")
        )
        + b'<Override PartName="/LICENSE-MIT" ContentType="application/octet" />'
        b'<Override PartName="/LICENSE-APACHE" ContentType="application/octet" /></Types>\n',
        "_rels/.rels": b'<?xml version="1.0" encoding="utf-8"?>\n'
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        b'<Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/libtrophy.nuspec" Id="R1" />'
        b"</Relationships>\n",
        "libtrophy.nuspec": build.filled_in(f"{stage}/libtrophy.nuspec.in").encode(),
    }
    for name in ("Trophy.dll", "Trophy.xml"):
        files[f"lib/netstandard2.0/{name}"] = f"{stage}/{name}"
    for name in ("README.md", *build.licences):
        files[name] = f"{stage}/{name}"
    for target, library in sorted(build.natives.items()):
        files[f"runtimes/{PLATFORMS[target].nuget}/native/{PLATFORMS[target].linked_as}"] = library
    build.zip(f"libtrophy.{build.version}.nupkg", files)


def java(build: Build) -> None:
    """A jar with JNA's folders of resources, and its pom."""
    compiler, stage = need("javac", "compiles the classes"), build.stage("java")
    jna = os.environ.get("JNA_JAR", "/usr/share/java/jna.jar")
    if not os.path.exists(jna):
        raise Skipped(f"{jna} is not installed, which the classes are compiled with")
    sources = sorted(glob.glob(f"{stage}/src/main/java/so/trophy/*.java"))
    run(compiler, "--release", "17", "-encoding", "UTF-8", "-cp", jna, "-d", f"{stage}/classes", *sources)
    pom = build.filled_in(f"{stage}/pom.xml.in").encode()
    files: dict[str, str | bytes] = {
        # The manifest comes first, since some readers look for it there.
        "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\nAutomatic-Module-Name: so.trophy\r\n"
        b"Implementation-Title: libtrophy\r\nImplementation-Version: %s\r\n\r\n" % build.version.encode(),
        "META-INF/maven/so.trophy/libtrophy/pom.xml": pom,
        **build.tree(f"{stage}/classes"),
    }
    for name in build.licences:
        files[f"META-INF/{name}"] = f"{stage}/{name}"
    for target, library in sorted(build.natives.items()):
        if PLATFORMS[target].jna:
            files[f"{PLATFORMS[target].jna}/{PLATFORMS[target].linked_as}"] = library
    build.zip(f"libtrophy-{build.version}.jar", files)
    with open(f"{build.out}/libtrophy-{build.version}.pom", "wb") as file:
        file.write(pom)


def go(build: Build) -> None:
    """The module's sources, which find the library by pkg-config."""
    sources(build, "go")


def swift(build: Build) -> None:
    """The package's sources, which find the library by pkg-config."""
    sources(build, "swift")


def sources(build: Build, language: str) -> None:
    name, stage = f"libtrophy-{language}-{build.version}", build.stage(language)
    # Nothing is linked in.
    for notices in ("THIRD-PARTY-NOTICES.txt", "RUST-STANDARD-LIBRARY.html"):
        if notices in build.licences:
            os.remove(f"{stage}/{notices}")
    build.zip(f"{name}.zip", build.tree(stage, f"{name}/"))


LANGUAGES = {make.__name__: make for make in (csharp, go, java, node, python, ruby, swift)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("language", nargs="*", choices=[[], *LANGUAGES], help="all of them, if none is named")
    parser.add_argument("--out", required=True, help="the folder that the packages are put in")
    parser.add_argument("--work", required=True, help="a folder to build in")
    parser.add_argument("--native", required=True, action="append", metavar="TARGET=LIBRARY")
    given = parser.parse_args()
    natives = dict(native.split("=", 1) for native in given.native)
    for target, library in natives.items():
        if target not in PLATFORMS:
            parser.error(f"{target} has no row in PLATFORMS")
        if not os.path.isfile(library):
            parser.error(f"there is no {library}")
    with open(os.path.join(ROOT, "Cargo.toml"), encoding="utf-8") as file:
        version = re.findall(r'^version = "(.+)"', file.read(), re.M)[0]
    out, work = os.path.abspath(given.out), os.path.abspath(given.work)
    os.makedirs(out, exist_ok=True)
    natives = {target: os.path.abspath(library) for target, library in natives.items()}
    build = Build(version, int(os.environ.get("SOURCE_DATE_EPOCH", "0")), out, work, natives, licences())
    code = 0
    for language in given.language or LANGUAGES:
        try:
            LANGUAGES[language](build)
        except Skipped as why:
            print(f"skipped: the package for {language}: {why}")
            code = 77
    return code


if __name__ == "__main__":
    sys.exit(main())
