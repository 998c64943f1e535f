//! Columns that JDBC drivers for MySQL, MariaDB and TiDB deliver differently: a topic that one of them has filled is gone
//! on with as it is, a new one is as the newest driver would have it, and no value is refused.

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::kafka::{records, wait_for_records};
use crate::support::process::{Finished, Running, run};
use crate::support::registry::{fields, register, versions};
use crate::support::unique;

const FAMILY: [&str; 3] = ["mysql", "mariadb", "tidb"];

/// The drivers, each with the schemas that Kafka Connect registers by the types it gives.
const DRIVERS: [&str; 6] = ["mysql-8.0", "mysql-8.4", "mysql-9.7", "mariadb-2.7", "mariadb-3.3", "mariadb-3.5"];
const COLUMNS: &[(&str, &str, [&str; 6])] = &[
    ("flag", "tinyint(1)", ["int8", "int8", "int8", "int8", "boolean", "boolean"]),
    ("flag_u", "tinyint(1) unsigned", ["int16", "int16", "int16", "int8", "boolean", "boolean"]),
    ("tiny_u", "tinyint unsigned", ["int16", "int16", "int16", "int16", "int", "int16"]),
    ("small_u", "smallint unsigned", ["int", "int", "int", "int", "long", "int"]),
    ("bit1", "bit(1)", ["int8", "int8", "int8", "int8", "boolean", "boolean"]),
    ("bits", "bit(12)", ["int8", "int8", "int8", "bytes", "int8", "int8"]),
];

/// A table of these columns, and one of MariaDB's own, of the row 1: 1, 1, 200, 60000, 1, 5.
fn table(kind: &str) -> MySqlFamily {
    let database = MySqlFamily::new(kind);
    let columns: Vec<String> = COLUMNS.iter().map(|(name, sql_type, _)| format!("{name} {sql_type}")).collect();
    let uuid = if kind == "mariadb" { ", u uuid" } else { "" };
    database.run(&format!(
        "create table t (id int not null primary key, {}{uuid});
         insert into t (id, flag, flag_u, tiny_u, small_u, bit1, bits) values (1, 1, 1, 200, 60000, 1, 5)",
        columns.join(", ")
    ));
    if kind == "mariadb" {
        database.run("update t set u = '00112233-4455-6677-8899-aabbccddeeff'");
    }
    database
}

fn connector(url: &str) -> Connector {
    Connector::new(url).set("mode", "incrementing").set("incrementing.column.name", "id").set("table.whitelist", "t")
}

fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", &connector.file().display().to_string()])
}

fn avro(word: &str) -> String {
    match word {
        "int8" | "int16" => format!(r#"{{"type":"int","connect.type":"{word}"}}"#),
        word => format!(r#""{word}""#),
    }
}

/// A schema of `t` with these nullable fields, as Kafka Connect writes it.
fn schema<'a>(record: &str, of_columns: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let fields: Vec<String> = of_columns
        .into_iter()
        .map(|(name, word)| format!(r#",{{"name":"{name}","type":["null",{}],"default":null}}"#, avro(word)))
        .collect();
    format!(r#"{{"type":"record",{record},"fields":[{{"name":"id","type":"int"}}{}]}}"#, fields.concat())
}

const OF_TABLE: &str = r#""name":"t","connect.name":"t""#;
const OF_QUERY: &str = r#""name":"ConnectDefault","namespace":"io.confluent.connect.avro""#;

/// Names and types, all nullable but the id.
fn words<'a>(of_columns: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let id = ("id".to_owned(), "int".to_owned());
    [id].into_iter().chain(of_columns.into_iter().map(|(name, word)| (name.to_owned(), format!("{word}?")))).collect()
}

/// The value of a field, as it comes in each form.
fn value(name: &str, word: &str) -> Json {
    match (name, word) {
        (_, "boolean") => json!(true),
        ("bits", "bytes") => json!("\u{0}\u{5}"),
        ("bits", _) => json!(5),
        ("tiny_u", _) => json!(200),
        ("small_u", _) => json!(60_000),
        _ => json!(1),
    }
}

#[test]
fn a_topic_is_gone_on_with_in_the_types_of_the_driver_that_has_filled_it() {
    for kind in FAMILY {
        let database = table(kind);
        for (place, driver) in DRIVERS.iter().enumerate() {
            // MariaDB's drivers from 3 on leave a uuid out.
            let uuid = (kind == "mariadb" && !driver.starts_with("mariadb-3")).then_some(("u", "string"));
            let of_columns = || COLUMNS.iter().map(|(name, _, words)| (*name, words[place])).chain(uuid);
            let of_table = connector(&database.jdbc_url());
            let names: Vec<&str> = of_columns().map(|(name, _)| name).collect();
            let of_query = connector(&database.jdbc_url())
                .without("table.whitelist")
                .set("query", &format!("select id, {} from t", names.join(", ")))
                .set("topic.prefix", &unique("query"));
            let topic_of_query = of_query.keys["topic.prefix"].clone();
            for (connector, record, topic) in
                [(&of_table, OF_TABLE, of_table.topic("t")), (&of_query, OF_QUERY, topic_of_query)]
            {
                let subject = format!("{topic}-value");
                register(&subject, &schema(record, of_columns()));
                once(connector).expect_code(0);
                assert_eq!(fields(&subject), words(of_columns()), "{kind} {driver} {record}");
                assert_eq!(versions(&subject), [1], "{kind} {driver} {record}");
                let read = records(&topic);
                assert_eq!(read.len(), 1, "{kind} {driver} {record}");
                for (name, word) in of_columns().filter(|(name, _)| *name != "u") {
                    assert_eq!(read[0].field(name), value(name, word), "{kind} {driver} {record}: {name} {word}");
                }
            }
        }
    }
}

#[test]
fn a_new_topic_has_the_types_of_the_newest_driver_and_of_one_that_is_named_its() {
    for kind in FAMILY {
        let database = table(kind);
        let newest = if kind == "mariadb" { "mariadb-3.5" } else { "mysql-9.7" };
        for setting in ["auto", "mysql", "mariadb"].iter().chain(&DRIVERS) {
            let driver = match *setting {
                "auto" => newest,
                "mysql" => "mysql-9.7",
                "mariadb" => "mariadb-3.5",
                named => named,
            };
            let place = DRIVERS.iter().position(|known| *known == driver).expect("a driver");
            let connector = connector(&database.jdbc_url()).set("driver.types", &setting.to_uppercase());
            once(&connector).expect_code(0);
            let of_columns = COLUMNS.iter().map(|(name, _, words)| match (*name, *setting) {
                // Of bits that a subject does not know yet all values are to fit.
                ("bits", "auto") => (*name, "int16"),
                _ => (*name, words[place]),
            });
            // A type that Connect leaves out is delivered as text, see `type.unsupported`.
            let uuid = (kind == "mariadb").then_some(("u", "string"));
            let subject = format!("{}-value", connector.topic("t"));
            assert_eq!(fields(&subject), words(of_columns.chain(uuid)), "{kind} {setting}");
        }
    }
}

#[test]
fn parameters_of_the_url_mean_what_they_mean_to_the_driver() {
    let flags = |kind: &str, parameters: &str| {
        let database = MySqlFamily::new(kind);
        database.run(
            "create table t (id int not null primary key, flag tinyint(1), flag_u tinyint(1) unsigned, bit1 bit(1), y year);
             insert into t values (1, 2, 2, 1, 2024)",
        );
        let connector = connector(&format!("{}?{parameters}", database.jdbc_url()));
        once(&connector).expect_code(0);
        let found = fields(&format!("{}-value", connector.topic("t")));
        found[1..].iter().map(|(_, of)| of.trim_end_matches('?').to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (kind, parameters, expected) in [
        ("mysql", "", "int8 int16 int8 Date"),
        ("mysql", "transformedBitIsBoolean=true", "boolean int16 int8 Date"),
        ("mysql", "tinyInt1isBit=false&transformedBitIsBoolean=true", "int8 int16 int8 Date"),
        ("mysql", "yearIsDateType=false", "int8 int16 int8 int"),
        ("tidb", "transformedBitIsBoolean=true", "boolean int16 int8 Date"),
        ("mariadb", "transformedBitIsBoolean=true", "boolean boolean boolean Date"),
        ("mariadb", "transformedBitIsBoolean=false", "int8 int8 int8 Date"),
        ("mariadb", "tinyInt1isBit=false", "int8 int16 boolean Date"),
        ("mariadb", "yearIsDateType=false", "boolean boolean boolean int"),
    ] {
        assert_eq!(flags(kind, parameters), expected, "{kind} {parameters}");
    }
}

#[test]
fn a_value_beyond_the_int8_of_a_driver_is_delivered_as_the_next_integer_from_then_on() {
    for kind in FAMILY {
        for tolerance in ["none", "all"] {
            let database = table(kind);
            let connector = connector(&database.jdbc_url()).alone().set("errors.tolerance", tolerance);
            let subject = format!("{}-value", connector.topic("t"));
            // As Connector/J 8.0.11 has the flag, and later ones the bits.
            let known = ["int8", "int8", "int16", "int", "int8", "int8"];
            let of_columns = |words: [&'static str; 6]| COLUMNS.iter().map(|(name, ..)| *name).zip(words);
            register(&subject, &schema(OF_TABLE, of_columns(known)));
            let running = Running::start(&connector.file(), &[]);
            wait_for_records(&connector.topic("t"), 1);
            assert_eq!(versions(&subject), [1], "{kind}");
            database.run("insert into t (id, bits) values (2, 127), (3, 128), (4, 4095), (5, 0)");
            wait_for_records(&connector.topic("t"), 5);
            database.run("insert into t (id, flag_u) values (6, 255)");
            let read = wait_for_records(&connector.topic("t"), 6);
            let values = |name: &str| read.iter().map(|record| record.field(name)).collect::<Vec<_>>();
            assert_eq!(values("bits")[..5], [5, 127, 128, 4_095, 0].map(Json::from), "{kind} {tolerance}");
            assert_eq!(values("flag_u")[5], json!(255), "{kind} {tolerance}");
            assert_eq!(values("id"), [1, 2, 3, 4, 5, 6].map(Json::from), "{kind} {tolerance}");
            let last = fields(&subject);
            let of = |name: &str| last.iter().find(|(known, _)| known == name).map(|(_, of)| of.as_str());
            assert_eq!((of("bits"), of("flag_u")), (Some("int16?"), Some("int16?")), "{kind}");
            let count = versions(&subject).len();
            assert_eq!(running.terminate(), Some(0));
            once(&connector).expect_code(0);
            assert_eq!(versions(&subject).len(), count, "{kind}: the next run goes on with it");
        }
    }
}

#[test]
fn a_uuid_is_left_out_where_its_subject_has_no_such_field_but_not_one_that_comes_new() {
    let database = MySqlFamily::new("mariadb");
    database.run(
        "create table t (id int not null primary key, u uuid not null, v int);
         insert into t values (1, '00112233-4455-6677-8899-aabbccddeeff', 5)",
    );
    let connector = connector(&database.jdbc_url()).alone();
    let subject = format!("{}-value", connector.topic("t"));
    register(&subject, &schema(OF_TABLE, [("v", "int")]));
    let file = connector.file().display().to_string();
    let reason = format!(
        "left out as MariaDB Connector/J 3.3 and 3.5 do: subject {subject} version 1 has no such field; driver.types=mariadb-2.7, \
         for the column or for all, delivers it"
    );
    run(&["check", &file]).expect_code(0).expect_says(&["column u: ", &reason]);
    run(&["explain", &file]).expect_code(0).expect_says(&["left out", "u (uuid)", &reason]);
    once(&connector).expect_code(0);
    let read = records(&connector.topic("t"));
    assert_eq!((read[0].field("v"), read[0].field("u")), (json!(5), Json::Null));
    assert_eq!(versions(&subject), [1]);
    // A setting of the column delivers it.
    let connector = connector.set("column.t.u.driver.types", "mariadb-2.7").set("topic.prefix", &unique("u"));
    once(&connector).expect_code(0);
    assert_eq!(fields(&format!("{}-value", connector.topic("t")))[1], ("u".to_owned(), "string".to_owned()));
    // With Connect's own answer to types it does not know, a new topic is without it as well.
    let connector = connector.without("column.t.u.driver.types").set("type.unsupported", "skip");
    let connector = connector.set("topic.prefix", &unique("skip"));
    once(&connector).expect_code(0);
    assert_eq!(fields(&format!("{}-value", connector.topic("t"))), words([("v", "int")]));
    let connector = connector.without("type.unsupported");
    // One that is added while its table is read is in no schema yet.
    database.run("create table grown (id int not null primary key, v int); insert into grown values (1, 5)");
    let grown = connector.set("table.whitelist", "grown");
    let running = Running::start(&grown.file(), &[]);
    wait_for_records(&grown.topic("grown"), 1);
    database.run("alter table grown add column w uuid; insert into grown values (2, 6, uuid())");
    let read = wait_for_records(&grown.topic("grown"), 2);
    assert!(read[1].field("w").is_string(), "{}", read[1].value);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn check_and_explain_name_the_column_and_the_reason() {
    let database = table("mariadb");
    let connector = connector(&database.jdbc_url());
    let subject = format!("{}-value", connector.topic("t"));
    let file = connector.file().display().to_string();
    let unknown =
        format!("column flag: boolean as MariaDB Connector/J 3.3 and 3.5 deliver it: subject {subject} has no schema");
    run(&["check", &file]).expect_code(0).expect_says(&[&unknown]);
    for version in 1..=2 {
        let word = if version == 1 { "int" } else { "int8" };
        // As MariaDB Connector/J 2.7 has the rest.
        let of_columns = COLUMNS.iter().map(|(name, _, words)| (*name, if *name == "flag" { word } else { words[3] }));
        register(&subject, &schema(OF_TABLE, of_columns));
    }
    let known = format!("flag: int8 as MariaDB Connector/J 2.7 delivers it: subject {subject} version 2");
    run(&["check", &file]).expect_code(0).expect_says(&[&known, "bits: bytes as MariaDB Connector/J 2.7 delivers it"]);
    let explained = run(&["explain", &file]).expect_code(0).expect_says(&[&known]);
    assert!(explained.stdout.contains(r#""name":"bits","type":["null","bytes"]"#), "{}", explained.stdout);
    let json = run(&["explain", "--json", &file]).expect_code(0).stdout;
    let json: Json = serde_json::from_str(&json).expect("JSON");
    let text = json[0]["tables"][0]["driver_types"]["flag"].as_str().unwrap_or_default();
    assert!(known.ends_with(text) && !text.is_empty(), "{text}");
    let named = connector.set("driver.types", "mysql-8.0");
    let named = named.file().display().to_string();
    let by_name = "flag: int8 as MySQL Connector/J 8.0 delivers it: driver.types=mysql-8.0";
    run(&["check", &named]).expect_says(&[by_name]);
}

#[test]
fn a_driver_that_nobody_knows_and_one_for_another_database_are_refused() {
    let database = MySqlFamily::new("mysql");
    database.run("create table t (id int not null primary key)");
    let unknown = connector(&database.jdbc_url()).set("driver.types", "mysql-5.1");
    let list = "auto, mysql, mysql-8.0, mysql-8.4, mysql-9.7, mariadb, mariadb-2.7, mariadb-3.3, mariadb-3.5";
    let file = unknown.file().display().to_string();
    run(&["check", "--offline", &file]).expect_code(2).expect_says(&["driver.types", list]);
    let postgres = Postgres::new();
    let other = connector(&postgres.jdbc_url()).set("driver.types", "mysql-8.0");
    once(&other).expect_code(2).expect_says(&["driver.types", "one of postgresql"]);
}

#[test]
fn numbers_of_so_many_digits_are_rounded_as_the_server_shows_them() {
    for kind in FAMILY {
        let database = MySqlFamily::new(kind);
        database.run(
            "create table t (id int not null primary key, d double(10,3), f float(7,3), plain double, whole double(10,0));
             insert into t values (1, -0.001, 1.2345, 0.1, 2.4), (2, 1234567.0005, -0.0005, 1e-10, -3.5), (3, null, null, null, null)",
        );
        let of_table = connector(&database.jdbc_url());
        let query = "select id, d, f, plain, whole, d * 2 as twice from t";
        let of_query = connector(&database.jdbc_url()).without("table.whitelist").set("query", query);
        let of_query = of_query.set("topic.prefix", &unique("digits"));
        for (connector, topic) in [(&of_table, of_table.topic("t")), (&of_query, of_query.keys["topic.prefix"].clone())]
        {
            once(connector).expect_code(0);
            let read = records(&topic);
            let shown = |place: usize, name: &str| read[place].field(name).as_f64();
            assert_eq!(shown(0, "d"), Some(-0.001), "{kind}");
            assert_eq!(shown(0, "plain"), Some(0.1), "{kind}");
            assert_eq!(shown(1, "plain"), Some(1e-10), "{kind}");
            assert_eq!(read[2].field("d"), Json::Null, "{kind}");
            for (name, place) in [("d", 0), ("d", 1), ("f", 0), ("f", 1), ("whole", 0), ("whole", 1)] {
                let said = database.texts(&format!("select concat({name}) from t where id = {}", place + 1));
                let said: f64 = said[0].parse().expect("a number");
                // A float comes as the nearest of 32 bits.
                let said = if name == "f" { f64::from(said as f32) } else { said };
                let found = shown(place, name).map(|found| if name == "f" { f64::from(found as f32) } else { found });
                assert_eq!(found, Some(said), "{kind} {topic}: {name} of {place}");
            }
        }
        let twice = records(&of_query.keys["topic.prefix"])[0].field("twice").as_f64();
        assert_eq!(twice, Some(-0.002), "{kind}");
    }
}

#[test]
fn an_unsigned_decimal_of_tidb_has_the_digit_more_that_its_driver_sees() {
    let database = MySqlFamily::new("tidb");
    database.run(
        "create table t (id int not null primary key, d decimal(10,2) unsigned, s decimal(10,2)); insert into t values (1, 1.5, -1.5)",
    );
    let plain = connector(&database.jdbc_url());
    once(&plain).expect_code(0);
    let subject = format!("{}-value", plain.topic("t"));
    assert_eq!(fields(&subject), words([("d", "Decimal(11,2)"), ("s", "Decimal(10,2)")]));
    let query = connector(&database.jdbc_url()).without("table.whitelist").set("query", "select id, d, s from t");
    let query = query.set("topic.prefix", &unique("decimals"));
    once(&query).expect_code(0);
    let subject = format!("{}-value", query.keys["topic.prefix"]);
    assert_eq!(fields(&subject), words([("d", "Decimal(11,2)"), ("s", "Decimal(10,2)")]));
}
