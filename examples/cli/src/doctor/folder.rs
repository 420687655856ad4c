//! The queue's folder.

use std::path::Path;

use trophy::error::Status;

use super::finding::Finding;
use crate::dead_letters;
use crate::failure::Failure;
use crate::queue_folder;

const CHECK: &str = "queue";

pub fn check(folder: Option<&str>) -> Vec<Finding> {
    let Some(folder) = folder else {
        return vec![Finding::fine(
            CHECK,
            "no folder is named (--queue, TROPHY_QUEUE)",
        )];
    };
    if !Path::new(folder).exists() {
        return vec![Finding::doubtful(
            CHECK,
            format!("{folder} is not there"),
            "the first `trophy enqueue` makes it; if there should be one, check the path",
        )];
    }
    let (held, dead) = match (queue_folder::held(folder), dead_letters::list(folder)) {
        (Ok(held), Ok(dead)) => (held, dead.len()),
        (Err(failure), _) | (_, Err(failure)) => return vec![unusable(folder, failure)],
    };
    let detail = format!("{folder}: {} waiting, {dead} dead", held.events);
    vec![match dead {
        0 => Finding::fine(CHECK, detail),
        _ => Finding::doubtful(
            CHECK,
            detail,
            "`trophy queue dead` says why; when that is mended, `trophy queue dead --retry`",
        ),
    }]
}

fn unusable(folder: &str, failure: Failure) -> Finding {
    let why = match failure {
        Failure::Trophy(error) => error.message,
        Failure::Input(message) | Failure::File(message) | Failure::Usage(message) => message,
        Failure::Output(error) => error.to_string(),
    };
    Finding::wrong(
        CHECK,
        Status::Storage,
        why,
        format!("{folder} is a folder that this user may write to"),
    )
}
