//! Completions and man pages, made from the same definition as the arguments, for `make install` and packages.

use std::fs;
use std::io::Write;

use clap::CommandFactory;

use crate::arguments::{Arguments, Completions, Man};
use crate::failure::Failure;
use crate::output::Output;

pub fn completions(args: &Completions, out: &mut Output) -> Result<(), Failure> {
    let mut command = Arguments::command();
    // Into memory first: clap_complete panics where a pipe ends.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "trophy", &mut script);
    out.write_all(&script).map_err(Failure::output)
}

/// trophy.1, trophy-event.1, trophy-queue-flush.1, …
pub fn man(args: &Man) -> Result<(), Failure> {
    fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), &args.folder))
        .map_err(|error| Failure::writing(&args.folder, &error))
}
