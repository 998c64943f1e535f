//! The check of the database's plan (`plan.guard`): an index serves the polls of a table, or that is said, or the table
//! is not polled. Asked when a table is bound, every ten minutes, and soon after a poll that took long: an index that is
//! dropped while the connector runs turns every poll into a scan and a sort of the table.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant as Clock;

use crate::config::spec::PlanGuard;
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;
use crate::model::{CursorFact, FactWeight, PlannedQuery, Relation};
use crate::plan::Planner;

/// The interval of checks.
const INTERVAL: Duration = Duration::from_secs(600);
/// A poll that takes longer may have another plan.
const SLOW: Duration = Duration::from_secs(1);
/// The shortest time between two checks of polls that take long.
const AT_LEAST: Duration = Duration::from_secs(10);

/// The tables whose polls an index serves by the plan that was asked for at the start, where that showed the right to read
/// them: it is not asked for again at the first poll. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct KnownPlans(Arc<Mutex<HashSet<Relation>>>);

impl KnownPlans {
    /// Notes that an index serves the polls of a table.
    pub fn served(&self, relation: &Relation) {
        locked(&self.0).insert(relation.clone());
    }

    /// Forgets a table; true if an index serves its polls as of now.
    pub(super) fn take(&self, relation: &Relation) -> bool {
        locked(&self.0).remove(relation)
    }
}

/// The checks of one table's plan.
#[derive(Default)]
pub(super) struct PlanCheck {
    checked: Option<Clock>,
    is_doubted: bool,
}

impl PlanCheck {
    /// The next poll is checked before it is made.
    pub(super) fn again(&mut self) {
        self.checked = None;
    }

    /// Notes how long a poll has taken.
    pub(super) fn took(&mut self, time: Duration) {
        self.is_doubted |= time > SLOW;
    }

    /// True if the plan is to be asked for.
    pub(super) fn is_due(&self) -> bool {
        let wait = if self.is_doubted { AT_LEAST } else { INTERVAL };
        self.checked.is_none_or(|checked| checked.elapsed() >= wait)
    }

    /// Notes that it was.
    pub(super) fn made(&mut self) {
        *self = Self { checked: Some(Clock::now()), is_doubted: false };
    }
}

/// The fact that no index serves a page, by the database's plan; none if one does, or if the plan cannot be shown.
///
/// # Errors
/// `SourceSchema` with `plan.guard=refuse`; those of the connection.
pub(super) async fn look(
    wanted: PlanGuard,
    connection: &mut dyn SourceConnection,
    planner: &Planner,
    page: &PlannedQuery,
) -> Result<Option<CursorFact>> {
    match connection.explain(page).await {
        Ok(plan) if plan.index_serves => return Ok(None),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::SchemaChanged) => return Err(error),
        Err(error) => {
            tracing::debug!(error = %error.report(), "the plan could not be asked for");
            return Ok(None);
        }
    }
    let fact = of_plan(planner);
    if wanted == PlanGuard::Refuse {
        let advice = match planner.index_ddl() {
            Some(ddl) => format!("{ddl}; or set plan.guard=warn to poll the table without it"),
            None => "set plan.guard=warn to poll the table all the same".to_owned(),
        };
        return Err(Error::new(ErrorKind::SourceSchema, fact.text).with("plan.guard", "refuse").advise(advice));
    }
    Ok(Some(fact))
}

/// The fact that no index serves the polls of a table.
fn of_plan(planner: &Planner) -> CursorFact {
    let ddl = planner.index_ddl().map(|ddl| format!("; one that would: {ddl}")).unwrap_or_default();
    let text = format!("no index serves the polls of the table, each scans or sorts all of it{ddl}");
    CursorFact { column: planner.cursor_names().join(", "), weight: FactWeight::Warning, text }
}
