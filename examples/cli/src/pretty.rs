//! What a terminal shows. JSON for a person: a member a line, indented, names in colour. Names keep their order and
//! numbers their digits, since the text is laid out and not read.

use std::borrow::Cow;

use console::style;

/// Text of users, files and servers, which may hold what a terminal obeys: control characters come as JSON writes
/// them.
pub fn text(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escaped = |char: char| match char {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
        char => char.to_string(),
    };
    text.chars().map(escaped).collect()
}

pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string(rest),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        match first {
            '{' | '[' if rest.starts_with(['}', ']']) => {
                out.push(first);
                out.push_str(&rest[..1]);
                rest = rest[1..].trim_start();
            }
            '{' | '[' => {
                depth += 1;
                out.push(first);
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth = usize::saturating_sub(depth, 1);
                line(&mut out, depth);
                out.push(first);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            '"' if rest.starts_with(':') => {
                out.push_str(&style(self::text(token)).cyan().to_string());
            }
            _ => out.push_str(&self::text(token)),
        }
    }
    out
}

/// How long the string is that begins here, with its quotes.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_one_a_line_in_their_order_and_with_their_digits() {
        console::set_colors_enabled(false);
        assert_eq!(
            json(r#"{"b":[1.50,{}],"a":"x\",{","e":[]}"#),
            "{\n  \"b\": [\n    1.50,\n    {}\n  ],\n  \"a\": \"x\\\",{\",\n  \"e\": []\n}"
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        console::set_colors_enabled(false);
        assert_eq!(
            text("\u{1b}[2J\u{7}\u{9b}ß\r\n\t\u{7f}"),
            "\\u001b[2J\\u0007\\u009bß\\u000d\\n\\t\\u007f"
        );
        // JSON has some of them as they are.
        assert_eq!(
            json("{\"\u{9b}\":\"\u{7f}\"}"),
            "{\n  \"\\u009b\": \"\\u007f\"\n}"
        );
    }

    #[test]
    fn what_is_no_json_comes_out_whole() {
        console::set_colors_enabled(false);
        assert_eq!(json("null"), "null");
        assert_eq!(json("\"open"), "\"open");
    }
}
