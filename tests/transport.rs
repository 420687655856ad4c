//! The transport against small servers made by hand: what goes over the wire, and what becomes of
//! servers that are slow, wrong or hostile.

mod emulator;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use trophy::host::cancel::CancelToken;
use trophy::transport::{Exchange, Failure, Kind, Method, Reply, Settings, Transport};

static LONG: LazyLock<Duration> = LazyLock::new(|| Duration::from_secs(30) * emulator::slower());
static SHORT: LazyLock<Duration> =
    LazyLock::new(|| Duration::from_millis(150) * emulator::slower());
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// ---- what the tests are made of

fn transport(change: impl FnOnce(&mut Settings)) -> Transport {
    let mut settings = Settings {
        max_idle: 8,
        user_agent: "libtrophy/test".to_owned(),
        // No proxy, whatever the environment says.
        proxy: Some(String::new()),
        ..Settings::default()
    };
    change(&mut settings);
    Transport::new(&settings).unwrap()
}

fn plain() -> Transport {
    transport(|_| {})
}

fn get(url: &str) -> Exchange<'_> {
    Exchange {
        method: Method::Get,
        url,
        url_option: "base_url",
        headers: &[("X-API-KEY", "app_1.secret")],
        body: None,
        deadline: Instant::now() + *LONG,
        deadline_option: "timeout_in_seconds",
        connect_timeout: *LONG,
        max_response_bytes: 1 << 24,
        probe: true,
    }
}

fn post<'a>(url: &'a str, body: &'a [u8]) -> Exchange<'a> {
    Exchange {
        method: Method::Post,
        body: Some(body),
        ..get(url)
    }
}

fn send(transport: &Transport, exchange: &Exchange<'_>) -> Result<Reply, Failure> {
    transport.exchange(exchange, &CancelToken::new())
}

/// A server that gives each connection, with its number, to `serve` on a thread of its own.
fn listen(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    accept(listener, serve);
    address
}

fn accept(listener: TcpListener, serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) {
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(number, stream));
        }
    });
}

/// Answers every request with `reply` until the client is gone.
fn answer(reply: &'static [u8]) -> SocketAddr {
    listen(move |_, mut stream| {
        while read_request(&mut stream).is_some() {
            let _ = stream.write_all(reply);
        }
    })
}

/// Answers one request a connection with `reply`, then closes.
fn answer_and_close(reply: impl Into<Vec<u8>>) -> SocketAddr {
    let reply = reply.into();
    listen(move |_, mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(&reply);
    })
}

/// Accepts and never says a word; the receiver hears of each connection.
fn silent() -> (SocketAddr, Receiver<TcpStream>) {
    let (accepted, connections) = channel();
    let address = listen(move |_, stream| drop(accepted.send(stream)));
    (address, connections)
}

/// A request's head and body; none at the end of the stream.
fn read_request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end + 2].to_vec()).unwrap();
            let length = header(&head, "content-length").map_or(0, |it| it.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                assert_eq!(bytes.len(), end + 4 + length, "more than a request");
                return Some((head, bytes.split_off(end + 4)));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(amount) => bytes.extend_from_slice(&buffer[..amount]),
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/v1/metrics/words/event")
}

/// What one exchange with a server that sends `reply` and closes comes to.
fn reply_to(reply: impl Into<Vec<u8>>) -> Result<Reply, Failure> {
    send(&plain(), &get(&url(answer_and_close(reply))))
}

/// Answers every request with the connection's number.
fn tell_number(number: usize, mut stream: TcpStream) {
    while read_request(&mut stream).is_some() {
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
        stream.write_all(reply.as_bytes()).unwrap();
    }
}

/// Answers every request with its body.
fn echo(mut stream: impl Read + Write) {
    while let Some((_, body)) = read_request(&mut stream) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream
            .write_all(&[head.as_bytes(), &body].concat())
            .unwrap();
    }
}

// ---- on the wire

#[test]
fn a_request_carries_what_it_was_given_and_nothing_more() {
    let (seen, requests) = channel();
    let address = listen(move |_, mut stream| {
        while let Some(request) = read_request(&mut stream) {
            seen.send(request).unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let url = format!("http://{address}/v1/users/a%2Fb?x=%20");
    let transport = plain();

    send(&transport, &post(&url, b"{}")).unwrap();
    let (head, body) = requests.recv().unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    assert_eq!(line, "POST /v1/users/a%2Fb?x=%20 HTTP/1.1");
    let mut headers: Vec<_> = headers.lines().map(str::to_ascii_lowercase).collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            "accept-encoding: identity",
            "content-length: 2",
            &*format!("host: {address}"),
            "user-agent: libtrophy/test",
            "x-api-key: app_1.secret",
        ]
    );
    assert_eq!(body, b"{}");

    let headers = &[("User-Agent", "own"), ("Idempotency-Key", "k1")];
    send(
        &transport,
        &Exchange {
            headers,
            ..get(&url)
        },
    )
    .unwrap();
    let (head, _) = requests.recv().unwrap();
    assert!(head.starts_with("GET "), "{head}");
    assert_eq!(header(&head, "user-agent"), Some("own"));
    assert_eq!(header(&head, "idempotency-key"), Some("k1"));
    assert_eq!(header(&head, "content-length"), None);

    for (method, body, length) in [
        (Method::Post, None, Some("0")),
        (Method::Put, None, Some("0")),
        (Method::Patch, Some(&b"[1]"[..]), Some("3")),
        (Method::Delete, Some(&b"[1]"[..]), Some("3")),
        (Method::Delete, None, None),
    ] {
        send(
            &transport,
            &Exchange {
                method,
                body,
                ..get(&url)
            },
        )
        .unwrap();
        let (head, sent) = requests.recv().unwrap();
        assert_eq!(header(&head, "content-length"), length, "{head}");
        assert_eq!(header(&head, "transfer-encoding"), None, "{head}");
        assert_eq!(sent, body.unwrap_or_default());
    }
}

#[test]
fn the_host_header_has_the_port_only_where_it_is_not_the_default() {
    let authority = Authority::new();
    let (seen, requests) = channel();
    let target = listen_tls(&authority, "trophy.test", move |mut stream| {
        while let Some((head, _)) = read_request(&mut stream) {
            seen.send(head).unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let (proxy, _questions) = connect_proxy(target, |stream| stream);
    let transport = trusting(&authority, |settings| {
        settings.proxy = Some(format!("http://{proxy}"));
    });
    for (url, host) in [
        ("https://trophy.test/", "trophy.test"),
        ("https://trophy.test:443/", "trophy.test"),
        ("https://trophy.test:80/", "trophy.test:80"),
        ("https://me:pw@trophy.test:8443/", "trophy.test:8443"),
    ] {
        send(&transport, &get(url)).unwrap();
        assert_eq!(
            header(&requests.recv().unwrap(), "host"),
            Some(host),
            "{url}"
        );
    }
}

#[test]
fn exchanges_one_after_the_other_share_a_connection() {
    let address = listen(tell_number);
    let (transport, url) = (plain(), url(address));
    for probe in [true, false, true, false] {
        let reply = send(
            &transport,
            &Exchange {
                probe,
                ..post(&url, b"{}")
            },
        )
        .unwrap();
        assert_eq!(reply.body, b"0");
    }
    transport.close_idle();
    assert_eq!(send(&transport, &get(&url)).unwrap().body, b"1");
}

#[test]
fn long_headers_and_bodies_arrive_whole() {
    let (seen, requests) = channel();
    let address = listen(move |_, mut stream| {
        while let Some(request) = read_request(&mut stream) {
            seen.send(request).unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let (transport, url) = (plain(), url(address));
    let long = "x".repeat(15_000);
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| i as u8).collect();
    for headers in [&[("X-Long", &*long)][..], &[("X-Short", "x")]] {
        send(
            &transport,
            &Exchange {
                headers,
                ..post(&url, &body)
            },
        )
        .unwrap();
        let (head, arrived) = requests.recv().unwrap();
        assert_eq!(header(&head, headers[0].0), Some(headers[0].1));
        assert!(arrived == body);
    }
}

#[test]
fn what_cannot_be_sent_is_refused_and_nothing_is_sent() {
    let transport = plain();
    for (bad, headers) in [
        ("not a url", &[("A", "b")]),
        ("/path/only", &[("A", "b")]),
        ("ftp://127.0.0.1/", &[("A", "b")]),
        ("http://", &[("A", "b")]),
        ("http:///path", &[("A", "b")]),
        ("http://:80/", &[("A", "b")]),
        ("http://me:pw@/", &[("A", "b")]),
        ("http://[::1/", &[("A", "b")]),
        ("http://[::1]x/", &[("A", "b")]),
        ("http://127.0.0.1:99999/", &[("A", "b")]),
        ("http://[::1]:99999/", &[("A", "b")]),
        ("http://me:pw@127.0.0.1:0/", &[("A", "b")]),
        ("http://a b/", &[("A", "b")]),
        ("http://127.0.0.1:1/", &[("A", "line\r\nbreak")]),
        ("http://127.0.0.1:1/", &[("A b", "c")]),
        ("http://127.0.0.1:1/", &[("Content-Length", "5")]),
        ("http://127.0.0.1:1/", &[("transfer-encoding", "chunked")]),
        ("http://127.0.0.1:1/", &[("Expect", "100-continue")]),
    ] {
        let failure = send(
            &transport,
            &Exchange {
                headers,
                ..get(bad)
            },
        )
        .unwrap_err();
        assert_eq!(failure.kind, Kind::InvalidRequest, "{bad}: {failure:?}");
        assert!(
            !failure.sent && !failure.message.contains("pw"),
            "{failure:?}"
        );
    }
}

#[test]
fn head_and_body_leave_in_one_write() {
    let address = listen(|_, mut stream| {
        let mut buffer = [0; 1 << 16];
        // Two writes would wake this thread at the first.
        while let Ok(amount @ 1..) = stream.read(&mut buffer) {
            let whole = buffer[..amount].ends_with(b"\r\n\r\n{\"value\":1}");
            let status = if whole { 200 } else { 400 };
            let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    let (transport, url) = (plain(), url(address));
    for _ in 0..50 {
        let reply = send(&transport, &post(&url, b"{\"value\":1}")).unwrap();
        assert_eq!(reply.head.status, 200);
    }
}

/// Child of the next test, which counts its system calls.
#[test]
#[ignore = "run under strace by the next test"]
fn warm_exchanges_to_be_counted() {
    let url = std::env::var("TROPHY_TEST_URL").unwrap();
    let ca_file = std::env::var_os("TROPHY_TEST_CA").map(Into::into);
    let transport = transport(|settings| settings.ca_file = ca_file);
    let exchange = || {
        let probe = false;
        send(
            &transport,
            &Exchange {
                probe,
                ..post(&url, b"{\"value\":1}")
            },
        )
        .unwrap();
    };
    let _ = std::fs::metadata("/begin-of-first-exchanges");
    (0..3).for_each(|_| exchange());
    let _ = std::fs::metadata("/begin-of-warm-exchanges");
    (0..20).for_each(|_| exchange());
    let _ = std::fs::metadata("/end-of-warm-exchanges");
}

#[test]
fn a_warm_exchange_makes_two_system_calls_and_no_exchange_a_thread() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let tls = listen_tls(&authority, "localhost", |mut stream| {
        while read_request(&mut stream).is_some() {
            stream.write_all(OK).unwrap();
        }
    });
    for url in [
        url(answer(OK)),
        format!("https://localhost:{}/", tls.port()),
    ] {
        let log = folder.path().join("strace");
        let traced = std::process::Command::new("strace")
            .args(["-f", "-o"])
            .arg(&log)
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "warm_exchanges_to_be_counted"])
            .env("TROPHY_TEST_URL", &url)
            .env("TROPHY_TEST_CA", &ca)
            .output();
        match traced {
            Err(error) => return println!("skipped: strace: {error}"),
            Ok(output) if !output.status.success() => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(said.contains("ptrace"), "{output:?}");
                return println!("skipped: strace: {said}");
            }
            Ok(_) => {}
        }
        let log = std::fs::read_to_string(&log).unwrap();
        let at = |mark| log.lines().position(|it| it.contains(mark)).unwrap();
        let first = at("/begin-of-first");
        let begin = at("/begin-of-warm");
        let end = at("/end-of-warm");
        // The name is `localhost` or an address: no look-up needs a thread either.
        let clones = log.lines().take(end).skip(first);
        assert_eq!(clones.filter(|it| it.contains("clone")).count(), 0, "{log}");
        let thread = log.lines().nth(begin).unwrap().split(' ').next().unwrap();
        let calls: Vec<_> = log
            .lines()
            .take(end)
            .skip(begin + 1)
            .filter(|it| it.starts_with(thread) && !it.contains("resumed>"))
            // The allocator's own, and the look at a connection that strace made idle for too long.
            .filter(|it| {
                !["brk(", "madvise(", "MSG_PEEK"]
                    .iter()
                    .any(|no| it.contains(no))
            })
            .collect();
        let count = |name| calls.iter().filter(|it| it.contains(name)).count();
        assert_eq!(
            // On a 32-bit x86 they are called send() and recv().
            (count(" send"), count(" recv")),
            (20, 20),
            "{calls:#?}"
        );
        assert_eq!(calls.len(), 40, "{calls:#?}");
    }
}

// ---- replies

#[test]
fn replies_are_read_however_they_end() {
    let chunked = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                   HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    for (reply, status, body) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            200,
            "abc",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end"),
        ("HTTP/1.0 200 OK\r\n\r\nold", 200, "old"),
        ("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
        (
            "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
            503,
            "busy",
        ),
        (chunked, 201, "abcde"),
        (interim, 200, "x"),
    ] {
        let mut got = reply_to(reply).unwrap_or_else(|failure| panic!("{reply}: {failure:?}"));
        assert_eq!(
            (got.head.status, &*got.body),
            (status, body.as_bytes()),
            "{reply}"
        );
        assert!(got.body.capacity() > got.body.len(), "{reply}");
        let at = got.body.as_ptr();
        got.body.push(0);
        assert_eq!(at, got.body.as_ptr(), "a NUL took a copy");
    }
}

#[test]
fn a_redirect_is_a_reply_and_is_not_followed() {
    let (other, connections) = silent();
    for status in [301, 302, 303, 307, 308] {
        for body in ["", "moved"] {
            let length = body.len();
            let reply = reply_to(format!(
                "HTTP/1.1 {status} Moved\r\nLocation: http://{other}/\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            ));
            let reply = reply.unwrap();
            assert_eq!((reply.head.status, &*reply.body), (status, body.as_bytes()));
        }
    }
    assert!(connections.try_recv().is_err());
}

#[test]
fn what_a_limited_client_must_know_is_read() {
    let reply = reply_to(
        "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-RateLimit-Reset: 1700000000\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let reply = reply.unwrap();
    assert_eq!(reply.head.retry_after.as_deref(), Some("7"));
    assert_eq!(reply.head.rate_limit_reset.as_deref(), Some("1700000000"));
    assert_eq!(reply_to(OK).unwrap().head.retry_after, None);
}

#[test]
fn a_refusal_that_breaks_off_still_says_when_to_come_again() {
    let reply = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nslo";
    let failure = reply_to(reply).unwrap_err();
    assert_eq!(failure.answered, Some(429));
    assert_eq!(failure.head.retry_after.as_deref(), Some("7"));
}

#[test]
fn who_answered_can_be_judged_by_the_head_whole_or_broken_off() {
    let head = "Date: Fri, 27 Nov 2026 06:00:00 GMT\r\nContent-Type: text/html\r\n\
                Retry-After: 7\r\nX-RateLimit-Reset: 9\r\nContent-Encoding: br\r\n\
                Content-Length: 3\r\n\r\n";
    let date = Some("Fri, 27 Nov 2026 06:00:00 GMT");
    let reply = reply_to(format!("HTTP/1.1 503 No\r\n{head}abc")).unwrap();
    assert_eq!(reply.head.date.as_deref(), date);
    assert_eq!(reply.head.content_type.as_deref(), Some("text/html"));
    assert_eq!(reply.head.content_encoding.as_deref(), Some("br"));
    assert_eq!(reply.body, b"abc");

    let failure = reply_to(format!("HTTP/1.1 503 No\r\n{head}ab")).unwrap_err();
    assert_eq!(failure.answered, Some(503));
    assert_eq!(failure.head.date.as_deref(), date);
    assert_eq!(failure.head.content_type.as_deref(), Some("text/html"));
    assert_eq!(failure.head.content_encoding.as_deref(), Some("br"));
    assert_eq!(failure.head.retry_after.as_deref(), Some("7"));
    assert_eq!(failure.head.rate_limit_reset.as_deref(), Some("9"));
}

#[test]
fn a_success_in_a_coding_that_nobody_asked_for_is_refused_by_its_name() {
    for coding in ["gzip", "br", "deflate, gzip", "zstd"] {
        let reply = format!(
            "HTTP/1.1 201 Created\r\nContent-Encoding: {coding}\r\nContent-Length: 3\r\n\r\nabc"
        );
        let failure = reply_to(reply).unwrap_err();
        assert_eq!(failure.kind, Kind::InvalidResponse);
        assert_eq!(failure.answered, Some(201));
        let says = format!("compressed ({coding}), which nobody asked for");
        assert!(failure.message.contains(&says), "{}", failure.message);
        assert_eq!(failure.head.content_encoding.as_deref(), Some(coding));
    }
    for none in ["identity", "Identity", ""] {
        let reply =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {none}\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(reply_to(reply).unwrap().body, b"abc");
    }
}

#[test]
fn a_transfer_coding_that_nobody_asked_for_is_refused() {
    for coding in [
        "gzip, chunked",
        "gzip",
        "chunked\r\nTransfer-Encoding: chunked",
    ] {
        let reply =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n1\r\na\r\n0\r\n\r\n");
        let failure = reply_to(reply).unwrap_err();
        assert_eq!(failure.kind, Kind::InvalidResponse, "{coding}: {failure:?}");
        assert_eq!(failure.answered, Some(200));
    }
}

#[test]
fn a_reply_whose_end_or_coding_is_doubtful_ends_its_connection() {
    for (status, headers, body) in [
        (
            200,
            "Content-Length: 9\r\nTransfer-Encoding: chunked",
            "1\r\na\r\n0\r\n\r\n",
        ),
        (
            200,
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (204, "Content-Length: 5", ""),
        (304, "Transfer-Encoding: chunked", ""),
        (503, "Content-Length: 1\r\nContent-Encoding: gzip", "x"),
    ] {
        let reply = format!("HTTP/1.1 {status} X\r\n{headers}\r\n\r\n{body}");
        let (seen, numbers) = channel();
        let address = listen(move |number, mut stream| {
            while read_request(&mut stream).is_some() {
                seen.send(number).unwrap();
                let _ = stream.write_all(reply.as_bytes());
            }
        });
        let (transport, url) = (plain(), url(address));
        for number in [0, 1] {
            let probe = false;
            send(&transport, &Exchange { probe, ..get(&url) }).unwrap();
            assert_eq!(numbers.recv().unwrap(), number, "{status} {headers}");
        }
    }
}

#[test]
fn a_success_without_a_length_that_is_reset_is_not_whole() {
    let (read, is_read) = channel();
    let is_read = Mutex::new(is_read);
    let address = listen(move |_, mut stream| {
        read_request(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"half\":")
            .unwrap();
        is_read.lock().unwrap().recv().unwrap();
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    });
    let url = url(address);
    let failure = std::thread::scope(|scope| {
        let call = scope.spawn(|| send(&plain(), &get(&url)));
        read.send(()).unwrap();
        call.join().unwrap().unwrap_err()
    });
    assert_eq!(failure.kind, Kind::InvalidResponse, "{failure:?}");
    assert_eq!(failure.answered, Some(200));
}

#[test]
fn a_reply_cut_at_any_byte_is_never_taken_for_whole() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    // Without the blank line after its last chunk, a chunked body is whole all the same.
    for (reply, spare) in [(OK, 0), (&chunked[..], 2)] {
        let line = "HTTP/1.1 200 OK\r\n".len();
        for cut in 0..=reply.len() {
            match reply_to(&reply[..cut]) {
                Ok(reply_read) => {
                    assert!(cut + spare >= reply.len(), "cut at {cut}");
                    assert_eq!(reply_read.body, b"ok");
                }
                Err(failure) => {
                    assert!(cut < reply.len(), "cut at {cut}: {failure:?}");
                    let (kind, answered) = if cut < line {
                        (Kind::Network, None)
                    } else {
                        (Kind::InvalidResponse, Some(200))
                    };
                    assert_eq!(failure.kind, kind, "cut at {cut}: {failure:?}");
                    assert_eq!(failure.answered, answered, "cut at {cut}: {failure:?}");
                    assert!(failure.sent && !failure.stale, "cut at {cut}: {failure:?}");
                }
            }
        }
    }
}

#[test]
fn hostile_replies_are_refused_without_a_panic() {
    let many_headers = "A: b\r\n".repeat(2_000);
    let long_header = format!("A: {}\r\n", "b".repeat(100_000));
    let endless_chunk_size = "0".repeat(1_000_000);
    let ok = "HTTP/1.1 200 OK\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    for (reply, kind) in [
        ("\0\0\0\0\0\0\0\0".to_owned(), Kind::Network),
        ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), Kind::Network),
        ("HTTP/9.9 200 OK\r\n\r\n".to_owned(), Kind::Network),
        ("HTTP/1.1 99999 OK\r\n\r\n".to_owned(), Kind::Network),
        ("HTTP/1.1 -20 OK\r\n\r\n".to_owned(), Kind::Network),
        ("HTTP/1.1 000 OK\r\n\r\n".to_owned(), Kind::Network),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}Content-Length: -1\r\n\r\nx"),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}Content-Length: 1x\r\n\r\nx"),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}Content-Length: 99999999999999999999\r\n\r\nx"),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}Content-Length: 18446744073709551615\r\n\r\nx"),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
            Kind::InvalidResponse,
        ),
        (format!("{ok}no colon\r\n\r\n"), Kind::InvalidResponse),
        (
            format!("HTTP/1.1 100 Continue\r\n\r\n{ok}no colon\r\n\r\n"),
            Kind::InvalidResponse,
        ),
        (format!("{ok}\0: x\r\n\r\n"), Kind::InvalidResponse),
        (format!("{ok}{many_headers}\r\n"), Kind::InvalidResponse),
        // Of these the answer itself has not come.
        (
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000),
            Kind::Network,
        ),
        (format!("HTTP/1.1 200 {long_header}\r\n"), Kind::Network),
        (format!("{ok}{long_header}\r\n"), Kind::InvalidResponse),
        (format!("{ok}{chunked}zz\r\nabc"), Kind::InvalidResponse),
        (
            format!("{ok}{chunked}-3\r\nabc\r\n0\r\n\r\n"),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}{chunked}ffffffffffffffffff\r\nabc"),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}{chunked}3\r\nabcdef\r\n0\r\n\r\n"),
            Kind::InvalidResponse,
        ),
        (
            format!("{ok}{chunked}{endless_chunk_size}"),
            Kind::InvalidResponse,
        ),
    ] {
        let shown = &reply[..reply.len().min(80)];
        let failure = reply_to(&*reply).map(drop).expect_err(shown);
        assert_eq!(failure.kind, kind, "{shown:?}: {failure:?}");
        assert!(
            failure.sent && !failure.message.contains("secret"),
            "{failure:?}"
        );
    }
}

#[test]
fn random_bytes_after_a_sound_beginning_do_no_harm() {
    // xorshift: the same bytes every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let replies: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            let mut reply =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                    .to_vec();
            for _ in 0..=random() % 4 {
                let at = random() as usize % reply.len();
                reply[at] = random() as u8;
            }
            reply
        })
        .collect();
    let address = {
        let replies = replies.clone();
        listen(move |number, mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(&replies[number]);
        })
    };
    let url = url(address);
    for reply in &replies {
        // A transport each, so that each reply comes on a connection of its own.
        match send(&plain(), &get(&url)) {
            Ok(_) => {}
            Err(failure) => assert!(
                matches!(failure.kind, Kind::Network | Kind::InvalidResponse),
                "{reply:?}: {failure:?}"
            ),
        }
    }
}

#[test]
fn a_reply_beyond_the_limit_is_refused_announced_or_not() {
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a";
    let unannounced = "HTTP/1.1 200 OK\r\n\r\n0123456789a";
    for reply in [announced, unannounced] {
        let limited = |max_response_bytes| {
            let url = url(answer_and_close(reply));
            send(
                &plain(),
                &Exchange {
                    max_response_bytes,
                    ..get(&url)
                },
            )
        };
        let failure = limited(10).unwrap_err();
        assert_eq!(failure.kind, Kind::InvalidResponse);
        assert_eq!(failure.answered, Some(200));
        assert!(
            failure.message.contains("`max_response_bytes`"),
            "{}",
            failure.message
        );
        assert_eq!(limited(11).unwrap().body.len(), 11);
    }
}

#[test]
fn an_answer_that_comes_before_the_body_is_sent_is_heard() {
    let address = listen(|_, mut stream| {
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
            .unwrap();
        // Closed with most of the body unread, which resets the connection.
    });
    let (transport, url) = (plain(), url(address));
    let body = vec![b'x'; 32 << 20];
    for _ in 0..3 {
        let reply = send(&transport, &post(&url, &body)).unwrap();
        assert_eq!((reply.head.status, &*reply.body), (413, &b"big"[..]));
    }
}

#[test]
fn a_reply_of_many_megabytes_is_read() {
    for head in ["Content-Length: 12000000\r\n", ""] {
        let mut reply = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
        reply.resize(reply.len() + 12_000_000, b'x');
        assert_eq!(reply_to(reply).unwrap().body.len(), 12_000_000);
    }
}

#[test]
fn a_head_of_many_kilobytes_is_read() {
    let header = format!("X-Long: {}\r\n", "y".repeat(5_000));
    let reply = |times: usize| {
        let headers = header.repeat(times);
        reply_to(format!(
            "HTTP/1.1 200 OK\r\n{headers}Content-Length: 2\r\n\r\nok"
        ))
    };
    assert_eq!(reply(3).unwrap().body, b"ok");
    let failure = reply(4).unwrap_err();
    assert_eq!(failure.kind, Kind::InvalidResponse);
    assert!(
        failure.message.contains("longer than 16384 bytes"),
        "{failure:?}"
    );
}

// ---- kept connections

#[test]
fn a_kept_connection_that_the_server_closed_is_replaced_unnoticed() {
    let (closed, closes) = channel();
    let address = listen(move |_, mut stream| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        drop(stream);
        closed.send(()).unwrap();
    });
    let (transport, url) = (plain(), url(address));
    for _ in 0..3 {
        assert_eq!(send(&transport, &post(&url, b"{}")).unwrap().body, b"ok");
        closes.recv().unwrap();
    }
}

#[test]
fn a_kept_connection_that_dies_before_an_answer_is_called_stale() {
    let address = listen(|_, mut stream| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        read_request(&mut stream);
    });
    let (transport, url) = (plain(), url(address));
    send(&transport, &post(&url, b"{}")).unwrap();
    let failure = send(&transport, &post(&url, b"{}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Network, "{failure:?}");
    assert!(failure.stale && failure.sent, "{failure:?}");
    assert_eq!(failure.answered, None);
}

/// A server that answers what is waiting at once, so that it has as many kept connections as it was asked at a
/// time; afterwards it does as `then` says.
fn with_kept_connections(
    count: usize,
    then: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> (Transport, String, Receiver<usize>) {
    let together = Arc::new(std::sync::Barrier::new(count));
    let (seen, numbers) = channel();
    let address = listen(move |number, mut stream| {
        read_request(&mut stream);
        if number < count {
            together.wait();
            stream.write_all(OK).unwrap();
            if read_request(&mut stream).is_some() {
                let _ = seen.send(number);
                then(&mut stream);
            }
        } else {
            let _ = seen.send(number);
            let _ = stream.write_all(OK);
        }
    });
    let (transport, url) = (plain(), url(address));
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| send(&transport, &get(&url)).unwrap());
        }
    });
    (transport, url, numbers)
}

#[test]
fn a_kept_connection_that_fails_takes_those_kept_as_long_with_it() {
    let (transport, url, numbers) = with_kept_connections(3, |_| {});
    let failure = send(&transport, &post(&url, b"{}")).unwrap_err();
    assert!(failure.stale && failure.sent, "{failure:?}");
    assert!(numbers.recv().unwrap() < 3);
    send(&transport, &post(&url, b"{}")).unwrap();
    assert_eq!(numbers.recv().unwrap(), 3);
}

#[test]
fn a_kept_connection_that_is_silent_takes_those_kept_as_long_with_it() {
    let (transport, url, numbers) = with_kept_connections(2, |stream| {
        // Until the client gives up.
        let _ = stream.read(&mut [0]);
    });
    let failure = times_out(&transport, post(&url, b"{}"), "waiting for the reply");
    assert!(failure.sent && !failure.stale, "{failure:?}");
    assert!(numbers.recv().unwrap() < 2);
    send(&transport, &post(&url, b"{}")).unwrap();
    assert_eq!(numbers.recv().unwrap(), 2);
}

#[test]
fn a_kept_connection_that_fails_does_not_touch_those_to_another_server() {
    let other = url(listen(tell_number));
    let (transport, url, _numbers) = with_kept_connections(1, |_| {});
    send(&transport, &get(&other)).unwrap();
    send(&transport, &post(&url, b"{}")).unwrap_err();
    assert_eq!(send(&transport, &get(&other)).unwrap().body, b"0");
}

#[test]
fn a_call_on_a_kept_connection_is_cancelled_as_well() {
    let authority = Authority::new();
    let (asked, asks) = channel();
    let also_asked = asked.clone();
    let tls = listen_tls(&authority, "localhost", move |mut stream| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        read_request(&mut stream);
        asked.send(()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let clear = listen(move |_, mut stream| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        read_request(&mut stream);
        also_asked.send(()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let transport = trusting(&authority, |_| {});
    for url in [url(clear), format!("https://localhost:{}/", tls.port())] {
        send(&transport, &get(&url)).unwrap();
        let failure = is_cancelled(&transport, &get(&url), || asks.recv().unwrap());
        assert!(failure.sent && !failure.stale, "{failure:?}");
    }
}

#[test]
fn a_kept_connection_that_dies_within_an_answer_is_not_stale() {
    let address = listen(|_, mut stream| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        read_request(&mut stream);
        stream.write_all(&OK[..30]).unwrap();
    });
    let (transport, url) = (plain(), url(address));
    send(&transport, &post(&url, b"{}")).unwrap();
    let failure = send(&transport, &post(&url, b"{}")).unwrap_err();
    assert_eq!(failure.kind, Kind::InvalidResponse, "{failure:?}");
    assert!(!failure.stale, "{failure:?}");
}

#[test]
fn a_connection_that_the_server_will_close_is_not_kept() {
    let address = listen(|number, mut stream| {
        while read_request(&mut stream).is_some() {
            let reply = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{number}"
            );
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    let (transport, url) = (plain(), url(address));
    for number in ["0", "1", "2"] {
        let exchange = Exchange {
            probe: false,
            ..get(&url)
        };
        assert_eq!(send(&transport, &exchange).unwrap().body, number.as_bytes());
    }
}

#[test]
fn connections_are_kept_for_each_server_and_not_too_many() {
    for (max_idle, numbers) in [(2, "00000"), (1, "00112")] {
        let transport = transport(|settings| settings.max_idle = max_idle);
        let [one, other] = [url(listen(tell_number)), url(listen(tell_number))];
        let mut bodies = String::new();
        for url in [&one, &other, &one, &other, &one] {
            let body = send(&transport, &get(url)).unwrap().body;
            bodies.push_str(std::str::from_utf8(&body).unwrap());
        }
        assert_eq!(bodies, numbers);
    }
}

#[test]
fn bytes_that_nobody_asked_for_are_not_taken_for_the_next_reply() {
    let (sent, sends) = channel();
    let address = listen(move |number, mut stream| {
        while read_request(&mut stream).is_some() {
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
            stream.write_all(reply.as_bytes()).unwrap();
            stream.write_all(OK).unwrap();
            sent.send(()).unwrap();
        }
    });
    let (transport, url) = (plain(), url(address));
    for number in ["0", "1", "2"] {
        let reply = send(&transport, &get(&url)).unwrap();
        assert_eq!(reply.body, number.as_bytes());
        sends.recv().unwrap();
    }
}

#[test]
fn what_follows_a_reply_that_fills_a_buffer_is_not_the_next_reply() {
    for size in [1 << 13, 1 << 14, 1 << 16, 1 << 17] {
        let address = listen(move |number, mut stream| {
            while read_request(&mut stream).is_some() {
                let length = size - 100;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX: ");
                let filler = "x".repeat(100 - head.len() - 4);
                let body = number.to_string().repeat(length);
                let reply = format!("{head}{filler}\r\n\r\n{body}");
                assert_eq!(reply.len(), size);
                let _ = stream.write_all(&[reply.as_bytes(), OK].concat());
            }
        });
        let (transport, url) = (plain(), url(address));
        for number in [b'0', b'1', b'2'] {
            let probe = true;
            let reply = send(&transport, &Exchange { probe, ..get(&url) }).unwrap();
            assert_eq!((reply.body.len(), reply.body[0]), (size - 100, number));
        }
    }
}

#[test]
fn threads_share_a_transport() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let address = listen(move |_, stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        echo(stream);
    });
    let (transport, url) = (plain(), url(address));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (transport, url) = (&transport, &url);
            scope.spawn(move || {
                for turn in 0..50 {
                    let body = format!("{thread}/{turn}");
                    let reply = send(transport, &post(url, body.as_bytes())).unwrap();
                    assert_eq!(reply.body, body.as_bytes());
                }
            });
        }
    });
    assert!(connections.load(Ordering::SeqCst) <= 8);
}

#[cfg(unix)]
#[test]
fn a_forked_child_leaves_the_parents_connections_alone() {
    let (ended, ends) = channel();
    let address = listen(move |number, stream| {
        tell_number(number, stream);
        ended.send(()).unwrap();
    });
    let (transport, url) = (plain(), url(address));
    let mut own = Some(transport);
    send(own.as_ref().unwrap(), &get(&url)).unwrap();
    // SAFETY: the child frees, exits or waits for a signal; nothing that a lock of another thread bars.
    let mut fork = |child_does: fn(Transport)| match unsafe { libc::fork() } {
        0 => {
            child_does(own.take().unwrap());
            loop {
                unsafe { libc::pause() };
            }
        }
        child => child,
    };
    let children = [fork(drop), fork(std::mem::forget)];

    // The parent's connection serves on, and ends when the parent says so, while the children live.
    let transport = own.unwrap();
    assert_eq!(send(&transport, &get(&url)).unwrap().body, b"0");
    transport.close_idle();
    ends.recv_timeout(*LONG).unwrap();
    for child in children {
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
}

// ---- connecting

/// An address that refuses, and that no other test gets while the socket is kept.
fn refusing() -> (SocketAddr, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&address.into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap(), socket)
}

#[test]
fn a_refused_connection_says_where_and_sent_nothing() {
    let (address, _reserved) = refusing();
    let failure = send(&plain(), &post(&url(address), b"{}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Network);
    assert!(!failure.sent && !failure.stale && failure.answered.is_none());
    assert!(
        failure.message.contains(&address.to_string()),
        "{}",
        failure.message
    );
}

#[test]
fn the_second_address_serves_where_the_first_refuses() {
    let (listener, _reserved) = loop {
        let (refuses, reserved) = refusing();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, refuses.port())) {
            Ok(listener) => break (listener, reserved),
            // Another test has that port.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return println!("skipped: no IPv6 here: {error}"),
        }
    };
    let port = listener.local_addr().unwrap().port();
    accept(listener, |_, mut stream| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
    });
    for host in ["localhost", "[::1]"] {
        let reply = send(&plain(), &get(&format!("http://{host}:{port}/")));
        assert_eq!(reply.unwrap().body, b"ok");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_is_silent_holds_up_the_next_for_a_moment_and_is_tried_last_from_then_on() {
    let (listener, silent, mut kept) = loop {
        let (silent, kept) = blackhole();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, silent.port())) {
            Ok(listener) => break (listener, silent, kept),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return println!("skipped: no IPv6 here: {error}"),
        }
    };
    accept(listener, tell_number);
    let (transport, url) = (plain(), format!("http://localhost:{}/", silent.port()));
    let begun = Instant::now();
    assert_eq!(send(&transport, &get(&url)).unwrap().body, b"0");
    assert!(begun.elapsed() >= Duration::from_millis(250));

    // The first address would answer now, but the other one did.
    transport.close_idle();
    kept.truncate(1);
    assert_eq!(send(&transport, &get(&url)).unwrap().body, b"1");
}

#[test]
fn a_name_that_does_not_exist_is_a_network_failure() {
    let failure = send(&plain(), &get("http://no-such-host.invalid/")).unwrap_err();
    assert_eq!(failure.kind, Kind::Network, "{failure:?}");
    assert!(
        failure.message.contains("no-such-host.invalid:80"),
        "{}",
        failure.message
    );
    assert!(!failure.sent);
}

// ---- deadlines and cancels, wherever they fall

/// A listener whose queue is full, so that a connect to it hangs. Keep what it returns.
#[cfg(target_os = "linux")]
fn blackhole() -> (SocketAddr, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut kept = vec![listener];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&address.into());
        kept.push(filler);
    }
    (address, kept)
}

/// Ends at its deadline with a timeout that says `doing`.
#[track_caller]
fn times_out(transport: &Transport, exchange: Exchange<'_>, doing: &str) -> Failure {
    let started = Instant::now();
    let deadline = started + *SHORT;
    let failure = send(
        transport,
        &Exchange {
            deadline,
            ..exchange
        },
    )
    .unwrap_err();
    let took = started.elapsed();
    assert_eq!(failure.kind, Kind::Timeout, "{failure:?}");
    assert!(failure.message.contains(doing), "{}", failure.message);
    // Wide, for a machine that is busy; without a deadline the wait would be for ever.
    assert!(took >= *SHORT && took < *LONG / 3, "{took:?}");
    failure
}

/// Ends when it is cancelled, which happens once `ready` returns.
#[track_caller]
fn is_cancelled(transport: &Transport, exchange: &Exchange<'_>, ready: impl FnOnce()) -> Failure {
    let control = CancelToken::new();
    let (failure, took) = std::thread::scope(|scope| {
        let call = scope.spawn(|| transport.exchange(exchange, &control));
        ready();
        let cancelled = Instant::now();
        control.cancel();
        (call.join().unwrap().unwrap_err(), cancelled.elapsed())
    });
    assert_eq!(failure.kind, Kind::Cancelled, "{failure:?}");
    assert!(took < *LONG / 3, "{took:?}");
    failure
}

#[cfg(target_os = "linux")]
#[test]
fn a_connect_that_hangs_is_ended() {
    let (address, _kept) = blackhole();
    let (transport, url) = (plain(), url(address));
    assert!(!times_out(&transport, get(&url), "connecting").sent);
    let connect_timeout = *SHORT;
    let failure = send(
        &transport,
        &Exchange {
            connect_timeout,
            ..get(&url)
        },
    )
    .unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(
        failure.message.contains("`connect_timeout_in_seconds`"),
        "{}",
        failure.message
    );
    assert!(!is_cancelled(&transport, &get(&url), || {}).sent);
}

#[test]
fn a_handshake_that_hangs_is_ended() {
    let (address, connections) = silent();
    let (transport, url) = (plain(), format!("https://{address}/"));
    let failure = times_out(&transport, get(&url), "TLS handshake");
    assert!(!failure.sent && failure.sent_at.is_none());
    connects_too_slowly(&transport, &url);
    let mut kept = Vec::new();
    let failure = is_cancelled(&transport, &get(&url), || {
        (0..3).for_each(|_| kept.push(connections.recv().unwrap()));
    });
    assert!(!failure.sent);
}

/// Ends when the time for connecting is over.
#[track_caller]
fn connects_too_slowly(transport: &Transport, url: &str) {
    let connect_timeout = *SHORT;
    let exchange = Exchange {
        connect_timeout,
        ..get(url)
    };
    let failure = send(transport, &exchange).unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout, "{failure:?}");
    assert!(!failure.sent && failure.sent_at.is_none(), "{failure:?}");
    let message = &failure.message;
    assert!(
        message.contains("`connect_timeout_in_seconds`"),
        "{message}"
    );
}

#[test]
fn look_up_tunnel_and_handshakes_share_the_time_for_connecting() {
    // Each part takes most of it.
    let part = *SHORT * 2 / 3;
    let authority = Authority::new();
    let config = authority.server("trophy.test");
    let target = listen(move |_, stream| {
        std::thread::sleep(part);
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let _ = read_request(&mut StreamOwned::new(session, stream));
    });
    let (proxy, _questions) = connect_proxy(target, move |stream| {
        std::thread::sleep(part);
        stream
    });
    let transport = trusting(&authority, |settings| {
        settings.proxy = Some(format!("http://{proxy}"));
    });
    connects_too_slowly(&transport, "https://trophy.test/");
}

#[test]
fn a_proxy_that_hangs_is_ended() {
    let (proxy, connections) = silent();
    let transport = transport(|settings| settings.proxy = Some(format!("http://{proxy}")));
    let failure = times_out(
        &transport,
        get("https://trophy.test/"),
        "waiting for the proxy",
    );
    assert!(!failure.sent && failure.sent_at.is_none());
    assert!(
        failure.message.contains(&format!("the proxy {proxy}")),
        "{failure:?}"
    );
    connects_too_slowly(&transport, "http://trophy.test/");
    let mut kept = Vec::new();
    let failure = is_cancelled(&transport, &get("https://trophy.test/"), || {
        (0..3).for_each(|_| kept.push(connections.recv().unwrap()));
    });
    assert!(!failure.sent);
}

#[test]
fn a_server_that_does_not_read_is_left() {
    let (address, connections) = silent();
    let (transport, url) = (plain(), url(address));
    let body = vec![b'x'; 32 << 20];
    times_out(&transport, post(&url, &body), "sending the request");
    let mut kept = Vec::new();
    let failure = is_cancelled(&transport, &post(&url, &body), || {
        (0..2).for_each(|_| kept.push(connections.recv().unwrap()));
    });
    assert!(failure.answered.is_none());
}

#[test]
fn a_server_that_does_not_answer_is_left() {
    let (address, connections) = silent();
    let (transport, url) = (plain(), url(address));
    let failure = times_out(&transport, post(&url, b"{}"), "waiting for the reply");
    assert!(failure.sent && !failure.stale);
    let mut kept = Vec::new();
    let failure = is_cancelled(&transport, &post(&url, b"{}"), || {
        (0..2).for_each(|_| kept.push(connections.recv().unwrap()));
        read_request(&mut kept[1]).unwrap();
    });
    assert!(failure.sent && !failure.stale);
}

#[test]
fn a_reply_that_drips_is_left() {
    let (began, begins) = channel();
    let address = listen(move |_, mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        let _ = began.send(());
        stream
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        // A byte at a time, until the client has gone.
        while stream.read(&mut [0]).is_err() && stream.write_all(b"x").is_ok() {}
    });
    let (transport, url) = (plain(), url(address));
    let failure = times_out(&transport, get(&url), "reading the reply");
    assert_eq!(failure.answered, Some(200));
    let failure = is_cancelled(&transport, &get(&url), || {
        (0..2).for_each(|_| begins.recv().unwrap());
    });
    assert!(failure.sent);
}

#[test]
fn a_cancel_is_not_taken_for_the_end_of_a_reply() {
    let (began, begins) = channel();
    let (_hold, held) = channel::<()>();
    let held = Mutex::new(held);
    let address = listen(move |_, mut stream| {
        read_request(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nup to the e")
            .unwrap();
        began.send(()).unwrap();
        let _ = held.lock().unwrap().recv();
    });
    is_cancelled(&plain(), &get(&url(address)), || begins.recv().unwrap());
}

#[test]
fn a_call_that_was_cancelled_before_sends_nothing_also_with_a_kept_connection() {
    let (transport, url) = (plain(), url(answer(OK)));
    let control = CancelToken::new();
    control.cancel();
    for _ in 0..2 {
        let failure = transport.exchange(&get(&url), &control).unwrap_err();
        assert_eq!(failure.kind, Kind::Cancelled);
        assert!(!failure.sent);
        send(&transport, &get(&url)).unwrap();
    }
}

#[test]
fn a_cancel_after_the_reply_harms_no_later_call() {
    let (transport, url) = (plain(), url(answer(OK)));
    for _ in 0..20 {
        let control = CancelToken::new();
        transport.exchange(&get(&url), &control).unwrap();
        control.cancel();
    }
    let probe = false;
    send(&transport, &Exchange { probe, ..get(&url) }).unwrap();
}

#[test]
fn a_deadline_that_has_passed_sends_nothing() {
    let (address, _connections) = silent();
    let deadline = Instant::now();
    let failure = send(
        &plain(),
        &Exchange {
            deadline,
            ..get(&url(address))
        },
    )
    .unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(!failure.sent);
}

// ---- TLS

struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: rcgen::Issuer::new(parameters, key),
        }
    }

    fn server(&self, host: &str) -> Arc<ServerConfig> {
        self.server_for(host, WebPkiClientVerifier::no_client_auth())
    }

    fn server_for(&self, host: &str, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        tls_server(&certificate, &key, clients)
    }

    fn file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(self.pem.as_bytes()).unwrap();
        file
    }
}

fn tls_server(
    certificate: &rcgen::Certificate,
    key: &rcgen::KeyPair,
    clients: Arc<dyn ClientCertVerifier>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        );
    Arc::new(config.unwrap())
}

type ServerStream = StreamOwned<ServerConnection, TcpStream>;

fn listen_tls(
    authority: &Authority,
    host: &str,
    serve: impl Fn(ServerStream) + Send + Sync + 'static,
) -> SocketAddr {
    let config = authority.server(host);
    listen(move |_, stream| {
        stream.set_nodelay(true).unwrap();
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        serve(StreamOwned::new(session, stream));
    })
}

fn trusting(authority: &Authority, change: impl FnOnce(&mut Settings)) -> Transport {
    let file = authority.file();
    transport(|settings| {
        settings.ca_file = Some(file.path().to_owned());
        change(settings);
    })
}

#[test]
fn https_works_with_an_authority_of_ones_own_and_keeps_its_connection() {
    let authority = Authority::new();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let address = listen_tls(&authority, "localhost", move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        echo(stream);
    });
    let transport = trusting(&authority, |_| {});
    let url = format!("https://localhost:{}/", address.port());
    let large = vec![b'x'; 1_000_000];
    for body in [&b"{}"[..], &large, b"{}"] {
        assert!(send(&transport, &post(&url, body)).unwrap().body == body);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_certificate_of_another_host_or_authority_is_refused() {
    let authority = Authority::new();
    let address = listen_tls(&authority, "trophy.test", |mut stream| {
        let _ = read_request(&mut stream);
    });
    let url = format!("https://localhost:{}/", address.port());
    let stranger = Authority::new();
    for (transport, word) in [
        (trusting(&authority, |_| {}), "not valid for name"),
        (trusting(&stranger, |_| {}), "certificate"),
        (plain(), "UnknownIssuer"),
    ] {
        let failure = send(&transport, &post(&url, b"{}")).unwrap_err();
        assert_eq!(failure.kind, Kind::Tls, "{failure:?}");
        assert!(
            !failure.sent && failure.message.contains(word),
            "{failure:?}"
        );
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_a_tls_failure() {
    let address = listen(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
    });
    let failure = send(&plain(), &get(&format!("https://{address}/"))).unwrap_err();
    assert_eq!(failure.kind, Kind::Tls, "{failure:?}");
    assert!(!failure.sent);
    assert!(failure.message.contains("plain http"), "{failure:?}");
    assert!(!failure.message.contains("ca_file"), "{failure:?}");
}

/// As `openssl req -x509` makes it: naming it in `ca_file` does not help.
#[test]
fn a_server_that_shows_an_authoritys_own_certificate_is_told_from_one_that_is_unknown() {
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let config = tls_server(&certificate, &key, WebPkiClientVerifier::no_client_auth());
    let address = listen(move |_, stream| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let _ = read_request(&mut StreamOwned::new(session, stream));
    });
    let authority = pem_file(&certificate.pem());
    let url = format!("https://localhost:{}/", address.port());
    let transport = with_ca_file(authority.path()).unwrap();
    let failure = send(&transport, &get(&url)).unwrap_err();
    assert_eq!(failure.kind, Kind::Tls, "{failure:?}");
    assert!(failure.message.contains("without CA:TRUE"), "{failure:?}");
}

#[test]
fn a_tls_stream_cut_without_its_end_is_not_a_whole_reply() {
    let authority = Authority::new();
    let address = listen_tls(&authority, "localhost", |mut stream| {
        if let Some((head, _)) = read_request(&mut stream) {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it")
                .unwrap();
            if head.starts_with("GET /whole ") {
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
            stream.sock.shutdown(Shutdown::Write).unwrap();
            let _ = stream.sock.read(&mut [0]);
        }
    });
    let transport = trusting(&authority, |_| {});
    let base = format!("https://localhost:{}", address.port());
    assert_eq!(
        send(&transport, &get(&format!("{base}/whole")))
            .unwrap()
            .body,
        b"all of it"
    );
    let failure = send(&transport, &get(&format!("{base}/cut"))).unwrap_err();
    assert_eq!(failure.kind, Kind::InvalidResponse, "{failure:?}");
    assert!(failure.message.ends_with("was cut"), "{failure:?}");
}

/// After the handshake it is a connection that broke, and may have carried the request: what carries a key is sent again.
#[test]
fn tls_that_breaks_after_the_handshake_is_a_network_failure() {
    let authority = Authority::new();
    // No record of the session's, and what is no record at all.
    for noise in [
        &b"\x17\x03\x03\x00\x20AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"[..],
        OK,
    ] {
        let address = listen_tls(&authority, "localhost", move |mut stream| {
            if read_request(&mut stream).is_some() {
                stream.sock.write_all(noise).unwrap();
                while matches!(stream.sock.read(&mut [0; 4096]), Ok(1..)) {}
            }
        });
        let url = format!("https://localhost:{}/", address.port());
        let failure = send(&trusting(&authority, |_| {}), &post(&url, b"{}")).unwrap_err();
        assert_eq!(failure.kind, Kind::Network, "{failure:?}");
        assert!(failure.sent && failure.answered.is_none(), "{failure:?}");
        assert!(failure.message.contains("TLS broke off"), "{failure:?}");
    }
}

/// With TLS 1.3 the client has done its part of the handshake by then.
#[test]
fn a_server_that_wants_a_certificate_of_the_client_is_a_tls_failure() {
    let authority = Authority::new();
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.pem.as_bytes();
    roots
        .add(CertificateDer::from_pem_slice(pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let config = authority.server_for("localhost", verifier.build().unwrap());
    let address = listen(move |_, stream| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        assert!(stream.read(&mut [0]).is_err());
        while matches!(stream.sock.read(&mut [0; 4096]), Ok(1..)) {}
    });
    let url = format!("https://localhost:{}/", address.port());
    let failure = send(&trusting(&authority, |_| {}), &post(&url, b"{}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Tls, "{failure:?}");
    assert!(
        failure.message.contains("CertificateRequired"),
        "{failure:?}"
    );
}

#[test]
fn a_kept_tls_connection_that_dies_before_an_answer_is_called_stale() {
    let authority = Authority::new();
    let address = listen_tls(&authority, "localhost", |mut stream| {
        if read_request(&mut stream).is_some() {
            stream.write_all(OK).unwrap();
            read_request(&mut stream);
        }
    });
    let transport = trusting(&authority, |_| {});
    let url = format!("https://localhost:{}/", address.port());
    send(&transport, &post(&url, b"{}")).unwrap();
    let failure = send(&transport, &post(&url, b"{}")).unwrap_err();
    assert!(failure.stale && failure.sent, "{failure:?}");
}

#[test]
fn a_tls_connection_whose_peer_said_farewell_is_not_kept() {
    let authority = Authority::new();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let address = listen_tls(&authority, "localhost", move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        if read_request(&mut stream).is_some() {
            stream.conn.writer().write_all(OK).unwrap();
            stream.conn.send_close_notify();
            // In one segment with the reply, so that the client has it when the reply is read.
            let mut records = Vec::new();
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut records).unwrap();
            }
            stream.sock.write_all(&records).unwrap();
            while matches!(stream.sock.read(&mut [0; 4096]), Ok(1..)) {}
        }
    });
    let transport = trusting(&authority, |_| {});
    let url = format!("https://localhost:{}/", address.port());
    let probe = false;
    for _ in 0..3 {
        send(
            &transport,
            &Exchange {
                probe,
                ..post(&url, b"{}")
            },
        )
        .unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

fn with_ca_file(file: &std::path::Path) -> Result<Transport, String> {
    Transport::new(&Settings {
        ca_file: Some(file.to_owned()),
        proxy: Some(String::new()),
        ..Settings::default()
    })
}

fn pem_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn each_certificate_of_a_bundle_counts_whatever_marks_stand_before_it() {
    let authorities = [Authority::new(), Authority::new()];
    let [first, second] = authorities.each_ref().map(|it| it.pem.as_str());
    let file = pem_file(&format!("\u{feff}{first}a comment\n\u{feff}{second}"));
    let transport = with_ca_file(file.path()).unwrap();
    for authority in &authorities {
        let address = listen_tls(authority, "localhost", echo);
        let url = format!("https://localhost:{}/", address.port());
        let reply = send(&transport, &post(&url, b"{}"));
        assert_eq!(reply.unwrap().body, b"{}");
    }
}

#[test]
fn a_ca_file_of_which_not_all_can_be_used_names_the_option() {
    let sound = Authority::new().pem;
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let cut = &sound[..sound.len() - 40];
    for (text, why) in [
        (String::new(), "no PEM certificate"),
        ("not a certificate".to_owned(), "no PEM certificate"),
        (broken.to_owned(), "not sound PEM"),
        (format!("{sound}{broken}"), "not sound PEM"),
        (format!("{sound}{no_certificate}"), "certificate number 2"),
        (format!("{sound}{key}"), "only 1 can be read"),
        (
            sound.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
            "no PEM certificate",
        ),
        (format!("{sound} {sound}"), "only 1 can be read"),
        (format!("{sound}{cut}"), "not sound PEM"),
        (cut.to_owned(), "not sound PEM"),
    ] {
        let file = pem_file(&text);
        let error = with_ca_file(file.path()).map(drop).unwrap_err();
        assert!(error.starts_with("`ca_file`: "), "{error}");
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_ca_file_that_is_no_file_is_refused_without_a_wait() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
    // SAFETY: a NUL-terminated path.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let large = folder.path().join("large");
    let file = std::fs::File::create(&large).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    for (path, why) in [
        (&*fifo, "not a regular file"),
        (folder.path(), "not a regular file"),
        ("/dev/zero".as_ref(), "not a regular file"),
        ("/no/such/file".as_ref(), "cannot be read"),
        (&large, "longer than"),
    ] {
        let error = with_ca_file(path).map(drop).unwrap_err();
        assert!(error.starts_with("`ca_file`: "), "{error}");
        assert!(error.contains(why), "{why}: {error}");
    }
}

/// Child of the next test: what the system's store is, the environment says.
#[test]
#[ignore = "run with an environment of its own by the next test"]
fn a_transport_that_trusts_the_system() {
    let made = Transport::new(&Settings {
        has_system_roots: true,
        proxy: Some(String::new()),
        ..Settings::default()
    });
    let said = match made {
        Err(error) => error,
        Ok(transport) => {
            let url = std::env::var("TROPHY_TEST_URL").unwrap();
            match send(&transport, &post(&url, b"{}")) {
                Ok(reply) => format!("answered {}", reply.head.status),
                Err(failure) => failure.message,
            }
        }
    };
    println!("said: {said}");
}

#[test]
fn the_systems_authorities_are_trusted_where_that_is_asked_for() {
    let authority = Authority::new();
    let address = listen_tls(&authority, "localhost", echo);
    let url = format!("https://localhost:{}/", address.port());
    let (own, other) = (authority.file(), Authority::new().file());
    let nonsense = pem_file("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    let empty = pem_file("");
    for (store, says) in [
        (own.path(), "answered 200"),
        (other.path(), "invalid peer certificate"),
        (nonsense.path(), "`tls_roots`"),
        (empty.path(), "`tls_roots`"),
        ("/no/such/file".as_ref(), "`tls_roots`"),
        ("/dev/zero".as_ref(), "`tls_roots`"),
    ] {
        let output = emulator::again()
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("a_transport_that_trusts_the_system")
            .env("SSL_CERT_FILE", store)
            .env_remove("SSL_CERT_DIR")
            .env("TROPHY_TEST_URL", &url)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said.lines().find(|it| it.contains("said: ")).unwrap();
        assert!(said.contains(says), "{}: {said}", store.display());
    }
}

#[test]
fn an_unusable_user_agent_names_the_option() {
    let user_agent = "a\nb".to_owned();
    let error = Transport::new(&Settings {
        user_agent,
        ..Settings::default()
    })
    .unwrap_err();
    assert!(error.starts_with("`user_agent`: "), "{error}");
}

// ---- proxies

/// Connects every CONNECT to `target`, and tells what it was asked.
fn connect_proxy<S: Duplex>(
    target: SocketAddr,
    wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
) -> (SocketAddr, Receiver<String>) {
    let (asked, questions) = channel();
    let address = listen(move |_, stream| {
        let mut stream = wrap(stream);
        let Some((head, _)) = read_request(&mut stream) else {
            return;
        };
        asked.send(head).unwrap();
        let upstream = TcpStream::connect(target).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
            .unwrap();
        stream.pipe(upstream);
    });
    (address, questions)
}

trait Duplex: Read + Write {
    fn pipe(self, other: TcpStream);
}

impl Duplex for TcpStream {
    fn pipe(mut self, mut other: TcpStream) {
        let (mut back_from, mut back_to) = (other.try_clone().unwrap(), self.try_clone().unwrap());
        let back = std::thread::spawn(move || {
            let _ = io::copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(Shutdown::Both);
        });
        let _ = io::copy(&mut self, &mut other);
        let _ = other.shutdown(Shutdown::Both);
        let _ = back.join();
    }
}

impl Duplex for ServerStream {
    /// By turns, since a TLS stream cannot be split.
    fn pipe(mut self, mut other: TcpStream) {
        let turn = Some(Duration::from_millis(1));
        self.sock.set_read_timeout(turn).unwrap();
        other.set_read_timeout(turn).unwrap();
        fn forward(from: &mut impl Read, to: &mut impl Write) -> bool {
            let mut buffer = [0; 4096];
            match from.read(&mut buffer) {
                Ok(0) => false,
                Ok(amount) => to.write_all(&buffer[..amount]).is_ok(),
                // As Unix and as Windows call the end of such a time.
                Err(error) => {
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                }
            }
        }
        while forward(&mut self, &mut other) && forward(&mut other, &mut self) {}
    }
}

#[test]
fn https_and_http_go_through_a_tunnel_with_credentials_that_the_server_never_sees() {
    let authority = Authority::new();
    let (seen, requests) = channel();
    let also_seen = seen.clone();
    let secure = listen_tls(&authority, "trophy.test", move |mut stream| {
        while let Some((head, _)) = read_request(&mut stream) {
            seen.send(head).unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let open = listen(move |_, mut stream| {
        while let Some((head, _)) = read_request(&mut stream) {
            also_seen.send(head).unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    for (target, url, asked) in [
        (
            secure,
            "https://trophy.test/a",
            "CONNECT trophy.test:443 HTTP/1.1",
        ),
        (
            open,
            "http://trophy.test:8080/a",
            "CONNECT trophy.test:8080 HTTP/1.1",
        ),
        (
            open,
            "http://[2001:db8::1]/a",
            "CONNECT [2001:db8::1]:80 HTTP/1.1",
        ),
    ] {
        let (proxy, questions) = connect_proxy(target, |stream| stream);
        let transport = trusting(&authority, |settings| {
            settings.proxy = Some(format!("http://me:hunter%202@{proxy}"));
        });
        for _ in 0..2 {
            assert_eq!(send(&transport, &post(url, b"{}")).unwrap().body, b"ok");
            let head = requests.recv().unwrap();
            assert!(head.starts_with("POST /a HTTP/1.1\r\n"), "{head}");
            assert_eq!(header(&head, "x-api-key"), Some("app_1.secret"));
            assert_eq!(header(&head, "proxy-authorization"), None);
        }
        let head = questions.recv().unwrap();
        assert_eq!(head.lines().next(), Some(asked));
        // base64 of "me:hunter 2"
        assert_eq!(
            header(&head, "proxy-authorization"),
            Some("Basic bWU6aHVudGVyIDI=")
        );
        assert!(!head.contains("secret"), "{head}");
        assert!(questions.try_recv().is_err(), "the tunnel was not kept");
    }
}

#[test]
fn an_https_proxy_carries_tls_within_tls() {
    let authority = Authority::new();
    let target = listen_tls(&authority, "trophy.test", |mut stream| {
        while read_request(&mut stream).is_some() {
            stream.write_all(OK).unwrap();
        }
    });
    let config = authority.server("localhost");
    let (proxy, questions) = connect_proxy(target, move |stream| {
        StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
    });
    let transport = trusting(&authority, |settings| {
        settings.proxy = Some(format!("https://localhost:{}", proxy.port()));
    });
    assert_eq!(
        send(&transport, &get("https://trophy.test/")).unwrap().body,
        b"ok"
    );
    assert!(
        questions
            .recv()
            .unwrap()
            .starts_with("CONNECT trophy.test:443 ")
    );
}

#[test]
fn a_proxy_that_fails_is_named_without_its_password() {
    let (nobody, _reserved) = refusing();
    let ok = "HTTP/1.1 200 OK\r\n";
    let head = |status| format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
    for (proxy, word) in [
        (nobody, "could not connect"),
        (answer_and_close(head(407)), "407"),
        (answer_and_close(head(503)), "503"),
        (answer_and_close("HTTP/1.1 200 OK\r\n"), "broke off"),
        (
            answer_and_close("HTTP/1.1 200 OK\r\n\r\nsurplus"),
            "more than its answer",
        ),
        (answer_and_close("no proxy\r\n\r\n"), "not HTTP"),
        (answer_and_close("x".repeat(100_000)), "not HTTP"),
        (
            answer_and_close(format!("HTTP/1.1 407 {}", "x".repeat(100_000))),
            "without an end",
        ),
        (
            answer_and_close(format!("{ok}{}", "x: y\r\n".repeat(100_000))),
            "not HTTP",
        ),
    ] {
        let transport =
            transport(|settings| settings.proxy = Some(format!("http://me:hunter2@{proxy}")));
        let failure = send(&transport, &post("https://trophy.test/", b"{}")).unwrap_err();
        assert_eq!(failure.kind, Kind::Network, "{failure:?}");
        assert!(!failure.sent && failure.answered.is_none(), "{failure:?}");
        let message = &failure.message;
        assert!(message.contains(&format!("the proxy {proxy}")), "{message}");
        assert!(message.contains(word), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        assert!(!format!("{transport:?}").contains("hunter2"));
    }
}

#[test]
fn what_a_proxy_says_beyond_its_answer_is_not_the_servers_reply() {
    let surplus = [b"HTTP/1.1 200 OK\r\n\r\n", OK].concat();
    let proxy = answer_and_close(surplus);
    let transport = transport(|settings| settings.proxy = Some(format!("http://{proxy}")));
    let failure = send(&transport, &post("http://trophy.test/", b"{}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Network, "{failure:?}");
    assert!(!failure.sent && failure.sent_at.is_none(), "{failure:?}");
}

#[test]
fn a_request_that_a_tunnel_ends_before_is_not_sent() {
    // The tunnel is there, and closes before TLS is.
    let target = listen(|_, stream| drop(stream));
    let (proxy, _questions) = connect_proxy(target, |stream| stream);
    let transport = transport(|settings| settings.proxy = Some(format!("http://{proxy}")));
    let failure = send(&transport, &post("https://trophy.test/", b"{}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Network, "{failure:?}");
    assert!(!failure.sent && failure.sent_at.is_none(), "{failure:?}");
    // Past its answer, it is not the proxy that fails.
    assert!(!failure.message.contains("the proxy"), "{failure:?}");
}

#[test]
fn a_transport_is_made_within_a_moment_and_without_a_thread() {
    let made_within = || {
        let started = Instant::now();
        drop(plain());
        started.elapsed()
    };
    // A hundred times what it takes: the roots alone would take longer than that in a debug build. At one of ten times,
    // for a machine that is busy.
    let shortest = (0..10).map(|_| made_within()).min().unwrap();
    assert!(shortest < Duration::from_millis(100), "{shortest:?}");
}
