//! `trophy queue`: what waits in a queue's folder, what was refused, and delivering it now.

mod dead;
mod flush;
mod retry;
mod status;

use crate::arguments::{Queue, QueueCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::queue_folder;

pub fn run(args: &Queue, out: &mut Output) -> Result<(), Failure> {
    let path = queue_folder::path(args.queue.as_deref())?;
    match &args.command {
        QueueCommand::Status => status::run(&path, out),
        QueueCommand::Flush(args) => flush::run(&path, args, out),
        QueueCommand::Dead(args) if args.retry => retry::run(&path, args, out),
        QueueCommand::Dead(_) => dead::run(&path, out),
    }
}
