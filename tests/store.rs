//! The queue's store on a real folder, shared by real processes.

mod emulator;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use trophy::queue::store::{
    Drain, Durability, Entry, Hold, MAX_PAYLOAD, Options, OsFolder, Position, Store,
};

fn open_with(path: &Path, options: Options) -> Store {
    Store::open(Box::new(OsFolder::new(path).unwrap()), options).unwrap()
}

fn open(path: &Path) -> Store {
    open_with(path, Options::default())
}

fn text(entry: &Entry) -> String {
    String::from_utf8(entry.payload.clone()).unwrap()
}

fn read_all(drain: &mut Drain) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let batch = drain.read(1000, 1 << 20).unwrap();
        if batch.is_empty() {
            return entries;
        }
        entries.extend(batch);
    }
}

fn places(entries: &[Entry]) -> Vec<Position> {
    entries.iter().map(|entry| entry.position).collect()
}

fn names(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn name_with(path: &Path, ending: &str) -> String {
    names(path)
        .into_iter()
        .find(|name| name.ends_with(ending))
        .unwrap()
}

/// Starts this test program again, to play a role in a process of its own.
fn start(role: &str, path: &Path) -> Child {
    emulator::again()
        .args(["--exact", "role", "--ignored", "--nocapture"])
        .env("STORE_ROLE", role)
        .env("STORE_PATH", path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the child says, line by line.
fn says(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .filter_map(|line| Some(line.split_once("says ")?.1.to_owned()))
}

#[test]
#[ignore = "not a test: what the others start in child processes"]
fn role() {
    let Ok(role) = std::env::var("STORE_ROLE") else {
        return;
    };
    let path = std::env::var_os("STORE_PATH").unwrap();
    let options = Options {
        segment_bytes: 20_000,
        ..Options::default()
    };
    let store = open_with(Path::new(&path), options);
    let append = |number: u32| {
        store
            .append(1, format!("{role}:{number}").as_bytes())
            .unwrap();
    };
    match role.as_str() {
        #[cfg(unix)]
        "forks" => {
            append(0);
            let drain = store.try_drain().unwrap().unwrap();
            // SAFETY: the child uses nothing that another thread may hold at the fork.
            if unsafe { libc::fork() } == 0 {
                assert!(store.append(1, b"in the parent's segment").is_err());
                drop((drain, store));
                let store = open(Path::new(&path));
                assert!(store.try_drain().unwrap().is_none(), "the parent lives");
                store.append(2, b"child").unwrap();
                println!("says {}", std::process::id());
            }
            loop {
                std::thread::park();
            }
        }
        #[cfg(unix)]
        "forks with many" => {
            let each = |number: u32| Path::new(&path).join(number.to_string());
            let stores: Vec<Store> = (0..MANY).map(|number| open(&each(number))).collect();
            let drains: Vec<Drain> = stores
                .iter()
                .map(|store| {
                    store.append(1, b"event").unwrap();
                    let mut drain = store.try_drain().unwrap().unwrap();
                    assert_eq!(drain.read(10, 1000).unwrap().len(), 1);
                    drain
                })
                .collect();
            // Stores come and go meanwhile, at every moment of a fork.
            let more = Path::new(&path).join("more");
            std::thread::spawn(move || {
                loop {
                    let store = open(&more);
                    store.append(1, b"event").unwrap();
                    drop(store.try_drain().unwrap());
                }
            });
            for _ in 0..20 {
                // SAFETY: the child only makes system calls.
                match unsafe { libc::fork() } {
                    0 => loop {
                        unsafe { libc::pause() };
                    },
                    child => println!("says {child}"),
                }
            }
            println!("says done");
            loop {
                std::thread::park();
                assert_eq!(drains.len(), stores.len());
            }
        }
        "appends for ever" => {
            for number in 0.. {
                append(number);
                println!("says {number}");
            }
        }
        "drains for ever" => {
            let _drain = store.try_drain().unwrap().unwrap();
            println!("says draining");
            loop {
                std::thread::park();
            }
        }
        _ => (0..3000).for_each(append),
    }
}

#[test]
fn what_was_acknowledged_before_kill_9_is_there() {
    for acknowledged in [1, 100, 5000] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = start("appends for ever", folder.path());
        let mut said = says(&mut child);
        let mut last: usize = 0;
        for _ in 0..acknowledged {
            last = said.next().unwrap().parse().unwrap();
        }
        child.kill().unwrap();
        // The last line may be cut.
        last = said
            .filter_map(|line| line.parse().ok())
            .max()
            .unwrap_or(0)
            .max(last);
        child.wait().unwrap();

        let store = open(folder.path());
        let mut drain = store.try_drain().unwrap().unwrap();
        let given = read_all(&mut drain);

        for (number, entry) in given.iter().enumerate() {
            assert_eq!(text(entry), format!("appends for ever:{number}"));
        }
        assert!(
            given.len() > last,
            "{last} was acknowledged, {} are there",
            given.len()
        );
        assert_eq!(store.usage().events, given.len() as u64);
    }
}

#[test]
fn four_processes_append_while_one_drains_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut drain = store.try_drain().unwrap().unwrap();
    let writers = ["a", "b", "c", "d"];
    let mut children: Vec<Child> = writers
        .iter()
        .map(|writer| start(writer, folder.path()))
        .collect();

    let mut next: BTreeMap<String, u32> = BTreeMap::new();
    let mut running = true;
    loop {
        let over = !running;
        let entries = drain.read(700, 1 << 20).unwrap();
        for entry in &entries {
            let text = text(entry);
            let (writer, number) = text.split_once(':').unwrap();
            let expected = next.entry(writer.to_owned()).or_default();
            assert_eq!(
                number.parse::<u32>().unwrap(),
                *expected,
                "{writer}, in order, once"
            );
            *expected += 1;
        }
        drain.settle(&places(&entries)).unwrap();
        if over && entries.is_empty() {
            break;
        }
        running = children
            .iter_mut()
            .any(|child| child.try_wait().unwrap().is_none());
    }

    assert!(
        children
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    assert_eq!(
        next,
        writers
            .iter()
            .map(|writer| ((*writer).to_owned(), 3000))
            .collect()
    );
    assert!(drain.take_damage().is_empty());
    assert_eq!(store.recount().unwrap().events, 0);
    assert_eq!(names(folder.path()), ["drain.lock"]);
}

#[test]
fn a_drain_is_taken_over_when_its_holder_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut child = start("drains for ever", folder.path());
    assert_eq!(says(&mut child).next().as_deref(), Some("draining"));
    assert!(store.try_drain().unwrap().is_none());

    child.kill().unwrap();
    child.wait().unwrap();

    assert!(store.try_drain().unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn a_forked_child_keeps_neither_the_drain_nor_the_segment_of_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = start("forks", folder.path());
    let child: i32 = says(&mut parent).next().unwrap().parse().unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();

    let store = open(folder.path());
    let drain = store.try_drain().unwrap();
    let given = read_all(&mut drain.expect("the parent's lock is gone, though the child lives"));
    // SAFETY: a plain system call.
    assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);

    assert_eq!(
        given.iter().map(text).collect::<Vec<_>>(),
        ["forks:0", "child"]
    );
}

#[cfg(unix)]
const MANY: u32 = 200;

/// Killed in the end, however that comes.
#[cfg(unix)]
struct Children(Vec<i32>);

#[cfg(unix)]
impl Drop for Children {
    fn drop(&mut self) {
        for child in &self.0 {
            // SAFETY: a plain system call.
            unsafe { libc::kill(*child, libc::SIGKILL) };
        }
    }
}

#[cfg(unix)]
#[test]
fn forked_children_keep_none_of_the_locks_of_many_queues() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = start("forks with many", folder.path());
    let said: Vec<String> = says(&mut parent)
        .take_while(|line| line != "done")
        .collect();
    let children = Children(said.iter().map(|line| line.parse().unwrap()).collect());
    parent.kill().unwrap();
    parent.wait().unwrap();

    // The parent is gone, the children live.
    let each = |name: String| {
        let store = open(&folder.path().join(name));
        // A child lets go before fork() returns in it, which may be after it has returned in the parent.
        let end = Instant::now() + Duration::from_secs(60);
        let mut drain = loop {
            match store.try_drain().unwrap() {
                Some(drain) => break drain,
                None => assert!(Instant::now() < end, "a child has the lock"),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let segment = read_all(&mut drain);
        let ended = store.recount().unwrap();
        (segment.len(), ended.events)
    };
    let given: Vec<_> = (0..MANY).map(|number| each(number.to_string())).collect();
    let more = each("more".to_owned());

    assert_eq!(children.0.len(), 20);
    assert!(given.iter().all(|it| *it == (1, 1)), "{given:?}");
    assert_eq!(more.0 as u64, more.1);
}

#[cfg(unix)]
#[test]
fn an_event_goes_to_a_new_folder_if_the_old_one_was_removed() {
    for durability in [Durability::Process, Durability::Power] {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("queue");
        let options = Options {
            durability,
            ..Options::default()
        };
        let store = open_with(&path, options);
        store.append(1, b"before").unwrap();

        fs::remove_dir_all(&path).unwrap();
        store.append(1, b"after").unwrap();

        let other = open(&path);
        let mut drain = other.try_drain().unwrap().unwrap();
        let given: Vec<String> = read_all(&mut drain).iter().map(text).collect();
        assert_eq!(given, ["after"]);
    }
}

#[cfg(unix)]
#[test]
fn a_drain_lock_that_was_unlinked_is_not_held() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (open(folder.path()), open(folder.path()));
    store.append(1, b"event").unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();
    assert_eq!(read_all(&mut drain).len(), 1);

    fs::remove_file(folder.path().join("drain.lock")).unwrap();
    let second = other.try_drain().unwrap().unwrap();

    assert!(second.is_valid());
    assert_eq!(drain.hold(), Hold::Lost);
}

#[cfg(unix)]
#[test]
fn what_is_kept_after_the_folder_was_moved_is_in_the_new_one() {
    // Given a process that does not drain, whose folder is moved,
    let parent = tempfile::tempdir().unwrap();
    let (path, moved) = (parent.path().join("queue"), parent.path().join("moved"));
    let store = open(&path);
    store.append(1, b"before").unwrap();
    fs::rename(&path, &moved).unwrap();
    // when it looks at the folder, which its drainer has made anew,
    fs::create_dir(&path).unwrap();
    assert_eq!(store.recount().unwrap().events, 0);
    // then what it keeps is there,
    store.append(1, b"after").unwrap();
    assert_eq!(store.recount().unwrap().events, 1);
    let mut drain = store.try_drain().unwrap().unwrap();
    let given = read_all(&mut drain);
    assert_eq!(given.iter().map(text).collect::<Vec<_>>(), ["after"]);
    // and what was kept before where the folder is now.
    let mut drain = open(&moved).try_drain().unwrap().unwrap();
    let given = read_all(&mut drain);
    assert_eq!(given.iter().map(text).collect::<Vec<_>>(), ["before"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_under_the_name_of_an_ack_file_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).append(1, b"event").unwrap();
    let ack = name_with(folder.path(), ".seg").replace(".seg", ".ack");
    let path = std::ffi::CString::new(folder.path().join(&ack).to_str().unwrap()).unwrap();
    // SAFETY: a valid string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);

    let store = open(folder.path());
    let mut drain = store.try_drain().unwrap().unwrap();
    let given = read_all(&mut drain);
    assert_eq!(given.len(), 1);
    assert_eq!(drain.take_damage()[0].file, format!("{ack}.unknown"));
    drain.settle(&places(&given)).unwrap();
}

#[test]
fn draining_the_events_of_another_does_not_hide_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (open(folder.path()), open(folder.path()));
    other.append(1, b"theirs 1").unwrap();
    other.append(1, b"theirs 2").unwrap();
    store.append(1, b"mine").unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();
    let entries = read_all(&mut drain);
    assert_eq!(store.usage().events, 3);
    let theirs = entries
        .iter()
        .filter(|entry| text(entry).starts_with("theirs"));

    drain
        .settle(&theirs.map(|entry| entry.position).collect::<Vec<_>>())
        .unwrap();

    assert_eq!(store.usage().events, 1);
    assert_eq!(store.recount().unwrap().events, 1);
    assert_eq!(other.recount().unwrap().events, 1);
}

#[test]
fn a_store_counts_what_other_processes_append_and_drain() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(1, b"mine").unwrap();
    assert!(start("a", folder.path()).wait().unwrap().success());
    assert_eq!(store.usage().events, 1);
    assert_eq!(store.recount().unwrap().events, 3001);

    let other = open(folder.path());
    let mut drain = other.try_drain().unwrap().unwrap();
    let entries = drain.read(2500, 1 << 20).unwrap();
    drain.settle(&places(&entries)).unwrap();

    assert_eq!(other.usage().events, 501);
    assert_eq!(store.recount().unwrap().events, 501);
    let on_disk = |ending: &str| -> u64 {
        let files = names(folder.path())
            .into_iter()
            .filter(|name| name.ends_with(ending));
        files
            .map(|name| fs::metadata(folder.path().join(name)).unwrap().len())
            .sum()
    };
    assert_eq!(store.usage().bytes, on_disk(".seg") + on_disk(".ack"));
    assert_eq!(other.usage().bytes, store.usage().bytes);
}

#[test]
fn concurrent_callers_share_a_sync_and_each_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        durability: Durability::Power,
        segment_bytes: 3000,
        ..Options::default()
    };
    let store = open_with(folder.path(), options);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..50 {
                    store
                        .append(1, format!("{thread}:{number}").as_bytes())
                        .unwrap();
                }
            });
        }
    });

    let mut drain = store.try_drain().unwrap().unwrap();
    let mut given: Vec<String> = read_all(&mut drain).iter().map(text).collect();
    given.sort();

    let mut expected: Vec<String> = (0..4)
        .flat_map(|thread| (0..50).map(move |number| format!("{thread}:{number}")))
        .collect();
    expected.sort();
    assert_eq!(given, expected);
}

#[cfg(unix)]
#[test]
fn the_folder_and_its_files_are_private_to_the_user() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/queue");
    let store = open(&path);
    store.append(1, b"one").unwrap();
    store.append(1, b"two").unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();
    let entries = read_all(&mut drain);
    drain.settle(&places(&entries[..1])).unwrap();
    drain.add_dead_letters(&["{}".into()]).unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let names = names(&path);
    assert_eq!(
        names.len(),
        4,
        "a segment, its acks, the dead, the lock: {names:?}"
    );
    for name in names {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_with_its_path() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("file");
    fs::write(&path, "not a folder").unwrap();
    assert!(OsFolder::new(&path).is_err());

    let path = parent.path().join("queue");
    fs::create_dir_all(path.join("drain.lock")).unwrap();
    let opened = Store::open(Box::new(OsFolder::new(&path).unwrap()), Options::default());
    let words = opened.err().unwrap().to_string();
    assert!(
        words.contains(path.join("drain.lock").to_str().unwrap()),
        "{words}"
    );
    assert!(words.contains("os error"), "{words}");

    let path = parent.path().join("gone");
    let folder = OsFolder::new(&path).unwrap();
    fs::remove_dir(&path).unwrap();
    let error = Store::open(Box::new(folder), Options::default())
        .err()
        .unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_folder_where_a_file_should_be_stops_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(1, b"one").unwrap();
    let segment = name_with(folder.path(), ".seg");
    let in_the_way = ["00000000000000000001-1-00000000000000aa.seg", "dead.jsonl"];
    for name in in_the_way
        .into_iter()
        .chain([segment.replace(".seg", ".ack").as_str()])
    {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(
        folder.path().join("damaged"),
        "a file where a folder should be",
    )
    .unwrap();
    drop(store);

    let store = open(folder.path());
    store.append(2, b"two").unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();
    let mut entries = Vec::new();
    for _ in 0..20 {
        entries.extend(drain.read(10, 1000).unwrap_or_default());
    }

    assert_eq!(entries.iter().map(text).collect::<Vec<_>>(), ["one", "two"]);
    assert!(drain.add_dead_letters(&["{}".into()]).is_err());
    assert!(!drain.take_damage().is_empty());
    drain.settle(&places(&entries)).unwrap();
    assert_eq!(store.usage().events, 0);
}

#[test]
fn damaged_bytes_are_copied_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(1, b"first").unwrap();
    store.append(1, b"second").unwrap();
    drop(store);
    let name = name_with(folder.path(), ".seg");
    let path = folder.path().join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(5)
        .position(|window| window == b"first")
        .unwrap();
    bytes[at] = b'F';
    fs::write(&path, &bytes).unwrap();

    let store = open(folder.path());
    let mut drain = store.try_drain().unwrap().unwrap();
    assert_eq!(
        read_all(&mut drain).iter().map(text).collect::<Vec<_>>(),
        ["second"]
    );

    let damage = drain.take_damage();
    assert_eq!(damage.len(), 1);
    let copy = folder
        .path()
        .join("damaged")
        .join(format!("{name}.{}", damage[0].offset));
    let copy = fs::read(copy).unwrap();
    assert_eq!(copy.len() as u64, damage[0].length);
    assert!(copy.ends_with(b"First"));
}

#[test]
fn the_dead_stay_readable_and_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let line = format!("{{\"reason\":\"{}\"}}", "x".repeat(100_000));
    for _ in 0..2 {
        let mut drain = store.try_drain().unwrap().unwrap();
        for _ in 0..15 {
            drain.add_dead_letters(std::slice::from_ref(&line)).unwrap();
        }
    }
    for name in ["dead.jsonl", "dead.1.jsonl"] {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.len() <= 1 << 20, "{name}");
        assert!(
            !text.is_empty() && text.lines().all(|buried| buried == line),
            "{name}"
        );
    }
}

#[test]
fn the_largest_event_is_kept_and_a_larger_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut payload = vec![b'x'; MAX_PAYLOAD];
    store.append(1, &payload).unwrap();
    store.append(2, b"small").unwrap();
    payload.push(b'x');
    assert!(store.append(3, &payload).is_err());

    let mut drain = store.try_drain().unwrap().unwrap();
    let first = drain.read(10, 1000).unwrap();
    assert_eq!(first.len(), 1, "given alone, as it is over the limit");
    assert_eq!(first[0].payload, payload[1..]);
    assert_eq!(drain.read(10, 1000).unwrap()[0].payload, b"small");
}
