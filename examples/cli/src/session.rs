//! The client of one run: its key from the environment or a file, its options from the flags.

use std::env::VarError;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use trophy::client::Client;

use crate::arguments;
use crate::failure::Failure;
use crate::wording;

/// What the flags say about the client.
#[derive(Clone)]
pub struct Session {
    key: Key,
    options: Map<String, Value>,
    tenant: Option<String>,
}

#[derive(Clone)]
struct Key {
    text: String,
    /// What the user gave it with.
    source: &'static str,
}

impl Session {
    pub fn read(args: &arguments::Session) -> Result<Self, Failure> {
        Ok(Self {
            key: key(args.key_file.as_deref())?,
            options: args.option.iter().flatten().map(owned).collect(),
            tenant: None,
        })
    }

    /// For calls and events; what a queue holds has a tenant already.
    pub fn read_with_tenant(args: &arguments::WithTenant) -> Result<Self, Failure> {
        Ok(Self {
            tenant: args.tenant.clone(),
            ..Self::read(&args.session)?
        })
    }

    /// Without a key: for what sends nothing.
    pub fn keyless(args: &arguments::WithTenant) -> Self {
        Self {
            key: Key {
                text: "none.needed".to_owned(),
                source: "no key",
            },
            options: args.session.option.iter().flatten().map(owned).collect(),
            tenant: args.tenant.clone(),
        }
    }

    /// Keeps the queue in this folder.
    pub fn queue(&mut self, path: &str) {
        match self.options.get_mut("queue") {
            Some(Value::Object(queue)) => {
                queue.insert("path".to_owned(), path.into());
            }
            // What is no object goes on to the library, which says so.
            Some(_) => {}
            None => self.set("queue", json!({ "path": path })),
        }
    }

    pub fn without_queue(&mut self) {
        self.options.remove("queue");
    }

    /// So that a client that only looks delivers nothing of it.
    pub fn without_queue_folder(&mut self) {
        if let Some(Value::Object(queue)) = self.options.get_mut("queue")
            && queue.get("path").is_some_and(Value::is_string)
        {
            queue.remove("path");
        }
    }

    /// The queue's folder, as an option.
    pub fn queue_folder(&self) -> Option<&str> {
        self.option("queue")?.get("path")?.as_str()
    }

    pub fn set(&mut self, option: &str, value: Value) {
        self.options.insert(option.to_owned(), value);
    }

    pub fn option(&self, option: &str) -> Option<&Value> {
        self.options.get(option).filter(|value| !value.is_null())
    }

    pub fn options(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.options.iter()
    }

    /// The tenant of what has none of its own.
    pub fn tenant(&self) -> Option<&str> {
        let option = || self.option("tenant_id").and_then(Value::as_str);
        self.tenant.as_deref().or_else(option)
    }

    /// Never shown but for its part before the dot.
    pub fn key(&self) -> &str {
        &self.key.text
    }

    pub fn key_source(&self) -> &'static str {
        self.key.source
    }

    /// The part of the key that is no secret.
    pub fn key_prefix(&self) -> &str {
        self.key
            .text
            .split_once('.')
            .map_or("", |(prefix, _)| prefix)
    }

    pub fn open(&self) -> Result<Client, Failure> {
        let options = Value::Object(self.options.clone()).to_string();
        let failure = |error| wording::CLIENT.failure(wording::of_key(error, self.key.source));
        let client = Client::new(Some(&self.key.text), Some(&options)).map_err(failure)?;
        match &self.tenant {
            Some(tenant) => client.for_tenant(tenant).map_err(failure),
            None => Ok(client),
        }
    }
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// Never a flag: a list of processes shows those to everybody.
fn key(file: Option<&str>) -> Result<Key, Failure> {
    match file {
        Some(file) => {
            let path = Path::new(file);
            let text = fs::read_to_string(path).map_err(|error| Failure::reading(path, &error))?;
            Ok(Key {
                text: text.trim().to_owned(),
                source: "--key-file",
            })
        }
        None => variable("TROPHY_API_KEY")
            .map(|text| Key {
                text,
                source: "TROPHY_API_KEY",
            })
            .ok_or_else(|| {
                Failure::usage("no API key; set TROPHY_API_KEY or name a file with --key-file")
            }),
    }
}

/// Before anything is done: a variable of ours that is no text is a mistake, and not one that is not set.
pub fn check_variables() -> Result<(), Failure> {
    for name in [
        "TROPHY_API_KEY",
        "TROPHY_BASE_URL",
        "TROPHY_ADMIN_BASE_URL",
        "TROPHY_QUEUE",
        "TROPHY_WEBHOOK_SECRET",
    ] {
        if let Err(VarError::NotUnicode(_)) = std::env::var(name) {
            return Err(Failure::usage(format!("{name} is not Unicode (UTF-8)")));
        }
    }
    Ok(())
}

/// A variable of the environment; an empty one is not set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
