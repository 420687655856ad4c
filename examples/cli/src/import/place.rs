//! Where an import keeps its queue and where it stands. It follows from what is imported and where to, so that the
//! same command finds it again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::source::Digest;
use crate::failure::Failure;
use crate::queue_folder;
use crate::session::{Session, variable};

/// Above all imports, and where standard input is kept meanwhile.
pub struct Root {
    folder: PathBuf,
    /// The folder that the user named is the queue's.
    is_named: bool,
}

pub struct Place {
    /// Of this import alone.
    folder: PathBuf,
    pub queue: PathBuf,
}

impl Root {
    pub fn find(named: Option<String>) -> Result<Self, Failure> {
        let is_named = named.is_some();
        let folder = match named {
            Some(folder) => PathBuf::from(folder),
            None => state_folder().ok_or_else(|| {
                Failure::usage(
                    "nowhere to keep the queue of this import: neither XDG_STATE_HOME nor HOME is set; name a \
                     folder with --queue",
                )
            })?,
        };
        fs::create_dir_all(&folder).map_err(|error| Failure::writing(&folder, &error))?;
        Ok(Self { folder, is_named })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Another service, tenant or key has not seen the events that this one has.
    pub fn place(&self, content: &Digest, session: &Session) -> Result<Place, Failure> {
        let url = |option, name| match session.option(option) {
            Some(Value::String(url)) => url.clone(),
            _ => variable(name).unwrap_or_default(),
        };
        let to = [
            content.short(),
            &url("base_url", "TROPHY_BASE_URL"),
            &url("admin_base_url", "TROPHY_ADMIN_BASE_URL"),
            session.tenant().unwrap_or_default(),
            session.key_prefix(),
        ]
        .join("\n");
        let folder = self
            .folder
            .join(format!("import-{}", Digest::of(&to).short()));
        let queue = match self.is_named {
            true => self.folder.clone(),
            false => folder.join("queue"),
        };
        fs::create_dir_all(&folder).map_err(|error| Failure::writing(&folder, &error))?;
        Ok(Place { folder, queue })
    }
}

impl Place {
    pub fn ledger(&self) -> PathBuf {
        self.folder.join("rows")
    }

    pub fn refused(&self) -> PathBuf {
        self.folder.join("refused.jsonl")
    }

    /// Whether what an earlier run wrote into the queue's files is there. A process that was killed loses nothing, a
    /// machine that lost its power may have; so it is, since the machine started.
    pub fn trusts_queue(&self) -> bool {
        let now = start_of_machine();
        !now.is_empty() && fs::read_to_string(self.started()).is_ok_and(|before| before == now)
    }

    /// Everything that was begun is in the queue's files.
    pub fn trust_queue(&self) -> Result<(), Failure> {
        let path = self.started();
        fs::write(&path, start_of_machine()).map_err(|error| Failure::writing(&path, &error))
    }

    fn started(&self) -> PathBuf {
        self.folder.join("started")
    }

    pub fn is_own_queue(&self) -> bool {
        self.queue.starts_with(&self.folder)
    }

    /// All is done. Not if there is an event in its queue still, whatever the ledger says.
    pub fn remove(&self) -> Result<(), Failure> {
        if self.is_own_queue() && self.queue.exists() {
            let held = queue_folder::held(&self.queue.to_string_lossy())?;
            if held.events > 0 {
                return Err(Failure::Input(format!(
                    "{} events are in the queue still, though all rows came to their end; they are safe, and \
                     `trophy queue flush --queue {}` delivers them",
                    held.events,
                    self.queue.display()
                )));
            }
        }
        fs::remove_dir_all(&self.folder).map_err(|error| Failure::writing(&self.folder, &error))
    }
}

/// Another one after each start; empty where it is not to be known.
fn start_of_machine() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn state_folder() -> Option<PathBuf> {
    let state = variable("XDG_STATE_HOME")
        .or_else(|| variable("LOCALAPPDATA"))
        .map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")))?;
    Some(state.join("trophy"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;
    use trophy::api::event::EventArgs;
    use trophy::client::Client;

    #[test]
    fn a_folder_whose_queue_holds_an_event_is_not_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("import-1");
        let place = Place {
            queue: folder.join("queue"),
            folder,
        };
        let options = json!({
            "base_url": "http://127.0.0.1:1/v1",
            "queue": { "path": place.queue },
        });
        let client = Client::new(Some("none.needed"), Some(&options.to_string())).unwrap();
        let event = EventArgs {
            key: "words-written",
            user_json: r#"{"id":"1"}"#,
            value: 1.0,
            attributes_json: None,
            idempotency_key: None,
            options_json: None,
        };
        client.event_enqueue(&event).unwrap();
        client.close(0).unwrap();
        drop(client);

        let kept = place.remove();
        assert!(
            matches!(&kept, Err(Failure::Input(message)) if message.contains("trophy queue flush")),
            "{kept:?}"
        );
        assert!(place.queue.exists());

        fs::remove_dir_all(&place.queue).unwrap();
        assert!(place.remove().is_ok());
        assert!(!place.folder.exists());
    }
}
