//! A service that answers each request with what it received, so that a test sees the wire.
//!
//! The reply is `{"method","target","headers","body"}`. A request with `http-404` in its target gets that
//! status and `{"error":"as asked"}`; with `not-json`, a 200 that is no JSON; with `no-body`, an empty 200; with `two-lines`,
//! an error of two lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
#[allow(dead_code)] // each test file reads some
pub struct Received {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    pub headers: Map<String, Value>,
    pub body: String,
}

pub struct Echo {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

#[allow(dead_code)]
impl Echo {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                // An error is a client that has gone.
                thread::spawn(move || drop(serve(&socket, &log)));
            }
        });
        Self { address, received }
    }

    pub fn url(&self) -> String {
        format!("http://{}/app", self.address)
    }

    pub fn admin_url(&self) -> String {
        format!("http://{}/admin", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

fn serve(socket: &TcpStream, log: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(());
        };
        let mut headers = Map::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_lowercase(), value.trim().into());
        }
        let length = headers.get("content-length").and_then(Value::as_str);
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body)?;
        let received = Received {
            method,
            target,
            headers,
            body: String::from_utf8(body).unwrap(),
        };
        let (status, reply) = answer(&received);
        log.lock().unwrap().push(received);
        let reply = format!(
            "HTTP/1.1 {status} as asked\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{reply}",
            reply.len()
        );
        let mut writer = socket;
        writer.write_all(reply.as_bytes())?;
        line.clear();
    }
    Ok(())
}

fn answer(received: &Received) -> (u16, String) {
    let target = &received.target;
    if let Some((_, status)) = target.split_once("http-") {
        let status: String = status.chars().take_while(char::is_ascii_digit).collect();
        return (
            status.parse().unwrap(),
            r#"{"error":"as asked"}"#.to_owned(),
        );
    }
    if target.contains("not-json") {
        return (200, "<html>".to_owned());
    }
    if target.contains("two-lines") {
        return (
            400,
            r#"{"error":"one\n\u001b[2Jtwo\u2028three"}"#.to_owned(),
        );
    }
    if target.contains("no-body") {
        return (200, String::new());
    }
    let body: Value = serde_json::from_str(&received.body).unwrap_or(Value::Null);
    let reply = json!({
        "method": received.method,
        "target": target,
        "headers": received.headers,
        "body": body,
    });
    (
        if received.method == "POST" { 201 } else { 200 },
        reply.to_string(),
    )
}
