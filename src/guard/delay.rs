//! The method `delay`: no row is read before it has reached an age (`timestamp.delay.interval.ms`), as in the reference.

use super::facts::{Facts, Missing, Supported};
use super::level::Level;
use super::method::{Needs, unbounded};
use super::{CursorNeed, MethodDefinition, no_state};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "delay",
    level: Level::Delay,
    words: None,
    needs: Needs::Nothing,
    cursor: CursorNeed::Time,
    tables_only: false,
    databases: &[],
    requirement,
    bound: unbounded,
    resume: no_state,
};

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    if !facts.settings.has_delay {
        return Err(Missing::default());
    }
    let except = "transactions longer than timestamp.delay.interval.ms may be missed".to_owned();
    Ok(Supported { except, ..Supported::default() })
}
