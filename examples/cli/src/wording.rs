//! The library's messages in the words of the command line: `--user` where it says `user_json`. What a parameter
//! is called at which door stands here and nowhere else.

use trophy::error::Error;

use crate::failure::Failure;

/// Where an argument came in: the library's parameters, and what the user typed.
pub struct Door(&'static [(&'static str, &'static str)]);

/// The client's own options, its tenant and its queue.
pub const CLIENT: Door = Door(&[
    ("options_json: queue.path", "--queue"),
    ("options_json", "--option"),
    ("tenant_id", "--tenant"),
]);

/// One event, of `trophy event` and `trophy enqueue`.
pub const EVENT: Door = Door(&[
    ("key", "METRIC"),
    ("user_json", "--user"),
    ("value", "--value"),
    ("attributes_json", "--attributes"),
    ("idempotency_key", "--idempotency-key"),
    ("options_json", "--request-option"),
]);

/// `trophy call`.
pub const CALL: Door = Door(&[
    ("operation", "OPERATION"),
    ("args_json, options_json", "ARGS"),
    ("args_json", "ARGS"),
    ("options_json", "--option"),
]);

/// A row of an import.
pub const ROW: Door = Door(&[
    ("key", "metric"),
    ("user_json", "user"),
    ("value", "value"),
    ("attributes_json", "attributes"),
    ("idempotency_key", "idempotencyKey"),
]);

/// `trophy webhook verify`.
pub const WEBHOOK: Door = Door(&[
    ("signature", "--signature"),
    (
        "secret",
        "the secret (--secret-file or TROPHY_WEBHOOK_SECRET)",
    ),
    ("body", "--body"),
]);

/// What the library advises in words of C, and the same for a shell.
const ADVICE: &[(&str, &str)] = &[
    (
        "the TROPHY_OP_* macros in trophy.h name them all",
        "`trophy operations` lists them",
    ),
    ("; make a new one with trophy_client_new()", ""),
    (
        "trophy_client_set_api_key() or a new client",
        "you come with another key",
    ),
    (
        "`admin_base_url`",
        "TROPHY_ADMIN_BASE_URL (or \"admin_base_url\" in --option)",
    ),
    (
        "`base_url`",
        "TROPHY_BASE_URL (or \"base_url\" in --option)",
    ),
    (
        "check base_url",
        "check TROPHY_BASE_URL (or \"base_url\" in --option)",
    ),
    ("`ca_file`", "\"ca_file\" in --option"),
    (
        "give the key as api_key",
        "give the key in TROPHY_API_KEY or --key-file",
    ),
    (
        "use the event's idempotency key parameter",
        "use --idempotency-key",
    ),
    ("use the option \"tenant_id\"", "use --tenant"),
];

impl Door {
    pub fn failure(&self, error: Error) -> Failure {
        Failure::Trophy(self.translate(error))
    }

    pub fn translate(&self, mut error: Error) -> Error {
        error.message = self.message(&error.message);
        error
    }

    fn message(&self, message: &str) -> String {
        let mut message = message.to_owned();
        for (parameter, here) in self.0 {
            let begins = message
                .strip_prefix(parameter)
                .is_some_and(|rest| rest.starts_with([':', ' ']));
            if begins {
                message.replace_range(..parameter.len(), here);
                break;
            }
        }
        for (in_c, here) in ADVICE {
            message = message.replace(in_c, here);
        }
        message
    }
}

/// What the API key is called, which came from one of two places.
pub fn of_key(mut error: Error, source: &str) -> Error {
    if let Some(rest) = error.message.strip_prefix("api_key:") {
        error.message = format!("{source}:{rest}");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_called_what_was_typed() {
        for (door, message, here) in [
            (&EVENT, "user_json: has no \"id\"", "--user: has no \"id\""),
            (&EVENT, "options_json: x: is", "--request-option: x: is"),
            (&CLIENT, "options_json: x: is", "--option: x: is"),
            (
                &CLIENT,
                "options_json: queue.path: the folder",
                "--queue: the folder",
            ),
            (
                &CALL,
                "args_json: \"id\" is missing",
                "ARGS: \"id\" is missing",
            ),
            (&ROW, "user_json: is not JSON", "user: is not JSON"),
        ] {
            assert_eq!(door.message(message), here);
        }
    }

    #[test]
    fn a_word_that_only_begins_like_a_parameter_stays() {
        assert_eq!(EVENT.message("keys are rare"), "keys are rare");
        assert_eq!(EVENT.message("values: two"), "values: two");
    }

    #[test]
    fn advice_for_c_becomes_advice_for_a_shell() {
        assert_eq!(
            CALL.message(
                "operation: \"x\" is none; the TROPHY_OP_* macros in trophy.h name them all"
            ),
            "OPERATION: \"x\" is none; `trophy operations` lists them"
        );
    }
}
