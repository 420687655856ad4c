//! The form of the API key. Its secret is never shown.

use trophy::error::Status;

use super::finding::Finding;
use crate::failure::Failure;
use crate::session::Session;

const CHECK: &str = "key";
const COPY: &str = "copy it again from the dashboard; it looks like PREFIX.SECRET";

pub fn form(session: Result<&Session, &Failure>) -> Vec<Finding> {
    vec![match session {
        Ok(session) => of(session.key(), session.key_source()),
        Err(Failure::Usage(message)) => match message.split_once("; ") {
            Some((detail, advice)) => {
                Finding::wrong(CHECK, Status::InvalidArgument, detail, advice)
            }
            None => Finding::wrong(CHECK, Status::InvalidArgument, message, COPY),
        },
        Err(Failure::Input(message)) => Finding::wrong(
            CHECK,
            Status::InvalidArgument,
            message,
            "--key-file names a file that can be read, with the key and nothing else in it",
        ),
        Err(_) => Finding::wrong(CHECK, Status::InvalidArgument, "it cannot be read", COPY),
    }]
}

fn of(key: &str, source: &str) -> Finding {
    let wrong = |detail: &str| {
        Finding::wrong(
            CHECK,
            Status::InvalidArgument,
            format!("{source}: {detail}"),
            COPY,
        )
    };
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return wrong(
            "it holds a space, a line break or another character that no key has (quotes are part of it)",
        );
    }
    if key.starts_with(['"', '\'']) {
        return wrong("it begins with a quote");
    }
    match key.split_once('.') {
        None => wrong("it has no dot"),
        Some(("", _)) => wrong("nothing stands before its dot"),
        Some((_, "")) => wrong("nothing stands behind its dot"),
        Some((prefix, _)) => Finding::fine(CHECK, format!("{prefix}.… from {source}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_copied_badly_is_told_from_a_sound_one_and_never_shown() {
        for key in [
            "",
            "nodot",
            ".secret",
            "app_1.",
            "app_1.sec ret",
            "\"app_1.secret\"",
            "app_1.sécret",
        ] {
            let finding = of(key, "TROPHY_API_KEY");
            assert!(!finding.is_fine(), "{key}");
            assert!(!finding.detail.contains("secret"), "{}", finding.detail);
        }
        let finding = of("app_1.secret", "TROPHY_API_KEY");
        assert!(finding.is_fine());
        assert_eq!(finding.detail, "app_1.… from TROPHY_API_KEY");
    }
}
