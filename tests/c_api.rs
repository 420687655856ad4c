//! The library as C sees it: each program in tests/c/ is compiled, linked with libtrophy, and run against
//! a service that echoes; the header and the exported symbols are compared.
//!
//! `TROPHY_C_MODE` is `plain` (default), `asan` (gcc's address and undefined behaviour sanitizers) or
//! `valgrind`. `CC` and `CXX` choose the compilers.

mod c_programs;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use c_programs::*;
use support::{Echo, Received};

#[test]
fn library() {
    run("library");
}

#[test]
fn client() {
    run("client");
}

#[test]
fn events() {
    run("events");
}

#[test]
fn asynchronous_calls() {
    run("async");
}

#[test]
fn queue() {
    run("queue");
}

#[test]
fn calls_by_name() {
    run("call");
}

#[test]
fn operations() {
    run("operations");
}

#[test]
fn errors() {
    run("errors");
}

#[test]
fn json() {
    assert_eq!(run("json").len(), 0);
}

#[test]
fn webhooks() {
    assert_eq!(run("webhooks").len(), 0);
}

#[test]
fn a_process_without_descriptors_or_threads() {
    if !on_linux() || is_static() {
        println!(
            "skipped: it takes the place of pthread_create() as Linux's shared libraries let it"
        );
        return;
    }
    // Valgrind has descriptors and threads of its own.
    if mode() != "valgrind" {
        run("starved");
    }
}

#[test]
fn a_process_without_memory() {
    if !on_glibc() {
        println!("skipped: it takes the place of glibc's malloc()");
        return;
    }
    // The sanitizers and Valgrind have allocators of their own.
    if mode() == "plain" {
        run("memory");
    }
}

#[test]
fn the_end_of_calls_in_every_phase() {
    run("phases");
}

#[test]
fn loading_and_unloading() {
    if !on_linux() && !on_windows() {
        println!("skipped: it names the library as Linux and Windows do");
        return;
    }
    assert_eq!(run("unload").len(), 101);
}

#[test]
fn loading_and_unloading_a_plug_in_with_a_global_client() {
    if !on_linux() && !on_windows() || is_static() {
        println!("skipped: it links a shared library as Linux and Windows do");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (host, plugin) = (
        executable(directory.path(), "plugged"),
        directory.path().join("plugin.dll"),
    );
    build("plugged", &host);
    let mut compiler = compile(&cc(), "plugin.c", "c11");
    link(compiler.args(["-shared", "-fPIC"]), &plugin);
    // The threads of a process live until its end, but on Windows.
    for ending in [&[][..], &["with-the-process"]] {
        if !ending.is_empty() && !on_windows() {
            continue;
        }
        let echo = Echo::start();
        let Some(mut command) = launch(&host) else {
            return;
        };
        command.arg(&plugin).args(ending);
        succeed(surround(
            &mut command,
            &echo.url(),
            &echo.admin_url(),
            "app.test",
        ));
    }
}

#[test]
fn bad_input_is_refused_before_a_byte_is_sent() {
    let received = run("bad_input");
    assert_eq!(received.len(), 1, "{received:#?}");
    assert_eq!(received[0].target, "/app/metrics/words/event");
}

#[test]
fn the_header_compiles_alone_and_twice_in_every_standard() {
    let directory = tempfile::tempdir().unwrap();
    let object = directory.path().join("out.o");
    let (c, cpp) = (
        ["c99", "c11", "c17", "c2x"],
        ["c++11", "c++14", "c++17", "c++20"],
    );
    for (compiler, source, standards) in [
        (cc(), "header_twice.c", c),
        (cc(), "contract.c", ["c11", "c17", "gnu11", "gnu17"]),
        (cxx(), "header.cpp", cpp),
        // They differ in where they take an attribute.
        ("clang".to_owned(), "header_twice.c", c),
        ("clang++".to_owned(), "header.cpp", cpp),
    ] {
        if !is_native() && compiler.starts_with("clang") {
            continue;
        }
        if !is_installed(&compiler) {
            println!("skipped: {source}: no {compiler}");
            continue;
        }
        for standard in standards {
            let mut command = compile(&compiler, source, standard);
            if source.ends_with(".c") {
                command.arg("-Wstrict-prototypes");
            }
            if on_windows() && source == "contract.c" {
                // What is imported from a DLL is not declared once more.
                command.arg("-DTROPHY_STATIC");
            }
            succeed(command.arg("-c").arg("-o").arg(&object));
        }
    }
}

#[test]
fn a_signature_that_differs_does_not_compile() {
    // That `contract.c` can fail: the same check with one parameter changed.
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("contract.c");
    let contract = fs::read_to_string(program("contract.c")).unwrap();
    let changed = contract.replace("int64_t timeout_ms", "int32_t timeout_ms");
    assert_ne!(changed, contract);
    fs::write(&source, changed).unwrap();
    let output = compile(&cc(), source.to_str().unwrap(), "c11")
        .args(["-c", "-o"])
        .arg(directory.path().join("out.o"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("conflicting types"));
}

#[test]
fn a_dropped_string_or_client_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    for (call, fine) in [
        ("trophy_json_quote(text)", false),
        ("trophy_json_string(text, text)", false),
        ("trophy_client_new(text, text, client, out)", false),
        ("trophy_webhook_verify(0, 0, text, text, out)", false),
        ("trophy_client_stats(*client, out)", true),
    ] {
        for (compiler, name, standard) in [
            (cc(), "dropped.c", "c11"),
            (cxx(), "dropped.cpp", "c++11"),
            (cxx(), "dropped.cpp", "c++17"),
        ] {
            if !is_installed(&compiler) {
                println!("skipped: {name}: no {compiler}");
                continue;
            }
            let source = directory.path().join(name);
            let parameters = "const char *text, trophy_client **client, char **out";
            let code = format!(
                "#include <trophy.h>\nvoid drop({parameters});\nvoid drop({parameters}) {{\n\
                 (void)text, (void)client, (void)out;\n{call};\n}}\n"
            );
            fs::write(&source, code).unwrap();
            let output = compile(&compiler, source.to_str().unwrap(), standard)
                .args(["-c", "-o"])
                .arg(directory.path().join("out.o"))
                .output()
                .unwrap();
            assert_eq!(
                output.status.success(),
                fine,
                "{call} {standard}\n{}",
                text(&output)
            );
        }
    }
}

#[test]
fn the_committed_header_is_the_one_the_build_makes() {
    let made = fs::read_to_string(concat!(env!("OUT_DIR"), "/trophy.h")).unwrap();
    assert!(
        made == header(),
        "include/trophy.h is out of date: build, and commit it"
    );
    assert!(
        made.is_ascii(),
        "some compilers read a header in a code page of their own"
    );
}

#[test]
fn the_header_and_the_readme_know_every_option() {
    let options = fs::read_to_string(Path::new(ROOT).join("src/options/mod.rs")).unwrap();
    let header = header();
    // A field is an option, under its own name or another.
    let mut names = Vec::new();
    let mut renamed = None;
    for line in options.lines().take_while(|line| *line != "#[cfg(test)]") {
        let line = line.strip_prefix("    ").unwrap_or_default();
        if let Some((_, rest)) = line.split_once("rename = \"") {
            renamed = rest.split('"').next();
        } else if let Some((field, _)) = line
            .strip_prefix("pub ")
            .and_then(|rest| rest.split_once(": "))
            && !field.contains(' ')
        {
            names.push(renamed.take().unwrap_or(field));
        }
    }
    assert!(names.len() > 30, "{names:?}");
    let readme = readme();
    for name in names {
        assert!(
            header.contains(&format!(" {name} ")),
            "trophy.h does not tell of the option {name}"
        );
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md does not tell of the option {name}"
        );
    }
}

#[test]
fn the_readme_knows_every_status() {
    let readme = readme();
    for (status, name) in trophy::error::STATUSES {
        let name = name.to_str().unwrap().to_uppercase();
        let row = format!("| {} | `{name}` |", *status as i32);
        assert!(readme.contains(&row), "README.md has no row {row}");
    }
}

#[test]
fn the_readmes_program_works_as_it_stands_linked_either_way() {
    let readme = readme();
    let (_, program) = readme.split_once("```c\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("event.c");
    fs::write(&source, program).unwrap();
    for statically in [false, true] {
        let echo = Echo::start();
        let executable = executable(directory.path(), "event");
        let mut compiler = compile(&cc(), source.to_str().unwrap(), "c99");
        compiler.arg("-o").arg(&executable);
        if statically {
            compiler.arg("-DTROPHY_STATIC").arg(static_library());
            compiler.args(native_libraries());
        } else {
            compiler.arg("-L").arg(library_directory()).arg("-ltrophy");
        }
        succeed(&mut compiler);
        let mut program = start(&executable);
        surround(&mut program, &echo.url(), &echo.admin_url(), "app.test");
        let output = succeed(&mut program);
        assert!(text(&output).starts_with("ok: {"), "{}", text(&output));
        let received = echo.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].target, "/app/metrics/words-written/event");
    }
}

#[test]
fn the_exported_symbols_are_the_headers_functions() {
    if !on_linux() || !is_installed("nm") {
        println!("skipped: no nm");
        return;
    }
    let output = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(shared_library())
        .output()
        .unwrap();
    let exported: BTreeSet<String> = text(&output)
        .lines()
        .filter_map(|line| Some(line.split_whitespace().nth(2)?.to_owned()))
        .collect();
    assert_eq!(exported, functions(&header()));
    assert_eq!(exported.len(), 51);
}

#[test]
fn the_header_defines_no_names_but_its_own() {
    for line in header()
        .lines()
        .filter_map(|line| line.strip_prefix("#define "))
    {
        assert!(line.starts_with("TROPHY_"), "{line}");
    }
}

#[test]
fn the_library_has_its_soname_and_stays_loaded() {
    if !on_linux() || !is_installed("readelf") {
        println!("skipped: no readelf");
        return;
    }
    let output = Command::new("readelf")
        .args(["-d", "-W"])
        .arg(shared_library())
        .output()
        .unwrap();
    let dynamic = text(&output);
    assert!(
        dynamic.contains("Library soname: [libtrophy.so.1]"),
        "{dynamic}"
    );
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

/// Runs a program of tests/c/ and returns what the service received of it.
fn run(name: &str) -> Vec<Received> {
    let echo = Echo::start();
    let directory = tempfile::tempdir().unwrap();
    let executable = executable(directory.path(), name);
    build(name, &executable);
    let Some(mut program) = launch(&executable) else {
        return Vec::new();
    };
    surround(&mut program, &echo.url(), &echo.admin_url(), "app.test");
    let output = succeed(&mut program);
    println!("{}", text(&output));
    // A program that runs no case proves nothing.
    assert!(text(&output).contains("ok     "));
    echo.received()
}

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap()
}

fn header() -> String {
    fs::read_to_string(Path::new(ROOT).join("include/trophy.h")).unwrap()
}

/// The names that are followed by `(`, outside comments and macros.
fn functions(header: &str) -> BTreeSet<String> {
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let code: String = code
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    code.split('(')
        .filter_map(|before| {
            let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let name = &before[start.map_or(0, |start| start + 1)..];
            name.starts_with("trophy_").then(|| name.to_owned())
        })
        .collect()
}
