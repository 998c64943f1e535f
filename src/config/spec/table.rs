//! The configuration of one table, resolved once: what depends on its name, and what every table of the connector shares.
//! A running task sees its tables through this and nothing else, so this is where settings of single tables belong.

use std::sync::Arc;
use std::time::Duration;

use super::{
    ColumnTypes, ConnectorSpec, DeleteSpec, GuardSpec, KeyMode, ModeName, OddCursorSpec, PollSpec, RecordTime,
    Recreated, RowErrorSpec, SchemaChange, Selection, SourceHeader, TimestampInitial,
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
    /// `record.timestamp`.
    pub record_time: RecordTime,
    /// `headers.include`.
    pub source_headers: Vec<SourceHeader>,
    /// `transforms` and `predicates`.
    pub transforms: ChainSpec,
    /// `schema.change`.
    pub schema_change: SchemaChange,
    /// `table.recreated`.
    pub recreated: Recreated,
    /// The treatment of rows that cannot be delivered.
    pub errors: RowErrorSpec,
    /// The mapping of types.
    pub types: ColumnTypes,
    /// `quote.sql.identifiers`: false is `never`.
    pub quote_identifiers: bool,
    /// `table.names.qualify=false`: bare table names in SQL, topic and offsets.
    pub unqualified: bool,
    /// The database of the URL.
    pub database: Option<String>,
    /// The longest silence of a statement before it is called hung.
    pub statement_timeout: Duration,
    topic_prefix: String,
    offsets_topic: String,
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
        TableSpec {
            relation: relation.clone(),
            partition: self.source_partition(relation),
            mode: self.mode.for_table(relation),
            polling: self.polling.clone(),
            guard: self.guard.clone(),
            key: TableKey {
                columns: self.key.mode.for_table(relation),
                bare: self.key.bare,
                schema_name: self.key.schema_name.clone(),
            },
            deletes: self.deletes.clone(),
            record_time: self.record_time,
            source_headers: self.source_headers.clone(),
            transforms: self.transforms.clone(),
            schema_change: self.schema_change,
            recreated: self.identity.recreated,
            errors: self.errors.clone(),
            types: self.source.types.clone(),
            quote_identifiers: self.source.quote_identifiers,
            unqualified: self.selection.is_unqualified(),
            database: self.source.url.database.clone(),
            statement_timeout: self.source.statement_timeout,
            topic_prefix: self.topic_prefix.clone(),
            offsets_topic: self.offsets.topic.clone(),
        }
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
    fn for_table(&self, relation: &Relation) -> KeyColumns {
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
    /// The topic of the records, behind the transforms (`connector-config.md`, 8).
    ///
    /// # Errors
    /// `Config` for a query without `topic.prefix`, and for a name that no topic of records can have.
    pub fn topic(&self) -> Result<Arc<str>> {
        self.valid_topic(self.transforms.route(self.plain_topic()?))
    }

    /// The topic before any transform.
    ///
    /// # Errors
    /// `Config` for a query without `topic.prefix`.
    pub fn plain_topic(&self) -> Result<String> {
        match &self.relation {
            Relation::Table(id) => Ok(format!("{}{}", self.topic_prefix, id.name)),
            Relation::Query(_) if self.topic_prefix.is_empty() => {
                Err(Error::config("topic.prefix is the whole topic name with `query`, and is empty"))
            }
            Relation::Query(_) => Ok(self.topic_prefix.clone()),
        }
    }

    /// A name that a topic of records can have.
    ///
    /// # Errors
    /// `Config` if it cannot.
    pub fn valid_topic(&self, name: String) -> Result<Arc<str>> {
        let relation = &self.relation;
        let other = if self.transforms.is_empty() { "topic.prefix" } else { "topic.prefix, or another transform," };
        if name == self.offsets_topic {
            // E7: no target topic may be the offsets topic.
            return Err(Error::config(format!("the records of {relation} would go to the offsets topic `{name}`"))
                .advise(format!("choose another {other} or offset.storage.topic")));
        }
        if self.errors.dead_letters.as_ref().is_some_and(|letters| letters.topic == name) {
            return Err(Error::config(format!("the records of {relation} would go to the dead letter topic `{name}`"))
                .advise(format!("choose another {other} or errors.deadletterqueue.topic.name")));
        }
        if name.is_empty() || name.len() > 249 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        {
            return Err(Error::config(format!("`{name}` is not a valid topic name"))
                .with("table", relation)
                .advise("Kafka allows letters, digits, `.`, `_` and `-`, at most 249 of them"));
        }
        Ok(name.into())
    }
}
