//! Keys of rowtide's own about records: deletes by flag, timestamps, headers.

use super::{Allowed, KeyDefinition, Kind, own_key};

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
        "record.timestamp",
        Kind::Text,
        "The timestamp of records: `now`, when the record is sent; `column`, the timestamp column of its row (the first that \
         is not NULL), or when it is sent where `table.PATTERN.mode` leaves a table without one. Retention by time then counts \
         from there.",
    )
    .or("now")
    .allow(Allowed::AnyCase(&["now", "column"]))
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
