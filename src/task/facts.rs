//! Facts about the cursor columns beyond their types: the rules of the database, which are asked once per definition,
//! and the ids themselves, which are looked at again and again. A running task, `check` and `explain` ask here. A fact
//! that rules a column out is an error; the others are shown.

use std::time::Duration;

use tokio::time::Instant as Clock;

use super::binding::Binding;
use crate::config::spec::{PollSpec, TableSpec};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CursorFact, CursorKind, CursorValue, FactWeight, Micros, Mode, PlannedQuery, Position, Relation, micros_of,
};
use crate::plan::Planner;
use crate::plan::ahead::Ahead;
use crate::plan::identity::{
    Ids, UuidForm, against_version, far_ahead, is_beyond_numbers, is_far_ahead, not_a_number, order_of, uuid_version,
};
use crate::status::TableBoard;
use crate::zone::Zone;

/// The number of ids in a row that must look like random UUIDs where other ids look like them by chance.
const SAMPLES: usize = 8;

/// The advice for ids that do not grow.
const OTHER_CURSOR: &str = "use mode=timestamp, or timestamp+incrementing, where an id only tells rows of one timestamp \
     apart; or ids that grow: a sequence, UUIDv7, ULID";

/// The facts that a running task has about one relation's cursor columns.
#[derive(Default)]
pub(super) struct Known {
    rules: Vec<CursorFact>,
    ids: Option<CursorFact>,
    times: Option<CursorFact>,
    plan: Option<CursorFact>,
    logged: Vec<CursorFact>,
    /// The time of the last look at ids and times.
    checked: Option<Clock>,
    /// The newest time the table had then, as the column holds it.
    newest: Option<Micros>,
}

impl Known {
    pub(super) fn found_rules(&mut self, rules: Vec<CursorFact>) {
        self.rules = rules;
    }

    pub(super) fn found_in_ids(&mut self, fact: Option<CursorFact>) {
        self.ids = fact;
    }

    pub(super) fn found_in_times(&mut self, fact: Option<CursorFact>) {
        self.times = fact;
    }

    pub(super) fn found_in_plan(&mut self, fact: Option<CursorFact>) {
        if fact.is_none() && self.plan.is_some() {
            // Said again, if it comes again.
            self.logged.retain(|logged| Some(logged) != self.plan.as_ref());
        }
        self.plan = fact;
    }

    /// True if ids and times are to be looked at, which is done once an interval.
    pub(super) fn is_due(&self, interval: Duration) -> bool {
        self.checked.is_none_or(|checked| checked.elapsed() >= interval)
    }

    /// Notes that ids and times have been looked at.
    pub(super) fn checked(&mut self) {
        self.checked = Some(Clock::now());
    }

    /// Makes ids and times be looked at before the next page.
    pub(super) fn check_again(&mut self) {
        self.checked = None;
    }

    pub(super) fn found_newest(&mut self, newest: Option<Micros>) {
        self.newest = newest;
    }

    /// The newest time the table had when it was looked at, as the column holds it.
    pub(super) fn newest(&self) -> Option<Micros> {
        self.newest
    }

    /// The table is another one.
    pub(super) fn begin_anew(&mut self) {
        (self.checked, self.newest) = (None, None);
    }

    /// Publishes it, and logs each fact once.
    pub(super) fn show(&mut self, table: &str, board: &TableBoard) {
        let facts: Vec<CursorFact> =
            self.rules.iter().chain(&self.ids).chain(&self.times).chain(&self.plan).cloned().collect();
        for fact in &facts {
            if self.logged.contains(fact) {
                continue;
            }
            match fact.weight {
                FactWeight::Note => tracing::info!(table, column = %fact.column, "{}", fact.text),
                FactWeight::Warning | FactWeight::Refusal => {
                    tracing::warn!(table, column = %fact.column, "{}", fact.text);
                }
            }
            self.logged.push(fact.clone());
        }
        board.cursor_facts(facts);
    }
}

/// Facts from the database's rules about the cursor columns of a binding, by weight.
///
/// # Errors
/// `SourceSchema` if they rule a column out; those of the connection.
pub async fn of_rules(connection: &mut dyn SourceConnection, binding: &Binding) -> Result<Vec<CursorFact>> {
    let relation = &binding.definition.relation;
    let (times, id): (&[String], _) = match binding.planner.mode() {
        Mode::Bulk => return Ok(Vec::new()),
        Mode::Incrementing { column } => (&[], Some(column)),
        Mode::Timestamp { columns } => (columns, None),
        Mode::TimestampIncrementing { columns, column } => (columns, Some(column)),
    };
    let of_ties = of_ties(&binding.planner, id);
    if matches!(relation, Relation::Query(_)) {
        return Ok(of_ties.into_iter().collect());
    }
    let columns: Vec<String> = times.iter().chain(id).cloned().collect();
    let mut facts = connection.cursor_facts(relation, &columns).await?;
    for fact in &mut facts {
        if !times.is_empty() && Some(&fact.column) == id && fact.weight > FactWeight::Note {
            fact.weight = FactWeight::Note;
            fact.text.push_str("; in this mode it only orders rows of one timestamp");
        }
    }
    if let Some(fact) = facts.iter().find(|fact| fact.weight == FactWeight::Refusal) {
        return Err(refused(relation, &fact.column, &fact.text));
    }
    facts.extend(of_ties);
    facts.sort_by_key(|fact| std::cmp::Reverse(fact.weight));
    Ok(facts)
}

/// The fact that rows may share an id, as far as the catalog knows.
fn of_ties(planner: &Planner, id: Option<&String>) -> Option<CursorFact> {
    let is_timed = planner.time_kind().is_some();
    let id = id.filter(|_| !(planner.has_unique_ids() || is_timed && planner.unique_by().is_some()))?;
    let why = planner.none_because().map(|why| format!(" ({why})")).unwrap_or_default();
    let nothing = format!("nothing in the catalog says that it is unique{why}");
    let (weight, text) = match (is_timed, planner.unique_by()) {
        (true, _) => (
            FactWeight::Note,
            format!("{nothing}, nor is it together with the timestamp: rows that share both are read together"),
        ),
        (false, Some(key)) => (
            FactWeight::Warning,
            format!(
                "{nothing}: a row that comes later with an id that was read is found only if that id is still the greatest \
                 and ({}) sorts after the rows read",
                key.join(", ")
            ),
        ),
        (false, None) => (
            FactWeight::Warning,
            format!(
                "{nothing}: rows of one id are read together, and one that comes later with an id that was read is not \
                 read any more, as in Kafka Connect"
            ),
        ),
    };
    Some(CursorFact { column: id.clone(), weight, text })
}

/// The fact that the ids of a relation tell by their values, in `incrementing` mode and if they are no integers.
///
/// # Errors
/// `SourceSchema` if they are UUIDs that do not sort by time, `Cursor` if one is no number; those of the connection.
pub async fn of_ids(connection: &mut dyn SourceConnection, binding: &Binding) -> Result<Option<CursorFact>> {
    let (planner, relation) = (&binding.planner, &binding.definition.relation);
    let Mode::Incrementing { column } = planner.mode() else { return Ok(None) };
    let (Some(lowest), Some(highest)) =
        (id_at(connection, planner, true, 0).await?, id_at(connection, planner, false, 0).await?)
    else {
        return Ok(None);
    };
    let fact = |text: String| CursorFact { column: column.clone(), weight: FactWeight::Note, text };
    if planner.text_id().is_none() {
        let hides_the_rest = is_beyond_numbers(&highest);
        return if hides_the_rest { Err(not_a_number(column).with("table", relation)) } else { Ok(None) };
    }
    let clock = connection.upper_bound(CursorKind::Timestamp { zoned: true, digits: 6 }, Duration::ZERO).await?;
    if let CursorValue::Timestamp(now) = clock
        && is_far_ahead(&lowest, &highest, now / 1_000)
    {
        return Err(far_ahead(column).with("table", relation));
    }
    match order_of(&lowest, &highest) {
        Ids::Unremarkable => Ok(None),
        Ids::TimeOrdered(version) => Ok(Some(fact(format!(
            "UUIDs of version {version} sort by the clock of the host that made them: hosts apart, and ids of one \
             millisecond, need not sort as they are committed"
        )))),
        Ids::Unordered(version, form) => {
            if form == UuidForm::Bytes && !all_are(connection, planner, version).await? {
                return Ok(None);
            }
            let why = against_version(version).unwrap_or("they are unordered");
            let text =
                format!("its values are UUIDs of version {version}: {why}, so a new row can sort before the position");
            Err(refused(relation, column, &text))
        }
    }
}

/// The upper bound of a poll: the database's clock less `timestamp.delay.interval.ms`, which may be negative.
///
/// # Errors
/// Those of the connection.
pub(super) async fn bound_of_polls(
    connection: &mut dyn SourceConnection,
    kind: CursorKind,
    polling: &PollSpec,
) -> Result<CursorValue<'static>> {
    let bound = connection.upper_bound(kind, polling.delay).await?;
    if polling.lead.is_zero() {
        return Ok(bound);
    }
    kind.from_column_time(kind.column_time(&bound)?.saturating_add(micros_of(polling.lead)))
}

/// The upper bound of a poll made now; none without a timestamp.
///
/// # Errors
/// Those of the connection.
pub async fn upper(
    connection: &mut dyn SourceConnection,
    planner: &Planner,
    polling: &PollSpec,
) -> Result<Option<CursorValue<'static>>> {
    match planner.time_kind() {
        Some(kind) => bound_of_polls(connection, kind, polling).await.map(Some),
        None => Ok(None),
    }
}

/// The first page of a poll made now, behind a position.
///
/// # Errors
/// Those of the connection.
pub async fn page_of_now(
    connection: &mut dyn SourceConnection,
    planner: &Planner,
    polling: &PollSpec,
    position: Option<&Position>,
) -> Result<PlannedQuery> {
    let upper = upper(connection, planner, polling).await?;
    Ok(planner.page(position, upper.as_ref(), polling.batch_max_rows + 1))
}

/// The greatest time of a relation, the clock, and the finding about the two.
#[derive(Debug, Default)]
pub struct Times {
    /// The greatest; none if no row has one.
    pub highest: Option<CursorValue<'static>>,
    /// The database's clock.
    pub now: Option<CursorValue<'static>>,
    /// The bound of polls that read beyond it.
    pub beyond: Option<CursorValue<'static>>,
    /// The distance of the greatest from the clock, where that is worth a word.
    pub ahead: Option<Ahead>,
    /// The warning of a negative delay.
    pub fact: Option<CursorFact>,
}

/// The greatest time of a relation beside the clock.
///
/// # Errors
/// Those of the connection.
pub async fn of_times(spec: &TableSpec, connection: &mut dyn SourceConnection, binding: &Binding) -> Result<Times> {
    let (planner, zone) = (&binding.planner, &spec.types.all.zone);
    let (Some(kind), Some(probe)) = (planner.time_kind(), planner.newest_probe()) else {
        return Ok(Times::default());
    };
    let highest = match connection.probe(&probe).await {
        // A date that is none. A page comes to its row and says so.
        Err(error) if error.kind() == ErrorKind::Cursor => None,
        highest => highest?.filter(|value| *value != CursorValue::Null),
    };
    // The clock is asked for afterwards: rows that have come until then are not ahead.
    let now = connection.upper_bound(kind, Duration::ZERO).await?;
    let clock = kind.column_time(&now)?;
    let greatest = highest.as_ref().map(|highest| kind.column_time(highest)).transpose()?;
    let mut times = Times { highest, ..Times::default() };
    if let Some(greatest) = greatest.filter(|greatest| Ahead::is_worth_a_word(*greatest, clock)) {
        let (bound_by, zones) = zones(connection, zone).await?;
        let instant = kind.to_instant(&now, &bound_by)?.micros();
        times.ahead = Ahead::of(kind, greatest, clock, instant, &zones);
    }
    if !spec.polling.lead.is_zero() {
        times.beyond = Some(kind.from_column_time(clock.saturating_add(micros_of(spec.polling.lead)))?);
        times.fact = Some(of_a_lead(planner, times.ahead.as_ref()));
    }
    times.now = Some(now);
    Ok(times)
}

/// The warning of a negative `timestamp.delay.interval.ms`, with the setting to use instead.
fn of_a_lead(planner: &Planner, ahead: Option<&Ahead>) -> CursorFact {
    let column = match planner.mode() {
        Mode::Timestamp { columns } | Mode::TimestampIncrementing { columns, .. } => columns.join(", "),
        Mode::Bulk | Mode::Incrementing { .. } => String::new(),
    };
    let instead = match ahead.and_then(Ahead::explanation) {
        Some(setting) => format!("; {setting}, and remove timestamp.delay.interval.ms"),
        None => String::new(),
    };
    let text = format!(
        "timestamp.delay.interval.ms is negative: rows with times ahead of the database's clock are read, and one that comes \
         later with an earlier time than those read is missed, as in Kafka Connect{instead}"
    );
    CursorFact { column, weight: FactWeight::Warning, text }
}

/// The zone that polls are bound by, and those that may explain other times, with the settings for them.
async fn zones(connection: &mut dyn SourceConnection, configured: &Zone) -> Result<(Zone, Vec<(Zone, String)>)> {
    if let Some(bound_by) = connection.wall_zone() {
        let setting = format!(
            "wall clocks of {configured}, which is db.timezone, would explain it, but polls are bound by those of {bound_by}, \
             the zone of the session: set time_zone='{configured}' by sessionVariables in connection.url"
        );
        return Ok((bound_by, vec![(*configured, setting)]));
    }
    let own = connection.server_zones().await?;
    let settings = own.into_iter().map(|zone| {
        let setting = format!(
            "wall clocks of {zone}, the zone of the server, would explain it, but polls are bound by those of {configured}: \
             set db.timezone={zone}"
        );
        (zone, setting)
    });
    Ok((*configured, settings.collect()))
}

fn refused(relation: &Relation, column: &str, why: &str) -> Error {
    Error::new(ErrorKind::SourceSchema, format!("column `{column}` cannot serve as cursor: {why}"))
        .with("table", relation)
        .advise(OTHER_CURSOR)
}

/// True if enough of the greatest ids are UUIDs of this version.
async fn all_are(connection: &mut dyn SourceConnection, planner: &Planner, version: u8) -> Result<bool> {
    for skip in 1..SAMPLES {
        let id = id_at(connection, planner, false, skip).await?;
        if id.as_deref().and_then(uuid_version).is_none_or(|(found, _)| found != version) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn id_at(
    connection: &mut dyn SourceConnection,
    planner: &Planner,
    lowest: bool,
    skip: usize,
) -> Result<Option<String>> {
    let Some(probe) = planner.id_probe(lowest, skip) else { return Ok(None) };
    Ok(match connection.probe(&probe).await? {
        Some(CursorValue::Text(text)) => Some(text.into_owned()),
        _ => None,
    })
}
