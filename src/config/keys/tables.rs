//! Keys that select tables (`connector-config.md`, 2.2, 5 and 6).

use super::{KeyDefinition, Kind, key};

pub(super) static KEYS: &[KeyDefinition] = &[
    key(
        "table.whitelist",
        Kind::List,
        "The tables, each as its bare name, its dotted name or its quoted dotted name. Not together with \
         `table.include.list`. With no filter at all every table is polled.",
    )
    .or("").differs("with no filter at all every table is polled, as up to 10.8; later releases of Confluent's refuse that"),
    key("table.blacklist", Kind::List, "Tables to leave out, written likewise. `table.whitelist` wins over it.").or("").differs("beside `table.whitelist` it has no effect and a warning says so, as from 10.9 on; earlier releases and Aiven's refuse both together"),
    key(
        "table.include.list",
        Kind::List,
        "Regular expressions that match the whole dotted name, such as `public\\.orders_.*`.",
    )
    .or(""),
    key("table.exclude.list", Kind::List, "Regular expressions of tables to leave out of those included.").or("").differs("it may stand without `table.include.list`"),
    key("catalog.pattern", Kind::Text, "The catalog to look in; empty means objects without one."),
    key("schema.pattern", Kind::Text, "The schema to look in, as an SQL LIKE pattern; absent means all."),
    key("table.types", Kind::List, "The kinds of relation: TABLE, VIEW, PARTITIONED TABLE, MATERIALIZED VIEW, ...")
        .or("TABLE")
        .low(),
    key(
        "table.poll.interval.ms",
        Kind::Long,
        "The interval at which the database is asked for new and dropped tables.",
    )
    .or("60000")
    .low(),
    key("table.monitoring.startup.polling.limit.ms", Kind::Long, "The longest wait of the start for the first list.")
        .or("10000")
        .low()
        .ignored("rowtide starts a table as soon as it is listed"),
    key("table.names.qualify", Kind::Boolean, "False: bare table names in SQL, topic and offsets (Aiven's connector).")
        .or("true")
        .low(),
];
