//! The flags of every command that calls the service.

use clap::Args;
use serde_json::{Map, Value};

#[derive(Debug, Args)]
pub struct Session {
    /// Read the API key from FILE; else it is TROPHY_API_KEY
    #[arg(long, value_name = "FILE", help_heading = "Client")]
    pub key_file: Option<String>,

    /// Client options, as in trophy.h: '{"timeout_in_seconds":5}'; may be repeated
    #[arg(long, value_name = "JSON", value_parser = object, help_heading = "Client")]
    pub option: Vec<Map<String, Value>>,
}

/// For calls and events; what a queue holds has a tenant already.
#[derive(Debug, Args)]
pub struct WithTenant {
    #[command(flatten)]
    pub session: Session,

    /// For this tenant
    #[arg(
        long,
        value_name = "ID",
        allow_hyphen_values = true,
        help_heading = "Client"
    )]
    pub tenant: Option<String>,
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err("it is no JSON object such as '{\"timeout_in_seconds\":5}'".to_owned()),
    }
}
