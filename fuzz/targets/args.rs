//! Users, attributes, arguments and request options as arbitrary JSON: refused as an invalid argument, or a request
//! whose path, headers and body hold nothing that the operation's own place did not mean to.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trophy::api::event::EventArgs;
use trophy::api::operations::{self, Operation};
use trophy::api::request::{Context, MakeKey, Request, from_args, from_event, from_parts};
use trophy::error::{Error, Status};
use trophy_fuzz::is_beyond;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Event {
        key: &'a str,
        user: &'a str,
        value: f64,
        attributes: Option<&'a str>,
        idempotency_key: Option<&'a str>,
        options: Option<&'a str>,
    },
    Args {
        operation: u8,
        args: &'a str,
    },
    Parts {
        operation: u8,
        path: [&'a str; 2],
        body: Option<&'a str>,
        args: Option<&'a str>,
    },
}

struct Key;

impl MakeKey for Key {
    fn write_key(&self, out: &mut String) -> Result<(), Error> {
        out.push_str("made");
        Ok(())
    }
}

fuzz_target!(|input: Input<'_>| {
    let context = Context {
        allow_insecure_http: false,
        make_key: &Key,
    };
    let rows: Vec<_> = operations::all().collect();
    let row = |number: u8| rows[usize::from(number) % rows.len()];
    let made = match input {
        Input::Event {
            key,
            user,
            value,
            attributes,
            idempotency_key,
            options,
        } => {
            let args = EventArgs {
                key,
                user_json: user,
                value,
                attributes_json: attributes,
                idempotency_key,
                options_json: options,
            };
            from_event(&args, context)
        }
        Input::Args { operation, args } => from_args(row(operation).name, Some(args), context),
        Input::Parts {
            operation,
            path,
            body,
            args,
        } => {
            let operation = row(operation);
            let count = operation.path_parameters().count();
            if count > path.len() {
                return;
            }
            from_parts(
                operation,
                &path[..count],
                body.map(|body| ("body", body)),
                args,
                context,
            )
        }
    };
    match made {
        Ok(request) => check(&request),
        Err(error) => {
            assert_eq!(error.status, Status::InvalidArgument, "{}", error.message);
            assert!(!error.message.is_empty());
        }
    }
});

fn check(request: &Request) {
    let (path, query) = match request.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.path.as_str(), None),
    };
    assert!(
        request
            .path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#'),
        "{}",
        request.path
    );
    assert!(
        fits(request.operation, path),
        "{path} is not of {}",
        request.operation.path
    );
    assert!(query.is_none_or(|query| !query.is_empty()));
    if let Some(body) = &request.body {
        let read = serde_json::from_str::<serde_json::Value>(body);
        assert!(
            read.map_or_else(|error| is_beyond(&error), |_| true),
            "{body}"
        );
    }
    if let Some(key) = &request.idempotency_key {
        assert!(
            !key.is_empty()
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() || byte == b' '),
            "{key:?}"
        );
    }
    for (name, value) in &request.options.additional_headers {
        assert!(!name.contains(['\r', '\n', '\0']) && !value.contains(['\r', '\n', '\0']));
    }
}

/// Part by part the path of the table, with one part for each parameter, which is none that leads elsewhere.
fn fits(operation: &Operation, path: &str) -> bool {
    let (meant, made): (Vec<_>, Vec<_>) = (
        operation.path.split('/').collect(),
        path.split('/').collect(),
    );
    meant.len() == made.len()
        && meant
            .iter()
            .zip(made)
            .all(|(meant, made)| match meant.starts_with('{') {
                true => {
                    !made.is_empty()
                        && !matches!(
                            made.to_ascii_lowercase().as_str(),
                            "." | ".." | "%2e" | "%2e%2e" | ".%2e" | "%2e."
                        )
                }
                false => *meant == made,
            })
}
