//! The client of one run: its key from the environment or a file, its options from the flags.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use trophy::client::Client;

use crate::failure::Failure;
use crate::flags::Flags;

/// What the flags say about the client.
pub struct Session {
    key: String,
    options: Map<String, Value>,
    tenant: Option<String>,
}

impl Session {
    pub fn take(flags: &mut Flags) -> Result<Self, Failure> {
        let mut options = Map::new();
        for text in flags.take_all("option") {
            match serde_json::from_str(&text) {
                Ok(Value::Object(members)) => options.extend(members),
                _ => {
                    return Err(Failure::usage(format!(
                        "--option: {text} is no JSON object; for example '{{\"timeout_in_seconds\":5}}'"
                    )));
                }
            }
        }
        Ok(Self {
            key: key(flags.take("key-file")?)?,
            options,
            tenant: None,
        })
    }

    /// For calls and events; what a queue holds has a tenant already.
    pub fn take_with_tenant(flags: &mut Flags) -> Result<Self, Failure> {
        Ok(Self {
            tenant: flags.take("tenant")?,
            ..Self::take(flags)?
        })
    }

    /// Keeps the queue in this folder.
    pub fn queue(&mut self, path: &str) {
        match self.options.get_mut("queue") {
            Some(Value::Object(queue)) => {
                queue.insert("path".to_owned(), path.into());
            }
            // What is no object goes on to the library, which says so.
            Some(_) => {}
            None => {
                self.options
                    .insert("queue".to_owned(), json!({ "path": path }));
            }
        }
    }

    pub fn open(self) -> Result<Client, Failure> {
        let options = Value::Object(self.options).to_string();
        let client = Client::new(Some(&self.key), Some(&options))?;
        Ok(match &self.tenant {
            Some(tenant) => client.for_tenant(tenant)?,
            None => client,
        })
    }
}

/// Never a flag: a list of processes shows those to everybody.
fn key(file: Option<String>) -> Result<String, Failure> {
    match file {
        Some(file) => {
            let path = Path::new(&file);
            let text = fs::read_to_string(path).map_err(|error| Failure::reading(path, &error))?;
            Ok(text.trim().to_owned())
        }
        None => std::env::var("TROPHY_API_KEY")
            .ok()
            .filter(|key| !key.is_empty())
            .ok_or_else(|| {
                Failure::usage("no API key; set TROPHY_API_KEY or name a file with --key-file")
            }),
    }
}
