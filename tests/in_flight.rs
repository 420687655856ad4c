//! Asynchronous calls in flight, against a server whose every answer is the test's.

mod service;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use service::*;
use trophy::api::event::EventArgs;
use trophy::client::{Callback, Client};
use trophy::error::Status;

/// A server that answers when it is told to.
struct Server {
    url: String,
    asked: Receiver<Asked>,
}

/// A request that waits for its answer.
struct Asked {
    user: String,
    stream: TcpStream,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (ask, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ask = ask.clone();
                std::thread::spawn(move || serve(stream, &ask));
            }
        });
        Self { url, asked }
    }

    fn client(&self, mut options: Value) -> Client {
        options["base_url"] = self.url.as_str().into();
        if options["max_retries"].is_null() {
            options["max_retries"] = 0.into();
        }
        Client::new(Some(KEY), Some(&options.to_string())).unwrap()
    }

    /// A client with so many kept connections, so that its next calls need no thread each.
    fn client_with_connections(&self, count: usize, options: Value) -> Client {
        let client = self.client(options);
        let ear = Ear::new();
        for number in 0..count {
            send(&client, format!("first-{number}"), ear.callback(0));
        }
        let asked: Vec<Asked> = (0..count).map(|_| self.next()).collect();
        asked.into_iter().for_each(|mut it| it.answer());
        for (status, json) in ear.take(count) {
            assert_eq!(status, Status::Ok, "{json}");
        }
        client
    }

    fn next(&self) -> Asked {
        self.asked.recv_timeout(*PATIENCE).unwrap()
    }

    fn next_of(&self, user: &str) -> Asked {
        let asked = self.next();
        assert_eq!(asked.user, user);
        asked
    }
}

/// Hands the requests over that come on a connection, read whole.
fn serve(mut stream: TcpStream, ask: &Sender<Asked>) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() == length {
                let event: Value = serde_json::from_str(body).unwrap();
                let user = event["user"]["id"].as_str().unwrap().to_owned();
                let stream = stream.try_clone().unwrap();
                if ask.send(Asked { user, stream }).is_err() {
                    return;
                }
                bytes.clear();
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(amount) => bytes.extend_from_slice(&buffer[..amount]),
        }
    }
}

const OK: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 14\r\n\r\n{\"eventId\":\"\"}";

const CLOSING: &[u8] =
    b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{\"eventId\":\"\"}";

impl Asked {
    fn answer(&mut self) {
        self.say(OK);
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn close(&self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
    }
}

fn send(client: &Client, id: impl std::fmt::Display, callback: Box<dyn Callback>) {
    client.event_async(&event(&user(id)), callback).unwrap();
}

/// The same, with a timeout of so many seconds.
fn send_within(seconds: f64, client: &Client, id: &str, callback: Box<dyn Callback>) {
    let options = json!({"timeout_in_seconds": seconds}).to_string();
    let user = user(id);
    let call = EventArgs {
        options_json: Some(&options),
        ..event(&user)
    };
    client.event_async(&call, callback).unwrap();
}

/// A callback that says it has begun, and does not return before it is let go.
struct Stuck {
    begun: Sender<Status>,
    let_go: Receiver<()>,
}

fn stuck() -> (Box<Stuck>, Receiver<Status>, Sender<()>) {
    let (begun, begins) = channel();
    let (lets_go, let_go) = channel();
    (Box::new(Stuck { begun, let_go }), begins, lets_go)
}

impl Callback for Stuck {
    fn tag(&self) -> usize {
        99
    }

    fn run(self: Box<Self>, status: Status, _: &str) {
        self.begun.send(status).unwrap();
        // An error means that the test has ended.
        let _ = self.let_go.recv();
    }
}

#[test]
fn a_callback_that_takes_its_time_holds_up_no_other_call() {
    let server = Server::start();
    let client = server.client_with_connections(3, json!({}));
    let ear = Ear::new();
    let (callback, begun, lets_go) = stuck();
    send(&client, "stuck", callback);
    let mut first = server.next_of("stuck");
    send(&client, "under way", ear.callback(1));
    let mut under_way = server.next_of("under way");
    send(&client, "to be cancelled", ear.callback(2));
    let _hanging = server.next_of("to be cancelled");
    first.answer();
    assert_eq!(begun.recv_timeout(*PATIENCE), Ok(Status::Ok));

    // Another reply is heard, a new call is made, and one is cancelled.
    under_way.answer();
    assert_eq!(ear.next().0, Status::Ok);
    send(&client, "new", ear.callback(1));
    server.next_of("new").answer();
    assert_eq!(ear.next().0, Status::Ok);
    assert_eq!(client.cancel(2), 1);
    assert_eq!(ear.next().0, Status::Cancelled);

    lets_go.send(()).unwrap();
    send(&client, "last", ear.callback(1));
    server.next_of("last").answer();
    assert_eq!(ear.next().0, Status::Ok);
}

#[test]
fn replies_nested_a_million_deep_are_judged_like_others() {
    let server = Server::start();
    let client = server.client(json!({}));
    let (open, closed) = ("[".repeat(1_000_000), "]".repeat(1_000_000));
    let objects = "{\"error\":".repeat(500_000);
    for (code, body, expected) in [
        ("201 Created", format!("{open}{closed}"), Status::Ok),
        ("201 Created", open.clone(), Status::InvalidResponse),
        (
            "400 Bad Request",
            format!("{open}{closed}"),
            Status::BadRequest,
        ),
        (
            "400 Bad Request",
            format!("{{\"error\":{open}{closed}}}"),
            Status::BadRequest,
        ),
        ("400 Bad Request", objects, Status::BadRequest),
    ] {
        let (heard, hears) = channel();
        send(&client, "deep", Box::new(HearsStatus(heard)));
        let length = body.len();
        let head = format!("HTTP/1.1 {code}\r\nContent-Length: {length}\r\n\r\n");
        server
            .next_of("deep")
            .say(format!("{head}{body}").as_bytes());
        assert_eq!(hears.recv_timeout(*PATIENCE), Ok(expected), "{code}");
    }
}

/// Hears the status only: the test's own JSON has a limit of depth.
/// A callback that makes a call, and does not return before it is let go.
struct CallsAndStays(std::sync::Weak<Client>, Mouth, Box<Stuck>);

impl Callback for CallsAndStays {
    fn tag(&self) -> usize {
        0
    }

    fn run(self: Box<Self>, status: Status, json: &str) {
        let Self(client, mouth, stays) = *self;
        send(&client.upgrade().unwrap(), "its own", Box::new(mouth));
        stays.run(status, json);
    }
}

#[test]
fn a_call_that_a_callback_makes_does_not_wait_for_it_to_return() {
    let server = Server::start();
    let client = Arc::new(server.client_with_connections(2, json!({"workers": 2})));
    let ear = Ear::new();
    let (stays, begun, lets_go) = stuck();
    let callback = CallsAndStays(Arc::downgrade(&client), ear.mouth(0), stays);
    send(&client, "first", Box::new(callback));
    server.next_of("first").answer();
    server.next_of("its own").answer();
    assert_eq!(ear.next().0, Status::Ok);
    lets_go.send(()).unwrap();
    assert_eq!(begun.recv_timeout(*PATIENCE), Ok(Status::Ok));
}

struct HearsStatus(Sender<Status>);

impl Callback for HearsStatus {
    fn tag(&self) -> usize {
        0
    }

    fn run(self: Box<Self>, status: Status, _: &str) {
        self.0.send(status).unwrap();
    }
}

/// A callback that sends an event of user x and waits for it.
struct SendsX(std::sync::Weak<Client>, Mouth);

impl Callback for SendsX {
    fn tag(&self) -> usize {
        0
    }

    fn run(self: Box<Self>, _: Status, _: &str) {
        let client = self.0.upgrade().unwrap();
        let (status, json) = match client.event(&event(&user("x"))) {
            Ok(json) => (Status::Ok, json),
            Err(error) => (error.status, error.to_json()),
        };
        drop(client);
        Callback::run(Box::new(self.1), status, &json);
    }
}

#[test]
fn callbacks_that_wait_for_a_lane_leave_a_thread_to_the_call_that_has_it() {
    let server = Server::start();
    let client = Arc::new(server.client(json!({"workers": 1})));
    let ear = Ear::new();
    for name in ["a", "b", "c"] {
        send(
            &client,
            name,
            Box::new(SendsX(Arc::downgrade(&client), ear.mouth(0))),
        );
    }
    // It has the lane from now on, and no thread.
    send(&client, "x", ear.callback(0));
    for name in ["a", "b", "c", "x", "x", "x", "x"] {
        server.next_of(name).answer();
    }
    for (status, json) in ear.take(4) {
        assert_eq!(status, Status::Ok, "{json}");
    }
}

#[test]
fn a_call_that_is_cancelled_says_how_often_it_was_sent_and_is_counted_once() {
    let server = Server::start();
    let client = server.client(json!({"max_retries": 9}));
    let ear = Ear::new();
    send(&client, "1", ear.callback(7));
    server
        .next_of("1")
        .say(b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n");
    wait_until("it waits for its next attempt", || {
        stats(&client)["callsUnderWay"] == 0
    });
    assert_eq!(client.cancel(7), 1);
    assert_eq!(client.cancel(7), 0);
    let (status, json) = ear.next();
    assert_eq!(status, Status::Cancelled);
    assert_eq!(json["error"]["attempts"], 1);

    send(&client, "2", ear.callback(7));
    let _silent = server.next_of("2");
    let counts = [client.cancel(7), client.cancel(7)];
    assert_eq!(counts, [1, 0]);
    assert_eq!(ear.next().0, Status::Cancelled);
}

#[test]
fn calls_keep_their_time_while_every_thread_is_in_a_callback() {
    let server = Server::start();
    let client = server.client_with_connections(2, json!({"workers": 2}));
    let ear = Ear::new();
    send_within(1.0, &client, "late", ear.callback(0));
    let _never_answered = server.next_of("late");
    let mut held = Vec::new();
    for number in 0..3 {
        let (callback, begun, lets_go) = stuck();
        send(&client, number, callback);
        server.next_of(&number.to_string()).answer();
        held.push((begun, lets_go));
    }
    wait_until("the last call is over", || {
        stats(&client)["callsUnderWay"] == 0
    });
    for (begun, lets_go) in held {
        lets_go.send(()).unwrap();
        assert_eq!(begun.recv_timeout(*PATIENCE), Ok(Status::Ok));
    }
    assert_eq!(ear.next().0, Status::Timeout);
}

#[test]
fn a_call_without_a_thread_can_be_cancelled_and_keeps_its_time() {
    let server = Server::start();
    let client = server.client_with_connections(2, json!({"workers": 2}));
    let ear = Ear::new();
    let mut held = Vec::new();
    for number in 0..2 {
        let (callback, begun, lets_go) = stuck();
        send(&client, number, callback);
        let mut asked = server.next_of(&number.to_string());
        asked.say(CLOSING);
        assert_eq!(begun.recv_timeout(*PATIENCE), Ok(Status::Ok));
        held.push(lets_go);
    }
    // As many calls as may be under way, beside the callbacks that hold their threads.
    let mut awaited: Vec<_> = ["awaited-1", "awaited-2"]
        .map(|name| {
            send(&client, name, ear.callback(0));
            server.next_of(name)
        })
        .into();
    send(&client, "cancelled", ear.callback(1));
    assert_eq!(stats(&client)["callsWaiting"], 1);
    assert_eq!(client.cancel(1), 1);
    send_within(0.2, &client, "late", ear.callback(2));
    wait_until("its time is over", || stats(&client)["callsWaiting"] == 0);
    awaited.iter_mut().for_each(Asked::answer);
    held.iter().for_each(|lets_go| lets_go.send(()).unwrap());
    let mut statuses: Vec<Status> = ear.take(4).into_iter().map(|it| it.0).collect();
    statuses.sort_by_key(|status| *status as i32);
    let expected = [Status::Ok, Status::Ok, Status::Cancelled, Status::Timeout];
    assert_eq!(statuses, expected);
}

#[test]
fn a_call_is_tried_again_in_time_while_a_callback_takes_for_ever() {
    let server = Server::start();
    let client = server.client_with_connections(2, json!({"max_retries": 1}));
    let ear = Ear::new();
    let (callback, begun, lets_go) = stuck();
    send(&client, "again", ear.callback(0));
    let mut again = server.next_of("again");
    send(&client, "stuck", callback);
    let mut stuck = server.next_of("stuck");
    again.say(b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    wait_until("it rests", || stats(&client)["callsWaiting"] == 1);
    stuck.answer();
    assert_eq!(begun.recv_timeout(*PATIENCE), Ok(Status::Ok));

    server.next_of("again").answer();
    assert_eq!(ear.next().0, Status::Ok);
    lets_go.send(()).unwrap();
}

#[test]
fn a_reply_without_an_end_holds_up_no_other_call() {
    let server = Server::start();
    let client = server.client_with_connections(2, json!({"max_response_bytes": 1_u64 << 40}));
    let (ended, ear) = (Ear::new(), Ear::new());
    send_within(1.0, &client, "endless", ended.callback(0));
    let mut endless = server.next_of("endless");
    let streamed = std::thread::spawn(move || {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        endless.stream.write_all(head).unwrap();
        // Much to read, little to keep.
        let chunk = "1;extens\r\nx\r\n".repeat(1000);
        while endless.stream.write_all(chunk.as_bytes()).is_ok() {}
    });
    for number in 0..20 {
        send(&client, number, ear.callback(1));
        server.next_of(&number.to_string()).answer();
        assert_eq!(ear.next().0, Status::Ok);
    }
    assert_eq!(ended.next().0, Status::Timeout);
    streamed.join().unwrap();
}

#[test]
fn replies_come_in_any_order_and_in_pieces_or_not_at_all() {
    let server = Server::start();
    let client = server.client_with_connections(8, json!({"workers": 8}));
    for _ in 0..20 {
        let ears: Vec<Ear> = (0..8).map(|_| Ear::new()).collect();
        for (number, ear) in ears.iter().enumerate() {
            send(&client, number, ear.callback(0));
        }
        let mut asked: Vec<Asked> = (0..8).map(|_| server.next()).collect();
        for piece in OK.chunks(30) {
            for it in asked.iter_mut().rev() {
                it.say(piece);
            }
        }
        for ear in &ears {
            assert_eq!(ear.next().0, Status::Ok);
        }
    }

    let (cut, refused, replaced) = (Ear::new(), Ear::new(), Ear::new());
    let limited =
        b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    for (ear, reply) in [
        (&cut, &OK[..OK.len() - 1]),
        (&cut, &OK[..30]),
        (&refused, limited),
        (&replaced, b""),
    ] {
        send(&client, "18", ear.callback(0));
        let mut asked = server.next_of("18");
        asked.say(reply);
        asked.close();
    }
    // The connection was a kept one and dead, as far as anybody can tell.
    server.next_of("18").answer();
    for _ in 0..2 {
        assert_eq!(cut.next().0, Status::InvalidResponse);
    }
    let (status, json) = refused.next();
    assert_eq!(status, Status::RateLimited);
    assert_eq!(json["error"]["retryAfterMs"], 7000);
    assert_eq!(replaced.next().0, Status::Ok);
}

#[test]
fn a_request_that_the_connection_has_no_room_for_is_sent_whole() {
    let server = Server::start();
    let client = server.client_with_connections(1, json!({}));
    let ear = Ear::new();
    let name = "x".repeat(8 << 20);
    let user = json!({"id": "long", "name": name}).to_string();
    client.event_async(&event(&user), ear.callback(0)).unwrap();
    server.next_of("long").answer();
    let (status, json) = ear.next();
    assert_eq!(status, Status::Ok, "{json}");
}

#[test]
fn close_ends_calls_whose_replies_are_awaited_together() {
    let server = Server::start();
    let client = server.client_with_connections(4, json!({}));
    let ear = Ear::new();
    let (callback, begun, lets_go) = stuck();
    send(&client, "stuck", callback);
    server.next_of("stuck").answer();
    assert_eq!(begun.recv_timeout(*PATIENCE), Ok(Status::Ok));
    for number in 0..3 {
        send(&client, number, ear.callback(0));
        server.next_of(&number.to_string());
    }
    assert_eq!(client.close(0).unwrap().cancelled, 3);
    for (status, _) in ear.take(3) {
        assert_eq!(status, Status::Cancelled);
    }
    lets_go.send(()).unwrap();
    drop(client);
    assert_eq!(ear.rest().len(), 0);
}

/// Takes longer than the library thinks that a callback should.
struct Slow(Mouth);

impl Callback for Slow {
    fn tag(&self) -> usize {
        0
    }

    fn run(self: Box<Self>, status: Status, json: &str) {
        std::thread::sleep(Duration::from_millis(2));
        Callback::run(Box::new(self.0), status, json);
    }
}

#[test]
fn every_call_gets_its_one_callback_whatever_server_and_callbacks_do() {
    let service = Service::start();
    for fault in [
        json!({"fault": "close_before", "probability": 0.05, "seed": 1, "operation": "metrics_event"}),
        json!({"fault": "close_after", "probability": 0.05, "seed": 2, "operation": "metrics_event"}),
        json!({"fault": "reset", "probability": 0.05, "seed": 3, "operation": "metrics_event"}),
        json!({"fault": "stale", "probability": 0.05, "seed": 4, "operation": "metrics_event"}),
    ] {
        service.fault(fault);
    }
    let client = service.client(json!({"workers": 16, "max_retries": 20}));
    let ear = Ear::new();
    let mut sent = 0;
    for round in 0..100 {
        for number in 0..20 {
            let callback: Box<dyn Callback> = match (round + number) % 10 {
                0 => Box::new(Slow(ear.mouth(0))),
                tag => ear.callback(tag),
            };
            send(&client, format!("{round}-{number}"), callback);
            sent += 1;
        }
        if round % 10 == 5 {
            client.cancel(round % 9 + 1);
        }
        // Let some come back, so that connections are kept, and left idle.
        for (status, json) in ear.take(15) {
            assert!(
                matches!(status, Status::Ok | Status::Cancelled),
                "{status:?} {json}"
            );
            sent -= 1;
        }
    }
    for (status, json) in ear.take(sent) {
        assert!(
            matches!(status, Status::Ok | Status::Cancelled),
            "{status:?} {json}"
        );
    }
    // A cancelled one may not have counted; none did twice.
    let counted = service.counted();
    assert!(counted.values().all(|count| *count <= 1), "{counted:?}");
    drop(client);
    assert_eq!(ear.rest().len(), 0);
}
