//! What a test does otherwise where an emulator runs it: scripts/platforms/test.sh sets `TROPHY_TEST_RUN` to the command,
//! such as `qemu-aarch64 -L /usr/aarch64-linux-gnu`.
#![allow(dead_code)] // each test file uses some

use std::process::Command;

fn command() -> Option<String> {
    std::env::var("TROPHY_TEST_RUN").ok()
}

/// How many times longer than on the machine itself anything may take.
pub fn slower() -> u32 {
    if command().is_some() { 10 } else { 1 }
}

/// This test program, to be started once more.
pub fn again() -> Command {
    let program = std::env::current_exe().unwrap();
    let command = command().unwrap_or_default();
    let mut words = command.split_whitespace();
    let Some(first) = words.next() else {
        return Command::new(program);
    };
    let mut again = Command::new(first);
    again.args(words).arg(program);
    again
}
