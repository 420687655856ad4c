//! A server that answers each request as a test says: a gateway, a portal, a service with a fault of its own.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A request of events.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In which order it came, from 0.
    pub number: usize,
    pub at: Instant,
    pub is_batch: bool,
    pub users: Vec<String>,
    pub keys: Vec<String>,
}

pub enum Answer {
    /// What the service says when it has counted it.
    Counted,
    Json(u16, Value),
    /// Somebody's HTML.
    Page(u16),
    /// Somebody's page with nothing on it.
    Empty(u16),
    /// The answer never comes.
    Silence,
}

pub struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    counted: Arc<Mutex<HashSet<String>>>,
}

impl Scripted {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let it = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            counted: Arc::default(),
        };
        let (asked, counted) = (Arc::clone(&it.asked), Arc::clone(&it.counted));
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (asked, counted) = (Arc::clone(&asked), Arc::clone(&counted));
                let answer = Arc::clone(&answer);
                // An error is a client that has gone.
                std::thread::spawn(move || drop(serve(&socket, &asked, &counted, &*answer)));
            }
        });
        it
    }

    /// Adds the URLs to options.
    pub fn options(&self, mut options: Value) -> String {
        options["base_url"] = format!("http://{}/v1", self.address).into();
        options["admin_base_url"] = format!("http://{}/admin", self.address).into();
        options.to_string()
    }

    pub fn client(&self, options: Value) -> trophy::client::Client {
        trophy::client::Client::new(Some(super::KEY), Some(&self.options(options))).unwrap()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many different keys were counted.
    pub fn counted(&self) -> usize {
        self.counted.lock().unwrap().len()
    }
}

fn serve(
    socket: &TcpStream,
    log: &Mutex<Vec<Asked>>,
    counted: &Mutex<HashSet<String>>,
    answer: &dyn Fn(&Asked) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let (mut length, mut key) = (0, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "idempotency-key" => key = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let events: Vec<&Value> = match &body {
            Value::Array(events) => events.iter().collect(),
            event => vec![event],
        };
        let text = |event: &Value, pointer| event.pointer(pointer)?.as_str().map(str::to_owned);
        let mut asked = Asked {
            number: 0,
            at: Instant::now(),
            is_batch: body.is_array(),
            users: events
                .iter()
                .filter_map(|it| text(it, "/user/id"))
                .collect(),
            keys: match key {
                Some(key) => vec![key],
                None => events
                    .iter()
                    .filter_map(|it| text(it, "/idempotencyKey"))
                    .collect(),
            },
        };
        let mut all = log.lock().unwrap();
        asked.number = all.len();
        all.push(asked.clone());
        drop(all);
        let (status, kind, reply) = match answer(&asked) {
            Answer::Counted => {
                counted.lock().unwrap().extend(asked.keys.iter().cloned());
                let reply = match asked.is_batch {
                    true => json!({"accepted": asked.users.len()}),
                    false => json!({"total": 1}),
                };
                (
                    if asked.is_batch { 202 } else { 201 },
                    "application/json",
                    reply.to_string(),
                )
            }
            Answer::Json(status, body) => (status, "application/json", body.to_string()),
            Answer::Page(status) => (status, "text/html", "<html>Sign in</html>".to_owned()),
            Answer::Empty(status) => (status, "text/html", String::new()),
            Answer::Silence => {
                std::thread::sleep(Duration::from_secs(600));
                return Ok(());
            }
        };
        let reply = format!(
            "HTTP/1.1 {status} as told\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{reply}",
            reply.len()
        );
        let mut writer = socket;
        writer.write_all(reply.as_bytes())?;
        line.clear();
    }
    Ok(())
}
