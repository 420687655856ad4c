#!/usr/bin/env bash
# The documentation: it is built without a warning, the reference is whole, links lead somewhere, the README's
# tables say what the header says, and the C in it compiles.
set -u
cd "$(dirname "$0")/.."
for tool in doxygen python3; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
docs=${CARGO_TARGET_DIR:-target}/test-docs
if ! make --no-print-directory docs DOCS="$docs"; then
    echo "FAILED  make docs, without a warning"
    echo "0 passed, 1 failed"
    exit 1
fi
exec python3 - "$docs/html" <<'EOF'
import glob, html, os, re, shutil, subprocess, sys, tempfile

site = sys.argv[1]
passed = failed = 0


def check(what, wrong):
    """`wrong`: what is not as it should be."""
    global passed, failed
    passed, failed = passed + (not wrong), failed + bool(wrong)
    print("FAILED " if wrong else "ok     ", what)
    for line in sorted(wrong):
        print("       ", line)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


header, readme = read("include/trophy.h"), read("README.md")
code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
languages = [*glob.glob("bindings/*/README.md"), "examples/cpp/README.md"]
pages = ["README.md", *glob.glob("docs/*.md"), *languages, "examples/sandbox/README.md"]
passed += 1
print("ok      make docs, without a warning")

# The reference: what is exported, as the header's sections describe it.
functions = {
    name: [re.search(r"(\w+)$", parameter.strip())[1] for parameter in text.split(",") if parameter.strip() != "void"]
    for name, text in re.findall(r"\b(trophy_\w+)\(([^()]*)\);", code)
}
described = {}
for path in glob.glob(site + "/group__c-*.html"):
    for title, text in re.findall(r'<h2 class="memtitle">.*?</span>(\w+)\(\).*?</h2>(.*?)(?=<h2 class="memtitle">|\Z)', read(path), re.S):
        described[title] = re.findall(r'<td class="paramname">(\w+)</td>', text.split('<div class="memdoc">')[1])
check(f"{len(functions)} functions are in the reference, with their parameters",
      [f"{name}: {described.get(name)}, not {parameters}" for name, parameters in functions.items()
       if described.get(name) != parameters] if len(functions) > 40 else ["the header's functions were not found"])

statuses = dict(re.findall(r"TROPHY_STATUS_(\w+) = (\d+)", code))
listed = dict((name, number) for number, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", readme, re.M))
check(f"{len(statuses)} statuses are in the README, with their numbers", set(statuses.items()) ^ set(listed.items()))

check("every status has its advice in docs/errors.md",
      [name for name in statuses if name != "OK" and f"`{name}`" not in read("docs/errors.md").split("What to do")[1]])


# The options: names in order and defaults.
def options_of_header(title):
    text = re.search(rf" \* {title} OPTIONS:.*?\n \*\n(.*?)\n \*(?=\n|/)", header, re.S)[1]
    rows = re.findall(r"^ \* (  )?([a-z_]+)  +(.*)$", text, re.M)
    return [("queue." * bool(inner) + name, re.split("  +", rest)[0]) for inner, name, rest in rows]


table = readme[readme.index("## Client options"):]
rows = re.findall(r"^\| (– )?`(\w+)` \| (.*?) \|", table[:table.index("\n## ")], re.M)
client = [("queue." * bool(inner) + name, default.strip("`")) for inner, name, default in rows]
version = re.search(r'TROPHY_VERSION "(.*)"', header)[1]
expected = [(name, default.replace(version, "...")) for name, default in options_of_header("CLIENT")]
check(f"{len(expected)} client options are in the README, with their defaults",
      {f"{option}" for option in set(expected) ^ set(client)} if set(expected) != set(client)
      else ["another order"] * (expected != client))
request = re.search(r"\*\*Request options\*\*.*?\n\n", table, re.S)[0]
check("request options are in the README",
      {name for name, _ in options_of_header("REQUEST")} ^ set(re.findall(r"`([a-z_]+)`", request.split("They are")[1])))


# Links, in the repository and in the HTML.
def without_blocks(text):
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)


def anchors(path):
    headings = re.findall(r"^#+ (.*)$", without_blocks(read(path)), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


broken = []
for page in pages:
    text = re.sub(r"`[^`\n]*`", "", without_blocks(read(page)))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(target):
            broken.append(f"{page}: {link}: there is no such file")
        elif fragment and fragment not in anchors(target):
            broken.append(f"{page}: {link}: there is no such heading")
check(f"links of {len(pages)} pages", broken)
check("every language is linked from the README", [path for path in languages if f"({path})" not in readme])

ids, broken, count = {}, [], 0
for path in glob.glob(site + "/*.html"):
    ids[os.path.basename(path)] = set(re.findall(r'\b(?:id|name)="([^"]+)"', read(path)))
names = ["index"] + [os.path.basename(path if path.startswith("docs") else os.path.dirname(path)) for path in pages[1:]]
for page in [re.sub(r"(\.md)?$", ".html", name, count=1) for name in names]:
    for link in map(html.unescape, re.findall(r'<a [^>]*href="([^"]+)"', read(f"{site}/{page}"))):
        if re.match(r"\w+:", link):
            continue
        path, _, fragment = link.partition("#")
        count += 1
        if path and not os.path.exists(f"{site}/{path}"):
            broken.append(f"{page}: {link}: there is no such file")
        elif fragment and (path or page) in ids and fragment not in ids[path or page]:
            broken.append(f"{page}: {link}: there is no such place")
check(f"{count} links in the HTML", broken)

# The C of the pages: a program as it is; declarations and statements of a page in a program made of them.
compiler = os.environ.get("CC") or shutil.which("cc")
if compiler:
    for page in pages:
        blocks = re.findall(r"^```c\n(.*?)^```", read(page), re.S | re.M)
        rest = [block for block in blocks if "int main(" not in block]
        sources = [block for block in blocks if "int main(" in block]
        if rest:
            top = [block for block in rest if block.startswith("static ")]
            inside = [block for block in rest if block not in top]
            sources.append("#include <stdio.h>\n#include <stdlib.h>\n#include <trophy.h>\n" + "".join(top) +
                           "int main(void) {\ntrophy_client *client = NULL; char *json = NULL; trophy_status status;\n" +
                           "".join("{" + block + "}\n" if "trophy_client *client" in block else block for block in inside) +
                           "(void)client; (void)json; (void)status; return 0;\n}\n")
        for source in sources:
            with tempfile.TemporaryDirectory() as folder:
                with open(folder + "/page.c", "w") as file:
                    file.write(source)
                made = subprocess.run([compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-fsyntax-only",
                                       folder + "/page.c"], capture_output=True, text=True)
                check(f"the C of {page} compiles", made.stderr.splitlines()[:6] if made.returncode else [])

print(f"{passed} passed, {failed} failed")
sys.exit(bool(failed))
EOF
