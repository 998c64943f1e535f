//! Keys that Kafka Connect does not know: what the record key is made of, and what to do about cursor
//! values that would lose rows and about rows that are too large.

use super::{Allowed, KeyDefinition, Kind, own_key};
use crate::config::values::is_namespace;

pub(super) static KEYS: &[KeyDefinition] = &[
    own_key(
        "key.mode",
        Kind::Text,
        "The record key: `none` as in Connect, `primary_key` the table's primary key, `columns` those of \
         `message.key.columns`.",
    )
    .or("none")
    .allow(Allowed::AnyCase(&["none", "primary_key", "primary-key", "columns"]))
    .high(),
    own_key(
        "message.key.columns",
        Kind::Text,
        "For `key.mode=columns`: `table:column,column;table:column`. The table is a regular expression that matches the \
         whole dotted or bare name; the first match counts.",
    )
    .or(""),
    own_key("key.format", Kind::Text, "`record`: a record of the key's columns. `field`: the bare value of the only one.")
        .or("record")
        .allow(Allowed::AnyCase(&["record", "field"])),
    own_key("key.schema.name", Kind::Text, "The name of the key's record; absent: nameless, as ValueToKey makes it.").low(),
    own_key(
        "schema.name.format",
        Kind::Text,
        "The name of the record schema of values, a template as `topic.name.format`, with letters, digits, dots and underscores \
         between its placeholders (`shop.${schema}.${table}`). Of a query the name itself. Absent: the bare name of the table, \
         and none for a query, as in Connect.",
    ),
    own_key(
        "schema.namespace",
        Kind::Text,
        "What stands before the name of the record schema of values, with a dot; in Avro it is its namespace.",
    )
    .allow(Allowed::Test("names of letters, digits and underscores, with dots between", is_namespace)),
    own_key(
        "schema.doc",
        Kind::Text,
        "The descriptions of records and fields in their schemas: `none`, or `comments`, the comments that PostgreSQL, MySQL, \
         MariaDB and TiDB keep on tables and columns (SQLite keeps none): `doc` in Avro and in Kafka Connect's JSON schemas, \
         `description` in JSON Schema. Of a query PostgreSQL alone tells those of its columns. A comment that changes is a new \
         version of the schema once the table is described again: at the next start, or with its columns (Apicurio keeps the old \
         version: it takes no notice of descriptions); it is no change of columns to `schema.change`.",
    )
    .or("none")
    .allow(Allowed::AnyCase(&["none", "comments"]))
    .low(),
    own_key(
        "schema.change",
        Kind::Text,
        "When a table's columns change while the connector runs: `evolve` registers the new schema, if the subject's \
         rule allows it, and goes on; `pause-table` stops the table until it, or the connector, is restarted; `fail` ends the \
         connector. Each says what has changed.",
    )
    .or("evolve")
    .allow(Allowed::AnyCase(&["evolve", "pause-table", "fail"])),
    own_key(
        "table.recreated",
        Kind::Text,
        "When a table begins anew under its name (TRUNCATE that restarts its ids, DROP and CREATE, another SQLite file), its \
         rows lie before the position and would never be read. `fail` stops the table and says so; `follow` reads it from \
         its beginning, its offset moves with its first rows. What only writes a table anew (VACUUM FULL, OPTIMIZE, ALTER, \
         online schema changes) goes on.",
    )
    .or("fail")
    .allow(Allowed::AnyCase(&["fail", "follow"])),
    own_key(
        "server.identity",
        Kind::Text,
        "The servers that the stored offsets belong to; another one stops the connector. `host`: the one they were \
         read from. `cluster`: also a promoted replica of it, which MySQL and MariaDB prove by GTIDs \
         (docs/guarantees.md). `off`: any.",
    )
    .or("host")
    .allow(Allowed::AnyCase(&["host", "cluster", "off"])),
    own_key(
        "memory.max.bytes",
        Kind::Long,
        "About how much memory the process may use, whatever the size of the tables and however slow the brokers: pages and \
         the producers' queues are divided among the tasks. The connectors of a process share the largest that one of them \
         gives, and none uses more than its own.",
    )
    .or("268435456")
    .allow(Allowed::Range(44_040_192, i64::MAX)),
    own_key(
        "cursor.null",
        Kind::Text,
        "Rows whose cursor column is NULL, which Connect never reads. `ignore`: they are not polled, and that is said: \
         counted in the status and the metrics, warned of once with the key of one, told by `rowtide check`. `fail` stops \
         the table.",
    )
    .or("ignore")
    .allow(Allowed::AnyCase(&["ignore", "fail"])),
    own_key(
        "cursor.zero.date",
        Kind::Text,
        "Rows whose timestamp is MySQL's `0000-00-00`, which is no time to poll by and which Connect never reads. `ignore`: \
         they are not polled, and that is said as with `cursor.null`. `fail` stops the table.",
    )
    .or("ignore")
    .allow(Allowed::AnyCase(&["ignore", "fail"])),
    own_key(
        "cursor.future",
        Kind::Text,
        "Rows with a time above the database's clock. `wait`: they are read when their time has come, as in Connect, and \
         until then that is said as with `cursor.null`. `fail`: a time more than a day ahead stops the table. An id beyond \
         those to come (NaN, infinity, a UUIDv7 or ULID of more than a day ahead) hides their rows and stops the table in any \
         case.",
    )
    .or("wait")
    .allow(Allowed::AnyCase(&["wait", "fail"])),
    own_key(
        "cursor.before.epoch",
        Kind::Text,
        "Rows with a time before 1970, where Connect's first read begins. `ignore`: they are not polled, and that is said as \
         with `cursor.null`. `fail` stops the table, `read` reads them. Of no meaning where `timestamp.initial` says where \
         reading begins.",
    )
    .or("ignore")
    .allow(Allowed::AnyCase(&["ignore", "fail", "read"])),
    own_key(
        "row.too.large",
        Kind::Text,
        "A row whose record is larger than the producer's `max.request.size` or the topic's `max.message.bytes`: `fail` stops \
         the table, `dlq` leaves the row out and tells the dead letter topic, `omit-columns` sets the largest nullable columns \
         to null until it fits and names them in the header `rowtide.omitted`.",
    )
    .or("fail")
    .allow(Allowed::AnyCase(&["fail", "dlq", "omit-columns"])),
    own_key(
        "commit.guard",
        Kind::Text,
        "The guard against late commits: rows whose transaction commits after later rows were read, which Connect \
         loses. `auto`: the best method that works here (`rowtide explain` and the status show it, and the grant that \
         would raise its level). `snapshot`: they are found by their transactions, or by reading the past (TiDB). \
         `window`: they are those not seen since the oldest open transaction began. `gaps`: they are those whose ids \
         were passed over. `hold`: nothing is read that an open transaction may still precede. `rescan`: what is \
         younger than `commit.guard.window.ms` is read again and again. `delay`: only `timestamp.delay.interval.ms`. \
         `off`: nothing, and the offsets are Connect's to the byte.",
    )
    .or("auto")
    .allow(Allowed::AnyCase(&["auto", "snapshot", "window", "hold", "gaps", "rescan", "delay", "off"]))
    .high(),
    own_key(
        "commit.guard.window.ms",
        Kind::Long,
        "The window in which late rows are looked for where the age of an open transaction is not known: where the \
         database does not show its transactions, at the very first poll of a table, and after the database's clock \
         was set back.",
    )
    .or("600000")
    .allow(Allowed::Range(0, i64::MAX)),
    own_key(
        "commit.guard.max.wait.ms",
        Kind::Long,
        "The longest time that `hold` waits for one open transaction before `commit.guard.on.timeout` applies.",
    )
    .or("60000")
    .allow(Allowed::Range(0, i64::MAX)),
    own_key(
        "commit.guard.on.timeout",
        Kind::Text,
        "The reaction once `commit.guard.max.wait.ms` is over, or more rows have to be remembered than an offset holds \
         one by one (4,096). `hold`: nothing newer is read until the transaction ends. `rescan`: reading goes on, and \
         a restart meanwhile repeats what was read if thousands of rows come late while it lasts. `fail`: the table \
         stops.",
    )
    .or("rescan")
    .allow(Allowed::AnyCase(&["hold", "rescan", "fail"])),
];
