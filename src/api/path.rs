//! The path of a request: its parameters checked and percent-encoded, and the query behind it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::operations::Operation;
use crate::api::url::MAX_TARGET;
use crate::error::Error;

/// Of one parameter, when it is encoded.
const MAX_SEGMENT: usize = 8 << 10;

/// Path parameters are one segment each, so all but the unreserved characters of RFC 3986 is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Writes the path parameters into the path.
fn path_of(operation: &Operation, values: &[&str], label: &str) -> Result<String, Error> {
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
    let may_be_long = value.len() > MAX_SEGMENT / 3;
    let encoded = || utf8_percent_encode(value, SEGMENT).map(str::len);
    if may_be_long && encoded().sum::<usize>() > MAX_SEGMENT {
        return Err(Error::invalid(format!(
            "{label}: is too long for a URL: more than {MAX_SEGMENT} bytes when encoded"
        )));
    }
    Ok(())
}

/// Path and query, as they stand in a request. `label` goes before the names of the path's parameters in messages.
pub fn target_of(
    operation: &Operation,
    values: &[&str],
    label: &str,
    query: &[(String, String)],
) -> Result<String, Error> {
    let mut target = path_of(operation, values, label)?;
    let mut before = '?';
    for (name, value) in query {
        target.push(before);
        before = '&';
        target.extend(utf8_percent_encode(name, SEGMENT));
        target.push('=');
        target.extend(utf8_percent_encode(value, SEGMENT));
    }
    if target.len() > MAX_TARGET {
        let what = match query {
            [] => "the path",
            _ => "the query parameters",
        };
        return Err(Error::invalid(format!(
            "args_json, options_json: {what}: too long for a URL: more than {MAX_TARGET} bytes when encoded"
        )));
    }
    Ok(target)
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
            let most = MAX_SEGMENT / encoded;
            assert!(check_segment(&"id", &byte.repeat(most)).is_ok());
            let error = check_segment(&"id", &byte.repeat(most + 1)).unwrap_err();
            assert!(error.message.starts_with("id: is too long"));
        }
    }

    #[test]
    fn path_and_query_are_as_long_as_a_url_has_room_for() {
        let event = find(operations::EVENT).unwrap();
        let target = |length: usize| {
            let query = [("q".to_owned(), "a".repeat(length))];
            target_of(event, &["k"], "", &query)
        };
        let rest = target(0).unwrap().len();
        assert_eq!(target(MAX_TARGET - rest).unwrap().len(), MAX_TARGET);
        let error = target(MAX_TARGET - rest + 1).unwrap_err();
        assert!(error.message.contains("the query parameters"));
        let long = "a".repeat(MAX_SEGMENT);
        let two = operations::all().find(|it| it.path_parameters().count() == 2);
        let error = target_of(two.unwrap(), &[&long, &long], "", &[]).unwrap_err();
        assert!(error.message.contains("the path: too long"));
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
