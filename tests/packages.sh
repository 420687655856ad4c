#!/usr/bin/env bash
# The packages of the languages, each as its users have it: installed from its file into an empty place, with nothing
# of this project and no compiler on the way, and its example run against the sandbox. TROPHY_SANDBOX says which.
# `packages.sh python node` tries some. Made twice, the packages are the same.
. "$(dirname "$0")/dist/checks.sh"
root=$PWD
if [ "$(uname)" != Linux ]; then
    echo "skipped: it names the library as Linux does"
    exit 77
fi
languages=("$@")
[ $# -gt 0 ] || languages=(python node ruby csharp java go swift)

# ---- The packages ----

unset CARGO_MAKEFLAGS MAKEFLAGS MFLAGS TROPHY_LIBRARY LD_LIBRARY_PATH NATIVE_DIR
export PYTHONDONTWRITEBYTECODE=1
make_packages() { # make_packages FOLDER: what is skipped is counted below, where the package is missing
    make --no-print-directory packages PACKAGES="$1" NATIVE_DIR="$work/natives" >"$work/make.log" ||
        { cat "$work/make.log"; return 1; }
}
# For other platforms it is this machine's library too: only its names are looked at.
make --no-print-directory ship-shared || exit 1
library=$(echo "${CARGO_TARGET_DIR:-target}"/ship/libtrophy.so."$version")
here=$(rustc -vV | sed -n 's/^host: //p')
for target in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf x86_64-unknown-linux-musl; do
    [ "$target" = "$here" ] || install -D "$library" "$work/natives/$target/lib/libtrophy.so.$version"
done
install -D "$library" "$work/natives/x86_64-pc-windows-gnu/bin/trophy.dll"
check "make packages" make_packages "$work/dist" || { total; exit 1; }
cp "$work/make.log" "$work/skipped"
check "make packages, again" make_packages "$work/again"
check "the bytes are the same" diff -rq "$work/dist" "$work/again"

licences="LICENSE-MIT LICENSE-APACHE THIRD-PARTY-NOTICES.txt"
[ ! -e "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" ] || licences+=" RUST-STANDARD-LIBRARY.html"
layout() { # layout LANGUAGE: what is in the packages of all platforms, and which version they say
    python3 -B - "$1" "$work/dist" "$version" "$licences" <<'END'
import email, glob, io, json, re, sys, tarfile, zipfile

language, folder, version = sys.argv[1:4]


def equal(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found}, not {expected}")


def zipped(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tarred(file):
    with tarfile.open(fileobj=file) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def natives(files):
    return [name for name in sorted(files) if re.search(r"trophy\.(so|dll)", name)]


def licences(files):
    names = {name.rsplit("/", 1)[-1] for name in files}
    equal("licences", set(sys.argv[4].split()) - names, set())


if language == "python":
    wheels = {path.rsplit("-", 1)[1]: zipped(path) for path in glob.glob(f"{folder}/libtrophy-{version}-py3-none-*.whl")}
    platforms = sorted(re.sub(r"manylinux(2014|_2_\d+)", "manylinux", name) for name in wheels)
    equal("wheels", platforms, ["manylinux_aarch64.whl", "manylinux_armv7l.whl", "manylinux_x86_64.whl",
                                "musllinux_1_2_x86_64.whl", "win_amd64.whl"])
    for name, files in wheels.items():
        about = email.message_from_bytes(files[f"libtrophy-{version}.dist-info/METADATA"])
        equal(f"version of {name}", about["Version"], version)
        equal(f"typed, {name}", "libtrophy/py.typed" in files, True)
        equal(f"library of {name}", natives(files), ["libtrophy/trophy.dll" if "win" in name else "libtrophy/libtrophy.so.1"])
        licences(files)
elif language == "node":
    with open(f"{folder}/libtrophy-{version}.tgz", "rb") as file:
        files = tarred(file)
    equal("version", json.loads(files["package/package.json"])["version"], version)
    equal("types", "package/trophy.d.ts" in files, True)
    equal("libraries", natives(files), [
        *(f"package/prebuilds/linux-{arch}/libtrophy.so.1" for arch in ("arm", "arm64", "x64-musl", "x64")),
        "package/prebuilds/win32-x64/trophy.dll"])
    licences(files)
elif language == "ruby":
    for platform in ("x86_64-linux", "aarch64-linux", "arm-linux", "x86_64-linux-musl", "x64-mingw-ucrt"):
        with open(f"{folder}/libtrophy-{version}-{platform}.gem", "rb") as file:
            gem = tarred(file)
        files = tarred(io.BytesIO(gem["data.tar.gz"]))
        equal("library", natives(files), ["native/trophy.dll" if "mingw" in platform else "native/libtrophy.so.1"])
        licences(files)
elif language == "csharp":
    files = zipped(f"{folder}/libtrophy.{version}.nupkg")
    equal("version", re.search(rb"<version>(.*)</version>", files["libtrophy.nuspec"])[1].decode(), version)
    equal("libraries", natives(files), [
        *(f"runtimes/linux-{arch}/native/libtrophy.so" for arch in ("arm", "arm64", "musl-x64", "x64")),
        "runtimes/win-x64/native/trophy.dll"])
    extensions = set(re.findall(r'Extension="(\w+)"', files["[Content_Types].xml"].decode()))
    equal("types", {name.rsplit(".", 1)[1] for name in files if "LICENSE" not in name} - extensions - {"xml"}, set())
    licences(files)
elif language == "java":
    files = zipped(f"{folder}/libtrophy-{version}.jar")
    pom = files["META-INF/maven/so.trophy/libtrophy/pom.xml"].decode()
    equal("version", re.search(r"<version>(.*)</version>", pom)[1], version)
    equal("libraries", natives(files), [
        *(f"linux-{arch}/libtrophy.so" for arch in ("aarch64", "arm", "x86-64")), "win32-x86-64/trophy.dll"])
    licences(files)
else:
    files = zipped(f"{folder}/libtrophy-{language}-{version}.zip")
    equal("libraries", natives(files), [])
    equal("licences", [name for name in files if "LICENSE" in name],
          [f"libtrophy-{language}-{version}/LICENSE-{name}" for name in ("APACHE", "MIT")])
END
}

# ---- As users have them ----

start_sandbox
unset CPATH LIBRARY_PATH PKG_CONFIG_PATH PYTHONPATH NODE_PATH RUBYLIB GEM_HOME GEM_PATH CLASSPATH MONO_PATH GOFLAGS

# All that is on PATH but compilers, linkers and what calls them.
mkdir "$work/bin" "$work/wrong"
IFS=: read -ra folders <<<"$PATH"
for folder in "${folders[@]}"; do
    for tool in "$folder"/*; do
        case ${tool##*/} in
            *gcc* | *g++* | *clang* | cc | c++ | cpp | c[89]9* | ld | ld.* | *-ld | as | make | gmake | cmake | ninja | cargo | rustc) ;;
            *) [ -e "$work/bin/${tool##*/}" ] || ln -s "$tool" "$work/bin/${tool##*/}" ;;
        esac
    done
done
# Where the system looks there is another library, which cannot be loaded: a package loads its own.
for name in libtrophy.so libtrophy.so.1; do echo "no library" >"$work/wrong/$name"; done
as_user() { (cd "$home" && PATH="$work/bin" LD_LIBRARY_PATH="$work/wrong" "$@"); }
example() { reads_a_streak as_user "$@"; }
reads_a_streak() { # reads_a_streak COMMAND…: runs the example, and looks whether it read the streak that it made
    "$@" >"$work/program" 2>&1
    local code=$?
    cat "$work/program"
    [ "$code" = 0 ] && grep -qE '^streak:? 1(\.0)?$' "$work/program"
}

as_user_of_python() {
    check "python: a new venv" python3 -m venv "$home/venv" || return
    check "python: pip installs the wheel" \
        as_user venv/bin/pip install --quiet --disable-pip-version-check --no-index "$package" || return
    cp bindings/python/example.py "$home"
    check "python: the example" example venv/bin/python example.py
    if python3 -m mypy --version >/dev/null 2>&1; then
        check "python: a type checker finds its types" python3 -m mypy --strict --cache-dir=/dev/null \
            --python-executable "$home/venv/bin/python" "$home/example.py"
    fi
    check "python: pip uninstalls it whole" as_user venv/bin/pip uninstall --quiet --yes libtrophy
    check "python: nothing is left" refused test -e "$home"/venv/lib/python3*/site-packages/libtrophy
}

as_user_of_node() {
    echo '{"name": "app", "private": true, "type": "module"}' >"$home/package.json"
    cp "$package" bindings/node/example.js "$home"
    if ! (cd "$home" && npm view koffi version >/dev/null 2>&1); then
        skip "node: npm cannot reach koffi"
        return
    fi
    check "node: npm installs the package" \
        as_user npm install --no-audit --no-fund --ignore-scripts "./libtrophy-$version.tgz" || return
    check "node: the example" example node example.js
}

as_user_of_ruby() {
    ruby -e 'require "ffi"' 2>/dev/null || { skip "ruby: the gem ffi is not installed"; return; }
    export GEM_HOME=$home/gems
    check "ruby: gem installs it" as_user gem install --local --no-document "$package" || return
    cp bindings/ruby/example.rb "$home"
    check "ruby: the example" example ruby example.rb
    unset GEM_HOME
}

as_user_of_csharp() {
    have mono || { skip "csharp: no mono is installed"; return; }
    # As NuGet lays it beside a program.
    local arch=x64
    [ "$(uname -m)" != aarch64 ] || arch=arm64
    mkdir "$home/package"
    check "csharp: the package unpacks" python3 -m zipfile -e "$package" "$home/package" || return
    cp "$home/package/lib/netstandard2.0/Trophy.dll" "$home/package/runtimes/linux-"$arch"/native/libtrophy.so" "$home"
    cp bindings/csharp/Example/Example.cs "$home"
    check "csharp: a program compiles against it" as_user mcs -r:Trophy.dll Example.cs || return
    check "csharp: the example" example mono Example.exe
    # As a .NET SDK lays it out, the library is not beside the program.
    local dotnet
    dotnet=$(bash scripts/dotnet.sh linux) || { skip "csharp: ${dotnet#skipped: }"; return; }
    check "csharp: it is laid out as dotnet publish does" \
        python3 -B tests/dist/nuget.py "$package" "$home/Example.exe" "$home/app" || return
    check "csharp: the example, on .NET" example "$dotnet/dotnet" app/Example.dll
}

as_user_of_java() {
    local jna=${JNA_JAR:-/usr/share/java/jna.jar}
    cp "$package" bindings/java/example/Example.java "$home"
    check "java: the example" example java -cp "libtrophy-$version.jar:$jna" Example.java
}

# cgo needs a C compiler, pkg-config, and the library installed.
as_user_of_go() {
    have pkg-config || { skip "go: pkg-config is not installed"; return; }
    check "go: the library is installed" make --no-print-directory install PREFIX="$home/prefix" || return
    check "go: the module unpacks" python3 -m zipfile -e "$package" "$home" || return
    cp "$home/libtrophy-go-$version/example/main.go" "$home"
    export GOPROXY=off GOTOOLCHAIN=local
    check "go: a module requires it" env -C "$home" sh -c "go mod init app &&
        go mod edit -replace=trophy.so/libtrophy=./libtrophy-go-$version && go mod tidy" || return
    check "go: it builds, by pkg-config" env -C "$home" PKG_CONFIG_PATH="$home/prefix/lib/pkgconfig" go build -o app . &&
        check "go: the example" example env LD_LIBRARY_PATH="$home/prefix/lib" ./app
    check "go: it builds, static" env -C "$home" PKG_CONFIG_PATH="$home/prefix/lib/pkgconfig" \
        go build -tags trophy_static -o app . && check "go: the example, with nothing installed" example ./app
    check "go: it builds, with a folder" env -C "$home" CGO_CFLAGS="-I$home/prefix/include" \
        CGO_LDFLAGS="-L$home/prefix/lib" PKG_CONFIG=false go build -tags trophy_folder -o app . &&
        check "go: the example, with a folder" example env LD_LIBRARY_PATH="$home/prefix/lib" ./app
}

# In a chroot where no Swift 6 is on PATH, which also does without this project.
as_user_of_swift() {
    check "swift: the library is installed" make --no-print-directory install PREFIX="$home/prefix" || return
    check "swift: the package unpacks" python3 -m zipfile -e "$package" "$home" || return
    mkdir -p "$home/app/Sources/App"
    cp "$home/libtrophy-swift-$version/Sources/Example/main.swift" "$home/app/Sources/App"
    cat >"$home/app/Package.swift" <<END
// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "App",
    platforms: [.macOS(.v13)],
    dependencies: [.package(path: "../libtrophy-swift-$version")],
    targets: [.executableTarget(name: "App", dependencies: [.product(name: "Trophy", package: "libtrophy-swift-$version")])]
)
END
    # The compiler of 6.0.3 crashes now and then: what is wrong stays wrong.
    cat >"$home/run" <<'END'
cd "$1/app"
export PKG_CONFIG_PATH="$1/prefix/lib/pkgconfig" LD_LIBRARY_PATH="$1/prefix/lib"
build() { swift build --product App --scratch-path "$2" --disable-automatic-resolution; }
{ build "$@" || build "$@"; } && "$2/debug/App"
END
    local run=(sh "$home/run" "$home" "$home/build")
    if ! swift --version 2>/dev/null | grep -q 'Swift version [6-9]'; then
        run=(sh scripts/swift.sh app="$home" -- env TROPHY_BASE_URL="$TROPHY_BASE_URL" TROPHY_API_KEY="$TROPHY_API_KEY"
            TROPHY_ADMIN_BASE_URL="$TROPHY_ADMIN_BASE_URL" sh /trophy/app/run /trophy/app /var/tmp/app)
        if ! sh scripts/swift.sh -- true >"$work/out" 2>&1; then
            skip "swift: $(sed -n 's/^skipped: //p' "$work/out")"
            return
        fi
    fi
    check "swift: a package builds with it, and the example" reads_a_streak "${run[@]}"
}

package_of() {
    case $1 in
        csharp) echo "$work/dist/libtrophy.$version.nupkg" ;;
        java) echo "$work/dist/libtrophy-$version.jar" ;;
        node) echo "$work/dist/libtrophy-$version.tgz" ;;
        python) echo "$work/dist/libtrophy-$version"-py3-none-manylinux*"_$(uname -m).whl" ;;
        ruby) echo "$work/dist/libtrophy-$version-$(uname -m)-linux.gem" ;;
        *) echo "$work/dist/libtrophy-$1-$version.zip" ;;
    esac
}

for language in "${languages[@]}"; do
    package=$(package_of "$language")
    if [ ! -e "$package" ]; then
        skip "$language: $(sed -n "s/^skipped: the package for $language: //p" "$work/skipped")"
        continue
    fi
    check "$language: the package's files, and its version" layout "$language"
    home=$work/$language
    mkdir "$home"
    # For each it is the first day.
    curl -s -X POST -d '{}' -o "$work/reset" "${TROPHY_BASE_URL%/v1}/_sandbox/reset"
    "as_user_of_$language"
done
total
