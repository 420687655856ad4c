//! Client options as arbitrary JSON: refused in words that name an option, or within what the header says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trophy::error::Status;
use trophy::options::{ClientOptions, RequestOptions};

fuzz_target!(|text: &str| {
    match ClientOptions::parse(Some(text), |_| Ok(None)) {
        Ok(options) => {
            assert!(options.workers >= 1, "{options:?}");
            assert!(!options.timeout.is_zero(), "{options:?}");
            for (name, value) in &options.additional_headers {
                assert!(!name.contains(['\r', '\n', '\0']) && !value.contains(['\r', '\n', '\0']));
            }
        }
        Err(error) => {
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(
                error.message.starts_with("options_json"),
                "{}",
                error.message
            );
        }
    }
    if let Err(error) = RequestOptions::parse("options_json: ", Some(text), false) {
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(
            error.message.starts_with("options_json"),
            "{}",
            error.message
        );
    }
});
