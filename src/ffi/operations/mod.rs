//! The other 26 application operations, one function each: path parameters, body, `args_json`. A file a noun;
//! the table, `api/operations.rs`, says how each becomes a request.

mod achievements;
mod leaderboards;
mod points;
mod streaks;
mod users;
