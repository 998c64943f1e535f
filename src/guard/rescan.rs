//! The method `rescan`: rows younger than a fixed time are read again and again. For databases that do not show their
//! transactions. Keeps the state of `window`.

use super::facts::{Facts, Missing, Supported, joined};
use super::level::Level;
use super::method::{Needs, unbounded};
use super::window::{WORDS, resume};
use super::{CursorNeed, MethodDefinition};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "rescan",
    level: Level::Rescan,
    words: Some(WORDS),
    needs: Needs::Transactions,
    cursor: CursorNeed::Time,
    tables_only: false,
    databases: &[],
    requirement,
    bound: unbounded,
    resume,
};

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    facts.rows_told_apart()?;
    let unseen = match &facts.writers {
        Ok(except) => except.clone(),
        Err(missing) if missing.reason.is_empty() => facts.of_unseen_writers(),
        Err(missing) => format!("{}: {}", facts.of_unseen_writers(), missing.reason),
    };
    let restart = "a restart may repeat rows of the window";
    let except = joined(&[restart, &facts.of_times(), &facts.of_shared_cursors(), &unseen]);
    Ok(Supported { except, partial: None, unused: facts.writers.clone().err() })
}
