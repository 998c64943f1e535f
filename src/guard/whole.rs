//! The method of a bulk load: every pass reads everything, so no row is late.

use super::facts::{Facts, Missing, Supported};
use super::level::Level;
use super::method::{Needs, unbounded};
use super::{CursorNeed, MethodDefinition, no_state};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "whole",
    level: Level::Exact,
    words: None,
    needs: Needs::Nothing,
    cursor: CursorNeed::Bulk,
    tables_only: false,
    databases: &[],
    requirement,
    bound: unbounded,
    resume: no_state,
};

fn requirement(_: &Facts) -> Result<Supported, Missing> {
    Ok(Supported { except: "nothing; every pass reads everything".to_owned(), ..Supported::default() })
}
