//! Queue folders of every released version are read by this one: tests/folders/VERSION/NAME, each with an
//! `expected.json` of what is undelivered in it. One of a newer format is refused in words and left alone.
//!
//! A release adds its own: `cargo test --test folders -- --ignored`, in a working tree of that release.

mod service;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use service::*;
use trophy::api::event::EventArgs;
use trophy::client::Client;
use trophy::error::Status;

fn folders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/folders")
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// What the files are, by name.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = children(folder).into_iter().filter(|path| path.is_file());
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, bytes) in contents(from) {
        fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

/// The sum of values by tenant and user.
fn totals(service: &Service) -> BTreeMap<String, f64> {
    let ledger = service.0.ledger();
    let lanes = ledger["lanes"].as_array().unwrap().iter();
    lanes
        .filter(|lane| lane["count"] != 0)
        .map(|lane| {
            let tenant = lane["tenant"].as_str().unwrap();
            let name = format!("{tenant}/{}", lane["user"].as_str().unwrap());
            (name, lane["total"].as_f64().unwrap())
        })
        .collect()
}

/// The keys that came, with the headers of an event, in order.
fn keys(service: &Service) -> Vec<String> {
    let requests = service.0.requests(usize::MAX);
    let headers = requests.as_array().unwrap().iter().map(|request| {
        let headers = request["headers"].as_array().unwrap();
        let key = headers.iter().find(|it| it[0] == "idempotency-key");
        key.unwrap()[1].as_str().unwrap().to_owned()
    });
    headers.collect()
}

#[test]
fn what_is_undelivered_in_a_folder_of_each_version_is_delivered_once() {
    let mut seen = 0;
    for version in children(&folders()) {
        for kept in children(&version) {
            seen += 1;
            let name = kept.display();
            let expected: Value =
                serde_json::from_slice(&fs::read(kept.join("expected.json")).unwrap()).unwrap();
            let parent = tempfile::tempdir().unwrap();
            let queue = parent.path().join("queue");
            copy(&kept.join("queue"), &queue);
            let dead = fs::read_to_string(queue.join("dead.jsonl")).unwrap();

            let service = Service::start();
            let client = service.client(fast(json!({"path": queue, "delivery": "single"})));
            flush(&client);

            assert_eq!(json!(totals(&service)), expected["totals"], "{name}");
            // Those with a key of their own come under it, each lane's in order, and nothing else does.
            let came = keys(&service);
            for keys in expected["keys"].as_object().unwrap().values() {
                let keys: Vec<&str> = keys
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(Value::as_str)
                    .collect();
                let of_lane: Vec<_> = came
                    .iter()
                    .filter(|key| keys.contains(&key.as_str()))
                    .collect();
                assert_eq!(of_lane, keys, "{name}");
            }
            assert_eq!(json!(came.len()), expected["requests"], "{name}");
            // What the service had refused stays readable.
            assert_eq!(fs::read_to_string(queue.join("dead.jsonl")).unwrap(), dead);
            for key in expected["dead"].as_array().unwrap() {
                assert!(dead.contains(key.as_str().unwrap()), "{name}: {key}");
            }
            drop(client);
            let left = contents(&queue);
            assert!(
                left.keys()
                    .all(|path| path.extension() != Some("seg".as_ref())),
                "{name}: {:?}",
                left.keys()
            );
        }
    }
    assert!(seen >= 2, "{seen}");
}

/// A header as format.rs has it, of any version.
fn header(version: u32) -> Vec<u8> {
    let body = [
        &version.to_le_bytes()[..],
        b"trophy queue and what a later one adds",
    ]
    .concat();
    let mut frame = vec![0xF5, 0xC0, 0xFF, b'H'];
    frame.extend((body.len() as u32).to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&frame[3..8]), &body);
    frame.extend(sum.to_le_bytes());
    frame.extend(body);
    frame
}

#[test]
fn a_folder_of_a_newer_format_is_refused_in_words_and_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let kept = children(&children(&folders())[0])[0].join("queue");
    for ending in ["seg", "ack"] {
        let queue = parent.path().join(ending);
        copy(&kept, &queue);
        let name = format!("00000000000000000001-1-00000000000000aa.{ending}");
        fs::write(queue.join(&name), header(2)).unwrap();
        let before = contents(&queue);

        let options = json!({"queue": {"path": queue}}).to_string();
        let error = Client::new(Some(KEY), Some(&options)).err().unwrap();

        assert_eq!(error.status, Status::Storage);
        let words = error.to_string();
        assert!(
            words.contains(&name) && words.contains("later version"),
            "{words}"
        );
        assert_eq!(contents(&queue), before);
    }
    // The same of this version's own is read.
    let queue = parent.path().join("own");
    copy(&kept, &queue);
    let name = "00000000000000000001-1-00000000000000aa.seg";
    fs::write(queue.join(name), header(1)).unwrap();
    let options = json!({"queue": {"path": queue}, "base_url": "http://127.0.0.1:9"}).to_string();
    assert!(Client::new(Some(KEY), Some(&options)).is_ok());
}

/// Options of a queue with small segments.
fn small(queue: &Path, durability: &str, more: Value) -> Value {
    let mut options = json!({"path": queue, "durability": durability, "max_bytes": 16384,
        "delivery": "single", "requests_per_second": 1000});
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    json!({"queue": options, "attempt_timeout_in_seconds": 30})
}

#[test]
#[ignore = "writes the folders of this version"]
fn write_the_folders_of_this_version() {
    for durability in ["process", "power"] {
        let place = folders().join(env!("CARGO_PKG_VERSION")).join(durability);
        assert!(!place.exists(), "{} is there already", place.display());
        let parent = tempfile::tempdir().unwrap();
        let queue = parent.path().join("queue");

        // Written offline: with keys, attributes, a tenant, headers; and some that the service refuses.
        let service = Service::start();
        let mut offline = small(&queue, durability, json!({"coalesce": true}));
        offline["base_url"] = "http://127.0.0.1:9/v1".into();
        let client = Client::new(Some(KEY), Some(&offline.to_string())).unwrap();
        let tenant = client.for_tenant("acme").unwrap();
        let mut undelivered = BTreeMap::new();
        for number in 0..24 {
            let key = format!("own-key-{number}");
            let user = format!(
                "{{\"id\":\"é{}\",\"name\":\"Zoë \\\"Z\\\"\",\"tz\":\"Europe/Berlin\"}}",
                number % 4
            );
            let attributes = match number % 3 {
                0 => None,
                1 => Some(r#"{"genre":"poem","device":null}"#),
                _ if number % 8 == 2 => Some(r#"{"device":"poison"}"#),
                _ => Some(r#"{"device":"pen"}"#),
            };
            let options =
                (number % 5 == 0).then_some(r#"{"additional_headers":{"X-Chapter":"3"}}"#);
            let args = EventArgs {
                value: f64::from(number) + 0.25,
                attributes_json: attributes,
                idempotency_key: Some(&key),
                options_json: options,
                ..event(&user)
            };
            let handle = if number % 6 == 5 { &tenant } else { &client };
            handle.event_enqueue(&args).unwrap();
            let name = if number % 6 == 5 { "acme" } else { "" };
            undelivered.insert(key.clone(), (format!("{name}/é{}", number % 4), args.value));
        }
        drop((client, tenant));

        // Some were delivered, and one was on its way, when the process ended.
        service.fault(json!({"fault": "poison", "attribute": "device", "value": "poison"}));
        service.fault(json!({"fault": "hang", "skip": 9}));
        let client = service.client(small(&queue, durability, json!({})));
        wait_until("some have ended, and those that come then hang", || {
            let stats = stats(&client);
            let ended = stats["delivered"].as_u64().unwrap() + stats["dead"].as_u64().unwrap();
            ended == 9 && service.requests("metrics_event") >= 10
        });
        drop(client);
        for key in keys(&service).into_iter().take(9) {
            undelivered.remove(&key);
        }
        let dead = fs::read_to_string(queue.join("dead.jsonl")).unwrap();
        let dead: Vec<String> = dead
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|letter| {
                letter["event"]["idempotencyKey"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert!(!dead.is_empty());

        // More, without keys, of which some are merged.
        let mut totals: BTreeMap<String, f64> = BTreeMap::new();
        let client = Client::new(Some(KEY), Some(&offline.to_string())).unwrap();
        for number in 0..30 {
            let id = format!("merged {}", number % 6);
            client
                .event_enqueue(&EventArgs {
                    value: 2.0,
                    ..event(&user(&id))
                })
                .unwrap();
            *totals.entry(format!("/{id}")).or_default() += 2.0;
        }
        drop(client);
        let service = Service::start();
        service.fault(json!({"fault": "hang"}));
        let client = service.client(small(&queue, durability, json!({"coalesce": true})));
        let is_merged = || {
            let files = contents(&queue);
            let mut acks = files
                .iter()
                .filter(|(path, _)| path.extension() == Some("ack".as_ref()));
            acks.any(|(_, bytes)| bytes.windows(4).any(|it| it == b"\xF5\xC0\xFFM"))
        };
        wait_until("some are merged", is_merged);
        drop(client);

        let mut keys: BTreeMap<String, Vec<(f64, String)>> = BTreeMap::new();
        for (key, (lane, value)) in undelivered {
            *totals.entry(lane.clone()).or_default() += value;
            keys.entry(lane).or_default().push((value, key));
        }
        // The value is the order.
        for of_lane in keys.values_mut() {
            of_lane.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let keys: BTreeMap<_, Vec<_>> = keys
            .into_iter()
            .map(|(lane, keys)| (lane, keys.into_iter().map(|(_, key)| key).collect()))
            .collect();
        copy(&queue, &place.join("queue"));
        let mut expected = json!({"totals": totals, "keys": keys, "dead": dead, "requests": 0});
        // How many requests that makes is known once it is delivered: of a merge, one.
        let service = Service::start();
        flush(&service.client(fast(json!({"path": queue, "delivery": "single"}))));
        assert_eq!(json!(self::totals(&service)), expected["totals"]);
        expected["requests"] = self::keys(&service).len().into();
        fs::write(place.join("expected.json"), format!("{expected:#}\n")).unwrap();
    }
}
