//! `trophy call` and `trophy operations`: everything the service can do, by name.

use std::io::Read;
use std::path::Path;

use serde_json::json;
use trophy::api::operations::{self, Api, Body, Operation};

use crate::arguments;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::wording;

pub fn run(args: &arguments::Call, out: &mut Output) -> Result<(), Failure> {
    let text = match args.args.as_deref() {
        Some("-") => Some(standard_input()?),
        given => given.map(str::to_owned),
    };
    let client = Session::read_with_tenant(&args.client)?.open()?;
    let reply = client
        .call(&args.operation, text.as_deref())
        .map_err(|error| wording::CALL.failure(error))?;
    out.json(&reply)
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::reading(Path::new("standard input"), &error))?;
    Ok(text)
}

/// One line of JSON for each, so that `grep` finds them.
pub fn list(args: &arguments::Operations, out: &mut Output) -> Result<(), Failure> {
    let part = args.part.as_deref().unwrap_or_default();
    let found = operations::all().filter(|each| each.name.contains(part));
    if out.is_for_people() {
        return out.table(
            &["OPERATION", "REQUEST", "REQUIRED", "OPTIONAL"],
            found.map(row).collect(),
        );
    }
    for operation in found {
        out.line(&describe(operation))?;
    }
    Ok(())
}

fn row(operation: &Operation) -> Vec<String> {
    vec![
        operation.name.to_owned(),
        format!("{} {}", operation.method.as_str(), operation.path),
        required(operation).join(", "),
        query(operation, false).join(", "),
    ]
}

fn describe(operation: &Operation) -> String {
    json!({
        "operation": operation.name,
        "api": match operation.api {
            Api::Application => "application",
            Api::Admin => "admin",
        },
        "method": operation.method.as_str(),
        "path": operation.path,
        "required": required(operation),
        "optional": query(operation, false),
    })
    .to_string()
}

fn required(operation: &Operation) -> Vec<&str> {
    let mut required: Vec<&str> = operation.path_parameters().collect();
    required.extend(query(operation, true));
    if operation.body != Body::None {
        required.push("body");
    }
    required
}

fn query(operation: &Operation, required: bool) -> Vec<&str> {
    operation
        .query
        .iter()
        .filter(|each| each.required == required)
        .map(|each| each.name)
        .collect()
}
