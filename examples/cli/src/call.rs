//! `trophy call` and `trophy operations`: everything the service can do, by name.

use std::io::{Read, Write};
use std::path::Path;

use serde_json::json;
use trophy::api::operations::{Api, Body, OPERATIONS, Operation};

use crate::failure::Failure;
use crate::flags::Flags;
use crate::session::Session;
use crate::{help, line};

pub fn run(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    if flags.wants_help() {
        return help::print(out, "call");
    }
    let operation = flags.need_word("the operation")?;
    let args = match flags.word()? {
        Some(dash) if dash == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::reading(Path::new("standard input"), &error))?;
            Some(text)
        }
        args => args,
    };
    let session = Session::take_with_tenant(&mut flags)?;
    flags.end()?;
    line(out, &session.open()?.call(&operation, args.as_deref())?)
}

/// One line of JSON for each, so that `grep` finds them.
pub fn list(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    if flags.wants_help() {
        return help::print(out, "operations");
    }
    let part = flags.word()?.unwrap_or_default();
    flags.end()?;
    for operation in OPERATIONS.iter().filter(|each| each.name.contains(&part)) {
        line(out, &describe(operation))?;
    }
    Ok(())
}

fn describe(operation: &Operation) -> String {
    let query = |required| -> Vec<&str> {
        let fits = operation
            .query
            .iter()
            .filter(|each| each.required == required);
        fits.map(|each| each.name).collect()
    };
    let mut required: Vec<&str> = operation.path_parameters().collect();
    required.extend(query(true));
    if operation.body != Body::None {
        required.push("body");
    }
    json!({
        "operation": operation.name,
        "api": match operation.api {
            Api::Application => "application",
            Api::Admin => "admin",
        },
        "method": operation.method.as_str(),
        "path": operation.path,
        "required": required,
        "optional": query(false),
    })
    .to_string()
}
