//! `trophy webhook verify`: whether a request's body was signed by Trophy.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use trophy::api::{json, webhook};

use crate::failure::Failure;
use crate::flags::Flags;
use crate::{help, line};

pub fn run(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    if flags.wants_help() {
        return help::print(out, "webhook");
    }
    match &*flags.need_word("verify")? {
        "verify" => verify(flags, out),
        other => Err(Failure::usage(format!(
            "webhook: there is no \"{other}\"; it is verify"
        ))),
    }
}

fn verify(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    let signature = flags.need("signature")?;
    let secret = secret(flags.take("secret-file")?)?;
    let body = body(flags.take("body")?)?;
    flags.end()?;
    webhook::verify(&body, &signature, &secret)?;
    let text = std::str::from_utf8(&body)
        .ok()
        .filter(|text| json::is_json(text));
    line(out, text.unwrap_or("null").trim_end())
}

/// Never a flag, as the API key.
fn secret(file: Option<String>) -> Result<String, Failure> {
    match file {
        Some(file) => {
            let path = Path::new(&file);
            let text = fs::read_to_string(path).map_err(|error| Failure::reading(path, &error))?;
            Ok(text.trim().to_owned())
        }
        None => std::env::var("TROPHY_WEBHOOK_SECRET").map_err(|_| {
            Failure::usage("no secret; set TROPHY_WEBHOOK_SECRET or name a file with --secret-file")
        }),
    }
}

/// Its bytes as they came: one space more and the signature is another.
fn body(file: Option<String>) -> Result<Vec<u8>, Failure> {
    match file {
        Some(file) => {
            let path = Path::new(&file);
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
