//! Messages about a wrong configuration: the key it is about, and a phrase of the message.

use super::*;

type Case<'a> = (&'a [(&'a str, Option<&'a str>)], &'a str, &'a str);

const CASES: &[Case<'_>] = &[
    (&[("name", None)], "name", "is missing"),
    (&[("mode", None)], "mode", "is missing; it must be one of bulk, incrementing"),
    (&[("mode", Some("increment"))], "mode", "must be one of bulk, incrementing, timestamp, timestamp+incrementing"),
    (&[("connection.url", None)], "connection.url", "is missing; write jdbc:postgresql://"),
    (&[("connection.url", Some("jdbc:tidb://h/d"))], "connection.url", "write jdbc:mysql://host:4000"),
    (&[("connection.url", Some("jdbc:postgresql://h:5432"))], "connection.url", "needs a `/` after the host"),
    (&[("connection.sslmode", Some("on"))], "connection.sslmode", "disable, allow, prefer, require"),
    (&[("connection.kerberosServerName", Some("k"))], "connection.kerberosServerName", "GSS"),
    (&[("connection.attempts", Some("0"))], "connection.attempts", "must be at least 1"),
    (
        &[("connector.class", Some("com.example.Source"))],
        "connector.class",
        "io.aiven.connect.jdbc.JdbcSourceConnector",
    ),
    (&[("dialect.name", Some("SqliteDatabaseDialect"))], "dialect.name", "but connection.url is one of postgresql"),
    (&[("dialect.name", Some("MySqlDatabaseDialect"))], "dialect.name", "the dialect of mysql, mariadb, tidb, but"),
    (&[("dialect.name", Some("GenericDatabaseDialect"))], "dialect.name", "there is no generic dialect"),
    (&[("jdbc.credentials.provider.class", Some("com.example.P"))], "jdbc.credentials.provider.class", "Default"),
    (&[("timestamp.column.name", None)], "timestamp.column.name", "mode timestamp+incrementing needs"),
    (&[("timestamp.column.name", Some("a,,b"))], "timestamp.column.name", "empty element"),
    (&[("table.include.list", Some("a.*"))], "table.include.list", "two families"),
    (&[("query", Some("select 1"))], "query", "a query and a table filter exclude each other"),
    (
        &[("table.whitelist", None), ("query", Some("select 1")), ("query.masked", Some("select 2"))],
        "query",
        "excludes query.masked",
    ),
    (&[("table.whitelist", None), ("query", Some("delete from t"))], "query", "must be a statement that reads"),
    (
        &[("table.whitelist", None), ("query", Some("select 1")), ("incrementing.column.name", None)],
        "incrementing.column.name",
        "a query has no auto-increment column",
    ),
    (
        &[("table.whitelist", None), ("query", Some("select 1")), ("topic.prefix", None)],
        "topic.prefix",
        "whole name of a query's topic",
    ),
    (
        &[("table.whitelist", None), ("query", Some("select 1")), ("key.mode", Some("primary_key"))],
        "key.mode",
        "a query has no primary key",
    ),
    (&[("table.types", Some(""))], "table.types", "at least one kind"),
    (
        &[("commit.guard", Some("strict"))],
        "commit.guard",
        "must be one of auto, snapshot, window, hold, gaps, rescan, delay, off",
    ),
    (&[("commit.guard", Some("delay"))], "commit.guard", "delay needs timestamp.delay.interval.ms above 0"),
    (
        &[("commit.guard", Some("snapshot")), ("connection.url", Some("jdbc:sqlite:/f"))],
        "commit.guard",
        "snapshot is not possible on sqlite",
    ),
    (
        &[("commit.guard", Some("snapshot")), ("mode", Some("incrementing"))],
        "commit.guard",
        "snapshot needs a timestamp",
    ),
    (
        &[("commit.guard", Some("snapshot")), ("query.suffix", Some("limit 5"))],
        "commit.guard",
        "not possible with query.suffix",
    ),
    (&[("commit.guard", Some("window")), ("mode", Some("incrementing"))], "commit.guard", "window needs a timestamp"),
    (&[("commit.guard", Some("gaps"))], "commit.guard", "it needs mode=incrementing"),
    (&[("commit.guard.on.timeout", Some("wait"))], "commit.guard.on.timeout", "must be one of hold, rescan, fail"),
    (&[("topic.prefix", Some("a b"))], "topic.prefix", "at most 249 letters"),
    (&[("db.timezone", Some("Mars/Olympus"))], "db.timezone", "Europe/Berlin"),
    (&[("numeric.mapping", Some("Best_Fit"))], "numeric.mapping", "all lower or all upper case"),
    (
        &[("transaction.isolation.mode", Some("READ_COMMITED"))],
        "transaction.isolation.mode",
        "did you mean: READ_COMMITTED",
    ),
    (&[("transaction.isolation.mode", Some("SQL_SERVER_SNAPSHOT"))], "transaction.isolation.mode", "SQL Server"),
    (&[("batch.max.rows", Some("0"))], "batch.max.rows", "must be from 1"),
    (&[("poll.interval.ms", Some("5s"))], "poll.interval.ms", "must be a whole number of at most 32 bits"),
    (&[("transforms", Some("a"))], "transforms.a.type", "is missing; `transforms` names `a`"),
    (&[("transforms", Some("a,a"))], "transforms", "names `a` twice"),
    (
        &[("transforms", Some("a")), ("transforms.a.type", Some("org.apache.kafka.connect.transforms.ValueToKeys"))],
        "transforms.a.type",
        "did you mean org.apache.kafka.connect.transforms.ValueToKey?",
    ),
    (
        &[("transforms", Some("a")), ("transforms.a.type", Some("org.apache.kafka.connect.transforms.Cast"))],
        "transforms.a.type",
        "must end in $Key or $Value",
    ),
    (
        &[("transforms", Some("a")), ("transforms.a.type", Some("io.debezium.transforms.ByLogicalTableRouter"))],
        "transforms.a.type",
        "use org.apache.kafka.connect.transforms.RegexRouter",
    ),
    (&[("transforms", Some("a")), ("transforms.a.type", Some("ValueToKey"))], "transforms.a.fields", "is missing"),
    (
        &[("transforms", Some("a")), ("transforms.a.type", Some("Filter")), ("transforms.a.predicate", Some("p"))],
        "transforms.a.predicate",
        "names the predicate `p`, which `predicates` does not",
    ),
    (&[("predicates", Some("p")), ("predicates.p.type", Some("x"))], "predicates.p.type", "must be one of org.apache"),
    (
        &[("errors.deadletterqueue.topic.name", Some("d"))],
        "errors.deadletterqueue.topic.name",
        "set errors.tolerance=all",
    ),
    (&[("row.too.large", Some("dlq"))], "row.too.large", "set errors.deadletterqueue.topic.name"),
    (
        &[
            ("errors.tolerance", Some("all")),
            ("errors.deadletterqueue.topic.name", Some("o")),
            ("offsets.storage.topic", Some("o")),
        ],
        "errors.deadletterqueue.topic.name",
        "is the offsets topic",
    ),
    (&[("transaction.boundary", Some("connector"))], "transaction.boundary", "does not define transaction boundaries"),
    (
        &[("value.converter", Some("org.apache.kafka.connect.json.JsonConvertor"))],
        "value.converter",
        "did you mean: org.apache.kafka.connect.json.JsonConverter",
    ),
    (
        &[
            ("value.converter", Some("org.apache.kafka.connect.json.JsonConverter")),
            ("value.converter.decimal.format", Some("text")),
        ],
        "value.converter.decimal.format",
        "must be one of BASE64, NUMERIC (in any case)",
    ),
    (
        &[("key.converter", Some("com.example.OwnConverter")), ("key.mode", Some("primary_key"))],
        "key.converter",
        "there are io.confluent.connect.avro.AvroConverter, org.apache.kafka.connect.json.JsonConverter,",
    ),
    (&[("bootstrap.servers", Some("other:1"))], "bootstrap.servers", "in two places with two values"),
    (&[("group.id", Some(""))], "group.id", "at least one character"),
    (&[("key.mode", Some("columns"))], "message.key.columns", "is missing; key.mode=columns needs it"),
    (&[("delete.mode", Some("soft")), ("delete.column", Some("gone"))], "delete.mode", "needs record keys"),
    (
        &[("delete.mode", Some("soft")), ("key.mode", Some("primary_key"))],
        "delete.column",
        "is missing; delete.mode=soft needs the column that flags deleted rows",
    ),
    (&[("delete.column", Some("gone"))], "delete.column", "has no effect without delete.mode=soft"),
    (
        &[("record.timestamp", Some("column")), ("mode", Some("bulk"))],
        "record.timestamp",
        "`column` needs a mode with a timestamp column",
    ),
    (&[("message.key.columns", Some("t:a"))], "message.key.columns", "needs key.mode=columns"),
    (
        &[("key.mode", Some("columns")), ("message.key.columns", Some("t"))],
        "message.key.columns",
        "must be table:column,column;table:column",
    ),
    (
        &[("key.mode", Some("columns")), ("message.key.columns", Some("t:a,b")), ("key.format", Some("field"))],
        "key.format",
        "needs a key of one column",
    ),
    (
        &[("timestamp.initial", Some("1")), ("timestamp.initial.ms", Some("2"))],
        "timestamp.initial.ms",
        "contradicts timestamp.initial",
    ),
    (
        &[("quote.sql.identifiers", Some("never")), ("sql.quote.identifiers", Some("true"))],
        "sql.quote.identifiers",
        "contradicts quote.sql.identifiers",
    ),
    (
        &[
            ("table.whitelist", None),
            ("timestamp.column.name", None),
            ("incrementing.column.name", None),
            ("table.include.list", Some("a(")),
            ("timestamp.columns.mapping", Some("a:[x||y]")),
        ],
        "table.include.list",
        "not a regular expression",
    ),
    (
        &[
            ("table.whitelist", None),
            ("timestamp.column.name", None),
            ("incrementing.column.name", None),
            ("timestamp.columns.mapping", Some("a:x")),
        ],
        "timestamp.columns.mapping",
        "regex:[column|column]",
    ),
    (
        &[
            ("mode", Some("bulk")),
            ("table.whitelist", None),
            ("timestamp.column.name", None),
            ("incrementing.column.name", None),
            ("incrementing.column.mapping", Some("a:x")),
        ],
        "incrementing.column.mapping",
        "contradicts mode bulk",
    ),
    (
        &[("topic.creation.default.partitions", Some("3"))],
        "topic.creation.default.replication.factor",
        "is missing; every topic.creation key needs it",
    ),
    (
        &[("connection.password", Some("${env:NO_SUCH}"))],
        "connection.password",
        "${env:NO_SUCH}: the environment variable",
    ),
    (&[("cursor.null", Some("skip"))], "cursor.null", "must be one of ignore, fail"),
    (&[("decimal.handling", Some("text"))], "decimal.handling", "must be one of avro-decimal, string, double"),
    (
        &[("column.public.t.a.zero.date", Some("nul"))],
        "column.public.t.a.zero.date",
        "must be one of null, epoch, string, fail (in any case)\n    found: nul\n    did you mean: null",
    ),
    (
        &[("column.t.a.decimal.handlin", Some("string"))],
        "column.t.a.decimal.handlin",
        "did you mean: column.t.a.decimal.handling",
    ),
    (&[("column.t.a.numeric.mapping", Some("none"))], "column.t.a.numeric.mapping", "that a column can have"),
    (&[("column.a.dst.overlap", Some("fail"))], "column.a.dst.overlap", "column.TABLE.COLUMN.dst.overlap"),
];

#[test]
fn each_mistake_is_named_with_its_key_and_what_is_allowed() {
    for (changes, key, phrase) in CASES {
        let Err(report) = with(changes) else { panic!("{changes:?} is accepted") };
        let found = report.problems.iter().find(|problem| problem.key == *key);
        let Some(problem) = found else { panic!("{changes:?}: nothing about {key} in {report}") };
        assert!(problem.to_string().contains(phrase), "{changes:?}: {problem}");
        assert!(problem.documented_at().is_some(), "{key}");
    }
}

#[test]
fn all_mistakes_of_all_places_stand_in_one_report() {
    let changes = changed(&[
        ("mode", Some("x")),
        ("tasks.max", Some("0")),
        ("connection.url", Some("y")),
        ("transforms", Some("z")),
    ]);
    let report = connector(Document::from_map("c", changes), surroundings("offset.storage.partitions=0")).unwrap_err();
    let mut keys: Vec<_> = report.problems.iter().map(|problem| problem.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "bootstrap.servers",
            "connection.url",
            "mode",
            "offset.storage.partitions",
            "tasks.max",
            "transforms.z.type",
            "value.converter.schema.registry.url",
        ]
    );
}

#[test]
fn a_whole_report_reads_well() {
    let text = "{\"name\": \"orders\",\n \"config\": {\n  \"connection.url\": \"jdbc:postgresql://db/shop\",\n  \
        \"connection.password\": \"hush\",\n  \"mode\": \"timestmp\",\n  \"topic.prefx\": \"shop_\",\n  \
        \"poll.interval.ms\": \"5s\"}}";
    let expected = "c: 2 problems, 1 warning
  problem: mode: must be one of bulk, incrementing, timestamp, timestamp+incrementing
      found: timestmp
      did you mean: timestamp
      at: c:5
      see: docs/configuration.md#mode
  problem: poll.interval.ms: must be a whole number of at most 32 bits
      found: 5s
      at: c:7
      see: docs/configuration.md#poll.interval.ms
  warning: topic.prefx: unknown key; it has no effect
      did you mean: topic.prefix
      at: c:6";
    assert_eq!(build(text).unwrap_err().to_string(), expected);
}
