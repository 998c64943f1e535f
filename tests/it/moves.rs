//! Coming from Kafka Connect and going back: positions as its connectors wrote them, literal bytes in the offsets
//! topic, are gone on with exactly, and what is there afterwards is what those connectors look for.

mod zones;

use serde_json::{Value as Json, json};

use crate::support::Stack;
use crate::support::config::Connector;
use crate::support::connect::java;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::kafka::{make_compacted_topic, read_topic, records, seed};
use crate::support::process::{Finished, run};

const CONFLUENT: &str = "io.confluent.connect.jdbc.JdbcSourceConnector";
const AIVEN: &str = "io.aiven.connect.jdbc.JdbcSourceConnector";

/// Two rows of one time among others, one a microsecond behind another, and one of whole seconds.
const ROWS: &str = "create table t (id integer primary key, ts timestamp(6) not null);
    insert into t values (1, '2024-01-01 00:00:01'), (2, '2024-01-01 00:00:02.000001'), (3, '2024-01-01 00:00:02.000002'),
    (4, '2024-01-01 00:00:03.5'), (5, '2024-01-01 00:00:03.5'), (6, '2024-01-01 00:00:04')";

/// A connector of the table `t` with an offsets topic of its own.
fn connector(jdbc_url: &str, class: &str, mode: &str) -> Connector {
    let connector =
        Connector::new(jdbc_url).alone().set("connector.class", class).set("mode", mode).set("table.whitelist", "t");
    // Without it the offsets are those of Kafka Connect to the byte; with it there are fields beside them.
    let connector = connector.set("commit.guard", "off");
    let connector = match mode.contains("timestamp") {
        true => connector.set("timestamp.column.name", "ts"),
        false => connector,
    };
    match mode.contains("incrementing") {
        true => connector.set("incrementing.column.name", "id"),
        false => connector,
    }
}

/// Stores offsets as a worker would: each a partition map and an offset map, in the text of Kafka Connect.
fn stored(connector: Connector, offsets: &[(&str, Option<&str>)]) -> Connector {
    let topic = &connector.keys["offset.storage.topic"];
    make_compacted_topic(topic, 1);
    for (partition, offset) in offsets {
        seed(topic, &format!(r#"["{}",{partition}]"#, connector.name), *offset);
    }
    connector
}

fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", &connector.file().display().to_string()])
}

/// The ids a run delivers.
#[track_caller]
fn delivered(connector: &Connector) -> Vec<i64> {
    once(connector).expect_code(0);
    let topic = if connector.keys.contains_key("query") { connector.topic("") } else { connector.topic("t") };
    records(&topic).iter().map(|record| record.field("id").as_i64().expect("an id")).collect()
}

/// The last value of each key of the connector, as text, but for the remembered server.
fn left(connector: &Connector) -> Vec<(String, String)> {
    let mut left = std::collections::BTreeMap::new();
    for record in read_topic(&connector.keys["offset.storage.topic"]) {
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        let key = text(record.key).expect("a key").replace(&connector.name, "c");
        if !key.contains("rowtide") {
            left.insert(key, text(record.value).unwrap_or_else(|| "tombstone".to_owned()));
        }
    }
    left.into_iter().collect()
}

const V1: &str = r#"{"protocol":"1","table":"public.t"}"#;
const V0: &str = r#"{"table":"t"}"#;

#[track_caller]
fn assert_left(connector: &Connector, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(key, value)| (format!(r#"["c",{key}]"#), (*value).to_owned())).collect();
    assert_eq!(left(connector), expected);
}

#[test]
fn an_id_of_either_connector_and_either_protocol_is_gone_on_with() {
    let database = Postgres::new();
    database.run(ROWS);
    let with_database = format!(r#"{{"protocol":"1","table":"{}.public.t"}}"#, database.name);
    for class in [CONFLUENT, AIVEN] {
        let new = || connector(&database.jdbc_url(), class, "incrementing");
        let end = r#"{"incrementing":6}"#;
        let of_v1 = stored(new(), &[(V1, Some(r#"{"incrementing":4}"#))]);
        assert_eq!(delivered(&of_v1), [5, 6], "{class}");
        assert_left(&of_v1, &[(V1, end)]);

        let of_v0 = stored(new(), &[(V0, Some(r#"{"incrementing":5}"#))]);
        assert_eq!(delivered(&of_v0), [6], "{class}");
        assert_left(&of_v0, &[(V1, end), (V0, r#"{"incrementing":5}"#)]);

        // Protocol 1 counts, also if it is behind; a tombstone is no offset.
        let of_both = stored(new(), &[(V0, Some(r#"{"incrementing":6}"#)), (V1, Some(r#"{"incrementing":3}"#))]);
        assert_eq!(delivered(&of_both), [4, 5, 6], "{class}");
        let v1 = [(V1, Some(r#"{"incrementing":1}"#)), (V0, Some(r#"{"incrementing":4}"#)), (V1, None)];
        assert_eq!(delivered(&stored(new(), &v1)), [5, 6], "{class}");

        // As newer drivers name tables; the release that did so looks for it when it comes back.
        let of_three = stored(new(), &[(&with_database, Some(r#"{"incrementing":4}"#))]);
        assert_eq!(delivered(&of_three), [5, 6], "{class}");
        assert_left(&of_three, &[(&with_database, end)]);
        database.run("insert into t values (7, '2024-01-01 00:00:05')");
        assert_eq!(delivered(&of_three), [5, 6, 7], "{class}");
        let listed = run(&["offsets", "list", &of_three.file().display().to_string(), "--json"]).expect_code(0).stdout;
        let listed: Json = serde_json::from_str(&listed).expect("JSON");
        assert_eq!((&listed[0]["offset"], &listed[0]["selected"]), (&json!({"incrementing": 7}), &json!(true)));
        database.run("delete from t where id = 7");
    }
}

#[test]
fn a_time_is_gone_on_with_to_the_nanosecond_and_an_empty_offset_is_the_epoch() {
    let database = Postgres::new();
    database.run(ROWS);
    for class in [CONFLUENT, AIVEN] {
        let new = || connector(&database.jdbc_url(), class, "timestamp");
        for (offset, expected) in [
            (r#"{"timestamp_nanos":1000,"timestamp":1704067202000}"#, &[3, 4, 5, 6][..]),
            (r#"{"timestamp_nanos":2000,"timestamp":1704067202000}"#, &[4, 5, 6]),
            // Written before nanoseconds were.
            (r#"{"timestamp":1704067202000}"#, &[2, 3, 4, 5, 6]),
            (r#"{"timestamp_nanos":500000000,"timestamp":1704067203500}"#, &[6]),
            (r#"{"timestamp_nanos":0,"timestamp":1704067204000}"#, &[]),
            // What another mode needs is no trouble.
            (r#"{"timestamp_nanos":500000000,"incrementing":1,"timestamp":1704067203500}"#, &[6]),
        ] {
            assert_eq!(delivered(&stored(new(), &[(V1, Some(offset))])), expected, "{class} {offset}");
        }
        // Before the first offset that can be committed Confluent's connector stores an empty map. It is an offset:
        // a configured start does not count any more.
        let key = if class == AIVEN { "timestamp.initial.ms" } else { "timestamp.initial" };
        let empty = stored(new().set(key, "1704067203000"), &[(V1, Some("{}"))]);
        assert_eq!(delivered(&empty), [1, 2, 3, 4, 5, 6], "{class}");
        let none = stored(new().set(key, "1704067203000"), &[(V1, Some("null"))]);
        assert_eq!(delivered(&none), [4, 5, 6], "{class}");
    }
}

#[test]
fn a_time_and_an_id_are_gone_on_with_inside_a_tie() {
    let database = Postgres::new();
    database.run(ROWS);
    for class in [CONFLUENT, AIVEN] {
        let new = || connector(&database.jdbc_url(), class, "timestamp+incrementing");
        for (offset, expected) in [
            (r#"{"timestamp_nanos":500000000,"incrementing":4,"timestamp":1704067203500}"#, &[5, 6][..]),
            (r#"{"timestamp_nanos":500000000,"incrementing":5,"timestamp":1704067203500}"#, &[6]),
            (r#"{"timestamp_nanos":1000,"incrementing":2,"timestamp":1704067202000}"#, &[3, 4, 5, 6]),
            (r#"{"timestamp_nanos":0,"incrementing":6,"timestamp":1704067204000}"#, &[]),
            // From `incrementing` and `timestamp` mode: what is missing is the epoch, and the id -1.
            (r#"{"incrementing":4}"#, &[1, 2, 3, 4, 5, 6]),
            (r#"{"timestamp_nanos":500000000,"timestamp":1704067203500}"#, &[4, 5, 6]),
        ] {
            let connector = stored(new(), &[(V1, Some(offset))]);
            assert_eq!(delivered(&connector), expected, "{class} {offset}");
            if !expected.is_empty() {
                let end = r#"{"timestamp_nanos":0,"incrementing":6,"timestamp":1704067204000}"#;
                assert_left(&connector, &[(V1, end)]);
            }
        }
    }
}

#[test]
fn a_query_is_gone_on_with_whatever_its_text_was() {
    let database = Postgres::new();
    database.run(ROWS);
    const QUERY: &str = r#"{"query":"query"}"#;
    for class in [CONFLUENT, AIVEN] {
        for (mode, offset, expected, end) in [
            ("incrementing", r#"{"incrementing":4}"#, &[5, 6][..], r#"{"incrementing":6}"#),
            (
                "timestamp+incrementing",
                r#"{"timestamp_nanos":500000000,"incrementing":4,"timestamp":1704067203500}"#,
                &[5, 6],
                r#"{"timestamp_nanos":0,"incrementing":6,"timestamp":1704067204000}"#,
            ),
        ] {
            let connector = connector(&database.jdbc_url(), class, mode).without("table.whitelist");
            let connector = stored(connector.set("query", "select id, ts from t"), &[(QUERY, Some(offset))]);
            assert_eq!(delivered(&connector), expected, "{class} {mode}");
            assert_left(&connector, &[(QUERY, end)]);
        }
        let connector = connector(&database.jdbc_url(), class, "timestamp").without("table.whitelist");
        let offset = r#"{"timestamp_nanos":2000,"timestamp":1704067202000}"#;
        let connector = stored(connector.set("query", "select id, ts from t"), &[(QUERY, Some(offset))]);
        assert_eq!(delivered(&connector), [4, 5, 6], "{class}");
    }
}

#[test]
fn positions_of_mysql_are_gone_on_with_under_both_protocols() {
    let database = MySqlFamily::new("mysql");
    database.run(&ROWS.replace("timestamp(6)", "datetime(6)"));
    let v1 = format!(r#"{{"protocol":"1","table":"{}.t"}}"#, database.name);
    for class in [CONFLUENT, AIVEN] {
        for (mode, offset, expected) in [
            ("incrementing", r#"{"incrementing":4}"#, &[5, 6][..]),
            ("timestamp", r#"{"timestamp_nanos":1000,"timestamp":1704067202000}"#, &[3, 4, 5, 6]),
            (
                "timestamp+incrementing",
                r#"{"timestamp_nanos":500000000,"incrementing":4,"timestamp":1704067203500}"#,
                &[5, 6],
            ),
        ] {
            for partition in [v1.as_str(), V0] {
                let connector = stored(connector(&database.jdbc_url(), class, mode), &[(partition, Some(offset))]);
                assert_eq!(delivered(&connector), expected, "{class} {mode} {partition}");
                assert!(
                    left(&connector).iter().any(|(key, _)| *key == format!(r#"["c",{v1}]"#)),
                    "{:?}",
                    left(&connector)
                );
            }
        }
    }
    // `table.names.qualify=false` of Aiven's connector: the bare name under protocol 1.
    let bare = r#"{"protocol":"1","table":"t"}"#;
    let connector = connector(&database.jdbc_url(), AIVEN, "incrementing").set("table.names.qualify", "false");
    let connector = stored(connector, &[(bare, Some(r#"{"incrementing":4}"#))]);
    assert_eq!(delivered(&connector), [5, 6]);
    assert_left(&connector, &[(bare, r#"{"incrementing":6}"#)]);
}

#[test]
fn offsets_go_to_and_fro_between_rowtide_and_the_classes_of_kafka_connect() {
    let database = Postgres::new();
    database.run("create table \"ä😀t\" (id integer primary key); insert into \"ä😀t\" values (1), (2), (3), (4)");
    // A name that JSON writers escape each in their own way, and no topic can have; only the query is polled.
    let connector = Connector::new(&database.jdbc_url()).alone().set("mode", "incrementing").set("commit.guard", "off");
    let connector = connector.set("incrementing.column.name", "id").without("table.whitelist");
    let connector = connector.set("query", "select * from (select id from \"ä😀t\") q");
    let place = format!("{}/{}", Stack::get().brokers, connector.keys["offset.storage.topic"]);
    let (name, query) = (connector.name.as_str(), r#"{"query":"query"}"#);
    // Java takes its arguments for the locale's; the JSON says the same in ASCII.
    let table = r#"{"table":"public.\u00e4\ud83d\ude00t","protocol":"1"}"#;
    java(&["write", &place, name, query, r#"{"incrementing":2}"#, name, table, r#"{"incrementing":3}"#]);
    assert_eq!(delivered(&connector), [3, 4]);
    let file = connector.file().display().to_string();
    let listed = run(&["offsets", "list", &file]).expect_code(0);
    listed.expect_says(&["query  4", "public.ä😀t  3"]);
    run(&["offsets", "set", &file, "--table", "ä😀t", "--incrementing", "9", "--yes"]).expect_code(0);
    let read = java(&["read", &place, name, query, name, table, "others", query]);
    assert_eq!(read, [r#"{"incrementing":4}"#, r#"{"incrementing":9}"#, "null"]);
    // And once more there and back, in the topic as it is now.
    java(&["write", &place, name, query, r#"{"incrementing":3}"#]);
    assert_eq!(delivered(&connector), [3, 4, 4]);
    assert_eq!(java(&["read", &place, name, query]), [r#"{"incrementing":4}"#]);
}

#[test]
fn in_timestamp_mode_the_fields_of_kafka_connect_stand_where_it_would_go_on() {
    let database = Postgres::new();
    database.run(ROWS);
    let connector = stored(connector(&database.jdbc_url(), CONFLUENT, "timestamp"), &[]);
    assert_eq!(delivered(&connector), [1, 2, 3, 4, 5, 6]);
    // What rowtide adds comes after them, and Kafka Connect does not look at it.
    let position = r#"{"timestamp_nanos":0,"timestamp":1704067204000,"rowtide":1,"rowtide_position":"[{\"us\":1704067204000000},{\"i\":6}]"}"#;
    assert_left(&connector, &[(V1, position)]);
}
