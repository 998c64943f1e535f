//! Keys that map database types to field types (`connector-config.md`, 2.5).

use super::{Allowed, KeyDefinition, Kind, key, own_key};
use crate::model::drivers::DRIVER_TYPES;

pub(super) static KEYS: &[KeyDefinition] = &[
    key("numeric.mapping", Kind::Text, "The mapping of NUMERIC columns: decimals, or integers and doubles that fit.")
        .allow(Allowed::LowerOrUpper(&["none", "precision_only", "best_fit", "best_fit_eager_double"]))
        .low(),
    key("numeric.precision.mapping", Kind::Boolean, "Older form; true is `numeric.mapping=precision_only`.")
        .or("false")
        .low(),
    key("timestamp.granularity", Kind::Text, "The form of timestamps: milliseconds as Connect's type, or finer.")
        .or("connect_logical")
        .allow(Allowed::LowerOrUpper(&[
            "connect_logical",
            "micros_long",
            "micros_string",
            "micros_iso_datetime_string",
            "nanos_long",
            "nanos_string",
            "nanos_iso_datetime_string",
        ]))
        .low(),
    key("date.calendar.system", Kind::Text, "The calendar of days before 1582-10-15.")
        .or("LEGACY")
        .allow(Allowed::Words(&["LEGACY", "PROLEPTIC_GREGORIAN"]))
        .low(),
    own_key(
        "type.unsupported",
        Kind::Text,
        "A column whose type Connect cannot carry: `text` delivers the database's text, `fail` stops the table, `skip` \
         leaves the column out as Connect does, and the status says so.",
    )
    .or("text")
    .allow(Allowed::AnyCase(&["text", "fail", "skip"])),
    own_key(
        "decimal.handling",
        Kind::Text,
        "A column that `numeric.mapping` leaves a decimal: `avro-decimal` is Connect's Decimal, `string` the exact number \
         as plain text, `double` the nearest double.",
    )
    .or("avro-decimal")
    .allow(Allowed::AnyCase(&["avro-decimal", "string", "double"])),
    own_key(
        "unsigned.bigint",
        Kind::Text,
        "MySQL's BIGINT UNSIGNED: `long-or-fail` is a long as in Connect, and a value beyond 2^63-1 stops the table; \
         `decimal` is a Decimal without digits after the point, `string` the digits.",
    )
    .or("long-or-fail")
    .allow(Allowed::AnyCase(&["long-or-fail", "decimal", "string"])),
    own_key(
        "time.handling",
        Kind::Text,
        "Times of day: `millis` is Connect's Time, `string` the database's text, with all digits, hours beyond a day, \
         signs and offsets.",
    )
    .or("millis")
    .allow(Allowed::AnyCase(&["millis", "string"])),
    own_key(
        "zero.date",
        Kind::Text,
        "Dates that are none, MySQL's `0000-00-00` and PostgreSQL's `infinity`: `null` makes the field optional, `epoch` is \
         1970-01-01, `string` delivers the whole column as the database's text, `fail` stops the table. Absent: null if \
         the column may be null, else the table stops.",
    )
    .allow(Allowed::AnyCase(&["null", "epoch", "string", "fail"])),
    own_key(
        "dst.overlap",
        Kind::Text,
        "A time without a zone that comes twice in `db.timezone`, when daylight saving time ends: the `later` instant as in \
         Connect, the `earlier` one, or `fail` stops the table. Of record values; offsets stay Connect's.",
    )
    .or("later")
    .allow(Allowed::AnyCase(&["later", "earlier", "fail"])),
    own_key(
        "type.mismatch",
        Kind::Text,
        "A value of another type than its column declares, which SQLite stores: `fail` stops the table, `text` delivers \
         the whole column as text.",
    )
    .or("fail")
    .allow(Allowed::AnyCase(&["fail", "text"])),
    own_key(
        "driver.types",
        Kind::Text,
        "MySQL, MariaDB and TiDB: the JDBC driver whose types columns have where drivers differ (`tinyint(1)`, unsigned \
         `tinyint` and `smallint`, `bit`, `uuid`). `auto` takes the one that the subject's newest \
         schema is of, column by column; where it has none, the newest driver of the URL's kind, with integers for `bit(n)` \
         that hold its values. `mysql` and `mariadb` are the newest of each.",
    )
    .or("auto")
    .allow(Allowed::AnyCase(&DRIVER_TYPES)),
    own_key(
        "column.*",
        Kind::Text,
        "A setting of one column, `column.TABLE.COLUMN.SETTING`: `type.unsupported`, `decimal.handling`, `unsigned.bigint`, \
         `time.handling`, `zero.date`, `dst.overlap`, `type.mismatch` or `driver.types`. The table is the dotted name that `explain` shows, \
         or the bare one; that of a query is `query`.",
    ),
];

/// The settings a column can have for itself.
pub(super) static OF_COLUMNS: &[&str] = &[
    "type.unsupported",
    "decimal.handling",
    "unsigned.bigint",
    "time.handling",
    "zero.date",
    "dst.overlap",
    "type.mismatch",
    "driver.types",
];
