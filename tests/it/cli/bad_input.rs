//! Bad input: every fault is told at once, with its place and its remedy, and ends with its exit code.

use std::time::{Duration, Instant};

use super::{closed_port, path, text_file, w1};
use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::process::{Running, finish, rowtide, run};
use crate::support::{Stack, unique};

#[test]
fn malformed_files_are_named_with_the_line() {
    for (name, text, says) in [
        (
            "a.json",
            "{\"name\": \"x\",\n \"config\": {\"mode\": \"bulk\",\n \"a\" }}",
            &["1 problem", "not valid JSON", "a.json:3"][..],
        ),
        ("a.json", "[1]", &["1 problem", "a.json"]),
        ("a.properties", "name=x\nmode=bulk\nconnection.url=\\u12\n", &["not valid .properties", "a.properties:3"]),
        ("a.json", "\n", &["1 problem", "holds no settings"]),
        (
            "a.yaml",
            "apiVersion: v1\nspec:\n  config:\n    mode: bulk\n",
            &["1 problem", "holds no KafkaConnector", "a.yaml:1"],
        ),
        ("a.yaml", "name: x\n mode: bulk\n", &["1 problem", "not valid YAML", "a.yaml:2"]),
    ] {
        let (_folder, file) = text_file(name, text);
        for command in [&["check", "--offline"][..], &["run"], &["run", "--once"], &["explain"], &["offsets", "list"]] {
            finish(rowtide().args(command).arg(&file)).expect_code(2).expect_says(says);
        }
    }
    run(&["check", "/no/such/file.json"]).expect_code(2).expect_says(&[
        "/no/such/file.json",
        "cannot be read",
        "No such file",
    ]);
}

/// The keys of a good connector with changes (none: removed), and what must be said.
type Case<'a> = (&'a [(&'a str, Option<&'a str>)], &'a [&'a str]);

#[test]
fn every_wrong_key_is_named_with_what_was_found_and_what_is_allowed() {
    let cases: &[Case<'_>] = &[
        (
            &[("mode", Some("increment"))],
            &[
                "mode: must be one of bulk, incrementing, timestamp, timestamp+incrementing",
                "found: increment",
                "did you mean: incrementing",
            ],
        ),
        (&[("mode", None)], &["mode: is missing"]),
        (&[("connection.url", None)], &["connection.url: is missing"]),
        (&[("bootstrap.servers", None)], &["bootstrap.servers: is missing", "host:port"]),
        (&[("timestamp.column.name", None)], &["timestamp.column.name"]),
        (
            &[("tasks.max", Some("zero"))],
            &["tasks.max: must be a whole number", "found: zero", "docs/configuration.md#tasks.max"],
        ),
        (&[("validate.non.null", Some("maybe"))], &["validate.non.null: must be true or false", "found: maybe"]),
        (&[("query", Some("select 1"))], &["query (with table.whitelist)", "exclude each other"]),
        (&[("query", Some("select 1")), ("query.masked", Some("select 2"))], &["query (with query.masked)"]),
        (
            &[("connector.class", Some("org.example.Sink"))],
            &["connector.class", "io.confluent.connect.jdbc.JdbcSourceConnector"],
        ),
        (&[("connection.url", Some("jdbc:oracle:thin:@h:1:x"))], &["connection.url", "postgresql"]),
        (&[("transforms", Some("a"))], &["transforms.a.type: is missing"]),
        (&[("key.mode", Some("colums"))], &["key.mode: must be one of"]),
    ];
    for (changes, says) in cases {
        let mut connector = Connector::of_test_table("jdbc:postgresql://localhost/none");
        for (key, value) in *changes {
            connector = match value {
                Some(value) => connector.set(key, value),
                None => connector.without(key),
            };
        }
        let file = path(connector.file());
        for command in [&["check"][..], &["run"], &["run", "--once"], &["explain"], &["offsets", "get"]] {
            let finished = finish(rowtide().args(command).arg(&file));
            assert_eq!(finished.code, Some(2), "{changes:?}: {finished:?}");
            finished.expect_says(says);
        }
    }
}

#[test]
fn all_problems_of_a_file_come_in_one_report() {
    let connector = Connector::of_test_table("jdbc:postgresql://localhost/none")
        .set("mode", "sideways")
        .set("poll.interval.ms", "soon")
        .set("tabel.whitelist", "t")
        .set("query", "select 1")
        .without("key.mode")
        .without("bootstrap.servers");
    let file = path(connector.file());
    let report = run(&["check", &file]).expect_code(2).stderr;
    for said in [
        "4 problems, 1 warning",
        "mode: must",
        "poll.interval.ms: must",
        "query (with",
        "bootstrap.servers: is missing",
        "did you mean: table.whitelist",
    ] {
        assert!(report.contains(said), "`{said}` is not in\n{report}");
    }
    run(&["check", &file, "--strict"]).expect_code(2).expect_says(&["5 problems"]);
}

#[test]
fn a_misspelled_key_is_a_warning_and_with_strict_an_error() {
    let (_database, connector, _) = w1(1);
    let connector = connector.set("poll.intervall.ms", "5");
    let file = path(connector.file());
    let says = ["poll.intervall.ms: unknown key", "did you mean: poll.interval.ms"];
    run(&["check", &file]).expect_code(0).expect_says(&says).expect_says(&["no problems"]);
    for command in ["check", "run", "explain"] {
        run(&[command, &file, "--strict"]).expect_code(2).expect_says(&says);
    }
}

#[test]
fn a_setting_that_its_converter_its_transform_or_its_predicate_does_not_know_is_named() {
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let connector = Connector::of_test_table("jdbc:postgresql://localhost/none")
        .set("value.converter", json)
        .set("value.converter.shemas.enable", "false")
        .set("transforms", "route")
        .set("transforms.route.type", "RegexRouter")
        .set("transforms.route.regex", "(.*)")
        .set("transforms.route.replacement", "x_$1")
        .set("transforms.route.replacment", "y")
        .set("transforms.route.predicate", "none")
        .set("predicates", "none")
        .set("predicates.none.type", "TopicNameMatches")
        .set("predicates.none.pattern", "nobody")
        .set("predicates.none.regex", "nobody");
    let says = [
        "value.converter.shemas.enable: unknown key",
        "did you mean: value.converter.schemas.enable",
        "transforms.route: without effect, its class knows no replacment; did you mean replacement?",
        "predicates.none: without effect, its class knows no regex",
    ];
    let file = path(connector.file());
    run(&["check", "--offline", &file]).expect_code(0).expect_says(&says);
    run(&["check", "--offline", "--strict", &file]).expect_code(2).expect_says(&says[..2]);
}

#[test]
fn tables_and_columns_that_cannot_be_polled_are_named() {
    let database = Postgres::with_test_table();
    database.run(
        "create table orders (id bigint primary key, changed timestamp not null);
         create table maybe (id bigint, changed timestamp);
         create table odd (id text not null, changed text not null, flag boolean not null);
         create view seen as select * from orders;
         create materialized view kept as select * from orders;
         create table parts (id bigint, changed timestamp) partition by range (id);
         create table parts_1 partition of parts for values from (0) to (9);
         create schema attic; create table attic.old (id bigint)",
    );
    let of = |table: &str, mode: &str| {
        Connector::new(&database.jdbc_url())
            .set("table.whitelist", table)
            .set("mode", mode)
            .set("incrementing.column.name", "id")
            .set("timestamp.column.name", "changed")
    };
    let timestamp = |table: &str| of(table, "timestamp").without("incrementing.column.name");
    let incrementing = |table: &str| of(table, "incrementing").without("timestamp.column.name");
    for (connector, says) in [
        (of("ordres", "timestamp+incrementing"), &["no such table: `ordres`", "did you mean `public.orders`"][..]),
        (
            of("seen", "timestamp+incrementing"),
            &["no such table: `seen`", "`seen` is a VIEW: set table.types=TABLE,VIEW"],
        ),
        (of("public.kept", "bulk"), &["`public.kept` is a MATERIALIZED VIEW: set table.types=TABLE,MATERIALIZED VIEW"]),
        (of("parts", "bulk"), &["`parts` is a PARTITIONED TABLE: set table.types=TABLE,PARTITIONED TABLE"]),
        (of("old", "bulk").set("schema.pattern", "public"), &["`old` is there as attic.old", "schema.pattern"]),
        (incrementing("orders").set("incrementing.column.name", "idd"), &["there is no column `idd`", "id, changed"]),
        (timestamp("orders").set("timestamp.column.name", "changd"), &["there is no column `changd`", "id, changed"]),
        (timestamp("maybe"), &["may be NULL", "validate.non.null=false", "public.maybe"]),
        (incrementing("maybe"), &["may be NULL", "validate.non.null=false", "public.maybe"]),
        (timestamp("odd"), &["changed", "public.odd"]),
        (incrementing("odd").set("incrementing.column.name", "flag"), &["flag", "public.odd"]),
        (
            incrementing("orders").set("key.mode", "columns").set("message.key.columns", "orders:code"),
            &["message.key.columns: there is no column `code`", "id, changed"],
        ),
        (of("maybe", "bulk").set("key.mode", "primary_key"), &["the relation has no primary key", "public.maybe"]),
    ] {
        let file = path(connector.file());
        for command in [&["check"][..], &["run"], &["run", "--once"], &["explain"]] {
            let mut command_line = rowtide();
            command_line.args(command).arg(&file);
            if command == ["run"] {
                command_line.args(["--listen", "off"]);
            }
            finish(&mut command_line).expect_code(2).expect_says(says).expect_says(&["what to do"]);
        }
    }
}

#[test]
fn a_table_of_sqlite_that_cannot_be_read_is_not_said_to_be_missing() {
    let database = Sqlite::new();
    database.run(
        "create table orders (id integer primary key); create view seen as select * from orders;
         pragma writable_schema = on;
         insert into sqlite_schema values ('table', 'found', 'found', 0, 'create virtual table found using absent(a)')",
    );
    for (table, says) in [
        ("found", &["no such module: absent", "virtual one of a module that is not in rowtide"]),
        ("seen", &["no such table: `seen`", "`seen` is a VIEW: set table.types=TABLE,VIEW"]),
    ] {
        let connector = Connector::new(&database.jdbc_url()).set("table.whitelist", table).set("mode", "bulk");
        let file = path(connector.file());
        for command in [&["check"][..], &["run", "--once"], &["explain"]] {
            let finished = finish(rowtide().args(command).arg(&file)).expect_says(says);
            assert!(!format!("{}{}", finished.stdout, finished.stderr).contains("did you mean"), "{command:?} {table}");
        }
    }
}

#[test]
fn several_tables_that_cannot_be_polled_come_in_one_report() {
    let database = Postgres::with_test_table();
    database.run("create table a (id int primary key); create table b (seq int, ts timestamp)");
    let connector = Connector::of_test_table(&database.jdbc_url()).set("table.whitelist", "test_table,a,b");
    let file = path(connector.file());
    let checked = run(&["check", &file]).expect_code(2);
    assert_eq!(checked.stdout.matches("PROBLEM").count(), 2, "{}", checked.stdout);
    checked.expect_says(&[
        "PROBLEM  table public.a",
        "PROBLEM  table public.b",
        "ok       table public.test_table",
        "2 problems",
    ]);
    run(&["run", "--once", &file]).expect_code(2).expect_says(&["2 tables cannot be polled", "public.a", "public.b"]);
}

#[test]
fn a_refused_password_or_privilege_is_said_without_showing_it() {
    let database = Postgres::with_test_table();
    let stranger = unique("stranger");
    database.run(&format!("create role {stranger} login"));
    let refused = Connector::of_test_table(&database.jdbc_url())
        .set("connection.user", "scram_user")
        .set("connection.password", "canary-hush");
    let unprivileged = Connector::of_test_table(&database.jdbc_url()).set("connection.user", &stranger);
    for (connector, says) in [
        (refused, &["the server refused the credentials", "check connection.user and connection.password"][..]),
        (unprivileged, &["the privilege is missing", "test_table", "grant"]),
    ] {
        let file = path(connector.file());
        for command in [&["check"][..], &["explain"], &["run", "--once"], &["run"]] {
            let finished = finish(rowtide().args(command).arg(&file)).expect_code(2).expect_says(says);
            assert!(!format!("{finished:?}").contains("canary-hush"), "{finished:?}");
        }
    }
    database.run(&format!("drop role {stranger}"));
}

#[test]
fn what_cannot_be_reached_is_exit_code_3_in_time() {
    let (_database, connector, file) = w1(1);
    let port = closed_port();
    let worker = |key: &str, value: &str| vec!["--set".to_owned(), format!("{key}={value}")];
    let no_broker = worker("bootstrap.servers", &format!("127.0.0.1:{port}"));
    let no_registry: Vec<String> = ["key", "value"]
        .iter()
        .flat_map(|role| worker(&format!("{role}.converter.schema.registry.url"), &format!("http://127.0.0.1:{port}")))
        .collect();
    let without = |prefixes: &[&str]| {
        let mut connector = Connector::of_test_table(&connector.keys["connection.url"]);
        connector.keys.retain(|key, _| !prefixes.iter().any(|prefix| key.starts_with(prefix)));
        connector
    };
    let (free_broker, free_registry) = (without(&["bootstrap."]), without(&["key.converter", "value.converter"]));
    let (free_broker, free_registry) = (path(free_broker.file()), path(free_registry.file()));
    let no_database = Connector::of_test_table(&format!("jdbc:postgresql://127.0.0.1:{port}/x"));
    let no_database = path(no_database.file());
    let refused = "Connection refused";
    let stack = Stack::get();
    let topic = connector.topic("test_table");
    super::once(&file);
    let none: Vec<String> = Vec::new();
    let (check, explain, once, list): (&[&str], &[&str], &[&str], &[&str]) =
        (&["check"], &["explain"], &["run", "--once"], &["offsets", "list"]);
    let set: &[&str] = &["offsets", "set", "--incrementing", "1", "--yes"];
    let consume =
        |broker: &str| vec!["--set".to_owned(), format!("bootstrap.servers={broker}"), "--from-beginning".to_owned()];
    let (consume_without_broker, mut consume_without_registry) =
        (consume(&format!("127.0.0.1:{port}")), consume(&stack.brokers));
    consume_without_registry.extend(no_registry.clone());
    let consume_without_broker =
        [consume_without_broker, worker("value.converter.schema.registry.url", &stack.registry)].concat();
    for (command, subject, more, says, seconds) in [
        (check, &no_database, &none, refused, 3),
        (explain, &no_database, &none, refused, 3),
        (once, &no_database, &none, refused, 5),
        (check, &free_broker, &no_broker, refused, 4),
        (explain, &free_broker, &no_broker, refused, 4),
        (once, &free_broker, &no_broker, refused, 5),
        (list, &free_broker, &no_broker, refused, 4),
        (set, &free_broker, &no_broker, refused, 4),
        (check, &free_registry, &no_registry, "schema registry http://127.0.0.1", 4),
        // The registry's client tries three times by itself.
        (once, &free_registry, &no_registry, "the schema registry cannot be reached", 20),
        (&["consume"], &topic, &consume_without_broker, refused, 4),
        (&["consume"], &topic, &consume_without_registry, "schema registry http://127.0.0.1", 4),
    ] {
        let started = Instant::now();
        let finished = finish(rowtide().args(command).arg(subject).args(more).args(["--timeout", "1.5"]));
        finished.expect_code(3).expect_says(&[says, "what to do"]);
        // The margin is for a loaded machine.
        let limit = Duration::from_secs(seconds + 6);
        assert!(started.elapsed() < limit, "{command:?} took {:?}", started.elapsed());
    }
}

#[test]
fn a_run_waits_for_a_server_that_is_not_there_and_says_so() {
    let connector = Connector::of_test_table(&format!("jdbc:postgresql://127.0.0.1:{}/x", closed_port()));
    let mut running = Running::start(&connector.file(), &["--timeout", "1"]);
    running.wait_for_log("cannot start yet, trying again");
    running.wait_for_log("Connection refused");
    assert!(running.is_alive());
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_client_setting_nobody_knows_is_named_before_anything_is_asked() {
    let database = Postgres::with_test_table();
    let connector = Connector::of_test_table(&database.jdbc_url()).set("producer.override.lingering.ms", "5");
    let file = path(connector.file());
    for command in [&["check", "--offline"][..], &["run", "--once"]] {
        finish(rowtide().args(command).arg(&file)).expect_code(2).expect_says(&["lingering.ms", "producer"]);
    }
}
