//! A fork at any moment, while other threads are at anything: the child has a copy of all there is, and none of those
//! threads. It waits for none of their locks, has threads of its own, and none of the parent's files.
#![cfg(all(shuttle, target_os = "linux"))]

use std::io::{Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shuttle::sync::Mutex;
use shuttle::thread;
use trophy::api::event::EventArgs;
use trophy::client::Client;
use trophy::error::Status;
use trophy::queue::store::{Durability, Options, OsFolder, Store};
use trophy_models::fork::{fork, in_many_orders};
use trophy_models::{Counted, Counting, without_network};

/// All of one user.
const EVENT: EventArgs<'_> = EventArgs {
    key: "m",
    user_json: r#"{"id": "u"}"#,
    value: 1.0,
    attributes_json: None,
    idempotency_key: None,
    options_json: None,
};

fn submit(client: &Client, called: &Arc<Counted>) {
    let callback = Box::new(Counting(Arc::clone(called), 1));
    client.event_async(&EVENT, callback).unwrap();
}

fn fail(client: &Client) {
    let error = client.event(&EVENT).unwrap_err();
    assert_eq!(error.status, Status::Network, "{}", error.message);
}

#[test]
fn a_child_makes_calls_with_threads_of_its_own_and_ends_the_client() {
    in_many_orders(|| {
        without_network();
        let client = Client::new(
            Some("app.test"),
            Some(r#"{"max_retries": 0, "workers": 1}"#),
        );
        let client = Arc::new(client.unwrap());
        let called = Arc::<Counted>::default();
        let (other, heard) = (Arc::clone(&client), Arc::clone(&called));
        let caller = thread::spawn(move || {
            submit(&other, &heard);
            fail(&other);
        });
        submit(&client, &called);
        thread::yield_now();

        fork(|| {
            let (parents, own) = (called.count(), Arc::<Counted>::default());
            submit(&client, &own);
            fail(&client);
            submit(&client, &own);
            assert!(client.close(-1).unwrap().is_done());
            assert_eq!(own.count(), 2);
            assert_eq!(
                called.count(),
                parents,
                "the parent's callbacks are its own"
            );
            // SAFETY: nobody uses it after: the child's only thread ends here. As trophy_client_free() does.
            drop(unsafe { std::ptr::read(&*client) });
        });

        submit(&client, &called);
        caller.join().unwrap();
        assert!(client.close(-1).unwrap().is_done());
        assert_eq!(called.count(), 3);
    });
}

fn open(path: &Path, durability: Durability) -> Store {
    // So small that segments are ended and removed all the time.
    let options = Options {
        durability,
        segment_bytes: 64,
        ..Options::default()
    };
    Store::open(Box::new(OsFolder::new(path).unwrap()), options).unwrap()
}

/// Takes what there is and settles it.
fn drain(store: &Store, most: usize) -> Vec<Vec<u8>> {
    let Some(mut drain) = store.try_drain().unwrap() else {
        return Vec::new();
    };
    let entries = drain.read(most, 1 << 20).unwrap();
    let positions: Vec<_> = entries.iter().map(|it| it.position).collect();
    drain.attempt(&positions).unwrap();
    drain.settle(&positions).unwrap();
    entries.into_iter().map(|it| it.payload).collect()
}

fn open_files_in(folder: &Path) -> Vec<PathBuf> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    files.filter(|file| file.starts_with(folder)).collect()
}

fn a_child_has_none_of_the_parents_files(durability: Durability) {
    let name = format!("fork-{durability:?}-{}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let folder = path.clone();
    in_many_orders(move || {
        let _ = std::fs::remove_dir_all(&folder);
        let store = Arc::new(open(&folder, durability));
        let given = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (shared, path) = (Arc::clone(&store), folder.clone());
        let writer = thread::spawn(move || {
            (0..3).for_each(|number| shared.append(7, &[1, number]).unwrap());
        });
        let (taken, is_over) = (Arc::clone(&given), Arc::clone(&over));
        let drainer = thread::spawn(move || {
            let store = open(&path, durability);
            while !is_over.load(Ordering::SeqCst) {
                let some = drain(&store, 2);
                taken.lock().unwrap().extend(some);
                thread::yield_now();
            }
        });
        store.append(7, &[0, 0]).unwrap();
        thread::yield_now();

        let (mut heard, mut said) = pipe().unwrap();
        fork(|| {
            assert_eq!(open_files_in(&folder), Vec::<PathBuf>::new());
            // What is the parent's is refused, though a thread that is not there may have its lock.
            store.append(7, &[3, 0]).unwrap_err();
            let own = open(&folder, durability);
            own.append(7, &[2, 0]).unwrap();
            // If nobody drains in the parent.
            for payload in drain(&own, 9) {
                said.write_all(&payload).unwrap();
            }
            own.append(7, &[2, 1]).unwrap();
        });
        drop(said);
        let mut of_child = Vec::new();
        heard.read_to_end(&mut of_child).unwrap();

        store.append(7, &[0, 1]).unwrap();
        writer.join().unwrap();
        over.store(true, Ordering::SeqCst);
        drainer.join().unwrap();
        let mut given = std::mem::take(&mut *given.lock().unwrap());
        given.extend(of_child.chunks(2).map(<[u8]>::to_vec));
        loop {
            let taken = drain(&store, 9);
            if taken.is_empty() {
                break;
            }
            given.extend(taken);
        }
        given.sort();
        let expected = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)];
        assert_eq!(given, expected.map(|(writer, number)| vec![writer, number]));
    });
    let _ = std::fs::remove_dir_all(path);
}

#[test]
fn a_child_has_none_of_the_parents_files_and_shares_the_folder() {
    a_child_has_none_of_the_parents_files(Durability::Process);
}

#[test]
fn a_child_has_none_of_the_parents_files_and_shares_the_folder_where_appends_share_a_sync() {
    a_child_has_none_of_the_parents_files(Durability::Power);
}
