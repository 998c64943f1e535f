//! Offsets of a connector. A [`SourceOffset`] is the value stored in the offsets topic, in Kafka Connect's terms; an
//! [`OffsetDelta`] is the step a batch makes; [`Offsets`] is the one owner of progress in a task.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::Backfill;
use super::cursor::Instant;
use crate::error::{Error, ErrorKind, Result};

/// The mode of a connector: the way new rows are recognised. Closed on purpose: a new mode does not compile until each
/// step answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The whole relation at every poll; no offset.
    Bulk,
    /// Rows whose id is greater than the last.
    Incrementing {
        /// The id column.
        column: String,
    },
    /// Rows whose timestamp is later than the last; ties are kept apart by the primary key.
    Timestamp {
        /// The columns; the first that is not null counts.
        columns: Vec<String>,
    },
    /// Rows after (timestamp, id).
    TimestampIncrementing {
        /// The timestamp columns; the first that is not null counts.
        columns: Vec<String>,
        /// The id column.
        column: String,
    },
}

impl Mode {
    /// The word used in configurations.
    pub fn as_str(&self) -> &'static str {
        match self {
            Mode::Bulk => "bulk",
            Mode::Incrementing { .. } => "incrementing",
            Mode::Timestamp { .. } => "timestamp",
            Mode::TimestampIncrementing { .. } => "timestamp+incrementing",
        }
    }

    /// The timestamp columns of a mode that has them.
    pub fn timestamps(&self) -> Option<&[String]> {
        match self {
            Mode::Timestamp { columns } | Mode::TimestampIncrementing { columns, .. } => Some(columns),
            Mode::Bulk | Mode::Incrementing { .. } => None,
        }
    }
}

/// The field `rowtide` of the partition of a first load.
const LOAD: &str = "load";
/// The same of a backfill.
const BACKFILL: &str = "backfill";

/// A source partition: which relation an offset belongs to (`offsets-topic.md`, 2). Ordered by name,
/// which is also the order Java writes for the two known shapes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePartition(pub BTreeMap<String, String>);

impl SourcePartition {
    /// The partition of a table in protocol 1, the one that is written.
    pub fn table(dotted_name: &str) -> Self {
        Self::from_pairs([("protocol", "1"), ("table", dotted_name)])
    }

    /// The partition of a table before protocol 1: only looked up.
    pub fn legacy_table(bare_name: &str) -> Self {
        Self::from_pairs([("table", bare_name)])
    }

    /// The constant partition of a custom query.
    pub fn query() -> Self {
        Self::from_pairs([("query", "query")])
    }

    /// The partition of the server's identity, kept beside the offsets; Kafka Connect never asks for it.
    pub fn server() -> Self {
        Self::from_pairs([("rowtide", "server")])
    }

    /// The partition of the process that owns the connector; Kafka Connect never asks for it either.
    pub fn owner() -> Self {
        Self::from_pairs([("rowtide", "owner")])
    }

    /// The partition of the table's identity, which tells the table an offset of this partition belongs to; Kafka
    /// Connect never asks for it either.
    #[must_use]
    pub fn mark(&self) -> Self {
        Self::from_pairs([("rowtide", "table"), ("table", self.0.get("table").map_or("", String::as_str))])
    }

    /// The partition of the progress of the table's first load by its primary key; Kafka Connect, which never asks for it,
    /// finds no offset of the table while it is loaded.
    #[must_use]
    pub fn load(&self) -> Self {
        Self::from_pairs([("rowtide", LOAD), ("table", self.0.get("table").map_or("", String::as_str))])
    }

    /// True if it is one of rowtide's own, which Kafka Connect does not know.
    pub fn is_own(&self) -> bool {
        self.0.contains_key("rowtide")
    }

    /// True if it is the [`SourcePartition::mark`] of some table.
    pub fn is_mark(&self) -> bool {
        self.0.get("rowtide").is_some_and(|kind| kind == "table")
    }

    /// The partition of the offset that a table has once it is loaded, of the progress of its first load; any other as it is.
    #[must_use]
    pub fn loaded(self) -> Self {
        if self.is_load() { Self::table(self.0.get("table").map_or("", String::as_str)) } else { self }
    }

    /// True if it is the [`SourcePartition::load`] of some table.
    pub fn is_load(&self) -> bool {
        self.0.get("rowtide").is_some_and(|kind| kind == LOAD)
    }

    /// The partition of the progress of a backfill of the table, or of the query; Kafka Connect never asks for it either.
    #[must_use]
    pub fn backfill(&self) -> Self {
        let of = ["table", "query"].into_iter().find_map(|kind| Some((kind, self.0.get(kind)?.as_str())));
        Self::from_pairs([("rowtide", BACKFILL), of.unwrap_or(("table", ""))])
    }

    /// True if it is the [`SourcePartition::backfill`] of some table.
    pub fn is_backfill(&self) -> bool {
        self.0.get("rowtide").is_some_and(|kind| kind == BACKFILL)
    }

    fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

/// The partition for logs and status: the table's name, `query`, `server`, `owner`, or the map.
impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.get("table"), self.0.get("query")) {
            (Some(table), _) if self.is_mark() => write!(f, "the mark of {table}"),
            (Some(of), _) | (None, Some(of)) if self.is_backfill() => write!(f, "{of} (backfill)"),
            (Some(table), _) => f.write_str(table),
            (None, Some(_)) => f.write_str("query"),
            (None, None) if *self == Self::server() => f.write_str("server"),
            (None, None) if *self == Self::owner() => f.write_str("owner"),
            (None, None) => write!(f, "{:?}", self.0),
        }
    }
}

/// A stored offset (`offsets-topic.md`, 3). Every field is optional, and so is its meaning per mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceOffset {
    /// `incrementing`: the last id emitted.
    pub incrementing: Option<i64>,
    /// `timestamp` and `timestamp_nanos`: the last timestamp all rows of which were emitted.
    pub timestamp: Option<Instant>,
    /// True if `timestamp_nanos` was there; a configured start has milliseconds only.
    pub has_nanos: bool,
    /// The exact position where the fields above cannot express it (inside a tie, ambiguous wall clock,
    /// a cursor that is not a number): [`Position::to_text`](super::Position::to_text). Ours; Kafka Connect ignores it.
    pub exact: Option<String>,
    /// True if an operator said with `--accept-server` that this may lie beyond all the table has. A field of ours too.
    pub accepted: bool,
    /// The checkpoint of the late-commit guard as it was stored: its method, version and state. Ours too; it says nothing
    /// of where the table stands. On its way to be stored it is an [`OffsetDelta::guard`].
    pub guard: Option<String>,
    /// The position in the order of the primary key that a first load has reached: [`Position::to_text`](super::Position::to_text).
    /// The fields above are the offset that the table has once it is loaded. Ours.
    pub load: Option<String>,
    /// The request of a backfill ([`Backfill::to_text`]). The fields above are the position up to which it reads then, and the
    /// position that it has reached. Ours.
    pub backfill: Option<String>,
}

/// A change of a table's offset that an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetMove {
    /// To a position; what is not given keeps its value.
    To {
        /// Rows after it are read.
        timestamp: Option<Instant>,
        /// The id after which rows are read.
        incrementing: Option<i64>,
    },
    /// To the beginning: the table is loaded again.
    Beginning,
}

/// A checkpoint of the late-commit guard, which becomes text only when it is stored.
pub trait GuardCheckpoint: fmt::Debug + Send + Sync {
    /// The text of [`SourceOffset::guard`].
    fn to_text(&self) -> String;
}

impl SourceOffset {
    /// The name of the extra field.
    pub const EXACT: &'static str = "rowtide_position";
    /// The name of the field for [`SourceOffset::accepted`].
    pub const ACCEPTED: &'static str = "rowtide_accepted";
    /// The name of the field for [`SourceOffset::guard`].
    pub const GUARD: &'static str = "rowtide_guard";
    /// The name of the field for [`SourceOffset::load`].
    pub const LOAD: &'static str = "rowtide_load";
    /// The name of the field for [`SourceOffset::backfill`].
    pub const BACKFILL: &'static str = "rowtide_backfill";

    /// The same position, without the guard's checkpoint.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            incrementing: self.incrementing,
            timestamp: self.timestamp,
            has_nanos: self.has_nanos,
            exact: self.exact.clone(),
            accepted: self.accepted,
            guard: None,
            load: self.load.clone(),
            backfill: self.backfill.clone(),
        }
    }

    /// The progress of a backfill that begins now, of the rows up to this position.
    #[must_use]
    pub fn backfilled(&self, request: &Backfill) -> Self {
        Self { accepted: false, load: None, backfill: Some(request.to_text()), ..self.bare() }
    }

    /// True if both are the same position, whatever the guard has stored with it.
    pub fn is_at(&self, other: &Self) -> bool {
        let Self { incrementing, timestamp, has_nanos, exact, accepted, guard: _, load, backfill } = self;
        let position = (incrementing, timestamp, has_nanos, exact, accepted);
        position == (&other.incrementing, &other.timestamp, &other.has_nanos, &other.exact, &other.accepted)
            && (load, backfill) == (&other.load, &other.backfill)
    }
}

/// The offset for status and `explain`: `2024-02-29T12:00:00.123Z, 42`.
impl fmt::Display for SourceOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .timestamp
            .map(Instant::to_rfc3339)
            .into_iter()
            .chain(self.incrementing.map(|id| id.to_string()))
            .chain(self.exact.as_ref().map(|exact| format!("exactly {exact}")))
            .chain(self.accepted.then(|| "accepted".to_owned()))
            .collect();
        if self.backfill.is_some() {
            let (at, until) = (self.load.as_deref().unwrap_or("the beginning"), parts.join(", "));
            return write!(f, "backfill, up to the key {at}, of the rows up to {until}");
        }
        if let Some(load) = &self.load {
            return write!(f, "first load, up to the key {load}, then from {}", parts.join(", "));
        }
        f.write_str(if parts.is_empty() { "the beginning" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// The step a batch makes: `from` (exclusive) is the committed offset it was read after, `to`
/// (inclusive) the one that is true once the batch is committed.
#[derive(Debug, Clone)]
pub struct OffsetDelta {
    /// The partition of the offset.
    pub partition: SourcePartition,
    /// The offset that must be committed before.
    pub from: Option<SourceOffset>,
    /// The offset that is committed with the batch.
    pub to: SourceOffset,
    /// The guard's checkpoint at `to`, if it is another than that of `to` itself.
    pub guard: Option<Arc<dyn GuardCheckpoint>>,
}

impl OffsetDelta {
    /// The offset as it is stored: `to`, with the text of the checkpoint.
    pub fn stored(&self) -> Cow<'_, SourceOffset> {
        match &self.guard {
            Some(guard) => Cow::Owned(SourceOffset { guard: Some(guard.to_text()), ..self.to.bare() }),
            None => Cow::Borrowed(&self.to),
        }
    }
}

/// The committed offset of each partition of one task, without the guard's checkpoints. Only moves by
/// [`Offsets::try_apply`].
#[derive(Debug, Default)]
pub struct Offsets {
    committed: HashMap<SourcePartition, SourceOffset>,
}

impl Offsets {
    /// Takes the offsets that the store loaded.
    pub fn new(committed: HashMap<SourcePartition, SourceOffset>) -> Self {
        Self { committed: committed.into_iter().map(|(partition, offset)| (partition, offset.bare())).collect() }
    }

    /// The committed offset, if any.
    pub fn get(&self, partition: &SourcePartition) -> Option<&SourceOffset> {
        self.committed.get(partition)
    }

    /// Moves a partition forward. A delta that does not start where the partition stands is a bug (E5).
    ///
    /// # Errors
    /// `Offsets` on a gap; nothing is changed then.
    pub fn try_apply(&mut self, delta: OffsetDelta) -> Result<()> {
        let is_at = match (self.committed.get(&delta.partition), &delta.from) {
            (Some(committed), Some(from)) => committed.is_at(from),
            (committed, from) => committed.is_none() && from.is_none(),
        };
        if !is_at {
            return Err(Error::new(ErrorKind::Offsets, "a batch does not start at the committed offset")
                .with("partition", &delta.partition)
                .advise("this is a bug in rowtide; nothing was lost, restart the connector and report it"));
        }
        self.committed.insert(delta.partition, delta.to.bare());
        Ok(())
    }

    /// Puts a partition at an offset, or at none, because an operator has said so.
    pub fn assign(&mut self, partition: SourcePartition, offset: Option<&SourceOffset>) {
        match offset {
            Some(offset) => self.committed.insert(partition, offset.bare()),
            None => self.committed.remove(&partition),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(id: i64) -> SourceOffset {
        SourceOffset { incrementing: Some(id), ..SourceOffset::default() }
    }

    #[test]
    fn progress_refuses_a_gap_and_a_step_back() {
        let partition = SourcePartition::table("public.t");
        let delta = |from: Option<i64>, to| OffsetDelta {
            partition: partition.clone(),
            from: from.map(offset),
            to: offset(to),
            guard: None,
        };
        let mut offsets = Offsets::default();
        offsets.try_apply(delta(None, 5)).unwrap();
        offsets.try_apply(delta(Some(5), 9)).unwrap();
        assert_eq!(offsets.try_apply(delta(Some(5), 12)).unwrap_err().kind(), ErrorKind::Offsets);
        assert_eq!(offsets.try_apply(delta(None, 3)).unwrap_err().kind(), ErrorKind::Offsets);
        assert_eq!(offsets.get(&partition), Some(&offset(9)));
    }

    #[test]
    fn what_the_guard_has_stored_is_not_where_a_table_stands() {
        #[derive(Debug)]
        struct Text(&'static str);
        impl GuardCheckpoint for Text {
            fn to_text(&self) -> String {
                self.0.to_owned()
            }
        }
        let partition = SourcePartition::table("public.t");
        let loaded = SourceOffset { guard: Some("before".into()), ..offset(5) };
        let mut offsets = Offsets::new(HashMap::from([(partition.clone(), loaded)]));
        let guard = Some(Arc::new(Text("after")) as Arc<dyn GuardCheckpoint>);
        let delta = OffsetDelta { partition: partition.clone(), from: Some(offset(5)), to: offset(9), guard };
        assert_eq!(*delta.stored(), SourceOffset { guard: Some("after".into()), ..offset(9) });
        offsets.try_apply(delta).unwrap();
        assert_eq!(offsets.get(&partition), Some(&offset(9)));
    }
}
