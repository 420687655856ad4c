//! Each system call of the store failing, alone and with those after it.

use super::watched::Watched;
use super::*;
use crate::host::locks::lock;
use crate::host::sys::files::FileId;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

/// Fails `length` calls from the `first` on.
#[derive(Clone, Copy, Debug)]
struct Fault {
    first: usize,
    length: usize,
    /// A failing write takes half of the bytes, and fails only when it is asked again.
    short: bool,
}

struct Calls {
    made: Mutex<usize>,
    fault: Fault,
}

enum Verdict {
    Well,
    Short,
    Fails(io::Error),
}

impl Calls {
    fn verdict(&self, writes: bool) -> Verdict {
        let mut made = lock(&self.made);
        let call = *made;
        *made += 1;
        let Fault {
            first,
            length,
            short,
        } = self.fault;
        match call.checked_sub(first) {
            Some(nth) if nth < length => {
                if short && writes && nth == 0 {
                    return Verdict::Short;
                }
                let words = if writes { libc::ENOSPC } else { libc::EIO };
                Verdict::Fails(io::Error::from_raw_os_error(words))
            }
            _ => Verdict::Well,
        }
    }

    fn pass(&self) -> io::Result<()> {
        match self.verdict(false) {
            Verdict::Fails(error) => Err(error),
            _ => Ok(()),
        }
    }
}

struct FaultyFolder {
    inner: Box<dyn Folder>,
    calls: Arc<Calls>,
}

impl FaultyFolder {
    fn file(&self, file: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        Ok(Box::new(FaultyFile {
            inner: file?,
            calls: Arc::clone(&self.calls),
        }))
    }
}

impl Folder for FaultyFolder {
    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.calls.pass()?;
        self.inner.list()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.calls.pass()?;
        self.file(self.inner.create(name))
    }
    fn append(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.calls.pass()?;
        self.file(self.inner.append(name))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.calls.pass()?;
        self.file(self.inner.open(name))
    }
    fn make(&self) -> io::Result<()> {
        self.calls.pass()?;
        self.inner.make()
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.calls.pass()?;
        self.inner.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.calls.pass()?;
        self.inner.rename(from, to)
    }
    fn sync(&self) -> io::Result<()> {
        self.calls.pass()?;
        self.inner.sync()
    }
    fn id(&self, name: &str) -> io::Result<FileId> {
        self.calls.pass()?;
        self.inner.id(name)
    }
    fn inside(&self, name: &str) -> io::Result<Box<dyn Folder>> {
        self.calls.pass()?;
        let inner = self.inner.inside(name)?;
        Ok(Box::new(FaultyFolder {
            inner,
            calls: Arc::clone(&self.calls),
        }))
    }
}

struct FaultyFile {
    inner: Box<dyn File>,
    calls: Arc<Calls>,
}

impl File for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.calls.verdict(true) {
            Verdict::Well => self.inner.write(bytes),
            Verdict::Short => self.inner.write(&bytes[..bytes.len() / 2]),
            Verdict::Fails(error) => Err(error),
        }
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.calls.pass()?;
        self.inner.read_at(buffer, offset)
    }
    fn size(&self) -> io::Result<u64> {
        self.calls.pass()?;
        self.inner.size()
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.calls.pass()?;
        self.inner.truncate(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.calls.pass()?;
        self.inner.sync_data()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.calls.pass()?;
        self.inner.try_lock()
    }
    fn is_linked(&self) -> io::Result<bool> {
        self.calls.pass()?;
        self.inner.is_linked()
    }
    fn id(&self) -> io::Result<FileId> {
        self.calls.pass()?;
        self.inner.id()
    }
}

/// Again until it works: the fault passes.
fn insist<T>(mut action: impl FnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..10 {
        if let Ok(value) = action() {
            return value;
        }
    }
    panic!("it fails for ever");
}

/// A life of a store under this fault. False if the fault came after its end.
fn live_through(fault: Fault, durability: Durability) -> bool {
    let folder = new_folder();
    let calls = Arc::new(Calls {
        made: Mutex::new(0),
        fault,
    });
    let options = Options {
        durability,
        segment_bytes: 150,
        ..Options::default()
    };
    let case = format!("{fault:?} {durability:?}");
    let faulty = || FaultyFolder {
        inner: Box::new(folder.clone()),
        calls: Arc::clone(&calls),
    };

    let mut kept = Vec::new();
    let mut refused = BTreeSet::new();
    let mut number = 0;
    let mut append = |store: &Store| {
        let event = format!("event {number:02}");
        number += 1;
        match store.append(5, event.as_bytes()) {
            Ok(()) => kept.push(event),
            Err(_) => drop(refused.insert(event)),
        }
    };

    let store = insist(|| Store::open(Box::new(faulty()), options));
    (0..9).for_each(|_| append(&store));
    let mut drain = insist(|| store.try_drain()).expect("nobody else drains");
    let mut given = insist(|| drain.read(4, 1000));
    (0..5).for_each(|_| append(&store));
    while given.len() < 12 {
        let more = insist(|| drain.read(3, 1000));
        if more.is_empty() {
            break;
        }
        given.extend(more);
    }
    let order: Vec<String> = payloads(&given);
    assert!(
        order.is_sorted() && order.len() == BTreeSet::from_iter(&order).len(),
        "{case}: {order:?}"
    );

    let _ = drain.attempt(&[given[0].position, given[5].position]);
    let merged = drain
        .merge(given[1].position, &[given[2].position], 2.0)
        .is_ok();
    let _ = drain.settle(&[given[0].position, given[4].position]);
    let _ = drain.settle(&[given[1].position]);
    // Whatever failed above is written with these.
    for entry in &given[5..9] {
        let _ = drain.settle(&[entry.position]);
    }
    let _ = drain.add_dead_letters(&["{}".into()]);
    assert_eq!(
        insist(|| drain.reread(given[9].position)).payload,
        given[9].payload
    );
    append(&store);
    let _ = store.recount();
    insist(|| drain.read(100, 10_000));
    drop((drain, store));
    let faults_over = *lock(&calls.made) < fault.first;

    // Later appends work again.
    let store = open(&folder);
    store.append(9, b"event 99").unwrap();
    kept.push("event 99".into());
    let (back, _) = drain_all(&store);
    let back = payloads(&back);

    let mut settled: BTreeSet<String> = [0, 1, 4, 5, 6, 7, 8].map(|at| order[at].clone()).into();
    if merged {
        settled.insert(order[2].clone());
    }
    for event in kept.iter().filter(|event| !settled.contains(*event)) {
        assert!(back.contains(event), "{case}: {event} is lost of {back:?}");
    }
    assert!(
        back.is_sorted() && back.len() == BTreeSet::from_iter(&back).len(),
        "{case}: {back:?}"
    );
    // Only when its sync and its truncation both fail can an event stay that was refused.
    if durability == Durability::Process || fault.length == 1 {
        for event in order.iter().chain(&back) {
            assert!(!refused.contains(event), "{case}: {event} was refused");
        }
    }
    if fault.length == 1 {
        let again: Vec<_> = back
            .iter()
            .filter(|event| settled.contains(*event))
            .collect();
        assert!(again.len() <= 4, "{case}: {again:?} came back");
    }
    if faults_over {
        assert_eq!(refused.len(), 0);
        assert!(
            back.iter().all(|event| !settled.contains(event)),
            "{back:?}"
        );
    }
    !faults_over
}

#[test]
fn a_failing_system_call_loses_no_event_and_makes_none_up() {
    for durability in [Durability::Process, Durability::Power] {
        for (length, short) in [
            (1, false),
            (1, true),
            (2, true),
            (3, true),
            (4, true),
            (2, false),
            (5, false),
        ] {
            let fault = |first| Fault {
                first,
                length,
                short,
            };
            let failed = (0..)
                .take_while(|first| live_through(fault(*first), durability))
                .count();
            assert!(failed > 60, "only {failed} calls were made to fail");
        }
    }
}

#[test]
fn a_writer_that_begins_a_new_segment_during_a_read_keeps_its_order() {
    let folder = new_folder();
    let options = Options {
        segment_bytes: 110,
        ..Options::default()
    };
    let writer = Store::open(Box::new(folder.clone()), options).unwrap();
    writer.append(1, b"event 000").unwrap();
    let done = Mutex::new((0, 1));
    let before = move |call: &str, _: &str| {
        if call == "list" {
            let (calls, number) = &mut *lock(&done);
            *calls += 1;
            // Each number of events, with every number of listings before.
            for _ in 0..*calls * 3 % 5 {
                writer
                    .append(1, format!("event {number:03}").as_bytes())
                    .unwrap();
                *number += 1;
            }
        }
        Ok(())
    };
    let watched = Watched::new(&folder, before);
    let reader = Store::open(watched, options).unwrap();
    let mut drain = reader.try_drain().unwrap().unwrap();

    let mut given = Vec::new();
    for _ in 0..40 {
        given.extend(payloads(&drain.read(1000, 100_000).unwrap()));
    }

    let expected: Vec<String> = (0..given.len())
        .map(|number| format!("event {number:03}"))
        .collect();
    assert!(given.len() > 50);
    assert_eq!(given, expected);
}

#[test]
fn a_segment_that_can_never_be_read_does_not_hold_up_the_others_for_ever() {
    let folder = new_folder();
    open(&folder).append(1, b"bad").unwrap();
    let bad = name_with(&folder, ".seg");
    open(&folder).append(1, b"good").unwrap();
    let name = bad.clone();
    let before = move |call: &str, file: &str| {
        let fails = call == "open" && file == name;
        if fails {
            Err(io::Error::from_raw_os_error(libc::EIO))
        } else {
            Ok(())
        }
    };
    let unreadable = Watched::new(&folder, before);
    let store = Store::open(unreadable, Options::default()).unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();

    let entries = insist(|| drain.read(10, 100));

    assert_eq!(payloads(&entries), ["good"]);
    let damage = drain.take_damage();
    assert_eq!(
        (damage.len(), &damage[0].file, damage[0].reason),
        (1, &bad, "it cannot be read")
    );
    let places: Vec<Position> = entries.iter().map(|entry| entry.position).collect();
    drain.settle(&places).unwrap();
    assert!(drain.read(10, 100).unwrap_err().to_string().contains(&bad));
    assert!(folder.get(&bad).is_some(), "it is kept");
}

#[test]
fn an_append_on_a_full_disk_says_so_and_the_next_one_works() {
    let folder = new_folder();
    // Probing takes 5 calls, the first append 5: create, lock, header, rename, event.
    for first in 5..20 {
        let calls = Arc::new(Calls {
            made: Mutex::new(0),
            fault: Fault {
                first,
                length: 2,
                short: true,
            },
        });
        let faulty = FaultyFolder {
            inner: Box::new(folder.clone()),
            calls,
        };
        let store = Store::open(Box::new(faulty), Options::default())
            .or_else(|_| Store::open(Box::new(folder.clone()), Options::default()));
        let store = store.unwrap();
        for _ in 0..10 {
            if let Err(error) = store.append(1, b"event") {
                let words = error.to_string();
                assert!(
                    words.contains("memory/") && words.contains("os error"),
                    "{words}"
                );
            }
        }
        store.append(1, b"the last").unwrap();
    }
}

#[test]
fn a_settle_that_could_not_be_written_is_written_with_the_next() {
    let folder = new_folder();
    let setup = open(&folder);
    for event in ["a", "b", "c"] {
        setup.append(1, event.as_bytes()).unwrap();
    }
    drop(setup);
    for first in 0.. {
        let copy = folder.after_kill();
        let calls = Arc::new(Calls {
            made: Mutex::new(0),
            fault: Fault {
                first,
                length: 1,
                short: false,
            },
        });
        let store = open(&copy);
        let folder: Arc<dyn Folder> = Arc::new(FaultyFolder {
            inner: Box::new(copy.clone()),
            calls: Arc::clone(&calls),
        });
        let accounting = Arc::new(Accounting::default());
        let Ok(Some(mut drain)) = Drain::begin(&folder, &accounting, Options::default()) else {
            continue;
        };
        let entries = insist(|| drain.read(10, 100));
        let before = *lock(&calls.made);
        let failed = drain.settle(&[entries[0].position]).is_err();
        let after = *lock(&calls.made);
        assert!(insist(|| drain.read(10, 100)).is_empty(), "not given again");
        drain.settle(&[entries[1].position]).unwrap();
        drop((drain, store));
        assert_eq!(payloads(&drain_all(&open(&copy)).0), ["c"], "call {first}");
        if first >= after {
            assert!(before < after);
            break;
        }
        assert_eq!(failed, (before..after).contains(&first));
    }
}

#[test]
fn a_drain_that_clears_new_files_away_stops_neither_an_opening_nor_an_append() {
    // Given a drain that takes new files for those of a crash: when they are locked, or renamed.
    let folder = new_folder();
    let (drained, cleared) = (folder.clone(), Mutex::new(0));
    let before = move |call: &str, name: &str| {
        let mut cleared = lock(&cleared);
        let is_new = name.ends_with(".tmp") && (call == "rename" || call == "remove");
        if is_new && *cleared < 5 && drained.remove(name).is_ok() {
            *cleared += 1;
        }
        Ok(())
    };
    let watched = Watched::new(&folder, before);

    // When a store is opened, and an event appended,
    let store = Store::open(watched, Options::default()).unwrap();
    store.append(1, b"event").unwrap();

    // then it is there.
    let mut drain = store.try_drain().unwrap().unwrap();
    assert_eq!(payloads(&drain.read(10, 1000).unwrap()), ["event"]);
}
