//! A hostile server: a reply of arbitrary bytes, in pieces, over a socket of this machine. Whatever it is, the call
//! ends, with JSON; and a sound reply among them arrives as it was sent.
#![no_main]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ptr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trophy_fuzz::*;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    operation: Operation,
    cuts: Vec<u8>,
    reply: Reply<'a>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Read,
    Event,
}

#[derive(Arbitrary, Debug)]
enum Reply<'a> {
    Raw(&'a [u8]),
    Sound {
        status: Status,
        headers: Vec<(Header, &'a [u8])>,
        chunked: bool,
        body: &'a [u8],
    },
}

#[derive(Arbitrary, Debug)]
enum Status {
    Ok,
    Any(u16),
}

#[derive(Arbitrary, Debug)]
enum Header {
    RetryAfter,
    Date,
    RateLimitReset,
    ContentType,
    ContentEncoding,
    Connection,
    Location,
    Any,
}

struct Peer {
    port: u16,
    replies: Mutex<Sender<Vec<Vec<u8>>>>,
}

static PEER: LazyLock<Peer> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (replies, next) = channel();
    std::thread::spawn(move || serve(&listener, &next));
    Peer {
        port,
        replies: Mutex::new(replies),
    }
});

/// One an input: after a connection that died, or a 429, the next call would wait before it sends again.
fn new_client(port: u16) -> *mut Client {
    let options = format!(
        r#"{{"base_url": "http://127.0.0.1:{port}", "max_retries": 0, "max_response_bytes": 65536,
            "timeout_in_seconds": 5}}"#
    );
    let options = c_text(options.as_bytes());
    let (mut client, mut json) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: text that ends in NUL, and places for the client and the JSON.
    unsafe {
        let status = trophy_client_new(c"k.s".as_ptr(), options.as_ptr(), &mut client, &mut json);
        let json = taken_json(status, json);
        assert_eq!(status, 0, "{json}");
    }
    client
}

/// One reply a connection.
fn serve(listener: &TcpListener, next: &Receiver<Vec<Vec<u8>>>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let Ok(pieces) = next.recv() else { return };
        let _ = stream.set_nodelay(true);
        read_request(&mut stream);
        for piece in pieces {
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
    }
}

fn read_request(stream: &mut TcpStream) {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = request.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0) {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut expected = None;
    let bytes = match &input.reply {
        Reply::Raw(bytes) => bytes.to_vec(),
        Reply::Sound {
            status,
            headers,
            chunked,
            body,
        } => {
            let status = match status {
                Status::Ok => 200,
                Status::Any(number) => 100 + number % 500,
            };
            let (reply, is_usual) = sound(status, headers, *chunked, body);
            let text = std::str::from_utf8(body)
                .ok()
                .filter(|it| serde_json::from_str::<serde_json::Value>(it).is_ok());
            if is_usual && status == 200 {
                expected = text.map(str::to_owned);
            }
            reply
        }
    };
    let mut pieces = Vec::new();
    let mut rest = bytes.as_slice();
    for cut in &input.cuts {
        let (piece, after) = rest.split_at(usize::from(*cut).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces.push(rest.to_vec());

    let peer = &*PEER;
    peer.replies.lock().unwrap().send(pieces).unwrap();
    let client = new_client(peer.port);
    let (mut json, none) = (ptr::null_mut(), ptr::null());
    // SAFETY: a client that lives, and text that ends in NUL.
    let (status, json) = unsafe {
        let status = match input.operation {
            Operation::Read => trophy_users_get(client, c"u".as_ptr(), none, &mut json),
            Operation::Event => {
                let user = c"{\"id\": \"u\"}".as_ptr();
                trophy_metrics_event(
                    client,
                    c"m".as_ptr(),
                    user,
                    1.0,
                    none,
                    none,
                    none,
                    &mut json,
                )
            }
        };
        trophy_client_free(client);
        (status, taken_json(status, json))
    };
    assert_ne!(status, 1, "it is no argument's fault: {json}");
    assert!(!json.contains("k.s"), "a key in an answer: {json}");
    if let Some(expected) = expected {
        assert_eq!((status, json), (0, expected));
    }
});

/// A reply as servers write it; true if nothing in it may change what it means.
fn sound(status: u16, headers: &[(Header, &[u8])], chunked: bool, body: &[u8]) -> (Vec<u8>, bool) {
    let mut reply = format!("HTTP/1.1 {status} Words\r\n").into_bytes();
    let mut is_usual = body.len() <= 65536;
    for (name, value) in headers {
        let name = match name {
            Header::RetryAfter => "Retry-After",
            Header::Date => "Date",
            Header::RateLimitReset => "X-RateLimit-Reset",
            Header::ContentType => "Content-Type",
            Header::ContentEncoding => "Content-Encoding",
            Header::Connection => "Connection",
            Header::Location => "Location",
            Header::Any => "X-Any",
        };
        is_usual &= !matches!(name, "Content-Encoding" | "Connection");
        is_usual &= value.iter().all(|byte| (b' '..=b'~').contains(byte));
        reply.extend_from_slice(name.as_bytes());
        reply.extend_from_slice(b": ");
        reply.extend_from_slice(value);
        reply.extend_from_slice(b"\r\n");
    }
    if chunked {
        reply.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(7) {
            reply.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            reply.extend_from_slice(chunk);
            reply.extend_from_slice(b"\r\n");
        }
        reply.extend_from_slice(b"0\r\n\r\n");
    } else {
        reply.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        reply.extend_from_slice(body);
    }
    (reply, is_usual)
}
