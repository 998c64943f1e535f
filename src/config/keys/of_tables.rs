//! Settings that one table can have for itself, `table.PATTERN.SETTING`. The names stand here with the word PATTERN, in
//! whose place a configuration has the name of a table, or a part of it.

use super::records::{PARTITION_BY, is_partition_by};
use super::{Allowed, KeyDefinition, Kind, own_key};

/// The beginning of the names here.
const PATTERN: &str = "table.PATTERN.";

/// The settings.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(|known| known.name.strip_prefix(PATTERN))
}

/// The definition of a setting.
pub(super) fn definition(name: &str) -> Option<&'static KeyDefinition> {
    KEYS.iter().find(|known| known.name.strip_prefix(PATTERN) == Some(name))
}

pub(super) static KEYS: &[KeyDefinition] = &[
    own_key(
        "table.PATTERN.mode",
        Kind::Text,
        "`mode` of the tables that PATTERN matches: a dotted name as `explain` shows it, a bare name, or either with `*` for any \
         characters (`table.shop.*.mode`). Of several patterns that match, a dotted name wins over a bare one, that over one \
         with `*`, and of these the one with more other characters, for each setting by itself; `check` and `explain` say \
         which. A table that gets another mode goes on from its stored offset as with another `mode` of the connector.",
    )
    .allow(Allowed::Words(&["bulk", "incrementing", "timestamp", "timestamp+incrementing"]))
    .high(),
    own_key(
        "table.PATTERN.incrementing.column.name",
        Kind::Text,
        "`incrementing.column.name` of these tables; empty: the auto-increment column of each.",
    ),
    own_key("table.PATTERN.timestamp.column.name", Kind::List, "`timestamp.column.name` of these tables.")
        .allow(Allowed::Test("a list of columns", is_list)),
    own_key("table.PATTERN.key.mode", Kind::Text, "`key.mode` of these tables.")
        .allow(Allowed::AnyCase(&["none", "primary_key", "primary-key", "columns"])),
    own_key(
        "table.PATTERN.message.key.columns",
        Kind::List,
        "The columns of the record key of these tables, without a name of a table before them; `key.mode=columns` follows \
         from it.",
    )
    .allow(Allowed::Test("a list of columns, each once", is_set)),
    own_key("table.PATTERN.topic", Kind::Text, "`topic.name.format` of these tables. Two tables may be given one topic by one key: that is warned of and not refused.")
        .allow(Allowed::Test("a template of a topic's name", is_not_empty)),
    own_key("table.PATTERN.partition.by", Kind::Text, "`partition.by` of these tables.")
        .allow(Allowed::Test(PARTITION_BY, is_partition_by)),
    own_key("table.PATTERN.poll.interval.ms", Kind::Int, "`poll.interval.ms` of these tables."),
    own_key(
        "table.PATTERN.poll.windows",
        Kind::Text,
        "`poll.windows` of these tables, in place of the connector's; empty: always.",
    ),
    own_key(
        "table.PATTERN.where",
        Kind::Text,
        "A condition in the database's SQL that rows of these tables must meet to be read, by its columns (`status = 'paid'`). \
         It is added in parentheses to every statement that reads rows, so it goes together with every mode and with the guard \
         against late commits. A row that comes to meet it later is read if its cursor moves with that. Empty: no condition.",
    )
    .high(),
    own_key(
        "table.PATTERN.columns.include",
        Kind::List,
        "The columns of the records of these tables; `*` in a name is any characters. Others are not read from the database, \
         unless cursor or key are made of them. Empty: all.",
    ),
    own_key(
        "table.PATTERN.columns.exclude",
        Kind::List,
        "The columns that are no part of the records of these tables, likewise; also of those included.",
    ),
];

fn is_not_empty(text: &str) -> bool {
    !text.trim().is_empty()
}

fn is_list(text: &str) -> bool {
    text.split(',').all(is_not_empty)
}

fn is_set(text: &str) -> bool {
    let mut names: Vec<&str> = text.split(',').map(str::trim).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    is_list(text) && names.len() == count
}
