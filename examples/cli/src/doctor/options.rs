//! The client's options as the library reads them, so that a check goes by what the library would do.

use serde_json::{Map, Value};
use trophy::error::Error;
use trophy::options::ClientOptions;

use crate::session::Session;

/// One that the library refuses has a finding of its own, and does not hide the others.
pub fn read(session: &Session) -> ClientOptions {
    let taken = session.options().filter(|(name, value)| {
        let alone = Map::from_iter([((*name).clone(), (*value).clone())]);
        parse(alone).is_ok()
    });
    let taken = taken.map(|(name, value)| (name.clone(), value.clone()));
    parse(taken.collect()).unwrap_or_default()
}

/// Without the environment: addresses are checked by themselves.
fn parse(options: Map<String, Value>) -> Result<ClientOptions, Error> {
    ClientOptions::parse(Some(&Value::Object(options).to_string()), |_| Ok(None))
}
