//! `trophy webhook verify`: whether a request's body was signed by Trophy.

use std::fs;
use std::io::Read;
use std::path::Path;

use trophy::api::{json, webhook};

use crate::arguments::{Verify, Webhook, WebhookCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::variable;
use crate::wording;

pub fn run(args: &Webhook, out: &mut Output) -> Result<(), Failure> {
    match &args.command {
        WebhookCommand::Verify(args) => verify(args, out),
    }
}

fn verify(args: &Verify, out: &mut Output) -> Result<(), Failure> {
    let secret = secret(args.secret_file.as_deref())?;
    let body = body(args.body.as_deref())?;
    webhook::verify(&body, &args.signature, &secret)
        .map_err(|error| wording::WEBHOOK.failure(error))?;
    let text = std::str::from_utf8(&body)
        .ok()
        .filter(|text| json::is_json(text));
    out.json(text.unwrap_or("null").trim_end())
}

/// Never a flag, as the API key.
fn secret(file: Option<&str>) -> Result<String, Failure> {
    match file {
        Some(file) => {
            let path = Path::new(file);
            let text = fs::read_to_string(path).map_err(|error| Failure::reading(path, &error))?;
            Ok(text.trim().to_owned())
        }
        None => variable("TROPHY_WEBHOOK_SECRET").ok_or_else(|| {
            Failure::usage("no secret; set TROPHY_WEBHOOK_SECRET or name a file with --secret-file")
        }),
    }
}

/// Its bytes as they came: one space more and the signature is another.
fn body(file: Option<&str>) -> Result<Vec<u8>, Failure> {
    match file {
        Some(file) => {
            let path = Path::new(file);
            fs::read(path).map_err(|error| Failure::reading(path, &error))
        }
        None => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::reading(Path::new("standard input"), &error))?;
            Ok(bytes)
        }
    }
}
