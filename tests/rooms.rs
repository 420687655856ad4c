//! The rooms of the library, read from its imports: arrows go down only, no two files import each other, directly
//! or round a corner, and what only one room may touch is touched there only. Unit tests are not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each room with those it may import. `error` is below all of them. Options and `api` stand side by side: a
/// request has options, and options are JSON.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "ffi",
        &["client", "api", "options", "delivery", "transport", "host"],
    ),
    (
        "client",
        &[
            "calls",
            "queue",
            "delivery",
            "options",
            "api",
            "transport",
            "host",
        ],
    ),
    (
        "calls",
        &["delivery", "options", "api", "transport", "host"],
    ),
    (
        "queue",
        &["delivery", "options", "api", "transport", "host"],
    ),
    ("delivery", &["options", "api", "transport", "host"]),
    ("options", &["api", "host"]),
    ("api", &["options", "host"]),
    ("transport", &["api", "host"]),
    ("host", &[]),
    ("error", &[]),
];

/// Words of the code, and the only places that may have them.
const TOUCHED_ONLY_BY: &[(&str, &[&str])] = &[
    ("ureq::", &["transport/"]),
    ("rustls::", &["transport/"]),
    // The disk, and besides it the certificates of `ca_file`, and the system calls that std does not offer.
    (
        "std::fs",
        &["queue/store/", "transport/tls.rs", "host/sys/files/"],
    ),
    ("no_mangle", &["ffi/"]),
    // The system calls back on a fork.
    ("extern \"C\"", &["ffi/", "host/sys/"]),
    ("unsafe", &["ffi/", "host/sys/"]),
];

/// A file of the library.
struct File {
    /// Below src/.
    path: String,
    /// `["transport", "tls"]`; of `transport/mod.rs`, `["transport"]`.
    module: Vec<String>,
    /// Without comments, texts and unit tests.
    code: String,
}

struct Library {
    files: Vec<File>,
}

#[test]
fn the_imports_of_the_library_go_down_only() {
    let library = Library::read();
    let mut wrong = Vec::new();
    for (from, to, import) in library.arrows() {
        let (from_room, to_room) = (room(&from), room(&to));
        let may = ROOMS.iter().find(|(name, _)| *name == from_room);
        let Some((_, may)) = may else {
            wrong.push(format!("{from}: {from_room} is no room of the design"));
            continue;
        };
        if from_room != to_room && to_room != "error" && !may.contains(&to_room) {
            wrong.push(format!(
                "{from} imports {import}: {from_room} may not know {to_room}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_ring() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to, _) in Library::read().arrows() {
        arrows.entry(from).or_default().insert(to);
    }
    let rings = rings(&arrows);
    assert!(rings.is_empty(), "{}", rings.join("\n"));
}

#[test]
fn what_one_room_does_no_other_does() {
    let mut wrong = Vec::new();
    for file in Library::read().files {
        for (word, places) in TOUCHED_ONLY_BY {
            let is_allowed = places.iter().any(|place| file.path.starts_with(place));
            let has_it = file
                .code
                .lines()
                .any(|line| line.contains(word) && !line.trim_start().starts_with("#!"));
            if has_it && !is_allowed {
                wrong.push(format!("{}: `{word}` is for {places:?} only", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_imports_are_found_however_they_are_written() {
    let library = Library {
        files: [
            (
                "a/mod.rs",
                "mod b;\nmod c;\npub use c::Gone;\nuse b::Way;\npub struct Here;",
            ),
            (
                "a/b.rs",
                "use super::Here;\nuse super::{Gone, c::{self, Also}};",
            ),
            (
                "a/c.rs",
                "mod unix { use super::super::super::d; }\nfn f() { crate::d::call() }",
            ),
            (
                "d.rs",
                "// use crate::a;\n#[cfg(test)]\nmod tests { use crate::a::Here; }",
            ),
        ]
        .map(|(path, text)| File::new(path, text))
        .into(),
    };
    let arrows: BTreeSet<_> = library
        .arrows()
        .into_iter()
        .map(|(from, to, _)| format!("{from} > {to}"))
        .collect();
    let expected = [
        "a/b.rs > a/c.rs",
        "a/b.rs > a/mod.rs",
        "a/c.rs > d.rs",
        "a/mod.rs > a/b.rs",
        "a/mod.rs > a/c.rs",
    ];
    assert_eq!(arrows, expected.map(str::to_owned).into());
    let arrows = BTreeMap::from(
        [("1", "2"), ("2", "3"), ("3", "2"), ("0", "1")]
            .map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()]))),
    );
    assert_eq!(rings(&arrows), ["2 > 3 > 2"]);
}

fn room(path: &str) -> &str {
    let first = path.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// One ring through each file that is in one.
fn rings(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut found: Vec<Vec<&String>> = Vec::new();
    for start in arrows.keys() {
        if found.iter().any(|ring| ring.contains(&start)) {
            continue;
        }
        // The shortest way back, breadth first.
        let mut before: BTreeMap<&String, &String> = BTreeMap::new();
        let mut next = vec![start];
        while let Some(at) = (!next.is_empty()).then(|| next.remove(0)) {
            for to in arrows.get(at).into_iter().flatten() {
                if !before.contains_key(to) {
                    before.insert(to, at);
                    next.push(to);
                }
            }
        }
        let Some(mut at) = before.get(start).copied() else {
            continue;
        };
        let mut ring = vec![start];
        while at != start {
            ring.insert(0, at);
            at = before[at];
        }
        ring.insert(0, start);
        found.push(ring);
    }
    found
        .iter()
        .map(|ring| {
            ring.iter()
                .map(|it| it.as_str())
                .collect::<Vec<_>>()
                .join(" > ")
        })
        .collect()
}

impl Library {
    fn read() -> Self {
        fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                if path.is_dir() {
                    if !path.ends_with("tests") {
                        walk(root, &path, files);
                    }
                } else if name.ends_with(".rs") && name != "lib.rs" {
                    files.push(File::new(name, &fs::read_to_string(&path).unwrap()));
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        assert!(files.len() > 50, "the library was not found");
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    fn file_of(&self, module: &[String]) -> Option<&File> {
        self.files.iter().find(|file| file.module == module)
    }

    /// From a file to one that it imports, with the path it names.
    fn arrows(&self) -> Vec<(String, String, String)> {
        let mut arrows = Vec::new();
        for file in &self.files {
            for path in file.imports() {
                if let Some(to) = self.definer(&path, 0)
                    && to.path != file.path
                {
                    arrows.push((file.path.clone(), to.path.clone(), path.join("::")));
                }
            }
        }
        arrows
    }

    /// The file that defines what an absolute path names: a re-export is followed.
    fn definer(&self, path: &[String], depth: usize) -> Option<&File> {
        let longest = (1..=path.len()).rev().find_map(|length| {
            let file = self.file_of(&path[..length])?;
            Some((file, path.get(length)))
        });
        let (file, item) = longest?;
        let Some(item) = item.filter(|_| depth < 8) else {
            return Some(file);
        };
        let re_exported = file
            .re_exports()
            .into_iter()
            .find(|it| it.last() == Some(item));
        match re_exported {
            Some(path) => self.definer(&path, depth + 1),
            None => Some(file),
        }
    }
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let module = path.strip_suffix(".rs").unwrap();
        let module = module.strip_suffix("/mod").unwrap_or(module);
        Self {
            path: path.to_owned(),
            module: module.split('/').map(str::to_owned).collect(),
            code: without_tests(&code_of(text)),
        }
    }

    /// Absolute paths, of `use` declarations and in the code.
    fn imports(&self) -> Vec<Vec<String>> {
        let mut found: Vec<_> = self.uses().into_iter().map(|(_, path)| path).collect();
        for start in ["crate::", "super::"] {
            for (at, _) in self.code.match_indices(start) {
                let is_whole = !self.code[..at]
                    .ends_with(|it: char| it.is_alphanumeric() || ":_".contains(it));
                let end = self.code[at..]
                    .find(|it: char| !(it.is_alphanumeric() || ":_".contains(it)))
                    .map_or(self.code.len(), |length| at + length);
                // A `use` of several, which ends so, has been read.
                if is_whole && !self.code[at..end].ends_with("::") {
                    found.extend(self.absolute(&self.code[at..end], at));
                }
            }
        }
        found
    }

    fn re_exports(&self) -> Vec<Vec<String>> {
        let uses = self.uses().into_iter();
        uses.filter(|(is_public, _)| *is_public)
            .map(|(_, path)| path)
            .collect()
    }

    /// The `use` declarations, one an item: whether it is public, and its absolute path.
    fn uses(&self) -> Vec<(bool, Vec<String>)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("use ") {
            let line = self.code[..at]
                .rsplit(['\n', '{', ';', '}'])
                .next()
                .unwrap()
                .trim();
            let is_public = line.starts_with("pub");
            if !(line.is_empty() || is_public) {
                continue;
            }
            let tree = &self.code[at + "use ".len()..];
            let tree: String = tree[..tree.find(';').unwrap()]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let mut paths = Vec::new();
            expand("", &tree, &mut paths);
            for path in paths {
                found.extend(self.absolute(&path, at).map(|path| (is_public, path)));
            }
        }
        found
    }

    /// `None` if it leads out of the library. `at`: where it stands, which may be in a module within the file.
    fn absolute(&self, path: &str, at: usize) -> Option<Vec<String>> {
        let path = path.split(" as ").next().unwrap();
        let mut parts = path.split("::").map(|it| it.trim().to_owned()).peekable();
        // Modules within the file have no file of their own.
        let mut inner = inline_depth(&self.code[..at]);
        let mut module = self.module.clone();
        match parts.peek().unwrap().as_str() {
            "crate" => {
                module.clear();
                parts.next();
            }
            "self" => drop(parts.next()),
            "super" => {
                while parts.next_if(|it| it == "super").is_some() {
                    match inner {
                        0 => drop(module.pop()),
                        _ => inner -= 1,
                    }
                }
            }
            // A child by its bare name, as a `mod.rs` may call it.
            child if self.code.contains(&format!("mod {child};")) => {}
            _ => return None,
        }
        module.extend(parts.filter(|it| !matches!(it.as_str(), "*" | "self" | "")));
        (!module.is_empty()).then_some(module)
    }
}

/// `a::{b, c::{self, d}}` as `a::b`, `a::c::self`, `a::c::d`.
fn expand(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        if !tree.is_empty() {
            out.push(format!("{prefix}{tree}"));
        }
        return;
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let inside = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut begin) = (0, 0);
    for (at, it) in inside.char_indices() {
        match it {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inside[begin..at], out);
                begin = at + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &inside[begin..], out);
}

/// Without comments, and without what stands in strings and characters; but `"C"` says that a function is C's.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kept, length) = if rest.starts_with("//") {
            ("", rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("\"C\"") {
            ("\"C\"", 3)
        } else if rest.starts_with("r#\"") {
            ("\"\"", rest.find("\"#").unwrap() + 2)
        } else if first == '"' {
            ("\"\"", end_of_literal(rest, '"'))
        } else if first == '\'' && is_character(rest) {
            ("' '", end_of_literal(rest, '\''))
        } else {
            let length = first.len_utf8();
            (&rest[..length], length)
        };
        code.push_str(kept);
        rest = &rest[length..];
    }
    code
}

/// Not a lifetime.
fn is_character(text: &str) -> bool {
    text[1..].starts_with('\\') || text.chars().nth(2) == Some('\'')
}

fn end_of_literal(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if it == quote => return at + it.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Unit tests stand at the end of their file.
fn without_tests(code: &str) -> String {
    let is_test = |line: &str| line.starts_with("#[cfg(") && line.contains("test");
    let lines: Vec<_> = code.lines().collect();
    let end = (0..lines.len())
        .find(|at| {
            is_test(lines[*at])
                && lines
                    .get(at + 1)
                    .is_some_and(|it| it.starts_with("mod tests {"))
        })
        .unwrap_or(lines.len());
    lines[..end].join("\n")
}

/// How many modules within the file are open at the end of this code.
fn inline_depth(code: &str) -> usize {
    let mut blocks = Vec::new();
    let mut statement = 0;
    for (at, it) in code.char_indices() {
        match it {
            '{' => {
                let head = code[statement..at].trim();
                blocks.push(head.split_whitespace().rev().nth(1) == Some("mod"));
                statement = at + 1;
            }
            '}' => {
                blocks.pop();
                statement = at + 1;
            }
            ';' => statement = at + 1,
            _ => {}
        }
    }
    blocks.into_iter().filter(|is_module| *is_module).count()
}
