//! Late commits: rows at or below the cursor that become visible after it has passed them. One pure state machine per
//! way to find them: observations of the database in, what to read and the next state out. No I/O, no clock, no
//! configuration; the dialects supply the observations, `task` runs the queries, the state rides in the offset.
//!
//! The words: a *late row* is at or below the cursor and was not visible when the cursor was read. The *window* is
//! the part of the table, from the *low edge* to the cursor, where late rows can appear.

pub mod edge;
pub mod ranges;
pub mod snapshot;
#[cfg(test)]
mod tests;
