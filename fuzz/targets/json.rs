//! Reading JSON by pointer, against serde_json's own pointers; and quoting, which must be read back.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trophy_fuzz::*;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    pointer: &'a str,
    json: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let (json, pointer) = (c_text(input.json), c_text(input.pointer.as_bytes()));
    // SAFETY: text that ends in NUL, and pointers that were given to be freed.
    unsafe {
        let number = trophy_json_number(json.as_ptr(), pointer.as_ptr(), f64::NAN);
        let text = taken(trophy_json_string(json.as_ptr(), pointer.as_ptr()));
        let length = trophy_json_length(json.as_ptr(), pointer.as_ptr());
        let quoted = taken(trophy_json_quote(json.as_ptr()));

        match (json.to_str(), quoted) {
            (Ok(json), Some(quoted)) => {
                assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), json)
            }
            (plain, quoted) => assert!(plain.is_err() && quoted.is_none()),
        }
        let pointer = pointer.to_str().expect("it was a str");
        let value = json
            .to_str()
            .ok()
            .and_then(|json| serde_json::from_str::<Value>(json).ok());
        // What serde_json does not read (as too deep), or reads otherwise (a name twice: the last one wins there),
        // is not compared.
        let Some(value) = value.filter(|value| has_no_name_twice(json.to_bytes(), value)) else {
            return;
        };
        let found = value.pointer(pointer);
        let expected = found.and_then(Value::as_f64).unwrap_or(f64::NAN);
        assert!(
            number == expected || number.is_nan() && expected.is_nan(),
            "{number} {expected}"
        );
        match found {
            Some(Value::Array(items)) => assert_eq!(length, items.len() as i64),
            Some(Value::Object(members)) => assert_eq!(length, members.len() as i64),
            _ => assert_eq!(length, -1),
        }
        match found {
            Some(Value::String(string)) if string.contains('\0') => assert_eq!(text, None),
            Some(Value::String(string)) => assert_eq!(text.as_ref(), Some(string)),
            Some(other) => {
                let text = text.expect("it is there");
                assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), other);
            }
            None => assert_eq!(text, None),
        }
    }
});

/// Written out again it has as many colons outside strings, roughly: as many names.
fn has_no_name_twice(json: &[u8], value: &Value) -> bool {
    fn names(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(names).sum(),
            Value::Object(members) => members.len() + members.values().map(names).sum::<usize>(),
            _ => 0,
        }
    }
    let (mut colons, mut inside, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => inside = !inside,
            b':' if !inside => colons += 1,
            _ => {}
        }
    }
    colons == names(value)
}
