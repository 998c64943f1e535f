//! How database types become field types (`connector-config.md`, 2.5).

use super::{Allowed, KeyDefinition, Kind, key, own_key};

pub(super) static KEYS: &[KeyDefinition] = &[
    key("numeric.mapping", Kind::Text, "What becomes of NUMERIC columns: decimals, or integers and doubles that fit.")
        .allow(Allowed::LowerOrUpper(&["none", "precision_only", "best_fit", "best_fit_eager_double"]))
        .low(),
    key("numeric.precision.mapping", Kind::Boolean, "Older form; true is `numeric.mapping=precision_only`.")
        .or("false")
        .low(),
    key("timestamp.granularity", Kind::Text, "How timestamps are written: milliseconds as Connect's type, or finer.")
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
    key("date.calendar.system", Kind::Text, "How days before 1582-10-15 are counted.")
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
];
