//! `trophy queue status`: no key, no network.

use serde_json::json;

use crate::dead_letters;
use crate::failure::Failure;
use crate::output::Output;
use crate::queue_folder;

pub fn run(path: &str, out: &mut Output) -> Result<(), Failure> {
    let dead = dead_letters::list(path)?.len();
    let held = queue_folder::held(path)?;
    if out.is_for_people() {
        return out.facts(&[
            ("path", path.to_owned()),
            ("queued", held.events.to_string()),
            ("on disk", format!("{} bytes", held.bytes)),
            ("dead", dead.to_string()),
        ]);
    }
    let status = json!({
        "path": path,
        "queued": held.events,
        "bytesOnDisk": held.bytes,
        "dead": dead,
    });
    out.line(&status.to_string())
}
