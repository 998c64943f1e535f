//! Settings of single tables, `table.PATTERN.SETTING`: conditions and chosen columns in every mode and database, also for rows
//! that commit late; modes, keys and topics that differ from table to table.

use serde_json::{Value as Json, json};

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{Held, MySqlFamily, Postgres};
use crate::support::kafka::{records, wait_for_records};
use crate::support::process::{checked, once, run};

const MODES: [&str; 4] = ["bulk", "incrementing", "timestamp", "timestamp+incrementing"];

fn ids(connector: &Connector) -> Vec<i64> {
    let mut ids: Vec<i64> =
        records(&connector.topic("t")).iter().map(|record| record.field("id").as_i64().expect("an id")).collect();
    ids.sort_unstable();
    ids
}

/// Rows from 1 on, of which every third is not wanted; four at a time share a timestamp.
fn rows(numbers: std::ops::RangeInclusive<i64>) -> String {
    let row = |id: i64| {
        let status = ["open", "paid", "sent"][id as usize % 3];
        format!("({id}, '2024-02-29 12:00:{:02}', '{status}', 'no {id} or 1 = 1')", id / 4)
    };
    format!("insert into t values {}", numbers.map(row).collect::<Vec<_>>().join(", "))
}

const TABLE: &str = "create table t (id bigint not null primary key, ts timestamp not null, status varchar(10) not null, note varchar(20))";

#[test]
fn only_rows_that_meet_the_condition_of_their_table_are_read_in_every_mode() {
    for database in Any::all() {
        database.run(TABLE);
        let connectors = MODES.map(|mode| {
            // Without parentheses the last part would let every row through.
            let condition = "status = 'paid' or status = 'sent' and note like 'no%' -- nothing else";
            database.in_mode(mode).set("table.t.where", condition)
        });
        let wanted = |from: i64, to: i64| (from..=to).filter(|id| id % 3 != 0).collect::<Vec<_>>();
        database.run(&rows(1..=30));
        for connector in &connectors {
            checked(connector).expect_code(0).expect_says(&["has settings by table.t.where"]);
            once(connector).expect_code(0);
            assert_eq!(ids(connector), wanted(1, 30), "{} {}", database.name(), connector.keys["mode"]);
        }
        database.run(&rows(31..=45));
        for connector in connectors.iter().filter(|connector| connector.keys["mode"] != "bulk") {
            once(connector).expect_code(0);
            assert_eq!(ids(connector), wanted(1, 45), "{} {}", database.name(), connector.keys["mode"]);
        }
    }
}

#[test]
fn a_row_that_commits_late_is_delivered_if_it_meets_the_condition() {
    for database in Any::all().into_iter().filter(|database| database.name() != "sqlite") {
        database.run(&TABLE.replace("ts timestamp", "ts timestamp(6)"));
        let now = "current_timestamp(6)";
        let insert = |id: i64, status: &str| format!("insert into t values ({id}, {now}, '{status}', null)");
        let connectors = MODES[1..].iter().map(|mode| database.in_mode(mode).set("table.*.where", "status <> 'open'"));
        let connectors: Vec<Connector> = connectors.collect();
        database.run(&insert(1, "paid"));
        connectors.iter().for_each(|connector| drop(once(connector).expect_code(0)));
        let mut late = Held::on(database.server());
        late.run("begin");
        late.run(&insert(2, "paid"));
        late.run(&insert(3, "open"));
        for (id, status) in [(4, "open"), (5, "paid")] {
            database.run(&insert(id, status));
        }
        connectors.iter().for_each(|connector| drop(once(connector).expect_code(0)));
        late.run("commit");
        database.run(&insert(6, "sent"));
        for connector in &connectors {
            once(connector).expect_code(0);
            let mode = &connector.keys["mode"];
            assert_eq!(ids(connector), [1, 2, 5, 6], "{} {mode}", database.name());
        }
    }
}

#[test]
fn a_condition_that_the_database_does_not_take_is_said_by_check_and_fails_its_table_alone() {
    for database in [Any::Postgres(Postgres::new()), Any::MySql("mysql", MySqlFamily::new("mysql"))] {
        database.run(TABLE);
        database.run("create table u (id bigint primary key); insert into u values (1)");
        let connector = database.in_mode("incrementing").set("table.t.where", "stauts = 'paid'");
        let connector = connector.set("table.whitelist", "t,u");
        let says = ["stauts", "correct the `where` of the table"];
        checked(&connector).expect_code(2).expect_says(&says);
        once(&connector).expect_says(&says);
        assert_eq!(records(&connector.topic("u")).len(), 1, "{}", database.name());
    }
}

#[test]
fn a_row_that_meets_its_condition_no_more_does_not_make_the_table_another_one() {
    let database = Any::Postgres(Postgres::new());
    database.run(TABLE);
    // Time and note tell the rows apart.
    database.run(
        "insert into t select n, timestamp '2024-02-29 12:00:00' + n * interval '1 second',
         case n % 3 when 1 then 'paid' else 'open' end, 'no ' || n from generate_series(1, 9) n",
    );
    let connector = database.in_mode("incrementing").set("table.t.where", "status = 'paid'");
    once(&connector).expect_code(0);
    assert_eq!(ids(&connector), [1, 4, 7]);
    // The row at the position and all that were remembered are of another status now; a look at them begins anew with the
    // process.
    database.run("update t set status = 'open' where id < 9");
    database.run("vacuum full t");
    database.run(&rows(10..=12));
    once(&connector).expect_code(0);
    assert_eq!(ids(&connector), [1, 4, 7, 10]);
}

#[test]
fn columns_that_are_left_out_are_not_read_and_those_of_key_and_cursor_are_no_part_of_the_value() {
    for database in Any::all() {
        database.run(
            "create table t (id bigint primary key, ts timestamp not null, name varchar(10), secret varchar(10), secret_too int);
             insert into t values (1, '2024-02-29 12:00:00', 'a', 'x', 1), (2, '2024-02-29 12:00:00', 'b', 'y', 2),
               (3, '2024-02-29 12:00:01', 'c', 'z', 3)",
        );
        for mode in MODES {
            let connector = database
                .in_mode(mode)
                .set("key.mode", "primary_key")
                .set("table.*.columns.exclude", "no_such_column")
                .set("table.t.columns.exclude", "ID, ts, secret*")
                .set("table.t.columns.include", "id, ts, name, secret");
            let file = connector.file().display().to_string();
            let explained = run(&["explain", "--json", &file]).expect_code(0);
            let document: Json = serde_json::from_str(&explained.stdout).expect("JSON");
            let table = &document[0]["tables"][0];
            let sql = table["sql"].as_str().expect("a statement");
            assert!(!sql.contains("secret") && !sql.contains('*') && sql.contains("name"), "{mode}: {sql}");
            assert_eq!(table["settings"][0], "table.t.columns.exclude (over table.*.columns.exclude)");
            once(&connector).expect_code(0);
            database.run(&format!(
                "insert into t values ({}, '2024-02-29 12:01:00', 'later', 'x', 1)",
                4 + MODES.iter().position(|known| *known == mode).expect("a mode")
            ));
            if mode != "bulk" {
                once(&connector).expect_code(0);
            }
            let delivered = records(&connector.topic("t"));
            let fields = |text: &str| -> Vec<String> {
                let value: Json = serde_json::from_str(text).expect("JSON");
                value.as_object().expect("a record").keys().cloned().collect()
            };
            for record in &delivered {
                assert_eq!(fields(&record.value), ["name"], "{} {mode}", database.name());
                assert_eq!(fields(record.key.as_deref().expect("a key")), ["id"]);
            }
            let mut names: Vec<Json> = delivered.iter().map(|record| record.field("name")).collect();
            names.sort_by_key(Json::to_string);
            assert_eq!(names[..3], [json!("a"), json!("b"), json!("c")], "{} {mode}", database.name());
            assert_eq!(names.iter().filter(|name| **name == "later").count(), delivered.len() - 3);
        }
    }
}

#[test]
fn a_column_without_a_type_is_left_out_and_one_that_is_not_there_is_named() {
    let database = Postgres::new();
    database.run(
        "create table t (id bigint primary key, name text, place point, secret text);
         insert into t values (1, 'a', '(1,2)', 'x')",
    );
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .set("type.unsupported", "fail")
        .alone();
    checked(&connector).expect_code(2);
    let chosen = connector.set("table.t.columns.exclude", "secret,place").set("table.t.where", "name is not null");
    once(&chosen).expect_code(0);
    let delivered = records(&chosen.topic("t"));
    assert_eq!((delivered.len(), delivered[0].field("name")), (1, json!("a")));
    assert!(!delivered[0].value.contains("secret"), "{}", delivered[0].value);
    let misspelt = chosen.set("table.t.columns.exclude", "secret,plaec").set("type.unsupported", "text");
    checked(&misspelt)
        .expect_code(2)
        .expect_says(&["table.t.columns.exclude: there is no column `plaec`", "its columns are id, name, "]);
}

#[test]
fn tables_of_one_connector_have_modes_keys_and_topics_of_their_own() {
    for database in Any::all() {
        database.run(
            "create table country (code varchar(2) not null primary key, name varchar(20));
             create table orders (id bigint not null primary key, changed timestamp not null, note varchar(20));
             create table log (nr bigint primary key, line varchar(20));
             insert into country values ('de', 'Germany'), ('fr', 'France');
             insert into orders values (1, '2024-02-29 12:00:00', 'one');
             insert into log values (1, 'a'), (2, 'b')",
        );
        let connector = database
            .connector()
            .set("mode", "incrementing")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", "country,orders,log")
            .set("table.country.mode", "bulk")
            .set("table.country.key.mode", "primary_key")
            .set("table.o*.mode", "timestamp+incrementing")
            .set("table.orders.timestamp.column.name", "changed")
            .set("table.orders.message.key.columns", "id")
            .set("table.log.incrementing.column.name", "nr")
            .alone();
        let log_topic = format!("{}-the-log", connector.name);
        let connector = connector.set("table.log.topic", &log_topic);
        let says = "has settings by table.log.incrementing.column.name; table.log.topic";
        checked(&connector).expect_code(0).expect_says(&["mode bulk", "mode timestamp+incrementing", says]);
        once(&connector).expect_code(0);
        database
            .run("update orders set changed = '2024-02-29 13:00:00', note = 'two'; insert into log values (3, 'c')");
        once(&connector).expect_code(0);
        let name = database.name();
        let keys = |topic: &str, count: usize| -> Vec<Option<String>> {
            let mut keys: Vec<_> = wait_for_records(topic, count).into_iter().map(|record| record.key).collect();
            keys.sort();
            keys
        };
        // Read as a whole twice.
        let countries = keys(&connector.topic("country"), 4);
        assert_eq!(countries[0].as_deref(), Some(r#"{"code":"de"}"#), "{name}");
        assert_eq!(
            keys(&connector.topic("orders"), 2),
            [Some(r#"{"id":1}"#.to_owned()), Some(r#"{"id":1}"#.to_owned())]
        );
        assert_eq!(keys(&log_topic, 3), [None, None, None], "{name}");
        run(&[
            "offsets",
            "set",
            "--table",
            "country",
            "--incrementing",
            "1",
            "--yes",
            &connector.file().display().to_string(),
        ])
        .expect_code(2)
        .expect_says(&["mode=bulk has no offsets"]);
    }
}

#[test]
fn patterns_that_match_nothing_and_those_that_cannot_be_decided_between_are_said() {
    let database = Postgres::new();
    database.run("create table orders (id bigint primary key); create table items (id bigint primary key)");
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "orders,items")
        .set("table.public.ordres.where", "id > 0")
        .set("table.it*.poll.interval.ms", "1")
        .alone();
    let says = "table.public.ordres.where: `public.ordres` matches no table that is polled; it has no effect; did you mean \
                `public.orders`?";
    checked(&connector).expect_code(0).expect_says(&[says]);
    run(&["explain", &connector.file().display().to_string()])
        .expect_code(0)
        .expect_says(&[says, "settings      table.it*.poll"]);
    let tied = connector.set("table.*ems.poll.interval.ms", "2").set("table.*t*.poll.interval.ms", "3");
    let tied = tied.without("table.it*.poll.interval.ms").set("table.ite*.poll.interval.ms", "4");
    let says =
        "table.*ems.poll.interval.ms and table.ite*.poll.interval.ms both match the table and say different things";
    checked(&tied).expect_code(2).expect_says(&[says, "public.items", "name the table in one of them"]);
    once(&tied).expect_code(2).expect_says(&[says]);
}
