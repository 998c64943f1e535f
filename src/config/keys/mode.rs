//! Keys of the mode: the recognition of new rows (`connector-config.md`, 2.3, 9 and 10).

use super::{Allowed, KeyDefinition, Kind, key};

pub(super) static KEYS: &[KeyDefinition] = &[
    key(
        "mode",
        Kind::Text,
        "The recognition of new rows: `bulk` reads everything at every poll, `incrementing` rows with a greater id, \
         `timestamp` rows with a later time, `timestamp+incrementing` both, which also sees updates. Required.",
    )
    .allow(Allowed::Words(&["bulk", "incrementing", "timestamp", "timestamp+incrementing"]))
    .high(),
    key(
        "incrementing.column.name",
        Kind::Text,
        "The id column: integers, decimals, or text, uuid and bytes whose values grow (UUIDv7, ULID). Absent: the table's auto-increment column. Required with a query.",
    )
    .or("").differs("also text, uuid and bytes whose values grow; where the column is missing or may be null, its table stops and the others go on"),
    key("timestamp.column.name", Kind::List, "The timestamp columns; the first that is not null counts.").or("").differs("where a column is missing or all may be null, its table stops and the others go on"),
    key("incrementing.column.mapping", Kind::List, "The id column per table: `regex:column`, the first match counts.")
        .or("").differs("the first pattern that matches counts; Confluent's fails where several do, and has no use for it without `table.include.list`"),
    key("timestamp.columns.mapping", Kind::List, "The timestamp columns per table: `regex:[column|column]`.").or("").differs("the first pattern that matches counts; Confluent's fails where several do, and has no use for it without `table.include.list`"),
    key(
        "timestamp.initial",
        Kind::Long,
        "The begin of a table without a stored offset, in milliseconds since 1970; -1 is the database's now.",
    )
    .low(),
    key("timestamp.initial.ms", Kind::Long, "The same under the name of Aiven's connector; -1 is a time like others.")
        .low(),
    key("incrementing.initial", Kind::Long, "The begin of a table without a stored offset: rows with a greater id. For \
                                             ids that are numbers.")
        .low(),
    key(
        "validate.non.null",
        Kind::Boolean,
        "The incrementing column and one timestamp column must be declared NOT NULL.",
    )
    .or("true")
    .low().differs("a table that breaks it stops by itself; Confluent's fails the task with all its tables"),
    key(
        "query",
        Kind::Text,
        "A query to poll instead of tables: one statement that reads, without parameters (`?`, `$1`, `:name`). In the modes \
         with a cursor it is used as a subquery, and may not cut its result by LIMIT, FETCH FIRST, OFFSET or SKIP LOCKED. \
         A semicolon at its end and JDBC's `??` are understood.",
    )
    .or("").differs("any one statement that reads, also beginning with WITH. With a cursor it is a subquery, so WHERE, GROUP BY and UNION may stand in it; what cuts its result (LIMIT, OFFSET) is refused"),
    key("query.masked", Kind::Password, "The same, for a text that is not to be shown.").or("").differs("as `query`"),
    key(
        "query.suffix",
        Kind::Text,
        "Text appended to every statement. In the modes with a cursor it stands behind ORDER BY: LIMIT, FETCH FIRST, locks and \
         hints can, what changes order or position (DESC, another column, COLLATE, NULLS, OFFSET, SKIP LOCKED, UNION) is \
         refused.",
    )
    .or("")
    .low().differs("what would change the order or the position (DESC, OFFSET, UNION) is refused"),
    key(
        "query.retry.attempts",
        Kind::Int,
        "Consecutive failures of a table after which it stops; zero or less: it never does.",
    )
    .or("-1")
    .low().differs("after so many the table stops and the others go on; errors that cannot pass stop it at once"),
    key(
        "quote.sql.identifiers",
        Kind::Text,
        "Whether the names of cursor columns are quoted in SQL; NEVER leaves plain ones as they are. Names that rowtide \
         finds itself (tables, other columns, keys) are quoted always.",
    )
        .or("ALWAYS")
        .allow(Allowed::AnyCase(&["always", "never"])).differs("with NEVER only the cursor columns are unquoted"),
    key("sql.quote.identifiers", Kind::Boolean, "The same under the name of Aiven's connector.").low().differs("with false only the cursor columns are unquoted"),
    key("transaction.isolation.mode", Kind::Text, "The isolation level of reading; DEFAULT is the one that the database brings: read committed on PostgreSQL, repeatable read on MySQL, MariaDB and TiDB.")
        .or("DEFAULT")
        .allow(Allowed::Words(&["DEFAULT", "READ_UNCOMMITTED", "READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"]))
        .refuse(&[("SQL_SERVER_SNAPSHOT", "that level is SQL Server's, for which there is no dialect")])
        .low().differs("it holds for each session; Confluent's forgets it when it connects again"),
];
