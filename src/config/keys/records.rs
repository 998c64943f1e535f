//! Keys of rowtide's own about records: deletes by flag, partitions, timestamps, headers.

use super::{Allowed, KeyDefinition, Kind, own_key};
use crate::config::spec::PartitionBy;

/// The values of `partition.by` in words.
pub(super) const PARTITION_BY: &str =
    "key, table, or columns: and a list of columns, each once (columns:region,customer_id)";

/// True if a text is a value of `partition.by`.
pub(super) fn is_partition_by(text: &str) -> bool {
    PartitionBy::of(text).is_some()
}

pub(super) static KEYS: &[KeyDefinition] = &[
    own_key(
        "delete.mode",
        Kind::Text,
        "Deleted rows: `none`, they are not seen; `soft`, a row that `delete.column` flags becomes a tombstone of its key \
         (canal-json and debezium-json: a DELETE). A row whose flag is taken back is an ordinary record again.",
    )
    .or("none")
    .allow(Allowed::AnyCase(&["none", "soft"])),
    own_key(
        "delete.column",
        Kind::Text,
        "For `delete.mode=soft`: the column that flags deleted rows. A boolean (true), a nullable timestamp or date (set), or \
         `column=value` for integers, decimals, texts and booleans. Trailing blanks of a text do not count.",
    )
    .or(""),
    own_key(
        "delete.emit",
        Kind::Text,
        "For `delete.mode=soft`: `tombstone` alone, or `both`, the row as it was left and then the tombstone.",
    )
    .or("tombstone")
    .allow(Allowed::AnyCase(&["tombstone", "both"])),
    own_key(
        "partition.by",
        Kind::Text,
        "The partition of records: `key`, by the record key, those without one spread over all; \
         `columns:COLUMN,...`, by these columns of the row, also such that are no part of its record; `table`, all \
         records of a table in one. Each is the murmur2 of Java's producer: of the key's bytes; of the columns' \
         values as StringConverter prints them, bytes as they are, NULL as the empty text, with commas between; of \
         the table's dotted name, and `query` for a query; in UTF-8. A row whose columns change goes to another \
         partition then: readers see its records in no order, and compaction keeps one of its key in each.",
    )
    .or("key")
    .allow(Allowed::Test(PARTITION_BY, is_partition_by)),
    own_key(
        "record.timestamp",
        Kind::Text,
        "The timestamp of records: `now`, when the record is sent; `column`, the timestamp column of its row (the first that \
         is not NULL), or when it is sent where `table.PATTERN.mode` leaves a table without one; `commit`, when the transaction \
         that wrote the row was committed, which PostgreSQL tells of tables with `track_commit_timestamp=on`, or when it is \
         sent for rows of which the server knows no more (committed before that was set, or frozen long ago). Retention by \
         time then counts from there.",
    )
    .or("now")
    .allow(Allowed::AnyCase(&["now", "column", "commit"]))
    .low(),
    own_key(
        "headers.include",
        Kind::List,
        "Headers about the source of each record: any of `database`, `schema`, `table`, `mode`, `guard` (the level of the \
         late-commit guard), `poll` (the same in all records of a poll, greater in later ones of the table) and `server` (its \
         identity). They are named `rowtide.database` and so on.",
    )
    .or("")
    .low(),
];
