//! The configuration of one table, resolved once: what depends on its name, and what every table of the connector shares.
//! A running task sees its tables through this and nothing else, so this is where settings of single tables belong.

use std::time::Duration;

use super::rules::{AppliedRule, KeyWord, Overrides};
use super::{
    ColumnChoice, ColumnTypes, ConnectorSpec, DeleteSpec, GuardSpec, KeyMode, ModeName, OddCursorSpec, PartitionBy,
    PollSpec, RecordTime, Recreated, RowErrorSpec, SchemaChange, SchemaNaming, Selection, SourceHeader,
    TimestampInitial, TopicNaming,
};
use crate::error::{Error, Result};
use crate::model::{Relation, SourcePartition};
use crate::transform::ChainSpec;

/// The configuration of one table, or of the query. Cheap to make from a connector's, which [`ConnectorSpec::for_table`]
/// does.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The table, or the query.
    pub relation: Relation,
    /// The source partition its offsets are stored under.
    pub partition: SourcePartition,
    /// The mode: the recognition of new rows.
    pub mode: TableMode,
    /// The times and amounts of reads.
    pub polling: PollSpec,
    /// `commit.guard` and its settings.
    pub guard: GuardSpec,
    /// The record key.
    pub key: TableKey,
    /// `delete.mode=soft` and its settings.
    pub deletes: Option<DeleteSpec>,
    /// `partition.by`.
    pub partition_by: PartitionBy,
    /// `record.timestamp`.
    pub record_time: RecordTime,
    /// `headers.include`.
    pub source_headers: Vec<SourceHeader>,
    /// `transforms` and `predicates`.
    pub transforms: ChainSpec,
    /// `schema.doc=comments`: records and fields are described by the database's comments.
    pub has_comments: bool,
    /// `schema.change`.
    pub schema_change: SchemaChange,
    /// `table.recreated`.
    pub recreated: Recreated,
    /// The treatment of rows that cannot be delivered.
    pub errors: RowErrorSpec,
    /// The mapping of types.
    pub types: ColumnTypes,
    /// The condition that rows must meet to be read (`table.PATTERN.where`).
    pub filter: Option<String>,
    /// The columns that are read.
    pub columns: ColumnChoice,
    /// The settings it has by a pattern, for those who look.
    pub applied: Vec<AppliedRule>,
    /// `quote.sql.identifiers`: false is `never`.
    pub quote_identifiers: bool,
    /// `table.names.qualify=false`: bare table names in SQL, topic and offsets.
    pub unqualified: bool,
    /// The database of the URL.
    pub database: Option<String>,
    /// The longest silence of a statement before it is called hung.
    pub statement_timeout: Duration,
    /// The naming of its topic.
    pub(super) naming: TopicNaming,
    /// The naming of the record schema of its values.
    pub(super) schema_naming: SchemaNaming,
    /// Two keys of one setting, of which neither is more specific.
    tie: Option<(String, String)>,
}

/// `mode` and the columns it needs, as configured for one table.
#[derive(Debug, Clone)]
pub struct TableMode {
    /// The mode.
    pub mode: ModeName,
    /// The incrementing column; none: the table's auto-increment column.
    pub incrementing: Option<String>,
    /// The timestamp columns; none in a mode without.
    pub timestamp: Vec<String>,
    /// `timestamp.initial`.
    pub timestamp_initial: Option<TimestampInitial>,
    /// `incrementing.initial` (exclusive).
    pub incrementing_initial: Option<i64>,
    /// `validate.non.null`.
    pub validate_non_null: bool,
    /// The fate of rows whose cursor values no poll reads.
    pub odd: OddCursorSpec,
}

/// The record key of one table.
#[derive(Debug, Clone)]
pub struct TableKey {
    /// The columns it is made of.
    pub columns: KeyColumns,
    /// `key.format=field`: the bare value of a single column.
    pub bare: bool,
    /// `key.schema.name`; none: nameless, as Connect's ValueToKey makes it.
    pub schema_name: Option<String>,
}

/// The columns of a record key, before the table is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyColumns {
    /// No key.
    None,
    /// The primary key's columns in key order.
    PrimaryKey,
    /// Those of the first entry of `message.key.columns` that matches the table; empty if none does.
    Named(Vec<String>),
}

impl ConnectorSpec {
    /// The specification of one table, or of the query.
    pub fn for_table(&self, relation: &Relation) -> TableSpec {
        let own = self.tables.of(relation);
        let mut polling = self.polling.clone();
        polling.interval = own.interval().unwrap_or(polling.interval);
        polling.windows = own.windows().cloned().unwrap_or(polling.windows);
        TableSpec {
            relation: relation.clone(),
            partition: self.source_partition(relation),
            mode: self.mode.for_table(relation, &own),
            polling,
            guard: self.guard.clone(),
            key: TableKey {
                columns: self.key.mode.for_table(relation, &own),
                bare: self.key.bare,
                schema_name: self.key.schema_name.clone(),
            },
            deletes: self.deletes.clone(),
            partition_by: own.partition_by().unwrap_or(&self.partition_by).clone(),
            record_time: self.record_time,
            source_headers: self.source_headers.clone(),
            transforms: self.transforms.clone(),
            has_comments: self.has_comments,
            schema_change: self.schema_change,
            recreated: self.identity.recreated,
            errors: self.errors.clone(),
            types: self.source.types.clone(),
            filter: own.filter(),
            columns: ColumnChoice::of(&own),
            applied: own.applied(),
            quote_identifiers: self.source.quote_identifiers,
            unqualified: self.selection.is_unqualified(),
            database: self.source.url.database.clone(),
            statement_timeout: self.source.statement_timeout,
            naming: TopicNaming {
                template: own.topic().or_else(|| self.naming.template.clone()),
                ..self.naming.clone()
            },
            schema_naming: self.schema_naming.clone(),
            tie: own.tie(),
        }
    }

    /// The mode of the table whose offsets are stored under this name.
    pub fn mode_of_partition(&self, partition: &SourcePartition) -> ModeName {
        let dotted = partition.to_string();
        let bare = dotted.rsplit_once('.').map_or(dotted.as_str(), |(_, bare)| bare);
        self.tables.of_names(&dotted, bare).mode().unwrap_or(self.mode.mode)
    }

    /// True if every table is read as a whole at each pass, so that there are no offsets.
    pub fn is_bulk(&self) -> bool {
        self.mode.mode == ModeName::Bulk && self.tables.modes().all(|mode| mode == ModeName::Bulk)
    }

    /// The longest pause between two polls of a table.
    pub fn longest_interval(&self) -> Duration {
        let all = self.polling.interval.max(self.polling.longest_interval);
        self.tables.longest_interval().map_or(all, |longest| longest.max(all))
    }

    /// True if no table has records with a key.
    pub fn is_keyless(&self) -> bool {
        matches!(self.key.mode, KeyMode::None) && !self.tables.make_keys() && !self.transforms.makes_keys()
    }

    /// The source partition the offsets of a table, or of the query, are stored under.
    pub fn source_partition(&self, relation: &Relation) -> SourcePartition {
        match relation {
            Relation::Table(id) if self.selection.is_unqualified() => SourcePartition::table(&id.name),
            Relation::Table(id) => SourcePartition::table(&id.to_string()),
            Relation::Query(_) => SourcePartition::query(),
        }
    }
}

impl Selection {
    /// True if tables go by their bare names (`table.names.qualify=false`).
    fn is_unqualified(&self) -> bool {
        matches!(self, Selection::Tables(filter) if filter.unqualified)
    }
}

impl KeyMode {
    fn for_table(&self, relation: &Relation, own: &Overrides<'_>) -> KeyColumns {
        match (own.key(), self) {
            (Some((KeyWord::None, _)), _) => return KeyColumns::None,
            (Some((KeyWord::PrimaryKey, _)), _) => return KeyColumns::PrimaryKey,
            // The columns of a table that is only said to have some are those of the connector's list.
            (Some((KeyWord::Columns, [])), KeyMode::Columns(_)) | (None, _) => {}
            (Some((KeyWord::Columns, columns)), _) => return KeyColumns::Named(columns.to_vec()),
        }
        match self {
            KeyMode::None => KeyColumns::None,
            KeyMode::PrimaryKey => KeyColumns::PrimaryKey,
            KeyMode::Columns(entries) => {
                let dotted = relation.to_string();
                let bare = match relation {
                    Relation::Table(id) => &id.name,
                    Relation::Query(_) => &dotted,
                };
                let matching = entries.iter().find(|(pattern, _)| pattern.is_match(&dotted) || pattern.is_match(bare));
                KeyColumns::Named(matching.map(|(_, columns)| columns.clone()).unwrap_or_default())
            }
        }
    }
}

impl TableSpec {
    /// True if one of its settings is decided between two patterns.
    ///
    /// # Errors
    /// `Config` with both keys if neither is more specific.
    pub fn is_decided(&self) -> Result<()> {
        let Some((one, other)) = &self.tie else { return Ok(()) };
        let message = format!("{one} and {other} both match the table and say different things");
        Err(Error::config(message).with("table", &self.relation).advise(
            "the more specific pattern wins, and they are as specific as each other: name the table in one of them",
        ))
    }
}
