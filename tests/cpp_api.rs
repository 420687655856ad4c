//! The library as C++ sees it, by trophy.hpp: each program in tests/cpp/ is compiled, linked with libtrophy, and
//! run against a service that echoes or against the sandbox.
//!
//! `TROPHY_C_MODE` and `CXX` as for c_api.rs.

mod c_programs;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use c_programs::*;
use serde_json::json;
use support::Echo;
use trophy_sandbox::{Options, Sandbox};

#[test]
fn event() {
    run_against_echo("event", &["-std=c++17"]);
}

#[test]
fn operations() {
    run_against_echo("operations", &["-std=c++17"]);
}

#[test]
fn builders() {
    let echo = run_against_echo("builders", &["-std=c++20"]);
    // That nothing was sent of what was refused.
    for received in echo.received() {
        assert!(!received.body.contains("http-422"), "{received:#?}");
    }
}

#[test]
fn json() {
    run_against_echo("json", &["-std=c++17"]);
}

#[test]
fn errors() {
    run_against_echo("errors", &["-std=c++17"]);
}

#[test]
fn errors_without_exceptions() {
    run_against_echo("errors", &["-std=c++20", "-fno-exceptions", "-fno-rtti"]);
}

#[test]
fn client() {
    run_against_echo("client", &["-std=c++17"]);
}

#[test]
fn webhook() {
    let echo = run_against_echo("webhook", &["-std=c++17"]);
    assert_eq!(echo.received().len(), 0);
}

#[test]
fn asynchronous_calls() {
    run_against_the_sandbox("async");
}

#[test]
fn queue() {
    run_against_the_sandbox("queue");
}

/// What only compiles, and is the same in every mode.
mod the_header {
    use super::*;

    #[test]
    fn is_included_in_two_translation_units() {
        if !is_installed(&cxx()) {
            println!("skipped: no C++ compiler");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let object = directory.path().join("other.o");
        let executable = directory.path().join("header");
        for flags in [FLAVOURS[0], FLAVOURS[3]] {
            let mut other = compile_cpp(&cxx(), &source("header"), flags);
            succeed(other.arg("-c").arg("-o").arg(&object));
            let mut main = compile_cpp(&cxx(), &source("header"), flags);
            link(main.arg("-DHEADER_MAIN").arg(&object), &executable);
            let mut program = Command::new(&executable);
            succeed(program.env("LD_LIBRARY_PATH", library_directory()));
        }
    }

    #[test]
    fn compiles_in_every_flavour_with_every_compiler() {
        for compiler in [cxx(), "clang++".to_owned()] {
            if !is_installed(&compiler) {
                println!("skipped: no {compiler}");
                continue;
            }
            for flags in FLAVOURS {
                for name in ["errors", "operations"] {
                    let mut command = compile_cpp(&compiler, &source(name), flags);
                    succeed(command.arg("-fsyntax-only"));
                }
            }
        }
    }

    #[test]
    fn warns_of_a_dropped_result() {
        if !is_installed(&cxx()) {
            println!("skipped: no C++ compiler");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dropped.cpp");
        for (line, fine) in [
            ("client.event(\"words\", \"42\", 1);", false),
            ("client.flush();", false),
            ("client.event(\"words\", \"42\", 1).value();", true),
            ("if (!client.flush()) return;", true),
        ] {
            let code = format!(
                "#include <trophy.hpp>\nvoid drop(const trophy::Client &client);\n\
                 void drop(const trophy::Client &client) {{ {line} }}\n"
            );
            fs::write(&file, code).unwrap();
            let output = compile_cpp(&cxx(), &file, FLAVOURS[0])
                .arg("-fsyntax-only")
                .output()
                .unwrap();
            assert_eq!(output.status.success(), fine, "{line}\n{}", text(&output));
        }
    }
}

const MORE_WARNINGS: &[&str] = &[
    "-Wold-style-cast",
    "-Wsign-conversion",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
];

const FLAVOURS: &[&[&str]] = &[
    &["-std=c++17"],
    &["-std=c++20"],
    &["-std=c++17", "-fno-exceptions", "-fno-rtti"],
    &["-std=c++20", "-fno-exceptions", "-fno-rtti"],
];

fn run_against_echo(name: &str, flags: &[&str]) -> Echo {
    let echo = Echo::start();
    run(name, flags, &echo.url(), &echo.admin_url(), "app.test");
    echo
}

fn run_against_the_sandbox(name: &str) {
    let sandbox = Sandbox::start(Options {
        port: 0,
        ..Options::default()
    })
    .unwrap();
    // A call that does not end by itself, for what ends calls.
    sandbox
        .add_fault(&json!({"fault": "hang", "operation": "users_wrapped"}))
        .unwrap();
    // And one that is answered with all that no service should.
    let replies = fs::read_to_string(Path::new(ROOT).join("examples/replies.json")).unwrap();
    for mut fault in serde_json::from_str::<Vec<serde_json::Value>>(&replies).unwrap() {
        fault["operation"] = json!("streaks_list");
        fault["count"] = json!(2);
        sandbox.add_fault(&fault).unwrap();
    }
    let (url, admin_url) = (sandbox.url(), sandbox.admin_url());
    run(name, &["-std=c++17"], &url, &admin_url, Sandbox::ADMIN_KEY);
}

fn run(name: &str, flags: &[&str], url: &str, admin_url: &str, key: &str) {
    if !is_installed(&cxx()) {
        println!("skipped: no C++ compiler");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let executable = executable(directory.path(), name);
    link(&mut compile_cpp(&cxx(), &source(name), flags), &executable);
    let Some(mut program) = launch(&executable) else {
        return;
    };
    let output = succeed(surround(&mut program, url, admin_url, key));
    println!("{}", text(&output));
    // A program that runs no case proves nothing.
    assert!(text(&output).contains("ok     "));
}

fn compile_cpp(compiler: &str, source: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(compiler);
    command.args(WARNINGS).args(MORE_WARNINGS).args(flags);
    command.arg("-I").arg(Path::new(ROOT).join("include"));
    command.arg(source);
    command
}

fn source(name: &str) -> PathBuf {
    Path::new(ROOT)
        .join("tests/cpp")
        .join(format!("{name}.cpp"))
}
