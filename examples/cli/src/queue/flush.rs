//! `trophy queue flush`: delivers what waits.

use crate::arguments::Flush;
use crate::delivery::{self, Watch};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Style;
use crate::queue_folder;
use crate::session::Session;

pub fn run(path: &str, args: &Flush, out: &mut Output) -> Result<(), Failure> {
    let mut session = Session::read(&args.session)?;
    queue_folder::need(path)?;
    session.queue(path);
    let client = session.open()?;
    let watch = Watch::begin(&client);
    let outcome = delivery::deliver(&client, &session, &watch, args.timeout, Style::of(out))?;
    match out.is_for_people() {
        true => out.facts(&outcome.facts())?,
        false => out.line(&outcome.report().to_string())?,
    }
    outcome.verdict(path)
}
