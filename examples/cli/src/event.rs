//! `trophy event` and `trophy enqueue`: one metric event, sent now or kept until it can be.

use std::io::Write;

use trophy::api::event::EventArgs;

use crate::delivery::{self, Watch};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::session::Session;
use crate::{help, line};

/// The event, as the flags have it.
struct Given {
    key: String,
    user: String,
    value: f64,
    attributes: Option<String>,
    idempotency_key: Option<String>,
    options: Option<String>,
}

impl Given {
    fn take(flags: &mut Flags) -> Result<Self, Failure> {
        let key = flags.need_word("the metric's key")?;
        let value = flags.need("value")?;
        Ok(Self {
            key,
            user: flags.need("user")?,
            value: value
                .parse()
                .map_err(|_| Failure::usage(format!("--value: \"{value}\" is no number")))?,
            attributes: flags.take("attributes")?,
            idempotency_key: flags.take("idempotency-key")?,
            options: flags.take("request-option")?,
        })
    }

    fn args(&self) -> EventArgs<'_> {
        EventArgs {
            key: &self.key,
            user_json: &self.user,
            value: self.value,
            attributes_json: self.attributes.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
            options_json: self.options.as_deref(),
        }
    }
}

pub fn send(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    if flags.wants_help() {
        return help::print(out, "event");
    }
    let given = Given::take(&mut flags)?;
    let session = Session::take_with_tenant(&mut flags)?;
    flags.end()?;
    line(out, &session.open()?.event(&given.args())?)
}

pub fn enqueue(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    if flags.wants_help() {
        return help::print(out, "enqueue");
    }
    let given = Given::take(&mut flags)?;
    let mut session = Session::take_with_tenant(&mut flags)?;
    let path = crate::queue::path(&mut flags)?;
    let flush_ms = flags.take_seconds("flush")?;
    flags.end()?;
    session.queue(&path);

    let client = session.open()?;
    let watch = Watch::begin(&client);
    line(out, &client.event_enqueue(&given.args())?)?;
    match flush_ms {
        Some(flush_ms) => delivery::deliver(&client, &watch, flush_ms)?.verdict(&path),
        None => Ok(()),
    }
}
