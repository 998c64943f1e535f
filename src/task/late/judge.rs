//! What can be promised about late rows of a relation, and how: from what is configured and what the database shows. Of
//! the ways that are possible `auto` takes the best, and says what would make a better one possible.

use std::time::Duration;

use crate::config::spec::{GuardChoice, TableSpec};
use crate::dialect::{Ability, LateSupport, SourceConnection};
use crate::error::{Error, Result};
use crate::guard::clock::ColumnClock;
use crate::guard::{Level, Verdict, Way};
use crate::model::{CursorKind, Mode};
use crate::plan::Planner;
use crate::task::binding::Binding;

/// What is promised, and what that rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What is promised.
    pub verdict: Verdict,
    /// Writers can be seen; else they are taken to be at it no longer than `window`.
    pub(super) sees_writers: bool,
    /// How far back late rows are looked for where nothing better is known.
    pub(super) window: Duration,
    /// How long before it can be seen a transaction may have taken its time.
    pub(super) head_start: Duration,
    /// How many ids are taken at once, to use some later.
    pub(super) ids_kept: u64,
    /// Rows are known by what they hold, too.
    pub(super) by_content: bool,
    /// No two rows share a cursor.
    pub(super) is_unique: bool,
    /// The clock of the timestamp column.
    pub(super) clock: ColumnClock,
}

/// What is not covered where rows may share an id.
const SHARED_IDS: &str = "not covered: rows that come later with an id that was read, for nothing in the catalog says that \
     ids are unique";

/// Why a way is not possible, and what would make it so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lack {
    why: String,
    raise: String,
}

/// A relation as far as it matters here.
#[derive(Debug, Clone)]
struct Place {
    /// The cursor begins with a time, else with an id.
    is_timed: bool,
    /// The time is an instant, whoever writes it.
    is_zoned: bool,
    /// The cursor tells rows of one timestamp apart.
    is_total: bool,
    /// No two rows share a cursor, by the catalog.
    is_unique: bool,
    /// No two rows share an id, by the catalog.
    has_unique_ids: bool,
    /// Ids have a next one.
    is_counted: bool,
    has_suffix: bool,
    has_delay: bool,
    /// Rows are read beyond the clock.
    has_lead: bool,
    window: Duration,
}

/// What can be promised about late rows of a relation.
///
/// # Errors
/// `Config` if `commit.guard` asks for what is not possible; those of the connection.
pub async fn judge(spec: &TableSpec, connection: &mut dyn SourceConnection, binding: &Binding) -> Result<Judged> {
    let planner = &binding.planner;
    let id = match planner.mode() {
        Mode::Bulk => {
            let uncovered = "nothing; every pass reads everything".to_owned();
            let verdict = Verdict { way: Way::Whole, is_partial: false, uncovered, raise: None };
            let window = spec.guard.window;
            return Ok(Judged::new(verdict, &LateSupport::default(), &Place { window, ..Place::of(spec, planner) }));
        }
        Mode::Timestamp { .. } => None,
        Mode::Incrementing { column } | Mode::TimestampIncrementing { column, .. } => Some(column.as_str()),
    };
    let relation = &binding.definition.relation;
    let support = match spec.guard.way {
        GuardChoice::Off | GuardChoice::Delay => LateSupport::default(),
        _ => connection.late_support(relation, id).await?,
    };
    let place = Place { window: spec.guard.window.min(support.longest), ..Place::of(spec, planner) };
    let judged = decide(spec.guard.way, &place, &support).map_err(|lack| {
        let word = spec.guard.way.as_str();
        let raise = if lack.raise.is_empty() { String::new() } else { format!("{}; ", lack.raise) };
        Error::config(format!("commit.guard={word} is not possible here: {}", lack.why))
            .with("table", relation)
            .advise(format!("{raise}commit.guard=auto takes what is possible"))
    })?;
    let zone = connection.wall_zone().unwrap_or(spec.types.all.zone);
    let clock = planner.time_kind().map_or_else(ColumnClock::instants, |kind| ColumnClock::of(kind, zone));
    Ok(Judged { clock, ..judged })
}

impl Place {
    fn of(spec: &TableSpec, planner: &Planner) -> Self {
        Self {
            is_timed: planner.time_kind().is_some(),
            is_zoned: planner.is_zoned(),
            is_total: planner.tuple_len() > 1,
            is_unique: planner.unique_by().is_some(),
            has_unique_ids: planner.has_unique_ids(),
            is_counted: matches!(planner.id_kind(), Some(CursorKind::Integer | CursorKind::Unsigned)),
            has_suffix: planner.has_suffix(),
            has_delay: spec.polling.delay > Duration::ZERO,
            has_lead: spec.polling.lead > Duration::ZERO,
            window: spec.guard.window,
        }
    }

    /// What is not covered wherever times are looked at.
    fn of_times(&self) -> String {
        let zone = if self.is_zoned {
            ""
        } else {
            "; and, for the column has no time zone, sessions that write in other zones than the rest"
        };
        format!(
            "not covered: times that a client's own clock assigns, further back than the oldest open transaction{zone}"
        )
    }

    /// What ids lack that late rows are looked for by.
    fn lack_of_ids(&self) -> Option<Lack> {
        let is_lacking = !self.is_timed && !self.has_unique_ids;
        is_lacking.then(|| {
            Lack::new(
                SHARED_IDS,
                "a primary key or unique index of the ids alone, NOT NULL, or mode=timestamp+incrementing",
            )
        })
    }

    /// What is not covered where rows may share a timestamp and all that tells them apart.
    fn of_the_shared(&self, support: &LateSupport) -> String {
        let is_covered = self.is_unique || support.is_table;
        let text = "not covered: of rows that share timestamp and id, those that come later than the others";
        if is_covered { String::new() } else { text.to_owned() }
    }

    /// What is not covered where writers cannot be seen.
    fn of_the_unseen(&self) -> String {
        format!("transactions open for longer than {} s (commit.guard.window.ms)", self.window.as_secs_f64())
    }
}

impl Judged {
    fn new(verdict: Verdict, support: &LateSupport, place: &Place) -> Self {
        Self {
            window: place.window,
            verdict,
            sees_writers: matches!(support.writers, Ability::Yes { .. }),
            head_start: support.head_start,
            ids_kept: support.ids_kept,
            by_content: support.is_table,
            is_unique: place.is_unique,
            clock: ColumnClock::instants(),
        }
    }
}

/// The way asked for, or the best that is possible; what it lacks if it is not.
fn decide(choice: GuardChoice, place: &Place, support: &LateSupport) -> Result<Judged, Lack> {
    let only = match choice {
        _ if place.is_timed && place.has_lead => {
            let raise =
                "remove timestamp.delay.interval.ms, and set db.timezone to the zone of the column's wall clocks";
            let uncovered = "timestamp.delay.interval.ms is negative, so rows are read ahead of the clock, and one that comes \
                             later with an earlier time is missed, as in the reference";
            let (uncovered, raise) = (uncovered.to_owned(), Some(raise.to_owned()));
            return Ok(Judged::new(Verdict { way: Way::Off, is_partial: false, uncovered, raise }, support, place));
        }
        GuardChoice::Auto => None,
        GuardChoice::Snapshot if !matches!(support.past, Ability::No { .. }) => Some(Way::History),
        GuardChoice::Snapshot => Some(Way::Snapshot),
        GuardChoice::Window => Some(Way::Window),
        GuardChoice::Hold => Some(Way::Hold),
        GuardChoice::Gaps => Some(Way::Gaps),
        GuardChoice::Rescan => Some(Way::Rescan),
        GuardChoice::Delay | GuardChoice::Off => {
            let word = choice.as_str();
            let lack = Lack { why: String::new(), raise: format!("remove commit.guard={word}") };
            return Ok(Judged::new(fallback(place, Some(&lack)), support, place));
        }
    };
    let ways: &[Way] = match (&only, place.is_timed) {
        (Some(way), _) => std::slice::from_ref(way),
        (None, true) => &[Way::Snapshot, Way::History, Way::Window, Way::Hold, Way::Rescan],
        (None, false) => &[Way::History, Way::Gaps],
    };
    let mut lacks = Vec::new();
    for way in ways {
        match uncovered(*way, place, support) {
            Ok(uncovered) => {
                // What is exact under conditions would be so under fewer if writers could be seen.
                let unseen = Lack::of(&support.writers).filter(|_| rests_on_writers(*way, support));
                let shared = place.lack_of_ids().filter(|_| matches!(way, Way::Gaps | Way::History));
                let is_partial = shared.is_some();
                let is_less = is_partial || way.level() != Level::Exact;
                let lacks = shared.iter().chain(&lacks).chain(&unseen);
                let raise = lacks.map(|lack: &Lack| &lack.raise).find(|raise| !raise.is_empty());
                let raise = raise.filter(|_| is_less || unseen.is_some()).cloned();
                return Ok(Judged::new(Verdict { way: *way, is_partial, uncovered, raise }, support, place));
            }
            Err(lack) if only.is_some() => return Err(lack),
            Err(lack) => lacks.push(lack),
        }
    }
    let said = lacks.iter().rev().find(|lack| !lack.why.is_empty());
    Ok(Judged::new(fallback(place, said), support, place))
}

impl Lack {
    fn of(ability: &Ability) -> Option<Self> {
        match ability {
            Ability::Yes { .. } => None,
            Ability::No { why, raise } => Some(Self { why: why.clone(), raise: raise.clone() }),
        }
    }

    fn new(why: &str, raise: &str) -> Self {
        Self { why: why.to_owned(), raise: raise.to_owned() }
    }
}

/// Whether a way covers more where writers can be seen.
fn rests_on_writers(way: Way, support: &LateSupport) -> bool {
    match way {
        Way::History | Way::Rescan => true,
        Way::Gaps => support.ids_kept == 0,
        _ => false,
    }
}

/// What a way does not cover here; what it lacks if it is not possible.
fn uncovered(way: Way, place: &Place, support: &LateSupport) -> Result<String, Lack> {
    if place.has_suffix {
        return Err(Lack::new("query.suffix may leave rows out", "remove query.suffix"));
    }
    let needs = |ability: &Ability| match ability {
        Ability::Yes { but } => Ok(but.clone()),
        Ability::No { why, raise } => Err(Lack::new(why, raise)),
    };
    let timed = || {
        if place.is_timed { Ok(()) } else { Err(Lack::new("it needs a timestamp", "use mode=timestamp+incrementing")) }
    };
    // Of a view or a query a column may be another each time, so only the cursor tells its rows.
    let told_apart = || {
        if place.is_total || support.is_table {
            Ok(())
        } else {
            Err(Lack::new("nothing tells rows of one timestamp apart", "use mode=timestamp+incrementing"))
        }
    };
    let but = |texts: &[String]| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        texts.join("; ")
    };
    let shared_ids = place.lack_of_ids().map(|lack| lack.why).unwrap_or_default();
    match way {
        Way::Snapshot => {
            timed()?;
            Ok(but(&[place.of_times(), needs(&support.views)?]))
        }
        Way::History => {
            let of_past = needs(&support.past)?;
            if !place.is_timed {
                let kept = support.ids_kept;
                let text =
                    format!("not covered: ids that a client assigns itself, or a node uses when it is {kept} behind");
                return Ok(but(&[shared_ids, text, of_past]));
            }
            let unseen = match &support.writers {
                Ability::Yes { but } => but.clone(),
                Ability::No { .. } => place.of_the_unseen(),
            };
            Ok(but(&[place.of_times(), place.of_the_shared(support), unseen, of_past]))
        }
        Way::Window => {
            timed()?;
            told_apart()?;
            Ok(but(&[place.of_times(), place.of_the_shared(support), needs(&support.writers)?]))
        }
        Way::Hold => {
            timed()?;
            let of_writers = needs(&support.writers)?;
            Ok(but(&[
                "rows wait until every transaction has ended that was open before them".to_owned(),
                place.of_times(),
                of_writers,
            ]))
        }
        Way::Rescan => {
            timed()?;
            told_apart()?;
            let unseen = match &support.writers {
                Ability::Yes { but } => but.clone(),
                Ability::No { why, .. } if why.is_empty() => place.of_the_unseen(),
                Ability::No { why, .. } => format!("{}: {why}", place.of_the_unseen()),
            };
            let restart = "a restart may repeat what is looked for".to_owned();
            Ok(but(&[restart, place.of_times(), place.of_the_shared(support), unseen]))
        }
        Way::Gaps => {
            if place.is_timed {
                return Err(Lack::new("it needs mode=incrementing", ""));
            }
            if !place.is_counted {
                return Err(Lack::new("only numbers have gaps between them", "use mode=timestamp+incrementing"));
            }
            let text = "not covered: ids that a client assigns itself, below those read".to_owned();
            let more = match (support.ids_kept, &support.writers) {
                (0, Ability::Yes { but }) => but.clone(),
                (0, Ability::No { .. }) => place.of_the_unseen(),
                (kept, _) => format!(
                    "rows that come more than {} s (commit.guard.window.ms) after greater ids, for ids are taken {kept} at once",
                    place.window.as_secs_f64()
                ),
            };
            Ok(but(&[shared_ids, text, more]))
        }
        Way::Whole | Way::Delay | Way::Off => Err(Lack::new("", "")),
    }
}

/// What is left where nothing better is possible.
fn fallback(place: &Place, lack: Option<&Lack>) -> Verdict {
    let why = lack.map(|lack| lack.why.as_str()).filter(|why| !why.is_empty());
    let why = why.map(|why| format!("; {why}")).unwrap_or_default();
    let raise = lack.map(|lack| lack.raise.clone()).filter(|raise| !raise.is_empty());
    if place.is_timed && place.has_delay {
        let uncovered = format!("transactions longer than timestamp.delay.interval.ms may be missed{why}");
        return Verdict { way: Way::Delay, is_partial: false, uncovered, raise };
    }
    let passed = if place.is_timed { "a later timestamp" } else { "a higher id" };
    let uncovered =
        format!("a row whose transaction commits after {passed} was read is missed, as in the reference{why}");
    let raise = raise.or_else(|| place.is_timed.then(|| "timestamp.delay.interval.ms waits for it".to_owned()));
    Verdict { way: Way::Off, is_partial: false, uncovered, raise }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(is_timed: bool, is_total: bool) -> Place {
        Place {
            is_timed,
            is_zoned: true,
            is_total,
            is_unique: is_total,
            has_unique_ids: true,
            is_counted: true,
            has_suffix: false,
            has_delay: false,
            has_lead: false,
            window: Duration::from_secs(600),
        }
    }

    fn support(views: bool, past: bool, writers: bool, is_table: bool) -> LateSupport {
        let able = |is| if is { Ability::yes() } else { Ability::no("it may not", "grant it") };
        let (views, past, writers) = (able(views), able(past), able(writers));
        LateSupport { views, past, writers, is_table, ..LateSupport::default() }
    }

    fn way(choice: GuardChoice, place: &Place, support: &LateSupport) -> Result<Way, Lack> {
        decide(choice, place, support).map(|judged| judged.verdict.way)
    }

    #[test]
    fn auto_takes_the_best_that_is_possible() {
        let (timed, keyless, ids) = (place(true, true), place(true, false), place(false, true));
        for (place, support, wanted) in [
            (&timed, support(true, false, true, true), Way::Snapshot),
            (&timed, support(false, true, true, true), Way::History),
            (&timed, support(false, false, true, true), Way::Window),
            (&timed, support(false, false, true, false), Way::Window),
            (&keyless, support(false, false, true, true), Way::Window),
            (&keyless, support(false, false, true, false), Way::Hold),
            (&timed, support(false, false, false, true), Way::Rescan),
            (&keyless, support(false, false, false, false), Way::Off),
            (&ids, support(true, false, true, true), Way::Gaps),
            (&ids, support(false, true, false, true), Way::History),
            (&ids, support(false, false, false, false), Way::Gaps),
        ] {
            assert_eq!(way(GuardChoice::Auto, place, &support), Ok(wanted), "{place:?} {support:?}");
        }
        let suffixed = Place { has_suffix: true, has_delay: true, ..timed.clone() };
        assert_eq!(way(GuardChoice::Auto, &suffixed, &support(true, true, true, true)), Ok(Way::Delay));
        let texts = Place { is_counted: false, ..ids };
        assert_eq!(way(GuardChoice::Auto, &texts, &support(true, false, true, true)), Ok(Way::Off));
    }

    #[test]
    fn what_is_asked_for_is_taken_or_refused() {
        let (timed, ids) = (place(true, true), place(false, true));
        let all = support(true, false, true, true);
        for (choice, wanted) in [
            (GuardChoice::Snapshot, Way::Snapshot),
            (GuardChoice::Window, Way::Window),
            (GuardChoice::Hold, Way::Hold),
            (GuardChoice::Rescan, Way::Rescan),
            (GuardChoice::Off, Way::Off),
        ] {
            assert_eq!(way(choice, &timed, &all), Ok(wanted), "{choice:?}");
        }
        assert_eq!(way(GuardChoice::Snapshot, &timed, &support(false, true, false, true)), Ok(Way::History));
        let lack = way(GuardChoice::Window, &timed, &support(false, false, false, true)).unwrap_err();
        assert_eq!(lack, Lack::new("it may not", "grant it"));
        assert!(way(GuardChoice::Gaps, &timed, &all).is_err() && way(GuardChoice::Hold, &ids, &all).is_err());
    }

    #[test]
    fn what_would_raise_the_level_is_said_where_it_can_be_raised() {
        let raise = |place: &Place, support: &LateSupport| {
            decide(GuardChoice::Auto, place, support).unwrap().verdict.raise.unwrap_or_default()
        };
        let timed = place(true, true);
        assert_eq!(raise(&timed, &support(true, false, true, true)), "");
        assert_eq!(raise(&timed, &support(false, false, true, true)), "", "it is exact already");
        assert_eq!(raise(&timed, &support(false, false, false, true)), "grant it");
        assert_eq!(raise(&timed, &support(false, true, false, true)), "grant it", "longer ones would be covered, too");
        assert_eq!(raise(&place(false, true), &support(false, false, false, true)), "grant it");
        assert_eq!(raise(&place(false, true), &support(false, false, true, true)), "");
    }
}
