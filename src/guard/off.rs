//! No method: late rows are lost, as in the reference.

use super::facts::{Facts, Missing, Supported};
use super::level::Level;
use super::method::{Needs, unbounded};
use super::{CursorNeed, MethodDefinition, no_state};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "off",
    level: Level::Off,
    words: None,
    needs: Needs::Nothing,
    cursor: CursorNeed::Any,
    tables_only: false,
    databases: &[],
    requirement,
    bound: unbounded,
    resume: no_state,
};

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    if facts.is_timed() && facts.settings.has_lead {
        let remedy = "remove timestamp.delay.interval.ms, and set db.timezone to the zone of the column's wall clocks";
        let except = "timestamp.delay.interval.ms is negative, so rows are read ahead of the clock, and one that comes \
                      later with an earlier time is missed, as in Kafka Connect";
        let unused = Some(Missing::new("", remedy));
        return Ok(Supported { except: except.to_owned(), partial: None, unused });
    }
    let passed = if facts.is_timed() { "a later timestamp" } else { "a higher id" };
    let except = format!("a row whose transaction commits after {passed} was read is missed, as in Kafka Connect");
    let unused = facts.is_timed().then(|| Missing::new("", "timestamp.delay.interval.ms waits for it"));
    Ok(Supported { except, partial: None, unused })
}
