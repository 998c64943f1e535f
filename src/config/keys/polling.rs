//! Keys of polling: times and amounts of reads, and topics (`connector-config.md`, 2.4; `delivery-and-runtime.md`,
//! 5.1).

use super::{Allowed, Home, KeyDefinition, Kind, key, own_key};
use crate::config::values::{is_topic_text, is_zone};

const OWN_BUFFER: &str = "rowtide bounds its memory by itself, and a row never waits for a batch to fill";

pub(super) static KEYS: &[KeyDefinition] = &[
    key(
        "poll.interval.ms",
        Kind::Int,
        "The pause of a table that has nothing newer; zero or less: none. A table with more rows goes on at once.",
    )
    .or("5000")
    .high().differs("a table with more rows goes on at once"),
    own_key(
        "poll.interval.max.ms",
        Kind::Int,
        "The longest pause of a table that stays idle: from the fourth poll in a row that finds nothing, the pause doubles up to \
         this, and is `poll.interval.ms` again when rows come. Zero: it never grows.",
    )
    .or("0")
    .low(),
    own_key(
        "load.order",
        Kind::Text,
        "The order in which a table without an offset is read for the first time, in the modes with a timestamp. `cursor`: that \
         of its polls. `primary_key`: that of its primary key, which a database that stores rows by it (MySQL, MariaDB, TiDB) \
         walks at a fraction of the cost, as does any that has no index on the cursor; rows above a time below which nothing can \
         be committed any more are left to the polls, which begin once the others are read. The records of one key keep their \
         order, the topic as a whole has not that of the cursor. A table without such a key is read by its cursor. `auto`: \
         `primary_key` for tables of a hundred thousand rows and more where it is the cheaper walk; `rowtide explain` says \
         which.",
    )
    .or("auto")
    .allow(Allowed::AnyCase(&["auto", "cursor", "primary_key"])),
    own_key(
        "poll.windows",
        Kind::Text,
        "The times of the week at which tables are polled, by the clock of this machine in the zone `db.timezone`: entries `[not] \
         [DAYS] [FROM-TO]`, separated by commas (`Mon-Fri 20:00-06:00, Sat, Sun, not Sun 02:00-04:00`). Tables are polled in any \
         of the entries without `not` (always, if there is none) and in none of those with it. An entry that ends before it \
         begins ends on the next day. Outside of them the tables wait with their reason in the status, no session is kept, new \
         tables are not looked for; a statement that runs is not broken off. A start looks at the tables whatever the time, and \
         `run --once` reads them. Empty: always.",
    )
    .or("")
    .low(),
    own_key(
        "replica.lag.max.ms",
        Kind::Int,
        "Where the connection leads to a replica (a standby of PostgreSQL, a replica of MySQL or MariaDB), the lag behind its \
         primary from which tables are not polled: they wait, with the reason in the status, and the lag is looked at again after \
         pauses that grow to 30 s. A delay that is configured on the replica is no lag. MySQL and MariaDB tell it to accounts \
         with REPLICATION CLIENT (MariaDB from 10.5: REPLICA MONITOR); where it is not told, that is said once, and tables are \
         polled. Zero: whatever the lag.",
    )
    .or("0")
    .allow(Allowed::Range(0, i32::MAX as i64))
    .low(),
    own_key(
        "load.rows.per.second",
        Kind::Int,
        "The most rows a second that are read of a table that has more of them than a page: at its first load, and when it \
         catches up. For a database that has other work. Zero: as fast as it goes.",
    )
    .or("0")
    .allow(Allowed::Range(0, i32::MAX as i64)),
    own_key(
        "plan.guard",
        Kind::Text,
        "Tables whose polls no index serves, so that each scans or sorts all of the table, by the database's own plan: asked \
         for when polling begins, every ten minutes, and after a poll of more than a second. `warn`: said in the log and the \
         status, with the index that would serve. `refuse`: the table is not polled, and is looked at again every \
         `table.poll.interval.ms`. `off`: not asked. Custom queries and `bulk` are not judged.",
    )
    .or("warn")
    .allow(Allowed::AnyCase(&["off", "warn", "refuse"]))
    .low(),
    key(
        "batch.max.rows",
        Kind::Int,
        "Rows of the first page of a poll; pages grow while full ones follow each other. Default 100 with Aiven's class.",
    )
    .or("1000")
    .allow(Allowed::Range(1, 10_000_000))
    .low().differs("it is the first page of a poll; pages grow while full ones follow each other, and memory is bounded by `memory.max.bytes`"),
    key("max.buffer.size", Kind::Int, "Records held in memory.")
        .or("0")
        .allow(Allowed::Range(0, i32::MAX as i64))
        .low()
        .ignored(OWN_BUFFER),
    key("poll.linger.ms", Kind::Long, "The longest time for filling up a batch.").or("5000").low().ignored(OWN_BUFFER),
    key(
        "timestamp.delay.interval.ms",
        Kind::Long,
        "Rows younger than this are left for later, so that transactions in flight can commit. A negative one, a folk remedy \
         for columns whose wall clocks are those of another zone than `db.timezone`, reads so far beyond the clock, as in \
         Connect; the guard against late commits is off then.",
    )
    .or("0").differs("it is rarely needed, since `commit.guard` delivers rows that commit late"),
    key(
        "db.timezone",
        Kind::Text,
        "The zone in which date-times without a zone are read: an IANA id, an offset such as +02:00, or a Java short id.",
    )
    .or("UTC")
    .allow(Allowed::Test("an IANA id such as Europe/Berlin, or an offset such as +02:00", is_zone)),
    key(
        "topic.prefix",
        Kind::Text,
        "The topic of a table is this and the bare table name; a query's topic is this alone.",
    )
    .or("")
    .allow(Allowed::Test("at most 249 letters, digits, dots, underscores and hyphens", is_topic_text))
    .high().differs("characters that no topic can have are replaced in names of tables, and two tables of one topic are refused"),
    own_key(
        "topic.name.format",
        Kind::Text,
        "The topic of a table, a template: `${topic.prefix}`, `${catalog}`, `${schema}`, `${table}`, and letters, digits, dots, \
         underscores and hyphens between (`tidb_${schema}_${table}`). A database of MySQL, MariaDB and TiDB is catalog and \
         schema in one; the catalog of PostgreSQL is the database. Absent: `${topic.prefix}${table}`, and \
         `${topic.prefix}` alone for a query. Characters of names that no topic can have become `_`. Two tables of one \
         topic are refused, also if their names differ in `.` and `_` only.",
    ),
    key(
        "topic.creation.enable",
        Kind::Boolean,
        "Missing topics of tables are created, as `topic.creation.*` of connectors says. `false`: the brokers are only asked about \
         them, and make them if `auto.create.topics.enable` is set there.",
    )
        .or("true")
        .low()
        .home(Home::Worker),
    key(
        "topic.creation.groups",
        Kind::List,
        "Names of groups of topics, in order; the first that matches counts. The group `default` is always there, last.",
    )
    .or("")
    .low(),
    key(
        "topic.creation.*",
        Kind::Text,
        "`topic.creation.GROUP.replication.factor` and `.partitions` (required for `default` once any of these keys is \
         there; -1 is the broker's default), `.include` and `.exclude` (regular expressions of topic names), and any \
         topic setting. Without these keys missing topics are made with the broker's defaults.",
    )
    .low().differs("settings of a group that is not declared are warned of"),
];
