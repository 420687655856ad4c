//! Who else may write to the folder cannot make the library follow a link out of it.

use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// A queue's folder, and beside it a file of its user's that nobody may write to through the queue.
struct Place {
    parent: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            parent: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(place.queue()).unwrap();
        fs::create_dir(place.parent.path().join("elsewhere")).unwrap();
        fs::write(place.victim(), "precious").unwrap();
        place
    }

    fn queue(&self) -> PathBuf {
        self.parent.path().join("queue")
    }

    fn victim(&self) -> PathBuf {
        self.parent.path().join("elsewhere/victim")
    }

    fn open(&self) -> Result<Store, StoreError> {
        let folder = OsFolder::new(self.queue()).unwrap();
        Store::open(Box::new(folder), Options::default())
    }

    fn link(&self, name: &str) {
        symlink(self.victim(), self.queue().join(name)).unwrap();
    }

    /// The name of the one file with this ending.
    fn name_with(&self, ending: &str) -> String {
        fs::read_dir(self.queue())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .find(|name| name.ends_with(ending))
            .unwrap()
    }

    fn assert_untouched(&self) {
        assert_eq!(fs::read_to_string(self.victim()).unwrap(), "precious");
        let others = fs::read_dir(self.victim().parent().unwrap()).unwrap();
        assert_eq!(others.count(), 1, "nothing was made beside it");
    }
}

#[test]
fn a_link_in_the_place_of_the_lock_is_refused_in_words() {
    let place = Place::new();
    place.link(lock::NAME);
    let error = place.open().map(drop).unwrap_err().to_string();
    assert!(
        error.contains("drain.lock") && error.contains("symbolic link"),
        "{error}"
    );
    place.assert_untouched();
}

#[test]
fn a_link_in_the_place_of_dead_letters_is_not_written_through() {
    let place = Place::new();
    let store = place.open().unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();
    place.link(dead_letters::NAME);
    let error = drain.add_dead_letters(&["{}".to_owned()]).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    place.assert_untouched();

    fs::remove_file(place.queue().join(dead_letters::NAME)).unwrap();
    drain.add_dead_letters(&["{}".to_owned()]).unwrap();
}

#[test]
fn a_link_in_the_place_of_a_segment_or_of_its_acks_is_no_file() {
    let place = Place::new();
    let store = place.open().unwrap();
    store.append(7, b"{}").unwrap();
    drop(store);
    let segment = place.name_with(".seg");
    let foreign = segment.replace(|it: char| it.is_ascii_digit(), "0");
    place.link(&foreign);
    place.link(&segment.replace(".seg", ".ack"));

    let store = place.open().unwrap();
    let (given, _) = drain_all(&store);
    assert_eq!(payloads(&given), ["{}"]);

    let mut drain = store.try_drain().unwrap().unwrap();
    let position = drain.read(9, 9).unwrap()[0].position;
    drain.settle(&[position]).unwrap();
    place.assert_untouched();
}

#[test]
fn a_link_in_the_place_of_the_folder_of_damage_leads_no_copy_out() {
    let place = Place::new();
    let store = place.open().unwrap();
    store.append(7, b"{}").unwrap();
    drop(store);
    let segment = place.queue().join(place.name_with(".seg"));
    let mut bytes = fs::read(&segment).unwrap();
    let event = bytes.windows(2).position(|it| it == b"{}").unwrap();
    bytes[event] ^= 1;
    fs::write(&segment, bytes).unwrap();
    symlink(
        place.victim().parent().unwrap(),
        place.queue().join("damaged"),
    )
    .unwrap();

    let (given, damage) = drain_all(&place.open().unwrap());
    assert_eq!((given.len(), damage.len()), (0, 1));
    place.assert_untouched();
}

#[test]
fn a_folder_that_everybody_may_write_to_is_noticed() {
    let place = Place::new();
    let folder = OsFolder::new(place.queue()).unwrap();
    for (mode, is_open) in [
        (0o700, false),
        (0o775, false),
        (0o777, true),
        (0o1777, true),
    ] {
        fs::set_permissions(place.queue(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(folder.is_open_to_all(), is_open, "{mode:o}");
    }
    let made = OsFolder::new(place.parent.path().join("made/here")).unwrap();
    assert!(
        !made.is_open_to_all(),
        "one that the library makes is private"
    );
}
