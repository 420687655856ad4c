//! `trophy doctor`: what can go wrong between this machine and the service, one thing after the other. A check is
//! a function that gives findings; one that can say nothing, since an earlier one failed, gives none.

mod address;
mod finding;
mod folder;
mod key;
mod network;
mod options;
mod response;
mod service;

use trophy::options::ClientOptions;

use crate::arguments::Doctor;
use crate::failure::Failure;
use crate::output::Output;
use crate::queue_folder;
use crate::session::Session;
use address::Address;
use finding::{Finding, Report};

pub fn run(args: &Doctor, out: &mut Output) -> Result<(), Failure> {
    let mut report = Report::default();
    let keyed = Session::read_with_tenant(&args.client);
    report.tell(out, key::form(keyed.as_ref()))?;
    let session = match &keyed {
        Ok(session) => session.clone(),
        Err(_) => Session::keyless(&args.client),
    };
    let options = options::read(&session);
    let addresses = Address::of(&session, &options);
    report.tell(out, address::check(&addresses, &session))?;

    let refused = service::options(&session);
    let can_ask = refused.iter().all(Finding::is_fine) && keyed.is_ok();
    report.tell(out, refused)?;

    for (at, address) in addresses.iter().enumerate() {
        // Both APIs are often on one host.
        let is_known = addresses[..at].iter().any(|other| other.is_beside(address));
        if !address.is_usable() || is_known {
            continue;
        }
        reach(address, &session, &options, &mut report, out)?;
    }
    if can_ask {
        report.tell(out, service::key(&session))?;
        report.tell(out, service::batches(&session))?;
    }
    report.tell(out, service::limits(&session))?;
    let folder = queue_folder::named(args.folder.queue.as_deref());
    let folder = folder.as_deref().or(session.queue_folder());
    report.tell(out, folder::check(folder))?;
    report.verdict()
}

/// From the name to a reply. What comes after the first thing that fails would fail too.
fn reach(
    address: &Address,
    session: &Session,
    options: &ClientOptions,
    report: &mut Report,
    out: &mut Output,
) -> Result<(), Failure> {
    let route = network::Route::of(address, session, options.connect_timeout);
    for check in [
        network::proxy as fn(&Address, &network::Route) -> Vec<Finding>,
        network::look_up,
        network::connect,
    ] {
        let findings = check(address, &route);
        let is_fine = findings.iter().all(Finding::is_fine);
        report.tell(out, findings)?;
        if !is_fine {
            return Ok(());
        }
    }
    report.tell(out, response::check(address, options))
}
