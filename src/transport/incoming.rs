//! The bytes of HTTP/1.1 as a reply (RFC 9112): fed as they come, it knows where the reply ends. What it
//! refuses it refuses for good: such a connection is not used again.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};

use super::Kind;
use super::current::Fault;

/// Of the head, interim ones included, and of the trailers.
const MOST_HEAD_BYTES: usize = 64 * 1024;
const MOST_HEADERS: usize = 128;
/// Of a chunk's size with its extensions.
const MOST_SIZE_BYTES: usize = 4 * 1024;
/// For a byte of the body, beyond [`MOST_HEAD_BYTES`] for all.
const MOST_FRAMING: usize = 16;
/// A server may announce what it never sends: beyond this, memory follows what came.
const MOST_TRUSTED: u64 = 1 << 20;

/// What the head says, apart from where the body ends.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Read where the status is no success.
    pub retry_after: Option<String>,
    pub rate_limit_reset: Option<String>,
    /// The connection may serve another exchange.
    keep_alive: bool,
}

#[derive(Debug)]
pub struct Reader {
    max_bytes: u64,
    /// Of heads and trailers that have been read.
    head_bytes: usize,
    /// So many bytes of a head that is not whole have been looked at.
    looked_at: usize,
    /// Of the reply, as soon as its line is whole, also in a head that is not sound.
    status: Option<u16>,
    /// Of chunk sizes.
    framing_bytes: usize,
    head: Option<Head>,
    state: State,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes are to come.
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    ToTheEnd,
    Whole,
}

impl Reader {
    pub fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            head_bytes: 0,
            looked_at: 0,
            status: None,
            framing_bytes: 0,
            head: None,
            state: State::Head,
            body: Vec::new(),
        }
    }

    /// None until the head is whole.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The status, as soon as its line is whole.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// The connection may serve another exchange.
    pub fn keeps_connection(&self) -> bool {
        self.is_whole() && self.head().is_some_and(|head| head.keep_alive)
    }

    /// Hands the reply over, which must be whole. The body has a spare byte of capacity.
    pub fn finish(&mut self) -> Result<(Head, Vec<u8>), Fault> {
        let mut body = std::mem::take(&mut self.body);
        body.reserve_exact(1);
        match self.head.take() {
            Some(head) if self.state == State::Whole => Ok((head, body)),
            _ => Err(Fault::new(Kind::Network, "the reply is not complete")),
        }
    }

    /// Reads on in what has come and was not used yet. Returns how much of it is used now; the rest is to
    /// be offered again with what follows it.
    pub fn read(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            let before = self.state;
            let step = self.step(&input[used..])?;
            used += step;
            if self.state == State::Whole || step == 0 && self.state == before {
                return Ok(used);
            }
        }
    }

    /// The server closed the connection.
    pub fn end(&mut self) -> Result<(), Fault> {
        let reason = match self.state {
            // With the last chunk, the body has come; the trailers say nothing to us.
            State::ToTheEnd | State::Trailers | State::Whole => {
                self.state = State::Whole;
                if let Some(head) = &mut self.head {
                    head.keep_alive = false;
                }
                return Ok(());
            }
            State::Head if self.looked_at == 0 => "the connection was closed before a reply came",
            _ => "the connection was closed before the reply was complete",
        };
        Err(Fault::new(Kind::Network, reason))
    }

    fn step(&mut self, input: &[u8]) -> Result<usize, Fault> {
        match self.state {
            State::Head => self.read_head(input),
            State::Length(left) => self.read_body(input, left, State::Length, State::Whole),
            State::ChunkSize => self.read_chunk_size(input),
            State::Chunk(left) => self.read_body(input, left, State::Chunk, State::ChunkEnd),
            State::ChunkEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok(2)
                }
                [] | [b'\r'] => Ok(0),
                _ => Err(malformed("a chunk is longer than it said")),
            },
            State::Trailers => self.read_trailers(input),
            State::ToTheEnd => {
                self.make_room(input.len() as u64)?;
                self.body.extend_from_slice(input);
                Ok(input.len())
            }
            State::Whole => Ok(0),
        }
    }

    fn read_head(&mut self, input: &[u8]) -> Result<usize, Fault> {
        if input.is_empty() {
            return Ok(0);
        }
        // A head that comes in pieces is not parsed again for every one of them.
        let new = input.get(self.looked_at.saturating_sub(3)..);
        if self.looked_at == 0 || new.is_some_and(has_end) {
            let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
            let mut response = Response::new(&mut []);
            let parsed = ParserConfig::default()
                .parse_response_with_uninit_headers(&mut response, input, &mut headers)
                .map_err(|error| {
                    self.status = final_status(input);
                    match error {
                        httparse::Error::TooManyHeaders => {
                            malformed(&format!("its head has more than {MOST_HEADERS} headers"))
                        }
                        error => malformed(&error.to_string()),
                    }
                })?;
            if let Status::Complete(length) = parsed {
                self.status = response.code.filter(|code| *code >= 200);
                self.count_head(length)?;
                self.looked_at = 0;
                self.begin_body(&response)?;
                return Ok(length);
            }
        }
        self.looked_at = input.len();
        self.status = self.status.or_else(|| final_status(input));
        self.count_head(input.len())?;
        self.head_bytes -= input.len();
        Ok(0)
    }

    fn count_head(&mut self, bytes: usize) -> Result<(), Fault> {
        self.head_bytes += bytes;
        if self.head_bytes > MOST_HEAD_BYTES {
            let reason = format!("the reply's head is longer than {MOST_HEAD_BYTES} bytes");
            return Err(Fault::new(Kind::InvalidResponse, reason));
        }
        Ok(())
    }

    fn begin_body(&mut self, response: &Response<'_, '_>) -> Result<(), Fault> {
        let status = response.code.unwrap_or_default();
        let is_http_1_0 = response.version == Some(0);
        match status {
            0..100 => return Err(malformed("its status is none")),
            // The final one is to follow.
            100 | 102..200 => return Ok(()),
            101 => {
                let reason = "the server changes the protocol, unasked: 101";
                return Err(Fault::new(Kind::InvalidResponse, reason));
            }
            _ => {}
        }
        let mut head = Head {
            status,
            keep_alive: !is_http_1_0,
            ..Head::default()
        };
        let mut length = None;
        let mut is_chunked = false;
        for Header { name, value } in &*response.headers {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("content-length") {
                let announced = number(value)?;
                if length.is_some_and(|other| other != announced) {
                    return Err(malformed("it has two lengths"));
                }
                length = Some(announced);
            } else if is("transfer-encoding") {
                if is_chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(malformed("it has a transfer coding that was not asked for"));
                }
                is_chunked = true;
            } else if is("connection") {
                for option in value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    head.keep_alive &= !option.eq_ignore_ascii_case(b"close");
                    head.keep_alive |= is_http_1_0 && option.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if !(200..300).contains(&status) {
                let kept = if is("retry-after") {
                    &mut head.retry_after
                } else if is("x-ratelimit-reset") {
                    &mut head.rate_limit_reset
                } else {
                    continue;
                };
                if kept.is_none() {
                    *kept = std::str::from_utf8(value).ok().map(str::to_owned);
                }
            }
        }
        if is_chunked && (length.is_some() || is_http_1_0) {
            // Somebody on the way may have seen another end: this connection is not trusted with more.
            head.keep_alive = false;
        }
        let has_no_body = matches!(status, 204 | 304);
        if has_no_body && (is_chunked || length.is_some_and(|length| length > 0)) {
            // Should a body come all the same, it is not the next reply.
            head.keep_alive = false;
        }
        self.head = Some(head);
        self.state = match length {
            _ if has_no_body => State::Whole,
            _ if is_chunked => State::ChunkSize,
            Some(0) => State::Whole,
            Some(length) => {
                self.make_room(length)?;
                State::Length(length)
            }
            None => State::ToTheEnd,
        };
        Ok(())
    }

    fn read_body(
        &mut self,
        input: &[u8],
        left: u64,
        more: impl Fn(u64) -> State,
        after: State,
    ) -> Result<usize, Fault> {
        let amount = left.min(input.len() as u64);
        self.body.extend_from_slice(&input[..amount as usize]);
        self.state = match left - amount {
            0 => after,
            left => more(left),
        };
        Ok(amount as usize)
    }

    fn read_chunk_size(&mut self, input: &[u8]) -> Result<usize, Fault> {
        match httparse::parse_chunk_size(input) {
            Ok(Status::Complete((length, size))) => {
                self.framing_bytes += length + 2;
                if self.framing_bytes > MOST_HEAD_BYTES + MOST_FRAMING * self.body.len() {
                    return Err(malformed("its chunks are next to empty"));
                }
                self.make_room(size)?;
                self.state = match size {
                    0 => State::Trailers,
                    size => State::Chunk(size),
                };
                Ok(length)
            }
            Ok(Status::Partial) if input.len() < MOST_SIZE_BYTES => Ok(0),
            _ => Err(malformed("a chunk's size is none")),
        }
    }

    /// Reads over a line, up to the empty one.
    fn read_trailers(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let Some(at) = input.iter().position(|byte| *byte == b'\n') else {
            self.count_head(input.len())?;
            self.head_bytes -= input.len();
            return Ok(0);
        };
        self.count_head(at + 1)?;
        if matches!(&input[..at], b"" | b"\r") {
            self.state = State::Whole;
        }
        Ok(at + 1)
    }

    /// Before so many more bytes of body are taken in.
    fn make_room(&mut self, bytes: u64) -> Result<(), Fault> {
        if (self.body.len() as u64).saturating_add(bytes) > self.max_bytes {
            return Err(Fault::new(
                Kind::InvalidResponse,
                format!(
                    "the reply is longer than {} bytes; `max_response_bytes` sets the limit",
                    self.max_bytes
                ),
            ));
        }
        // Room for a NUL, too.
        self.body.reserve(bytes.min(MOST_TRUSTED) as usize + 1);
        Ok(())
    }
}

/// The code of a complete status line; none for an interim one (1xx).
pub fn final_status(input: &[u8]) -> Option<u16> {
    let line = &input[..input.iter().position(|it| *it == b'\n')?];
    let version = [&b"HTTP/1.0 "[..], b"HTTP/1.1 "];
    let rest = version.iter().find_map(|it| line.strip_prefix(*it))?;
    let (code, rest) = rest.split_at_checked(3)?;
    let is_code = code.iter().all(u8::is_ascii_digit) && matches!(rest, [] | [b' ' | b'\r', ..]);
    let code = std::str::from_utf8(code).ok()?.parse().ok();
    code.filter(|code| is_code && *code >= 200)
}

/// Whether a head ends in there: with an empty line.
fn has_end(input: &[u8]) -> bool {
    input.windows(2).any(|it| it == b"\n\n") || input.windows(3).any(|it| it == b"\n\r\n")
}

fn number(value: &[u8]) -> Result<u64, Fault> {
    let value = value.trim_ascii();
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed("its length is no number"))
}

fn malformed(why: &str) -> Fault {
    Fault::new(Kind::Network, format!("the reply is not HTTP: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds a reply in pieces of so many bytes, and closes where that is asked for.
    fn read(reply: &str, piece: usize, closes: bool) -> Result<(Head, String, bool), Fault> {
        let mut reader = Reader::new(1 << 20);
        let mut waiting = Vec::new();
        for piece in reply.as_bytes().chunks(piece) {
            waiting.extend_from_slice(piece);
            let used = reader.read(&waiting)?;
            waiting.drain(..used);
        }
        if closes {
            reader.end()?;
        }
        let keeps = reader.keeps_connection() && waiting.is_empty();
        let (head, body) = reader.finish()?;
        Ok((head, String::from_utf8(body).unwrap(), keeps))
    }

    #[test]
    fn a_reply_is_the_same_however_it_comes_in_pieces() {
        for (reply, closes, body, keeps) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\n\r\nabc",
                false,
                "abc",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                false,
                "abc",
                true,
            ),
            ("HTTP/1.1 200 OK\nContent-Length: 1\n\nx", false, "x", true),
            (
                "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
                false,
                "",
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
                false,
                "x",
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
                false,
                "x",
                true,
            ),
            (
                "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
                false,
                "",
                false,
            ),
            (
                "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
                false,
                "",
                true,
            ),
            ("HTTP/1.1 304 No\r\n\r\n", false, "", true),
            ("HTTP/1.1 200 OK\r\n\r\nall", true, "all", false),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=\"b\"\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n",
                false,
                "abc",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
                true,
                "ab",
                false,
            ),
            // Two opinions on where it ends.
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
                false,
                "a",
                false,
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                false,
                "x",
                true,
            ),
        ] {
            for piece in [1, 2, 3, 7, 1 << 20] {
                let (_, found, kept) =
                    read(reply, piece, closes).unwrap_or_else(|fault| panic!("{reply:?}: {fault}"));
                assert_eq!(
                    (&*found, kept),
                    (body, keeps),
                    "{reply:?} in pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn what_follows_a_reply_is_not_part_of_it() {
        let (_, body, keeps) = read(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200",
            1000,
            false,
        )
        .unwrap();
        assert_eq!((&*body, keeps), ("x", false));
    }

    #[test]
    fn a_refusal_says_when_to_come_again_and_a_success_need_not() {
        let headers =
            "RETRY-after: 7\r\nRetry-After: 8\r\nX-RateLimit-Reset: 9\r\nContent-Length: 0\r\n\r\n";
        let (head, ..) = read(&format!("HTTP/1.1 429 No\r\n{headers}"), 5, false).unwrap();
        assert_eq!(head.retry_after.as_deref(), Some("7"));
        assert_eq!(head.rate_limit_reset.as_deref(), Some("9"));
        let (head, ..) = read(&format!("HTTP/1.1 200 OK\r\n{headers}"), 5, false).unwrap();
        assert_eq!((head.retry_after, head.rate_limit_reset), (None, None));
    }

    #[test]
    fn what_has_no_end_is_refused_before_it_fills_the_memory() {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(10_000);
        let header = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MOST_HEAD_BYTES));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let extension = format!("{chunked}1;{}", "e".repeat(MOST_SIZE_BYTES));
        let trailer = format!("{chunked}0\r\nT: {}", "u".repeat(MOST_HEAD_BYTES));
        let trailers = format!("{chunked}0\r\n{}", "T: u\r\n".repeat(MOST_HEAD_BYTES / 5));
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "A: b\r\n".repeat(MOST_HEADERS + 1)
        );
        let body = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat((1 << 20) + 1));
        let framing = format!(
            "{chunked}{}",
            "1;extension=0123456789\r\nx\r\n".repeat(20_000)
        );
        let chunks = format!(
            "{chunked}{}",
            "8000\r\n".to_owned() + &"x".repeat(0x8000) + "\r\n"
        )
        .repeat(40);
        for reply in [
            interim, header, extension, trailer, trailers, many, body, chunks, framing,
        ] {
            for piece in [100, 1 << 14] {
                assert!(read(&reply, piece, false).is_err(), "{:?}", &reply[..80]);
            }
        }
    }

    #[test]
    fn a_coding_that_nobody_asked_for_and_a_length_that_is_none_are_refused() {
        for header in [
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Content-Length: 3, 3",
            "Content-Length:",
            "Content-Length: +3",
            "Content-Length: 0x3",
        ] {
            let reply = format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
            assert!(read(&reply, 1000, true).is_err(), "{header}");
        }
    }

    #[test]
    fn an_early_end_is_none() {
        let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n";
        for cut in 0..reply.len() {
            assert!(read(&reply[..cut], 1000, true).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn only_a_whole_final_status_line_has_a_status() {
        assert_eq!(final_status(b"HTTP/1.1 201 Created\r\n"), Some(201));
        assert_eq!(final_status(b"HTTP/1.0 503\n"), Some(503));
        for none in [
            &b"HTTP/1.1 201 Created"[..],
            b"HTTP/1.1 103 Early Hints\r\n",
            b"HTTP/2 201 Created\r\n",
            b"HTTP/1.1 2\r\n",
            b"HTTP/1.1 +99\r\n",
            b"HTTP/1.1 9999\r\n",
            b"",
        ] {
            assert_eq!(final_status(none), None, "{none:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn pieces_make_no_difference_to_what_looks_like_a_reply(
            reply in "(HTTP/1[.][019] (100|101|200|204|429|99|1000)( OK)?\r?\n|Content-Length: ?[0-9x]{1,2}\r\n|\
                      Transfer-Encoding: chunked\r\n|Connection: (close|keep-alive)\r\n|[A-Z]:? ?[a-z]*\r?\n|\
                      \r\n|[0-9a-f]{1,2}(;x)?\r\n|[a-z]{0,5}|0\r\n|HTTP){0,14}",
            piece in 1_usize..20,
            closes in any::<bool>(),
        ) {
            let whole = read(&reply, usize::MAX, closes);
            let pieces = read(&reply, piece, closes);
            match (whole, pieces) {
                (Ok(whole), Ok(pieces)) => prop_assert_eq!(whole, pieces),
                (Err(_), Err(_)) => {}
                (whole, pieces) => prop_assert!(false, "{:?}, {:?}", whole, pieces),
            }
        }
    }
}
