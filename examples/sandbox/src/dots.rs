//! Dot segments: what a URL parser makes of `..` in a path, however it is written.
//!
//! A WHATWG URL parser, as browsers, proxies and many servers have it, takes `%2e` for a dot: to it
//! `/users/%2E%2E/achievements` is `/achievements`. A client that puts such an id into a path has
//! called another operation. With `resolve_dots` the sandbox reads paths so, and finds it out.

use axum::http::Uri;

/// The URI as it came, where it is read as another.
#[derive(Clone)]
pub struct AsWritten(pub Uri);

/// The URI without dot segments; `None` if it has none.
pub fn resolved(uri: &Uri) -> Option<Uri> {
    let path = without_dots(uri.path())?;
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    target.parse().ok()
}

fn without_dots(path: &str) -> Option<String> {
    let segments = path.strip_prefix('/')?.split('/');
    let last = segments.clone().count() - 1;
    let (mut kept, mut changed) = (Vec::new(), false);
    for (at, segment) in segments.enumerate() {
        let dots = dots(segment);
        match dots {
            Some(2) => drop(kept.pop()),
            Some(_) => {}
            None => kept.push(segment),
        }
        if dots.is_some() {
            changed = true;
            if at == last {
                kept.push("");
            }
        }
    }
    changed.then(|| format!("/{}", kept.join("/")))
}

/// One dot or two, if the segment is nothing else.
fn dots(segment: &str) -> Option<usize> {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..").then_some(plain.len())
}

#[cfg(test)]
mod tests {
    use super::without_dots;

    #[test]
    fn dots_climb_however_they_are_written() {
        for (path, read) in [
            ("/v1/users/%2E%2E/achievements", "/v1/achievements"),
            ("/v1/users/.%2e/achievements", "/v1/achievements"),
            ("/v1/users/../achievements", "/v1/achievements"),
            ("/v1/users/%2e/streak", "/v1/users/streak"),
            ("/v1/users/..", "/v1/"),
            ("/v1/users/.", "/v1/users/"),
            ("/../../v1", "/v1"),
        ] {
            assert_eq!(without_dots(path).as_deref(), Some(read), "{path}");
        }
    }

    #[test]
    fn other_dots_stay() {
        for path in [
            "/v1/users/...",
            "/v1/users/a..b",
            "/v1/users/%252e",
            "/",
            "/v1/users/18",
        ] {
            assert_eq!(without_dots(path), None, "{path}");
        }
    }
}
