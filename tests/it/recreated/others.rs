//! Tables that begin anew where less is seen of it: modes with a timestamp, ids of the application, partitions, a file that
//! is replaced, an account without the right to see table ids, rows that cannot be read.

use serde_json::json;

use super::{SAYS, fields, full_name, ids, insert, once, polled, start};
use crate::modes::sources;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, MySqlUser, Postgres, Sqlite};
use crate::support::http::{table, wait_for_state};
use crate::support::kafka::{records, wait_for_records};
use crate::support::process::run;
use crate::support::{PATIENCE, eventually};

/// Rows of the year, each with its own time and text.
fn timed(year: u32, rows: usize) -> String {
    let row = |n: usize| format!("({n}, '{year}-01-01 00:00:{n:02}.000', '{year} {n}')");
    format!("insert into t values {}", (1..=rows).map(row).collect::<Vec<_>>().join(", "))
}

#[test]
fn rows_with_older_times_in_a_table_that_was_replaced_are_noticed_and_later_ones_just_go_on() {
    let schema = "create table t (id integer not null primary key, ts timestamp not null, v varchar(20))";
    for (url, run_sql, _keep) in sources(schema) {
        for mode in ["timestamp", "timestamp+incrementing"] {
            run_sql(&format!("drop table t; {schema}"));
            run_sql(&timed(2021, 10));
            let connector = Connector::new(&url).alone().set("mode", mode).set("timestamp.column.name", "ts");
            let connector = connector.set("table.whitelist", "t").set("table.recreated", "follow");
            let connector =
                if mode == "timestamp" { connector } else { connector.set("incrementing.column.name", "id") };
            let mut running = start(&connector);
            let address = running.address();
            wait_for_records(&connector.topic("t"), 10);
            run_sql(&format!("drop table t; {schema}"));
            run_sql(&timed(2020, 12));
            wait_for_records(&connector.topic("t"), 22);
            let name = full_name(&connector, "t");
            let status = table(&address, &name).expect("a status");
            assert_eq!(status["began_anew"]["times"], 1, "{url} {mode}: {status}");
            run_sql(&format!("drop table t; {schema}"));
            run_sql(&timed(2022, 3));
            wait_for_records(&connector.topic("t"), 25);
            run_sql("insert into t values (9, '2023-01-01 00:00:00.000', 'last')");
            wait_for_records(&connector.topic("t"), 26);
            let expected = [ids(1..=10), ids(1..=12), ids(1..=3), vec![json!(9)]].concat();
            assert_eq!(fields(&connector, "t", "id"), expected, "{url} {mode}");
            assert_eq!(running.terminate(), Some(0));
        }
    }
}

#[test]
fn a_partitioned_table_that_begins_anew_is_noticed_and_partitions_come_and_go() {
    let database = Postgres::new();
    database.run(
        "create table t (id bigint generated always as identity, day int not null, v text, primary key (id, day)) partition by list (day);
         create table t_1 partition of t for values in (1); create table t_2 partition of t for values in (2);
         insert into t (day, v) select 1 + n % 2, 'old ' || n from generate_series(1, 10) n",
    );
    let connector = polled(&database.jdbc_url(), "t")
        .set("incrementing.column.name", "id")
        .set("table.types", "PARTITIONED TABLE")
        .set("table.recreated", "follow");
    let mut running = start(&connector);
    let address = running.address();
    wait_for_records(&connector.topic("t"), 10);
    database.run(
        "create table t_3 partition of t for values in (3); drop table t_1;
         insert into t (day, v) values (3, 'of a new partition')",
    );
    wait_for_records(&connector.topic("t"), 11);
    let name = full_name(&connector, "t");
    super::rewritten::looked_at(&address, &name);
    assert!(table(&address, &name).expect("a status").get("began_anew").is_none());
    database
        .run("truncate t restart identity; insert into t (day, v) select 2, 'new ' || n from generate_series(1, 15) n");
    wait_for_records(&connector.topic("t"), 26);
    assert_eq!(fields(&connector, "t", "id"), [ids(1..=11), ids(1..=15)].concat());
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_sqlite_file_that_is_replaced_is_noticed_while_it_is_polled_and_over_a_restart() {
    let schema = "create table t (id integer primary key autoincrement not null, v text)";
    let file_of = |word: &str, rows: usize| {
        let database = Sqlite::new();
        database.run(schema);
        database.run(&insert("t", word, rows));
        // All of it in one file.
        database.run("pragma journal_mode = delete");
        database
    };
    let database = file_of("old", 10);
    let put = |other: &Sqlite| std::fs::rename(other.path(), database.path()).expect("rename");
    let connector = polled(&database.jdbc_url(), "t");
    let mut running = start(&connector);
    let address = running.address();
    wait_for_records(&connector.topic("t"), 10);
    put(&file_of("new", 20));
    let status = wait_for_state(&address, "t", "failed");
    assert!(status["reason"].as_str().is_some_and(|reason| reason.contains(SAYS)), "{status}");
    assert_eq!(running.ended(), Some(1), "it was the only table");
    once(&connector, &[]).expect_code(1).expect_says(&[SAYS]);
    let connector = connector.set("table.recreated", "follow");
    let running = start(&connector);
    wait_for_records(&connector.topic("t"), 30);
    put(&file_of("third", 5));
    wait_for_records(&connector.topic("t"), 35);
    assert_eq!(running.terminate(), Some(0));
    // The same rows in another file are the same table: a copy that was put back.
    let copy = file_of("third", 6);
    put(&copy);
    once(&connector, &[]).expect_code(0);
    assert_eq!(fields(&connector, "t", "id"), [ids(1..=10), ids(1..=20), ids(1..=6)].concat());
}

#[test]
fn ids_that_are_counted_from_the_beginning_again_are_noticed_without_another_table() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        let restart = match &url {
            url if url.contains("postgres") => "delete from t; alter sequence t_id_seq restart",
            url if url.contains("sqlite") => "delete from t; update sqlite_sequence set seq = 0 where name = 't'",
            // TiDB counts on.
            url if url.contains(&super::rewritten::tidb_port()) => continue,
            _ => "delete from t; alter table t auto_increment = 1",
        };
        run_sql(&super::create(&url, "t"));
        run_sql(&insert("t", "old", 10));
        let connector = polled(&url, "t").set("table.recreated", "follow");
        let running = start(&connector);
        wait_for_records(&connector.topic("t"), 10);
        run_sql(restart);
        run_sql(&insert("t", "new", 5));
        wait_for_records(&connector.topic("t"), 15);
        assert_eq!(fields(&connector, "t", "id"), [ids(1..=10), ids(1..=5)].concat(), "{url}");
        assert_eq!(running.terminate(), Some(0));
    }
}

#[test]
fn without_the_right_to_see_table_ids_counters_and_times_of_creation_tell() {
    for kind in ["mysql", "mariadb"] {
        let (user, database) = (MySqlUser::new(kind), MySqlFamily::new(kind));
        database.run("create table t (id integer primary key auto_increment, v varchar(20))");
        database.run(&format!("grant select on {}.* to {}", database.name, user.name));
        database.run(&insert("t", "old", 10));
        let connector =
            polled(&database.jdbc_url(), "t").set("connection.user", &user.name).set("table.recreated", "follow");
        let running = start(&connector);
        wait_for_records(&connector.topic("t"), 10);
        database.run("truncate table t");
        database.run(&insert("t", "new", 3));
        wait_for_records(&connector.topic("t"), 13);
        database.run("drop table t; create table t (id integer primary key auto_increment, v varchar(20))");
        database.run(&insert("t", "third", 20));
        wait_for_records(&connector.topic("t"), 33);
        let expected = [ids(1..=10), ids(1..=3), ids(1..=20)].concat();
        assert_eq!(fields(&connector, "t", "id"), expected, "{kind}");
        assert_eq!(running.terminate(), Some(0));
    }
}

#[test]
fn remembered_rows_that_cannot_be_read_any_more_hold_nothing_up() {
    for kind in ["mysql", "mariadb"] {
        let database = MySqlFamily::new(kind);
        database.run(
            "create table t (id integer primary key auto_increment, d date not null);
             insert into t (d) values ('2024-01-01'), ('2024-01-02'), ('2024-01-03')",
        );
        let connector = polled(&database.jdbc_url(), "t");
        let mut running = start(&connector);
        let address = running.address();
        wait_for_records(&connector.topic("t"), 3);
        database.run("set sql_mode = ''; update t set d = '0000-00-00'; optimize table t");
        database.run("insert into t (d) values ('2024-01-04')");
        wait_for_records(&connector.topic("t"), 4);
        super::rewritten::looked_at(&address, &full_name(&connector, "t"));
        assert_eq!(fields(&connector, "t", "id"), ids(1..=4), "{kind}");
        assert_eq!(running.terminate(), Some(0));
    }
}

#[test]
fn a_table_that_is_away_for_a_moment_is_waited_for_and_then_judged() {
    let schema =
        "create table t (id integer not null primary key, v varchar(20)); create table u (id integer primary key)";
    for (url, run_sql, _keep) in sources(schema) {
        run_sql(&insert_ids(1..=5, "old"));
        let connector = polled(&url, "t,u")
            .set("validate.non.null", "false")
            .set("incrementing.column.name", "id")
            .set("table.recreated", "follow");
        let mut running = start(&connector);
        let address = running.address();
        wait_for_records(&connector.topic("t"), 5);
        run_sql("alter table t rename to away");
        let name = full_name(&connector, "t");
        eventually("it is missed", PATIENCE, || (table(&address, &name)?["state"] == "backing_off").then_some(()));
        run_sql("alter table away rename to t");
        run_sql(&insert_ids(6..=6, "old"));
        wait_for_records(&connector.topic("t"), 6);
        run_sql("drop table t");
        wait_for_state(&address, &name, "failed");
        // With another column, too.
        run_sql("create table t (id integer not null primary key, v varchar(20), w integer)");
        run_sql(&insert_ids(1..=7, "new").replace("insert into t values", "insert into t (id, v) values"));
        let found = wait_for_records(&connector.topic("t"), 13);
        assert_eq!(fields(&connector, "t", "id"), [ids(1..=6), ids(1..=7)].concat(), "{url}");
        assert_eq!(found[12].field("w"), json!(null), "{url}");
        assert_eq!(running.terminate(), Some(0));
    }
}

fn insert_ids(range: std::ops::RangeInclusive<u32>, word: &str) -> String {
    let rows: Vec<String> = range.map(|id| format!("({id}, '{word} {id}')")).collect();
    format!("insert into t values {}", rows.join(", "))
}

#[test]
fn what_is_remembered_of_a_table_goes_with_its_offset_and_is_none_to_kafka_connect() {
    let database = Postgres::new();
    database.run("create table t (id serial primary key, v text); insert into t (v) values ('a'), ('b')");
    let connector = polled(&database.jdbc_url(), "t").set("commit.guard", "off");
    once(&connector, &[]).expect_code(0);
    let key = format!(r#"["{}",{{"rowtide":"table","table":"public.t"}}]"#, connector.name);
    let mark = || {
        let topic = crate::support::kafka::read_topic(&connector.keys["offset.storage.topic"]);
        let last = topic.into_iter().rfind(|record| record.key.as_deref() == Some(key.as_bytes()));
        last.and_then(|record| record.value)
            .map(|value| serde_json::from_slice::<serde_json::Value>(&value).expect("JSON"))
    };
    let remembered = mark().expect("a mark");
    let storage = database.texts("select 't'::regclass::oid || ':' || pg_relation_filenode('t')").remove(0);
    assert_eq!(remembered["storage"], json!(storage));
    assert_eq!(remembered["landmarks"].as_array().map(Vec::len), Some(2));
    let file = connector.file().display().to_string();
    for words in [&["offsets", "list", &file, "--json"][..], &["offsets", "get", &file]] {
        let shown = run(words).expect_code(0).stdout;
        assert!(shown.contains("public.t") && !shown.contains("landmarks"), "{shown}");
    }
    run(&["offsets", "set", &file, "--table", "t", "--incrementing", "1", "--yes"]).expect_code(0);
    assert_eq!(mark(), None, "the operator says which table the position belongs to: the present one");
    database.run("truncate t restart identity; insert into t (v) values ('c'), ('d')");
    once(&connector, &[]).expect_code(0);
    assert_eq!(fields(&connector, "t", "v"), ["a", "b", "d"].map(|v| json!(v)));
    assert_eq!(records(&connector.topic("t")).len(), 3);
}
