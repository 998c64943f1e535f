//! The choice of a guard method for a relation: collects the facts that [`crate::guard::choose`] decides by.

use std::time::Duration;

use crate::config::spec::TableSpec;
use crate::dialect::{Ability, LateSupport, SourceConnection};
use crate::error::{Error, Result};
use crate::guard::column_clock::ColumnClock;
use crate::guard::{Capability, Choice, CursorFacts, Facts, Missing, Settings, choose};
use crate::model::Mode;
use crate::plan::Planner;
use crate::task::binding::Binding;

/// The method of a relation, and the facts it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The method, and the cases it does not cover.
    pub choice: Choice,
    pub(super) facts: Facts,
}

/// Chooses the method that looks for late rows of a relation.
///
/// # Errors `Config` if `commit.guard` asks for an impossible method; those of the connection.
pub async fn choose_method(
    spec: &TableSpec,
    connection: &mut dyn SourceConnection,
    binding: &Binding,
) -> Result<Chosen> {
    let (planner, wanted) = (&binding.planner, spec.guard.wanted);
    let relation = &binding.definition.relation;
    let support = match planner.mode() {
        Mode::Timestamp { .. } if wanted.finds_rows() => connection.late_support(relation, None).await?,
        Mode::Incrementing { column } | Mode::TimestampIncrementing { column, .. } if wanted.finds_rows() => {
            connection.late_support(relation, Some(column)).await?
        }
        _ => LateSupport::default(),
    };
    let zone = connection.wall_zone().unwrap_or(spec.types.all.zone);
    let clock = planner.time_kind().map_or_else(ColumnClock::instants, |kind| ColumnClock::of(kind, zone));
    let facts = Facts {
        cursor: cursor_facts(planner),
        settings: Settings {
            has_suffix: planner.has_suffix(),
            has_delay: spec.polling.delay > Duration::ZERO,
            has_lead: spec.polling.lead > Duration::ZERO,
            max_wait: spec.guard.max_wait,
            on_timeout: spec.guard.on_timeout,
        },
        snapshots: capability(support.views),
        past: capability(support.past),
        writers: capability(support.writers),
        visibility_lag: support.head_start,
        window: spec.guard.window.min(support.longest),
        id_block: support.ids_kept,
        is_table: support.is_table,
        clock,
    };
    let choice = choose(wanted, &facts).map_err(|missing| {
        let word = wanted.as_str();
        let remedy = if missing.remedy.is_empty() { String::new() } else { format!("{}; ", missing.remedy) };
        Error::config(format!("commit.guard={word} is not possible here: {}", missing.reason))
            .with("table", relation)
            .advise(format!("{remedy}commit.guard=auto takes the best method that is possible"))
    })?;
    Ok(Chosen { choice, facts })
}

fn cursor_facts(planner: &Planner) -> CursorFacts {
    CursorFacts {
        is_bulk: matches!(planner.mode(), Mode::Bulk),
        time_kind: planner.time_kind(),
        id_kind: planner.id_kind(),
        is_zoned: planner.is_zoned(),
        is_total: planner.tuple_len() > 1,
        is_unique: planner.unique_by().is_some(),
        has_unique_ids: planner.has_unique_ids(),
    }
}

fn capability(ability: Ability) -> Capability {
    match ability {
        Ability::Yes { but } => Ok(but),
        Ability::No { why, raise } => Err(Missing { reason: why, remedy: raise }),
    }
}
