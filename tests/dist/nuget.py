"""Lays out a program with the NuGet package as `dotnet publish` does for any platform, where no .NET SDK is at hand:

    nuget.py PACKAGE.nupkg PROGRAM.exe FOLDER

Beside the program, which becomes PROGRAM.dll, go the package's assembly and its libraries, each below runtimes/; PROGRAM.deps.json tells the runtime
which of them is for which platform, and PROGRAM.runtimeconfig.json which .NET it runs on.
"""

import json
import os
import re
import shutil
import sys
import zipfile

package, program, folder = sys.argv[1:]
name = os.path.splitext(os.path.basename(program))[0]
framework = ".NETCoreApp,Version=v3.1"
os.makedirs(folder, exist_ok=True)
shutil.copy(program, os.path.join(folder, name + ".dll"))
with zipfile.ZipFile(package) as archive:
    id, version = re.search(rb"<id>(.*)</id>\s*<version>(.*)</version>", archive.read("libtrophy.nuspec")).groups()
    library = f"{id.decode()}/{version.decode()}"
    assemblies = [path for path in archive.namelist() if re.fullmatch(r"lib/netstandard2\.0/.*\.dll", path)]
    natives = {path: path.split("/")[1] for path in archive.namelist() if path.startswith("runtimes/")}
    for path in assemblies:
        with open(os.path.join(folder, os.path.basename(path)), "wb") as file:
            file.write(archive.read(path))
    for path in natives:
        archive.extract(path, folder)

depends = {
    "runtimeTarget": {"name": framework, "signature": ""},
    "targets": {
        framework: {
            f"{name}/1.0.0": {"dependencies": dict([library.split("/")]), "runtime": {f"{name}.dll": {}}},
            library: {
                "runtime": {path: {} for path in assemblies},
                "runtimeTargets": {path: {"rid": rid, "assetType": "native"} for path, rid in natives.items()},
            },
        }
    },
    "libraries": {
        f"{name}/1.0.0": {"type": "project", "serviceable": False, "sha512": ""},
        library: {"type": "package", "serviceable": True, "sha512": "", "path": library},
    },
}
runs_on = {
    "runtimeOptions": {
        "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"}, "rollForward": "Major",
        "configProperties": {"System.Globalization.Invariant": True},  # without ICU
    }
}
for kind, content in (("deps", depends), ("runtimeconfig", runs_on)):
    with open(os.path.join(folder, f"{name}.{kind}.json"), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
