//! `trophy event` and `trophy enqueue`: one metric event, sent now or kept until it can be.

use trophy::api::event::EventArgs;

use crate::arguments;
use crate::delivery::{self, Watch};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Style;
use crate::queue_folder;
use crate::session::Session;
use crate::wording;

pub fn send(args: &arguments::Send, out: &mut Output) -> Result<(), Failure> {
    let client = Session::read_with_tenant(&args.client)?.open()?;
    let reply = client
        .event(&of(&args.event))
        .map_err(|error| wording::EVENT.failure(error))?;
    out.json(&reply)
}

pub fn enqueue(args: &arguments::Enqueue, out: &mut Output) -> Result<(), Failure> {
    let path = queue_folder::path(args.folder.queue.as_deref())?;
    let mut session = Session::read_with_tenant(&args.client)?;
    session.queue(&path);
    let client = session.open()?;
    let watch = Watch::begin(&client);
    let reply = client
        .event_enqueue(&of(&args.event))
        .map_err(|error| wording::EVENT.failure(error))?;
    out.json(&reply)?;
    match args.flush {
        Some(flush_ms) => {
            out.flush()?;
            delivery::deliver(&client, &session, &watch, flush_ms, Style::of(out))?.verdict(&path)
        }
        None => Ok(()),
    }
}

fn of(event: &arguments::Event) -> EventArgs<'_> {
    EventArgs {
        key: &event.metric,
        user_json: &event.user,
        value: event.value,
        attributes_json: event.attributes.as_deref(),
        idempotency_key: event.idempotency_key.as_deref(),
        options_json: event.request_option.as_deref(),
    }
}
