//! The path of a request: its parameters checked and percent-encoded, and the query behind it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::operations::Operation;
use crate::error::Error;
use crate::options::MAX_URL_PART;

const MAX_QUERY: usize = 32 << 10;

/// Path parameters are one segment each, so all but the unreserved characters of RFC 3986 is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Writes the path parameters into the path. `label` goes before their names in messages.
pub fn path_of(operation: &Operation, values: &[&str], label: &str) -> Result<String, Error> {
    let mut values = values.iter();
    let mut path = String::with_capacity(operation.path.len() + 32);
    let mut rest = operation.path;
    while let Some((before, (name, after))) = rest
        .split_once('{')
        .and_then(|(before, parameter)| Some((before, parameter.split_once('}')?)))
    {
        path.push_str(before);
        rest = after;
        let Some(value) = values.next() else {
            return Err(Error::invalid(format!(
                "{}: a path parameter is missing",
                operation.name
            )));
        };
        match label {
            "" => check_segment(&name, value)?,
            label => check_segment(&format_args!("{label}\"{name}\""), value)?,
        }
        path.extend(utf8_percent_encode(value, SEGMENT));
    }
    path.push_str(rest);
    Ok(path)
}

/// Checks that a path parameter can be a segment of the path. `label` names it in messages.
pub fn check_segment(label: &dyn fmt::Display, value: &str) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::invalid(format!("{label}: is empty")));
    }
    // Parsers of URLs take `%2E%2E` for `..` too: the request would be another one.
    if matches!(value, "." | "..") {
        return Err(Error::invalid(format!(
            "{label}: is \"{value}\", which is a step in a URL's path and cannot be sent as a name"
        )));
    }
    // Of a byte at most three are made.
    let may_be_long = value.len() > MAX_URL_PART / 3;
    let encoded = || utf8_percent_encode(value, SEGMENT).map(str::len);
    if may_be_long && encoded().sum::<usize>() > MAX_URL_PART {
        return Err(Error::invalid(format!(
            "{label}: is too long for a URL: more than {MAX_URL_PART} bytes when encoded"
        )));
    }
    Ok(())
}

/// `?a=b&c=d`, or nothing.
pub fn query_string(parameters: &[(String, String)]) -> Result<String, Error> {
    let mut out = String::new();
    for (name, value) in parameters {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.extend(utf8_percent_encode(name, SEGMENT));
        out.push('=');
        out.extend(utf8_percent_encode(value, SEGMENT));
    }
    if out.len() > MAX_QUERY {
        return Err(Error::invalid(format!(
            "args_json, options_json: the query parameters are too long for a URL: more than {MAX_QUERY} bytes \
             when encoded"
        )));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operations::{self, find};

    #[test]
    fn a_parameter_is_one_segment_whatever_it_holds() {
        for (value, encoded) in [
            ("a/b k", "a%2Fb%20k"),
            ("...", "..."),
            ("a..b", "a..b"),
            (".a", ".a"),
            ("%2e%2e", "%252e%252e"),
            ("é?#", "%C3%A9%3F%23"),
        ] {
            let path = path_of(find("users_get").unwrap(), &[value], "");
            assert_eq!(path.unwrap(), format!("/users/{encoded}"));
        }
    }

    #[test]
    fn a_parameter_is_as_long_as_it_is_encoded() {
        for (byte, encoded) in [("a", 1), ("/", 3)] {
            let most = MAX_URL_PART / encoded;
            assert!(check_segment(&"id", &byte.repeat(most)).is_ok());
            let error = check_segment(&"id", &byte.repeat(most + 1)).unwrap_err();
            assert!(error.message.starts_with("id: is too long"));
        }
    }

    #[test]
    fn dots_alone_are_no_parameter_of_any_path() {
        for dots in [".", ".."] {
            for operation in operations::all() {
                let count = operation.path_parameters().count();
                for (at, name) in operation.path_parameters().enumerate() {
                    let mut values = vec!["x"; count];
                    values[at] = dots;
                    let error = path_of(operation, &values, "").unwrap_err();
                    assert!(error.message.starts_with(&format!("{name}: is \"{dots}\"")));
                }
            }
        }
    }
}
