//! Rows that no poll reads because of their cursor values, as Kafka Connect does not: found at the first poll of a
//! table and at intervals that grow with the time it takes, counted, named by the key of one, and reported. The
//! settings that stop a table for them is judged here, too. A running task, `check` and `explain` ask here.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant as Clock;

use super::binding::Binding;
use super::facts::Times;
use super::polled::{Bound, Polled};
use crate::config::spec::{BeforeEpoch, TableSpec};
use crate::dialect::{Flow, Row, RowSink, SourceConnection, Undeliverable};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorKind, CursorValue, Instant, NotPolled, OddCursor};
use crate::plan::Planner;
use crate::plan::ahead::Ahead;
use crate::plan::odd::{MOST_COUNTED, OddRows};
use crate::zone::Zone;

/// The time that all looks into one table may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A look is not worth more of a connection's time than one part in so many.
const SELDOM: u32 = 100;

/// The looks for one relation's rows that are not polled: the time of the next, and the last report.
#[derive(Default)]
pub(super) struct Looks {
    due: Option<Clock>,
    said: HashSet<OddCursor>,
    is_blind: bool,
}

impl Looks {
    /// The next look is due at once: the columns have been described anew.
    pub(super) fn again(&mut self) {
        self.due = None;
    }
}

/// The time below which nothing is read.
///
/// # Errors
/// None that can be expected: the kinds of a mode's timestamp are kinds of time.
pub(super) fn floor(spec: &TableSpec, planner: &Planner) -> Result<Option<CursorValue<'static>>> {
    let Some(kind) = planner.time_kind() else { return Ok(None) };
    let zone = &spec.types.all.zone;
    let least = planner.least_time(zone);
    if spec.mode.timestamp_initial.is_some() || spec.mode.odd.before_epoch == BeforeEpoch::Read {
        return Ok(least);
    }
    let epoch = epoch(kind, zone)?;
    Ok(least.filter(|least| *least > epoch).or(Some(epoch)))
}

fn epoch(kind: CursorKind, zone: &Zone) -> Result<CursorValue<'static>> {
    kind.from_instant(Instant::from_micros(0), zone)
}

/// The rows of a relation that are not polled, by reason. `patience` is how long its other statements may give no row.
///
/// # Errors
/// Those of the connection; `TimeLimit` if it takes too long.
pub async fn find(
    spec: &TableSpec,
    connection: &mut dyn SourceConnection,
    binding: &Binding,
    times: &Times,
    patience: Duration,
) -> Result<Vec<NotPolled>> {
    if let Some(vigil) = connection.vigil() {
        vigil.bound(Some(if patience.is_zero() { PATIENCE } else { PATIENCE.min(patience) }));
    }
    let look = Look { spec, binding, began: Clock::now() };
    let found = look.all(connection, times).await;
    if let Some(vigil) = connection.vigil() {
        vigil.bound_for(&binding.definition.relation, patience);
    }
    found
}

struct Look<'a> {
    spec: &'a TableSpec,
    binding: &'a Binding,
    began: Clock,
}

impl Look<'_> {
    async fn all(&self, connection: &mut dyn SourceConnection, times: &Times) -> Result<Vec<NotPolled>> {
        let (planner, zone, mode) = (&self.binding.planner, &self.spec.types.all.zone, &self.spec.mode);
        let mut found = Vec::new();
        if self.binding.cursor_is_nullable() {
            let text =
                "whose cursor is NULL are not polled, as in Kafka Connect (cursor.null=fail would stop the table)";
            found.extend(self.one(connection, OddCursor::Null, OddRows::Null, |rows| format!("{rows} {text}")).await?);
        }
        let Some(kind) = planner.time_kind() else { return Ok(found) };
        let epoch = epoch(kind, zone)?;
        let least = planner.least_time(zone);
        if let Some(least) = &least {
            let rows = OddRows::NoDates(least);
            let text = "with a zero date, or one that is none, as timestamp are not polled, as in Kafka Connect (cursor.zero.date=fail would \
                        stop the table)";
            found.extend(self.one(connection, OddCursor::ZeroDate, rows, |rows| format!("{rows} {text}")).await?);
        }
        let is_early = least.as_ref().is_none_or(|least| *least < epoch);
        if is_early && mode.timestamp_initial.is_none() && mode.odd.before_epoch != BeforeEpoch::Read {
            let rows = OddRows::Times(least.as_ref(), Some(&epoch));
            let text = "with times before 1970 are not polled, as in Kafka Connect (cursor.before.epoch=read would deliver \
                        them, fail would stop the table)";
            found.extend(self.one(connection, OddCursor::Before1970, rows, |rows| format!("{rows} {text}")).await?);
        }
        if let (Some(ahead), Some(bound)) = (&times.ahead, times.beyond.as_ref().or(times.now.as_ref())) {
            let rows = OddRows::Times(Some(bound), None);
            found.extend(self.one(connection, OddCursor::Ahead, rows, |rows| ahead.text(rows)).await?);
        }
        Ok(found)
    }

    async fn one(
        &self,
        connection: &mut dyn SourceConnection,
        reason: OddCursor,
        rows: OddRows<'_>,
        text: impl Fn(&str) -> String,
    ) -> Result<Option<NotPolled>> {
        let planner = &self.binding.planner;
        if self.began.elapsed() > PATIENCE {
            let message = "the rows that are not polled could not be looked for in time";
            return Err(Error::new(ErrorKind::TimeLimit, message));
        }
        let Some(count) = planner.odd_count(rows) else { return Ok(None) };
        let count = match connection.probe(&count).await? {
            Some(CursorValue::Integer(count)) => u64::try_from(count).unwrap_or(0),
            _ => 0,
        };
        if count == 0 {
            return Ok(None);
        }
        let mut found = NotPolled {
            reason,
            rows: count.min(MOST_COUNTED),
            or_more: count > MOST_COUNTED,
            example: None,
            text: String::new(),
        };
        let mut example = None;
        if let Some(query) = planner.odd_row(rows) {
            let mut stream = connection.fetch(&self.binding.definition, &query).await?;
            let named = stream.next_rows(&mut Name).await;
            // To the end of the result.
            let _ = stream.next_rows(&mut Name).await;
            match named {
                Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
                Err(error) => example = error.context("row").map(str::to_owned),
                Ok(_) => {}
            }
        }
        let one = example.as_ref().map(|row| format!("; one is {row}")).unwrap_or_default();
        found.text = format!("{}{one}", text(&found.count()));
        found.example = example;
        Ok(Some(found))
    }
}

/// Refuses every row, so that it is named.
struct Name;

impl RowSink for Name {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        row?;
        Err(Error::new(ErrorKind::Cursor, "the row is looked for, not read"))
    }
}

/// The stop of a table for rows that are not polled, where the configuration wants that.
///
/// # Errors
/// `Cursor`, with the key of a row and the settings that let the table go on.
pub fn check(spec: &TableSpec, binding: &Binding, times: &Times, found: &[NotPolled]) -> Result<()> {
    let odd = spec.mode.odd;
    let is_far = || -> Result<bool> {
        let (Some(kind), Some(highest), Some(now)) = (binding.planner.time_kind(), &times.highest, &times.now) else {
            return Ok(false);
        };
        Ok(Ahead::is_far(kind.column_time(highest)?, kind.column_time(now)?))
    };
    for rows in found {
        let (what, advice) = match rows.reason {
            OddCursor::Null if odd.null_fails => (
                "the cursor column holds NULL, so its row can never be polled",
                "fill the column, or set cursor.null=ignore to go on without such rows (as Kafka Connect does)",
            ),
            OddCursor::ZeroDate if odd.zero_date_fails => (
                "the timestamp column holds a zero date, which is no time to poll by",
                "correct the row, or set cursor.zero.date=ignore to go on without such rows (as Kafka Connect does)",
            ),
            OddCursor::Before1970 if odd.before_epoch == BeforeEpoch::Fail => (
                "the timestamp column holds a value before 1970",
                "correct the row, or set cursor.before.epoch=read to deliver such rows, or ignore to go on without them \
                 (as Kafka Connect does)",
            ),
            OddCursor::Ahead if odd.future_fails && is_far()? => (
                "the timestamp column holds a value far in the future",
                "correct the row, or set cursor.future=wait to read it when its time has come (as Kafka Connect does)",
            ),
            _ => continue,
        };
        let error = Error::new(ErrorKind::Cursor, what).with("rows", rows.count());
        let error = match &rows.example {
            Some(row) => error.with("row", row),
            None => error,
        };
        return Err(error.advise(advice));
    }
    Ok(())
}

impl Polled {
    /// A look for rows that are not polled is due.
    pub(super) fn looks_for_odd_rows(&self) -> bool {
        self.looks.due.is_none_or(|due| due <= Clock::now())
    }

    /// The look itself: tells of such rows, and stops the table for them where that is wanted. That they could not be looked
    /// for stops nothing.
    ///
    /// # Errors
    /// `Cursor`; `Unreachable` if the connection is lost, and then it is not looked again at once.
    pub(super) async fn look_for_odd_rows(
        &mut self,
        connection: &mut dyn SourceConnection,
        bound: &Bound,
        times: &Times,
    ) -> Result<()> {
        let began = Clock::now();
        let interval = self.spec.polling.table_interval;
        let patience = self.paging.patience(self.spec.statement_timeout);
        let found = find(&self.spec, connection, &bound.binding, times, patience).await;
        self.looks.due = Some(began + interval.max(began.elapsed() * SELDOM));
        let found = match found {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Cancelled) => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut self.looks.is_blind, true) {
                    tracing::info!(
                        table = %self.name, error = %error.report(),
                        "rows that are not polled (NULL, zero dates, times before 1970 or ahead) could not be counted"
                    );
                }
                return Ok(());
            }
        };
        self.looks.is_blind = false;
        self.board.not_polled(found.clone());
        if let Err(error) = check(&self.spec, &bound.binding, times, &found) {
            // Looked for again as soon as the table is tried again.
            self.looks.due = None;
            return Err(error);
        }
        self.looks.said.retain(|reason| found.iter().any(|rows| rows.reason == *reason));
        for rows in found {
            if self.looks.said.insert(rows.reason) {
                tracing::warn!(table = %self.name, reason = rows.reason.as_str(), "{}", rows.text);
            }
        }
        Ok(())
    }
}
