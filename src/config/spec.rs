//! The validated configuration, in the words of the components. Values are parsed, checked against each
//! other and free of strings that mean something; a component is handed its own slice and nothing else.
//! Made by [`config`](super); nothing here does I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

pub use crate::guard::OnTimeout;
use crate::guard::Wanted;
use crate::transform::ChainSpec;

mod backfill;
mod columns;
mod host;
mod identity;
mod polling;
mod records;
pub(super) mod rules;
mod schema_name;
mod table;
mod task;
mod template;
pub(super) mod topic;
mod types;
mod windows;

pub use crate::convert::ConverterSpec;
pub use crate::setting::Secret;
pub use crate::zone::Overlap;
pub use columns::ColumnChoice;
pub use host::{ClientAuth, ConfigTopicSpec, CorsSpec, HostSpec, ListenerSpec, RestSpec};
pub use identity::{IdentitySpec, Recreated, ServerIdentity};
pub use polling::{LoadOrder, PlanGuard, PollSpec};
pub use records::{DeleteSpec, PartitionBy, RecordTime, SourceHeader};
pub use rules::{AppliedRule, ColumnPattern, TableRules};
pub use schema_name::SchemaNaming;
pub use table::{KeyColumns, TableKey, TableMode, TableSpec};
pub use task::TaskSpec;
pub use template::Template;
pub use topic::{TopicNaming, is_one_to_brokers};
pub use types::{
    ColumnSetting, ColumnTypes, DecimalHandling, Granularity, Mismatch, NumericMapping, TimeHandling, TypeChange,
    TypeSpec, UnsignedBigint, Unsupported, ZeroDate,
};
pub use windows::PollWindows;

/// One connector with all it needs to run.
#[derive(Debug, Clone)]
pub struct ConnectorSpec {
    /// `name`.
    pub name: String,
    /// The file it was read from, as it was given.
    pub origin: String,
    /// The database.
    pub source: SourceSpec,
    /// The check that it is still the one that was read.
    pub identity: IdentitySpec,
    /// The tables, or the query.
    pub selection: Selection,
    /// The mode: the recognition of new rows.
    pub mode: ModeSpec,
    /// The times and amounts of reads.
    pub polling: PollSpec,
    /// The late-commit guard: `commit.guard` and its settings.
    pub guard: GuardSpec,
    /// The naming of topics.
    pub naming: TopicNaming,
    /// The naming of record schemas of values.
    pub schema_naming: SchemaNaming,
    /// The settings of single tables (`table.PATTERN.SETTING`).
    pub tables: TableRules,
    /// The record key.
    pub key: KeySpec,
    /// `delete.mode=soft` and its settings.
    pub deletes: Option<DeleteSpec>,
    /// `partition.by`.
    pub partition_by: PartitionBy,
    /// `record.timestamp`.
    pub record_time: RecordTime,
    /// `headers.include`.
    pub source_headers: Vec<SourceHeader>,
    /// `header.converter`.
    pub header_converter: ConverterSpec,
    /// `schema.doc=comments`: records and fields are described by the database's comments.
    pub has_comments: bool,
    /// `schema.change`.
    pub schema_change: SchemaChange,
    /// `memory.max.bytes`.
    pub memory_max: usize,
    /// `tasks.max`.
    pub tasks_max: usize,
    /// `key.converter` and its settings.
    pub key_converter: ConverterSpec,
    /// `value.converter` and its settings.
    pub value_converter: ConverterSpec,
    /// The brokers.
    pub kafka: KafkaSpec,
    /// The offsets topic.
    pub offsets: OffsetsSpec,
    /// `topic.creation.*`.
    pub topics: TopicSpec,
    /// `transforms` and `predicates`.
    pub transforms: ChainSpec,
    /// The treatment of rows that cannot be delivered.
    pub errors: RowErrorSpec,
    /// Notes at start: defaults that differ from Connect's, keys accepted and ignored.
    pub notes: Vec<String>,
}

/// The reaction to a change of a table's columns while the connector runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaChange {
    /// The new schema is registered, if the subject's rule allows it, and the table goes on.
    Evolve,
    /// The table waits for an operator; the others go on.
    PauseTable,
    /// The connector ends.
    Fail,
}

/// The specification of commands that have no connector.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// The brokers.
    pub kafka: KafkaSpec,
    /// The offsets topic.
    pub offsets: OffsetsSpec,
    /// `key.converter` and its settings.
    pub key_converter: ConverterSpec,
    /// `value.converter` and its settings.
    pub value_converter: ConverterSpec,
    /// Defaults that differ from Connect's.
    pub notes: Vec<String>,
}

/// The database and how its values are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// Its address.
    pub url: SourceUrl,
    /// `connection.user` (or from the URL).
    pub user: Option<String>,
    /// `connection.password` (or from the URL).
    pub password: Option<Secret>,
    /// The mapping of types.
    pub types: ColumnTypes,
    /// `quote.sql.identifiers`: false is `never`.
    pub quote_identifiers: bool,
    /// `transaction.isolation.mode`; none is the one that the database brings.
    pub isolation: Option<Isolation>,
    /// The longest time for opening a connection.
    pub connect_timeout: Duration,
    /// The longest silence of a statement before it is called hung.
    pub statement_timeout: Duration,
    /// `connection.pool.size`: the sessions that the process may have in the server.
    pub pool_size: usize,
}

/// A parsed `connection.url`, JDBC or native.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceUrl {
    /// The dialect's name: `postgresql`, `mysql`, `mariadb`, `tidb`, `sqlite`.
    pub dialect: String,
    /// Hosts with ports, in order; empty for a file.
    pub hosts: Vec<(String, u16)>,
    /// Database name; for SQLite the path (or `:memory:`).
    pub database: Option<String>,
    /// Driver parameters of the URL and of `connection.*`, in the one vocabulary of the dialect's file in
    /// `config/url` (`connector-config.md`, 11.4 and 12).
    pub parameters: BTreeMap<String, String>,
}

/// The URL without user, password and parameters, fit for logs.
impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.dialect)?;
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            let separator = if index == 0 { "//" } else { "," };
            let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
            write!(f, "{separator}{open}{host}{close}:{port}")?;
        }
        match (&self.database, self.hosts.is_empty()) {
            (Some(database), true) => f.write_str(database),
            (Some(database), false) => write!(f, "/{database}"),
            (None, _) => Ok(()),
        }
    }
}

/// `transaction.isolation.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// READ_UNCOMMITTED.
    ReadUncommitted,
    /// READ_COMMITTED.
    ReadCommitted,
    /// REPEATABLE_READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// The selection to poll.
#[derive(Clone)]
pub enum Selection {
    /// Tables.
    Tables(TableFilter),
    /// `query`.
    Query {
        /// The text, without a trailing semicolon.
        sql: String,
        /// `query.masked`.
        masked: bool,
    },
}

/// The filter of tables.
#[derive(Debug, Clone, Default)]
pub struct TableFilter {
    /// The part of the catalog that is asked for.
    pub catalog: CatalogFilter,
    /// `table.whitelist`.
    pub whitelist: Vec<String>,
    /// `table.blacklist`.
    pub blacklist: Vec<String>,
    /// `table.include.list`, anchored.
    pub include: Vec<Regex>,
    /// `table.exclude.list`, anchored.
    pub exclude: Vec<Regex>,
    /// `table.names.qualify` (Aiven); false: bare table names in SQL, topic and offsets.
    pub unqualified: bool,
}

/// The part of the catalog that is asked for.
#[derive(Debug, Clone)]
pub struct CatalogFilter {
    /// `catalog.pattern`; the empty string means objects without a catalog.
    pub catalog: Option<String>,
    /// `schema.pattern`, SQL LIKE.
    pub schema: Option<String>,
    /// `table.types`, upper case.
    pub types: Vec<String>,
}

impl Default for CatalogFilter {
    fn default() -> Self {
        Self { catalog: None, schema: None, types: vec!["TABLE".to_owned()] }
    }
}

/// `mode` and the columns it needs, before a table is known.
#[derive(Debug, Clone)]
pub struct ModeSpec {
    /// The mode.
    pub mode: ModeName,
    /// `incrementing.column.name`; none: the table's auto-increment column.
    pub incrementing: Option<String>,
    /// `timestamp.column.name`.
    pub timestamp: Vec<String>,
    /// `incrementing.column.mapping`.
    pub incrementing_mapping: Vec<(Regex, String)>,
    /// `timestamp.columns.mapping`.
    pub timestamp_mapping: Vec<(Regex, Vec<String>)>,
    /// `timestamp.initial`.
    pub timestamp_initial: Option<TimestampInitial>,
    /// `incrementing.initial` (exclusive).
    pub incrementing_initial: Option<i64>,
    /// `validate.non.null`.
    pub validate_non_null: bool,
    /// The fate of rows whose cursor values no poll reads.
    pub odd: OddCursorSpec,
}

/// `cursor.null`, `cursor.zero.date`, `cursor.before.epoch`, `cursor.future`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OddCursorSpec {
    /// `cursor.null=fail`.
    pub null_fails: bool,
    /// `cursor.zero.date=fail`.
    pub zero_date_fails: bool,
    /// `cursor.before.epoch`.
    pub before_epoch: BeforeEpoch,
    /// `cursor.future=fail`.
    pub future_fails: bool,
}

/// `cursor.before.epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeEpoch {
    /// Ignores such rows: they are not polled.
    Ignore,
    /// Stops the table for such rows.
    Fail,
    /// Reads such rows as others.
    Read,
}

/// `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeName {
    /// bulk
    Bulk,
    /// incrementing
    Incrementing,
    /// timestamp
    Timestamp,
    /// timestamp+incrementing
    TimestampIncrementing,
}

/// `timestamp.initial`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampInitial {
    /// Milliseconds since the epoch, exclusive.
    Millis(i64),
    /// The database's clock at the first start.
    Now,
}

/// The late-commit guard: `commit.guard` and its settings.
#[derive(Debug, Clone)]
pub struct GuardSpec {
    /// `commit.guard`.
    pub wanted: Wanted,
    /// `commit.guard.window.ms`.
    pub window: Duration,
    /// `commit.guard.max.wait.ms`.
    pub max_wait: Duration,
    /// `commit.guard.on.timeout`.
    pub on_timeout: OnTimeout,
}

/// The record key.
#[derive(Debug, Clone)]
pub struct KeySpec {
    /// `key.mode` and, for `columns`, `message.key.columns`.
    pub mode: KeyMode,
    /// `key.format=field`: the bare value of a single column.
    pub bare: bool,
    /// `key.schema.name`; none: nameless, as Connect's ValueToKey makes it.
    pub schema_name: Option<String>,
}

/// `key.mode`.
#[derive(Debug, Clone)]
pub enum KeyMode {
    /// No key.
    None,
    /// The primary key's columns in key order.
    PrimaryKey,
    /// The columns of the first entry whose pattern matches the table (dotted or bare name).
    Columns(Vec<(Regex, Vec<String>)>),
}

/// The brokers and the clients' settings, still in Kafka's Java names where they come from the user.
#[derive(Clone)]
pub struct KafkaSpec {
    /// `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// `group.id` of the worker: first part of every transactional id (`delivery-and-runtime.md`, 2.2).
    pub group_id: String,
    /// Worker-level settings for all clients: `security.protocol`, `sasl.*`, `ssl.*`, ...
    pub common: BTreeMap<String, String>,
    /// `producer.*` of the worker overlaid by `producer.override.*` of the connector.
    pub producer: BTreeMap<String, String>,
    /// `consumer.*` and `consumer.override.*`.
    pub consumer: BTreeMap<String, String>,
    /// `admin.*` and `admin.override.*`.
    pub admin: BTreeMap<String, String>,
}

impl KafkaSpec {
    /// `<group.id>-<connector>-<task>`, identical to Connect's so that each side fences the other.
    pub fn transactional_id(&self, connector: &str, task: usize) -> String {
        format!("{}-{connector}-{task}", self.group_id)
    }
}

/// The offsets topic (`offsets-topic.md`, 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetsSpec {
    /// `offsets.storage.topic` of the connector, else `offset.storage.topic` of the worker.
    pub topic: String,
    /// `offset.storage.topic` of the worker where the connector has a topic of its own: offsets missing
    /// in `topic` are looked up there.
    pub worker_topic: Option<String>,
    /// `offset.storage.partitions`; -1 is the broker's default.
    pub partitions: i32,
    /// `offset.storage.replication.factor`; -1 is the broker's default.
    pub replication: i32,
    /// `internal.topics.automatic.creation.enable`; false: the topic is there and compacted, and the brokers
    /// are not asked.
    pub automatic_creation: bool,
    /// `offset.storage.file.filename`: what a standalone worker has left. Only looked at.
    pub standalone_file: Option<PathBuf>,
    /// Other `offset.storage.*` settings, passed to the topic.
    pub settings: BTreeMap<String, String>,
}

/// The settings of missing target topics that are created (`delivery-and-runtime.md`, 5.1).
#[derive(Debug, Clone, Default)]
pub struct TopicSpec {
    /// `topic.creation.*` groups, in order, the default one last; empty: the broker's defaults.
    pub groups: Vec<TopicGroup>,
    /// `topic.creation.enable=false`: the brokers make them (`auto.create.topics.enable`) at the first request, or nobody
    /// does.
    pub by_brokers: bool,
}

/// One group of `topic.creation.groups`.
#[derive(Debug, Clone)]
pub struct TopicGroup {
    /// Its alias.
    pub name: String,
    /// Full-match patterns; empty for the default group, which takes every topic.
    pub include: Vec<Regex>,
    /// Patterns that win over `include`.
    pub exclude: Vec<Regex>,
    /// Partitions; -1 is the broker's default.
    pub partitions: i32,
    /// Replication factor; -1 is the broker's default.
    pub replication: i32,
    /// Topic settings, verbatim.
    pub settings: BTreeMap<String, String>,
}

/// The treatment of rows that cannot be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowErrorSpec {
    /// `errors.tolerance=all`: rows with values that cannot be represented are left out.
    pub tolerated: bool,
    /// `errors.log.enable`: each row left out is logged.
    pub logged: bool,
    /// `errors.log.include.messages`: with its values.
    pub values_logged: bool,
    /// `row.too.large`.
    pub too_large: TooLarge,
    /// `errors.deadletterqueue.*`.
    pub dead_letters: Option<DeadLetterSpec>,
}

/// `row.too.large`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLarge {
    /// The table stops.
    Fail,
    /// The row is left out, the dead letter topic is told.
    DeadLetter,
    /// The largest nullable columns are set to null.
    OmitColumns,
}

/// The dead letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterSpec {
    /// `errors.deadletterqueue.topic.name`.
    pub topic: String,
    /// `errors.deadletterqueue.topic.replication.factor`; -1 is the broker's default.
    pub replication: i32,
    /// `errors.deadletterqueue.context.headers.enable`.
    pub headers: bool,
}
