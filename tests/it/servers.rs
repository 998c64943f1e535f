//! The identity of the server: a database that is not the one the offsets belong to, or an older copy of it, is not
//! read from a position that means nothing there, until an operator says so.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::{Postgres, Role, Sqlite};
use crate::support::kafka::{read_topic, records, wait_for_records};
use crate::support::oracle::{assert_exactly_once, stored_offset};
use crate::support::process::{Finished, Running, run};

fn once(connector: &Connector, more: &[&str]) -> Finished {
    let file = connector.file().display().to_string();
    run(&[&["run", "--once", &file][..], more].concat())
}

fn command(words: &[&str], connector: &Connector, more: &[&str]) -> Finished {
    let file = connector.file().display().to_string();
    run(&[words, &[file.as_str()], more].concat())
}

/// The last record that remembers the server, if it is no tombstone.
fn remembered(connector: &Connector) -> Option<Json> {
    let key = format!(r#"["{}",{{"rowtide":"server"}}]"#, connector.name);
    let topic = read_topic(&connector.keys["offset.storage.topic"]);
    let last = topic.into_iter().rfind(|record| record.key.as_deref() == Some(key.as_bytes()));
    last?.value.map(|value| serde_json::from_slice(&value).expect("JSON"))
}

fn oid(database: &Postgres) -> String {
    database.texts("select oid::text from pg_database where datname = current_database()").remove(0)
}

const THREE: &str = "insert into test_table (item) values ('a'), ('b'), ('c')";
const TABLE: &str = include_str!("../../migrations/postgres/0001_test_table.sql");

#[test]
fn another_database_is_not_read_until_it_is_accepted() {
    let database = Postgres::with_test_table();
    database.run(THREE);
    let connector = Connector::of_test_table(&database.jdbc_url());
    command(&["check"], &connector, &[]).expect_code(0).expect_says(&["ok       server: ", "not remembered yet"]);
    once(&connector, &[]).expect_code(0);
    let system = database.texts("select system_identifier::text from pg_control_system()").remove(0);
    let first = format!("postgresql database {} ({}), system {system}", database.name, oid(&database));
    assert_eq!(remembered(&connector), Some(json!({"identity": first})));
    command(&["check"], &connector, &[]).expect_code(0).expect_says(&[&first, "as remembered", "no problems"]);

    database.replaced_by(None);
    database.run(TABLE);
    database.run("insert into test_table (item) values ('d'), ('e')");
    let second = format!("postgresql database {} ({}), system {system}", database.name, oid(&database));
    assert_ne!(first, second);
    let says = ["foreign server", &first, &second, "--accept-server"];
    once(&connector, &[]).expect_code(4).expect_says(&says);
    command(&["check"], &connector, &[]).expect_code(4).expect_says(&says).expect_says(&["1 problem"]);
    command(&["explain"], &connector, &[]).expect_code(0).expect_says(&says[..3]);
    assert_eq!(records(&connector.topic("test_table")).len(), 3);

    once(&connector, &["--accept-server"]).expect_code(0);
    assert_eq!(records(&connector.topic("test_table")).len(), 5);
    assert_eq!(remembered(&connector), Some(json!({"identity": second})));
    database.run("insert into test_table (item) values ('f')");
    once(&connector, &[]).expect_code(0);
    assert_eq!(records(&connector.topic("test_table")).len(), 6);
}

#[test]
fn a_database_that_is_exchanged_while_it_is_read_stops_the_connector() {
    let (database, other) = (Postgres::with_test_table(), Postgres::with_test_table());
    database.run(THREE);
    other.run(THREE);
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    // Only the first server of a run is accepted.
    let mut running = Running::start(&connector.file(), &["--accept-server"]);
    wait_for_records(&connector.topic("test_table"), 3);
    let before = oid(&database);
    database.replaced_by(Some(&other));
    assert_eq!(running.ended(), Some(4), "{}", running.log());
    for said in ["foreign server: ", &format!("({before})"), &format!("({})", oid(&database)), "--accept-server"] {
        assert!(running.log().contains(said), "`{said}` is not in\n{}", running.log());
    }
    assert_eq!(records(&connector.topic("test_table")).len(), 3);
}

fn counted(database: &Postgres) -> Connector {
    database.run("create table t (id bigserial primary key, name text)");
    database.run("insert into t (name) select 'row ' || n from generate_series(1, 10) n");
    Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("table.whitelist", "t")
}

fn ids(connector: &Connector) -> Vec<i64> {
    records(&connector.topic("t")).iter().map(|record| record.field("id").as_i64().expect("an id")).collect()
}

#[test]
fn an_older_copy_is_not_read_until_it_is_accepted_and_then_for_good() {
    let database = Postgres::new();
    let connector = counted(&database).set("commit.guard", "off");
    once(&connector, &[]).expect_code(0);
    database.run("delete from t where id > 8");
    once(&connector, &[]).expect_code(0);

    database.run("truncate t restart identity; insert into t (name) values ('x'), ('y'), ('z')");
    let says =
        ["foreign server", "older copy", "position 10", "maximum 3", "last id 3", &oid(&database), "--accept-server"];
    once(&connector, &[]).expect_code(4).expect_says(&says);
    once(&connector, &["--accept-server"]).expect_code(0);
    assert_eq!(ids(&connector), (1..=10).collect::<Vec<_>>());
    assert_eq!(
        stored_offset(&connector, "public.t").map(|offset| offset["rowtide_accepted"].clone()),
        Some(json!(true))
    );
    once(&connector, &[]).expect_code(0);
    database.run("insert into t (id, name) values (11, 'after')");
    once(&connector, &[]).expect_code(0);
    assert_eq!(ids(&connector), (1..=11).collect::<Vec<_>>());
    assert_eq!(stored_offset(&connector, "public.t"), Some(json!({"incrementing": 11})));
}

#[test]
fn where_the_last_id_is_hidden_deleted_rows_look_like_an_older_copy_and_it_is_said() {
    let (role, database) = (Role::new(), Postgres::new());
    let connector = counted(&database).set("connection.user", &role.0);
    database.run(&format!("grant select on t to {}", role.0));
    once(&connector, &[]).expect_code(0);
    database.run("delete from t where id > 8");
    let says = ["either rows were deleted, or", "restored from a backup", "select on its sequence", "maximum 8"];
    once(&connector, &[]).expect_code(4).expect_says(&says);
    database.run(&format!("grant select on sequence t_id_seq to {}", role.0));
    once(&connector, &[]).expect_code(0);
    database.run(&format!("drop owned by {}", role.0));
}

#[test]
fn a_timestamp_beyond_the_table_is_said_and_can_be_accepted_or_moved_back() {
    let database = Postgres::new();
    database.run(
        "create table t (id text primary key, ts timestamp not null);
         insert into t select n, timestamp '2024-01-01' + n * interval '1 day' from generate_series(1, 5) n",
    );
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "timestamp")
        .set("timestamp.column.name", "ts")
        .set("table.whitelist", "t");
    once(&connector, &[]).expect_code(0);
    once(&connector, &[]).expect_code(0);
    database.run("delete from t where ts > '2024-01-04'");
    let says = ["either rows were deleted", "position 2024-01-06T00:00:00Z", "maximum 2024-01-04T00:00:00Z"];
    once(&connector, &[]).expect_code(4).expect_says(&says);
    let back = ["--timestamp", "2024-01-03T00:00:00Z", "--yes"];
    command(&["offsets", "set"], &connector, &back).expect_code(0);
    once(&connector, &[]).expect_code(0);
    assert_eq!(records(&connector.topic("t")).len(), 6);
    database.run("delete from t where ts > '2024-01-02'");
    once(&connector, &[]).expect_code(4);
    once(&connector, &["--accept-server"]).expect_code(0);
    once(&connector, &[]).expect_code(0);
}

#[test]
fn a_start_at_the_present_lies_beyond_the_table_and_is_no_older_copy() {
    let database = Postgres::with_test_table();
    database
        .run(&format!("{THREE}; update test_table set ts = '2020-01-01'; alter sequence test_table_seq_seq restart"));
    for mode in ["timestamp", "timestamp+incrementing"] {
        let connector = Connector::of_test_table(&database.jdbc_url()).set("mode", mode).set("timestamp.initial", "-1");
        once(&connector, &[]).expect_code(0);
        once(&connector, &[]).expect_code(0);
        assert!(stored_offset(&connector, "public.test_table").is_some());
    }
}

#[test]
fn a_sqlite_file_has_no_identity_but_can_be_an_older_copy() {
    let database = Sqlite::new();
    database.run(
        "create table t (id integer primary key autoincrement, name text); insert into t (name) values ('a'), ('b')",
    );
    let connector = Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("table.whitelist", "t");
    once(&connector, &[]).expect_code(0);
    assert_eq!(remembered(&connector), None);
    database.run("delete from t where id = 2");
    once(&connector, &[]).expect_code(0);
    database.run("update sqlite_sequence set seq = 1 where name = 't'");
    once(&connector, &[]).expect_code(4).expect_says(&["older copy", "position 2", "maximum 1", "last id 1"]);
}

/// As `GET /connectors/NAME/offsets` of Kafka Connect answers, which lists what rowtide remembers too.
fn connects_document(connector: &Connector, folder: &Path) -> String {
    let file = folder.join("offsets.json");
    let document = json!({"offsets": [
        {"partition": {"rowtide": "server"}, "offset": {"identity": "another"}},
        {"partition": {"protocol": "1", "table": "public.t"}, "offset": {"incrementing": 4}},
    ]});
    std::fs::write(&file, document.to_string()).expect("write");
    command(&["offsets", "import"], connector, &[&file.display().to_string(), "--yes"])
        .expect_code(0)
        .expect_says(&["written: 1 offset "]);
    file.display().to_string()
}

#[test]
fn offsets_of_kafka_connect_have_no_server_and_are_gone_on_with() {
    let (database, folder) = (Postgres::new(), tempfile::tempdir().expect("a folder"));
    let connector = counted(&database);
    connects_document(&connector, folder.path());
    assert_eq!(remembered(&connector), None);
    let finished = once(&connector, &[]).expect_code(0);
    assert!(!finished.stderr.contains("foreign"), "{}", finished.stderr);
    assert_eq!(ids(&connector), (5..=10).collect::<Vec<_>>());
    assert!(remembered(&connector).is_some());
}

#[test]
fn the_remembered_server_is_shown_but_is_no_offset() {
    let (database, folder) = (Postgres::new(), tempfile::tempdir().expect("a folder"));
    let connector = counted(&database);
    once(&connector, &[]).expect_code(0);
    let known = remembered(&connector).expect("a server");
    let identity = known["identity"].as_str().expect("an identity").to_owned();
    command(&["offsets", "list"], &connector, &[]).expect_code(0).expect_says(&[&format!("  server: {identity}\n")]);
    let listed = command(&["offsets", "list"], &connector, &["--json"]).expect_code(0).stdout;
    let listed: Json = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["server"]), (Some(1), &json!(identity)));
    for words in [&["offsets", "get"][..], &["offsets", "export"]] {
        let more = if words[1] == "export" { &["-"][..] } else { &[] };
        let document = command(words, &connector, more).expect_code(0).stdout;
        assert!(document.contains("public.t") && !document.contains("identity"), "{document}");
    }
    connects_document(&connector, folder.path());
    command(&["offsets", "set"], &connector, &["--incrementing", "10", "--yes"]).expect_code(0);
    command(&["offsets", "reset"], &connector, &["--table", "t", "--yes"]).expect_code(0);
    assert_eq!(remembered(&connector), Some(known));
    command(&["offsets", "reset"], &connector, &["--yes"]).expect_code(0).expect_says(&["server\n", &identity]);
    assert_eq!(remembered(&connector), None);
}

#[test]
fn the_server_rides_with_the_rows_and_is_written_once() {
    let database = Postgres::with_test_table();
    database.run(THREE);
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    for _ in 0..3 {
        once(&connector, &[]).expect_code(0);
    }
    assert_exactly_once(&database, &connector, "test_table", true);
    let mut offsets = read_topic(&connector.keys["offset.storage.topic"]);
    let owner = format!(r#"["{}",{{"rowtide":"owner"}}]"#, connector.name);
    offsets.retain(|record| record.key.as_deref() != Some(owner.as_bytes()));
    assert_eq!(offsets.len(), 3, "one server, one table, one offset: they came with the rows");
}
