//! The choice of a method for a table: the first of [`METHODS`] that is asked for and whose requirement holds, with the
//! cases it does not cover and the remedy that would raise the level. And the refusals of a configuration before
//! anything is connected to: both read the same table.

use std::fmt;

use super::facts::{Facts, Missing, Supported};
use super::level::Level;
use super::{CursorNeed, METHODS, MethodDefinition};

/// `commit.guard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The best that works.
    Auto,
    /// A method of this name.
    Named(&'static str),
}

/// The method of one table, and the cases it does not cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The method.
    pub method: &'static MethodDefinition,
    /// The level it promises here.
    pub level: Level,
    /// The cases it does not cover.
    pub uncovered: String,
    /// The remedy that would raise the level; none where nothing is known to, or it is at its height.
    pub remedy: Option<String>,
}

/// A configuration as far as the methods depend on it, before anything is connected to.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// The database, if its address is a right one.
    pub database: Option<&'a str>,
    /// True if the cursor begins with a time; none if the mode is not a right one.
    pub is_timed: Option<bool>,
    /// True if every pass reads everything.
    pub is_bulk: bool,
    /// True if `query` is given.
    pub has_query: bool,
    /// True if `query.suffix` is given.
    pub has_suffix: bool,
    /// `timestamp.delay.interval.ms`.
    pub delay: i64,
}

/// A configuration that cannot have what it asks for, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, in words.
    pub message: String,
    /// The other key that stands against it.
    pub key: &'static str,
}

impl Wanted {
    /// `auto`, or the name of a method that can be asked for.
    pub fn from_word(word: &str) -> Option<Self> {
        if word == "auto" {
            return Some(Wanted::Auto);
        }
        let mut methods = METHODS.iter().filter(|method| method.cursor != CursorNeed::Bulk);
        methods.find(|method| method.name == word).map(|method| Wanted::Named(method.name))
    }

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Wanted::Auto => "auto",
            Wanted::Named(name) => name,
        }
    }

    /// True if late rows are to be looked for.
    pub fn finds_rows(self) -> bool {
        self.methods().any(MethodDefinition::finds_rows)
    }

    /// The methods asked for, best first. Where none is wanted it is the fixed delay, if there is one.
    fn methods(self) -> impl Iterator<Item = &'static MethodDefinition> {
        let finds = |name: &str| METHODS.iter().any(|method| method.name == name && method.finds_rows());
        METHODS.iter().copied().filter(move |method| match self {
            Wanted::Auto => true,
            Wanted::Named(name) if finds(name) => method.name == name,
            Wanted::Named(_) => !method.finds_rows(),
        })
    }
}

/// The choice for a table.
///
/// # Errors
/// The requirement that the method asked for lacks.
pub fn choose(wanted: Wanted, facts: &Facts) -> Result<Choice, Missing> {
    if facts.cursor.is_bulk {
        return Ok(Choice::of(&super::whole::DEFINITION, (super::whole::DEFINITION.requirement)(facts)?, &[]));
    }
    if facts.is_timed() && facts.settings.has_lead {
        return Ok(Choice::of(&super::off::DEFINITION, (super::off::DEFINITION.requirement)(facts)?, &[]));
    }
    let mut missing = Vec::new();
    if !wanted.finds_rows() {
        missing.push(Missing::new("", &format!("remove commit.guard={}", wanted.as_str())));
    }
    for method in wanted.methods() {
        match requirement(wanted, method, facts) {
            Ok(supported) => return Ok(Choice::of(method, supported, &missing)),
            Err(lack) => missing.push(lack),
        }
    }
    Err(missing.iter().find(|missing| !missing.reason.is_empty()).cloned().unwrap_or_default())
}

/// The requirement of a method against the facts of a table: that of all methods that look for rows, and its own.
fn requirement(wanted: Wanted, method: &MethodDefinition, facts: &Facts) -> Result<Supported, Missing> {
    if !method.cursor.is_met(facts.is_timed()) {
        // A method for other cursors is told as missing only if it was asked for.
        let is_named = wanted != Wanted::Auto && method.finds_rows();
        return Err(match method.cursor {
            CursorNeed::Time if is_named => Missing::new("it needs a timestamp", "use mode=timestamp+incrementing"),
            CursorNeed::Ids if is_named => Missing::new("it needs mode=incrementing", ""),
            _ => Missing::default(),
        });
    }
    if method.finds_rows() && facts.settings.has_suffix {
        return Err(Missing::new("query.suffix may leave rows out", "remove query.suffix"));
    }
    (method.requirement)(facts)
}

impl Choice {
    /// `missing` are the requirements that the better ones lack.
    fn of(method: &'static MethodDefinition, supported: Supported, missing: &[Missing]) -> Self {
        let Supported { except, partial, unused } = supported;
        let remedy = |missing: &Missing| Some(missing.remedy.clone()).filter(|remedy| !remedy.is_empty());
        if matches!(method.level, Level::Delay | Level::Off) {
            let said = missing.iter().rev().find(|missing| !missing.reason.is_empty());
            let why = said.map(|said| format!("; {}", said.reason)).unwrap_or_default();
            let asked = missing.first().filter(|first| first.reason.is_empty());
            let remedy = said.or(asked).and_then(remedy).or_else(|| unused.as_ref().and_then(remedy));
            return Self { method, level: method.level, uncovered: format!("{except}{why}"), remedy };
        }
        let level = match method.level {
            Level::Exact if partial.is_some() => Level::Partial,
            level => level,
        };
        // A method that is exact with exceptions would have fewer with the unused requirement.
        let is_less = level != Level::Exact || unused.is_some();
        let remedy = partial.iter().chain(missing).chain(&unused).find_map(remedy).filter(|_| is_less);
        Self { method, level, uncovered: except, remedy }
    }
}

/// `exact (snapshot): ...; to raise it: ...`.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (level, method) = (self.level.as_str(), self.method.name);
        if level == method {
            write!(f, "{level}: ")?
        } else {
            write!(f, "{level} ({method}): ")?
        }
        f.write_str(&self.uncovered)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; to raise it: {remedy}"))
    }
}

/// The refusals of a configuration that asks for something impossible on every database it may lead to.
pub fn refusals(wanted: Wanted, configured: &Configured<'_>) -> Vec<Refusal> {
    let Wanted::Named(word) = wanted else { return Vec::new() };
    let delay = "timestamp.delay.interval.ms";
    let mut found = Vec::new();
    let mut methods = METHODS.iter().filter(|method| method.name == word).map(|method| method.refusal(configured));
    let first = methods.next().flatten();
    // One possible method of that name is enough.
    found.extend(first.filter(|_| methods.all(|other| other.is_some())));
    if wanted.finds_rows() && configured.delay < 0 {
        let message = format!("{word} is not possible with a negative {delay}, which reads beyond the clock");
        found.push(Refusal { message, key: delay });
    }
    if wanted.finds_rows() && configured.has_suffix {
        let message = format!("{word} is not possible with query.suffix, which may leave rows out");
        found.push(Refusal { message, key: "query.suffix" });
    }
    found
}

impl MethodDefinition {
    fn refusal(&self, configured: &Configured<'_>) -> Option<Refusal> {
        let word = self.name;
        let refuse = |message: String, key| Some(Refusal { message, key });
        if let Some(other) = configured.database.filter(|other| !self.may_be_on(other)) {
            return refuse(
                format!("{word} is not possible on {other}, whose rows do not tell their transaction"),
                "connection.url",
            );
        }
        let is_met = |is_timed: bool| !configured.is_bulk && self.cursor.is_met(is_timed);
        let is_for_cursor = self.cursor == CursorNeed::Any || configured.is_timed.is_none_or(is_met);
        match self.cursor {
            CursorNeed::Time if !is_for_cursor => {
                refuse(format!("{word} needs a timestamp: mode timestamp or timestamp+incrementing"), "mode")
            }
            CursorNeed::Ids if !is_for_cursor => {
                refuse("gaps are those of ids: it needs mode=incrementing".to_owned(), "mode")
            }
            _ if self.tables_only && configured.has_query => {
                refuse(format!("{word} needs tables: the rows of a query do not tell their transaction"), "query")
            }
            _ if self.level == Level::Delay && configured.delay <= 0 => {
                refuse("delay needs timestamp.delay.interval.ms above 0".to_owned(), "timestamp.delay.interval.ms")
            }
            _ => None,
        }
    }

    fn may_be_on(&self, database: &str) -> bool {
        self.databases.is_empty() || self.databases.contains(&database)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::column_clock::ColumnClock;
    use super::super::facts::{CursorFacts, OnTimeout, Settings};
    use super::*;
    use crate::model::CursorKind;

    const TIME: CursorKind = CursorKind::Timestamp { zoned: true, digits: 6 };

    fn facts(is_timed: bool, is_total: bool, [snapshots, past, writers, is_table]: [bool; 4]) -> Facts {
        let able = |is| if is { Ok(String::new()) } else { Err(Missing::new("it may not", "grant it")) };
        Facts {
            cursor: CursorFacts {
                time_kind: is_timed.then_some(TIME),
                id_kind: Some(CursorKind::Integer),
                is_zoned: true,
                is_total,
                is_unique: is_total,
                has_unique_ids: true,
                is_bulk: false,
            },
            settings: Settings {
                has_suffix: false,
                has_delay: false,
                has_lead: false,
                max_wait: Duration::from_secs(60),
                on_timeout: OnTimeout::Rescan,
            },
            snapshots: able(snapshots),
            past: able(past),
            writers: able(writers),
            visibility_lag: Duration::from_secs(1),
            window: Duration::from_secs(600),
            id_block: 0,
            is_table,
            clock: ColumnClock::instants(),
        }
    }

    fn chosen(word: &str, facts: &Facts) -> Result<&'static MethodDefinition, Missing> {
        choose(Wanted::from_word(word).expect("a word"), facts).map(|choice| choice.method)
    }

    #[test]
    fn auto_takes_the_best_that_is_possible() {
        use super::super::{as_of, delay, gaps, hold, off, rescan, snapshot, window};
        for (facts, wanted) in [
            (facts(true, true, [true, false, true, true]), &snapshot::DEFINITION),
            (facts(true, true, [false, true, true, true]), &as_of::DEFINITION),
            (facts(true, true, [false, false, true, true]), &window::DEFINITION),
            (facts(true, true, [false, false, true, false]), &window::DEFINITION),
            (facts(true, false, [false, false, true, true]), &window::DEFINITION),
            (facts(true, false, [false, false, true, false]), &hold::DEFINITION),
            (facts(true, true, [false, false, false, true]), &rescan::DEFINITION),
            (facts(true, false, [false, false, false, false]), &off::DEFINITION),
            (facts(false, true, [true, false, true, true]), &gaps::DEFINITION),
            (facts(false, true, [false, true, false, true]), &as_of::DEFINITION),
            (facts(false, true, [false, false, false, false]), &gaps::DEFINITION),
        ] {
            assert_eq!(chosen("auto", &facts), Ok(wanted), "{facts:?}");
        }
        let mut suffixed = facts(true, true, [true; 4]);
        (suffixed.settings.has_suffix, suffixed.settings.has_delay) = (true, true);
        assert_eq!(chosen("auto", &suffixed), Ok(&delay::DEFINITION));
        let mut texts = facts(false, true, [true, false, true, true]);
        texts.cursor.id_kind = Some(CursorKind::Text);
        assert_eq!(chosen("auto", &texts), Ok(&off::DEFINITION));
        let choice = choose(Wanted::Auto, &texts).unwrap();
        assert!(choice.uncovered.ends_with("; only numbers have gaps between them"), "{}", choice.uncovered);
        assert_eq!(choice.remedy.as_deref(), Some("use mode=timestamp+incrementing"));
    }

    #[test]
    fn what_is_asked_for_is_taken_or_refused() {
        let (timed, ids) =
            (facts(true, true, [true, false, true, true]), facts(false, true, [true, false, true, true]));
        for word in ["snapshot", "window", "hold", "rescan", "off"] {
            assert_eq!(chosen(word, &timed).map(|method| method.name), Ok(word));
        }
        let past = facts(true, true, [false, true, false, true]);
        assert_eq!(chosen("snapshot", &past), Ok(&super::super::as_of::DEFINITION));
        let lack = chosen("window", &facts(true, true, [false, false, false, true])).unwrap_err();
        assert_eq!(lack, Missing::new("it may not", "grant it"));
        assert!(chosen("gaps", &timed).is_err() && chosen("hold", &ids).is_err());
        let off = choose(Wanted::Named("off"), &ids).unwrap();
        assert_eq!(off.remedy.as_deref(), Some("remove commit.guard=off"));
    }

    #[test]
    fn what_would_raise_the_level_is_said_where_it_can_be_raised() {
        let remedy = |is_timed, abilities| {
            choose(Wanted::Auto, &facts(is_timed, true, abilities)).unwrap().remedy.unwrap_or_default()
        };
        assert_eq!(remedy(true, [true, false, true, true]), "");
        assert_eq!(remedy(true, [false, false, true, true]), "", "it is exact already");
        assert_eq!(remedy(true, [false, false, false, true]), "grant it");
        assert_eq!(remedy(true, [false, true, false, true]), "grant it", "longer ones would be covered, too");
        assert_eq!(remedy(false, [false, false, false, true]), "grant it");
        assert_eq!(remedy(false, [false, false, true, true]), "");
    }
}
