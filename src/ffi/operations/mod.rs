//! The other 26 application operations, one function each: path parameters, body, `args_json`. A file a noun;
//! the table, `api/operations.rs`, says how each becomes a request.

mod achievements;
mod leaderboards;
mod points;
mod streaks;
mod users;

use std::ffi::c_char;

use super::boundary::boundary;
use super::pointers::{ClientHandle, client, optional, required};
use crate::api::operations::{self, Operation};
use crate::error::Status;

/// An operation without a body. `path`: its path parameters, in the table's order.
///
/// # Safety
/// The rules of the header.
unsafe fn read(
    client: *const ClientHandle,
    operation: &str,
    path: &[*const c_char],
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        boundary(out_json, || {
            let names = operations::find(operation)
                .into_iter()
                .flat_map(Operation::path_parameters);
            let path = names.zip(path).map(|(name, text)| required(name, *text));
            let path = path.collect::<Result<Vec<_>, _>>()?;
            let args_json = optional("args_json", args_json)?;
            self::client(client)?.invoke(operation, &path, None, args_json)
        })
    }
}
