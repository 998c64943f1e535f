//! Cases peculiar to MySQL, MariaDB and TiDB from end to end: ids of 64 bits, ids out of order, instants under a
//! server's own zone, dates that are none, tables that change under the reader.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::MySqlFamily;
use crate::support::http::{table, wait_for_state};
use crate::support::kafka::{read_topic, records, wait_for_records};
use crate::support::load::{Writer, random};
use crate::support::oracle::stored_offset;
use crate::support::process::{Finished, Running, run};
use crate::support::{PATIENCE, eventually};

const FAMILY: [&str; 3] = ["mysql", "mariadb", "tidb"];

fn once(connector: &Connector, more: &[&str]) -> Finished {
    let file = connector.file().display().to_string();
    run(&[&["run", "--once", &file][..], more].concat())
}

fn fields(connector: &Connector, table: &str, field: &str) -> Vec<Json> {
    records(&connector.topic(table)).iter().map(|record| record.field(field)).collect()
}

fn connector(database: &MySqlFamily, parameters: &str, mode: &str) -> Connector {
    let connector = Connector::new(&format!("{}{parameters}", database.jdbc_url())).set("mode", mode);
    let connector =
        if mode.contains("incrementing") { connector.set("incrementing.column.name", "id") } else { connector };
    if mode.contains("timestamp") { connector.set("timestamp.column.name", "ts") } else { connector }
}

#[test]
fn ids_beyond_63_bits_are_read_in_order_and_survive_a_restart() {
    for kind in FAMILY {
        let database = MySqlFamily::new(kind);
        database.run(
            "create table t (id bigint unsigned not null primary key);
             insert into t values (1), (9223372036854775807), (9223372036854775808), (18446744073709551614)",
        );
        let connector = connector(&database, "", "incrementing")
            .set("batch.max.rows", "1")
            .set("unsigned.bigint", "string")
            .set("commit.guard", "off")
            .set("table.whitelist", "t");
        once(&connector, &[]).expect_code(0);
        once(&connector, &[]).expect_code(0);
        database.run("insert into t values (18446744073709551615)");
        once(&connector, &[]).expect_code(0);
        let ids = ["1", "9223372036854775807", "9223372036854775808", "18446744073709551614", "18446744073709551615"];
        assert_eq!(fields(&connector, "t", "id"), ids.map(Json::from), "{kind}");
        // Kafka Connect's field holds no such id; it is left out rather than wrapped.
        let offset = stored_offset(&connector, &format!("{}.t", database.name)).unwrap();
        assert_eq!(offset, json!({"rowtide": 1, "rowtide_position": r#"[{"u":18446744073709551615}]"#}), "{kind}");
        // Under the drop-in default the first one that does not fit is named, and nothing is wrapped.
        let plain = Connector::new(&database.jdbc_url())
            .set("mode", "incrementing")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", "t");
        once(&plain, &[]).expect_code(1).expect_says(&["beyond 2^63 - 1", "id=9223372036854775808", "unsigned.bigint"]);
        assert!(fields(&plain, "t", "id").is_empty(), "{kind}");
    }
}

#[test]
fn ids_that_do_not_follow_time_are_refused_or_warned_of() {
    let tidb = MySqlFamily::new("tidb");
    tidb.run(
        "create table r (id bigint auto_random primary key, ts timestamp(6) not null default current_timestamp(6), key (ts, id));
         insert into r () values (), (), ();
         create table b (id bigint auto_increment primary key); insert into b () values ()",
    );
    let refused = connector(&tidb, "", "incrementing").set("table.whitelist", "r");
    once(&refused, &[]).expect_code(1).expect_says(&["AUTO_RANDOM", "`id`"]);
    run(&["check", refused.file().to_str().unwrap()]).expect_says(&["AUTO_RANDOM"]);
    let timed = connector(&tidb, "", "timestamp+incrementing").set("table.whitelist", "r");
    once(&timed, &[]).expect_code(0);
    assert_eq!(records(&timed.topic("r")).len(), 3);
    let blocks = connector(&tidb, "", "incrementing").set("table.whitelist", "b");
    run(&["explain", blocks.file().to_str().unwrap()])
        .expect_code(0)
        .expect_says(&["in blocks of 30000", "AUTO_ID_CACHE 1"]);
}

#[test]
fn instants_are_right_in_any_zone_and_their_offsets_are_kafka_connect_s() {
    for kind in ["mysql", "mariadb"] {
        let database = MySqlFamily::new(kind);
        // 05:30 and 06:30 UTC are both 01:30 in New York that night.
        database.run(
            "set time_zone = '+00:00';
             create table t (id int not null primary key, ts timestamp(6) not null);
             insert into t values (1, '2024-11-03 05:30:00.000001'), (2, '2024-11-03 06:30:00.000002'),
               (3, '2024-11-03 15:00:00.123456')",
        );
        let connector =
            connector(&database, "?sessionVariables=time_zone='America/New_York'", "timestamp+incrementing")
                .set("table.whitelist", "t")
                .set("batch.max.rows", "1")
                .set("commit.guard", "off")
                .set("timestamp.granularity", "micros_long");
        once(&connector, &[]).expect_code(0);
        let instants = [1_730_611_800_000_001_i64, 1_730_615_400_000_002, 1_730_646_000_123_456];
        assert_eq!(fields(&connector, "t", "ts"), instants.map(Json::from), "{kind}");
        // Connect reads 10:00 in its session and takes it for UTC.
        let offset = stored_offset(&connector, &format!("{}.t", database.name)).unwrap();
        let expected = json!({"incrementing": 3, "timestamp": 1_730_628_000_123_i64, "timestamp_nanos": 123_456_000});
        assert_eq!(offset, expected, "{kind}");
        database.run("set time_zone = '+00:00'; insert into t values (4, '2024-11-03 15:00:00.123457')");
        once(&connector, &[]).expect_code(0);
        assert_eq!(fields(&connector, "t", "id"), [1, 2, 3, 4].map(Json::from), "{kind}");
        let unknown = Connector::new(&format!("{}?sessionVariables=time_zone='Mars/Phobos'", database.jdbc_url()))
            .set("mode", "bulk")
            .set("table.whitelist", "t");
        once(&unknown, &[]).expect_code(2).expect_says(&["Mars/Phobos", "time zone tables"]);
    }
}

#[test]
fn a_date_that_is_none_stops_its_table_until_a_setting_says_what_it_is() {
    for kind in FAMILY {
        let database = MySqlFamily::new(kind);
        database.run(
            "set sql_mode = '';
             create table good (id int not null primary key, d date);
             create table bad (id int not null primary key, d date not null);
             insert into good values (1, '2024-02-29'), (2, '0000-00-00'), (3, '2024-02-00');
             insert into bad values (1, '2024-02-29'), (17, '0000-00-00'), (18, '2024-03-01')",
        );
        let polled = connector(&database, "", "incrementing").alone();
        let mut running = Running::start(&polled.file(), &["--listen", "127.0.0.1:0"]);
        let status = wait_for_state(&running.address(), &format!("{}.bad", database.name), "failed");
        for (field, text) in
            [("reason", "zero date"), ("reason", "column d"), ("reason", "id=17"), ("advice", "d.zero.date=null")]
        {
            assert!(status[field].as_str().is_some_and(|found| found.contains(text)), "{kind}: {status}");
        }
        wait_for_records(&polled.topic("good"), 3);
        assert_eq!(fields(&polled, "good", "d"), [json!(19_782), json!(null), json!(null)], "{kind}");
        assert_eq!(running.terminate(), Some(0));
        let polled = polled.set(&format!("column.{}.bad.d.zero.date", database.name), "epoch");
        once(&polled, &[]).expect_code(0);
        assert_eq!(fields(&polled, "bad", "d"), [19_782, 0, 19_783].map(Json::from), "{kind}");
        let as_text = connector(&database, "", "incrementing")
            .set("table.whitelist", "bad")
            .set("column.bad.d.zero.date", "string");
        once(&as_text, &[]).expect_code(0);
        assert_eq!(fields(&as_text, "bad", "d"), ["2024-02-29", "0000-00-00", "2024-03-01"].map(Json::from), "{kind}");
    }
}

#[test]
fn a_table_made_anew_stops_and_one_whose_columns_change_goes_on() {
    for kind in FAMILY {
        let database = MySqlFamily::new(kind);
        database.run(
            "create table t (id int not null auto_increment primary key, v varchar(9));
             create table u (id int not null auto_increment primary key, v int);
             insert into t (v) values ('a'), ('b'); insert into u (v) values (1)",
        );
        let polled = connector(&database, "", "incrementing").alone();
        let mut running = Running::start(&polled.file(), &["--listen", "127.0.0.1:0"]);
        let address = running.address();
        wait_for_records(&polled.topic("t"), 2);
        wait_for_records(&polled.topic("u"), 1);
        database.run(
            "alter table u modify v bigint, add column w varchar(5); insert into u (v, w) values (5000000000, 'x')",
        );
        let of_u = wait_for_records(&polled.topic("u"), 2);
        assert_eq!(of_u[1].field("v"), json!(5_000_000_000_i64), "{kind}");
        assert_eq!(of_u[1].field("w"), json!("x"), "{kind}");
        database.run("drop table t");
        let name = format!("{}.t", database.name);
        // It fails, or is no longer listed, whichever is noticed first.
        eventually("the table is missed", PATIENCE, || {
            table(&address, &name).is_none_or(|status| status["state"] == "failed").then_some(())
        });
        database.run(
            "create table t (id int not null auto_increment primary key, v varchar(9)); insert into t (v) values ('c')",
        );
        eventually("the new table is noticed", PATIENCE, || {
            let status = table(&address, &name)?;
            let reason = status["reason"].as_str()?;
            (reason.contains("the table has begun anew") || reason.contains("the table was gone")).then_some(())
        });
        database.run("insert into u (v) values (2)");
        wait_for_records(&polled.topic("u"), 3);
        assert_eq!(running.terminate(), Some(0));
        let file = polled.file().display().to_string();
        run(&["offsets", "reset", &file, "--table", &name, "--yes"]).expect_code(0);
        once(&polled, &[]).expect_code(0);
        assert_eq!(fields(&polled, "t", "v").last(), Some(&json!("c")), "{kind}");
    }
}

#[test]
fn another_server_is_not_read_until_it_is_accepted() {
    let (mysql, mariadb) = (MySqlFamily::new("mysql"), MySqlFamily::new("mariadb"));
    for database in [&mysql, &mariadb] {
        // Of one name on both servers.
        database.run("create database if not exists rt_twins; create table if not exists rt_twins.t (id int not null primary key)");
        database.run("replace into rt_twins.t values (1)");
    }
    let url = |database: &MySqlFamily| database.jdbc_url().replace(&database.name, "rt_twins");
    let polled = Connector::new(&url(&mysql))
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t");
    once(&polled, &[]).expect_code(0);
    mariadb.run("replace into rt_twins.t values (2)");
    let polled = polled.set("connection.url", &url(&mariadb));
    once(&polled, &[]).expect_code(4).expect_says(&[
        "foreign server",
        "mysql server",
        "mariadb server",
        "--accept-server",
    ]);
    once(&polled, &["--accept-server"]).expect_code(0);
    assert_eq!(fields(&polled, "t", "id"), [1, 2].map(Json::from));
    once(&polled, &[]).expect_code(0);
}

/// A UUID of version 7, or 4 where the nibble says so, whose first digits count.
fn uuid(n: u64, version: char) -> String {
    format!("{:08x}-0000-{version}000-8000-0123456789ab", 0x0190_0000 + n)
}

#[test]
fn ids_of_text_bytes_and_decimals_are_read_once_in_the_order_of_their_bytes() {
    for kind in FAMILY {
        let database = MySqlFamily::new(kind);
        database.run(
            "create table words (id varchar(40) character set latin1 primary key);
             create table bytes_ (id binary(16) primary key);
             create table numbers (id decimal(30,0) primary key)",
        );
        let mut tables = vec!["words", "bytes_", "numbers"];
        if kind == "mariadb" {
            database.run("create table uuids (id uuid primary key)");
            tables.push("uuids");
        }
        let of = |table: &str| {
            connector(&database, "", "incrementing").set("table.whitelist", table).set("batch.max.rows", "2")
        };
        let connectors: Vec<Connector> = tables.iter().map(|table| of(table)).collect();
        for round in 0..3_u64 {
            for n in round * 3..round * 3 + 3 {
                // `B` sorts before `a` by bytes, and not by the column's own collation.
                let word = ["B", "D", "F", "a", "c", "e", "g", "\u{f8}", "\u{fe}"][n as usize];
                let number = 100_000_000_000_000_000_000_u128 + u128::from(n);
                database.run(&format!(
                    "insert into words values ('{word}'); insert into numbers values ({number});
                     insert into bytes_ values (unhex(replace('{}', '-', '')))",
                    uuid(n, '7')
                ));
                if kind == "mariadb" {
                    database.run(&format!("insert into uuids values ('{}')", uuid(n, '7')));
                }
            }
            connectors.iter().for_each(|connector| drop(once(connector, &[]).expect_code(0)));
        }
        for (connector, table) in connectors.iter().zip(&tables) {
            assert_eq!(records(&connector.topic(table)).len(), 9, "{kind}: {table}");
        }
        let words = ["B", "D", "F", "a", "c", "e", "g", "\u{f8}", "\u{fe}"];
        assert_eq!(fields(&connectors[0], "words", "id"), words.map(Json::from), "{kind}");
        database.run(&format!(
            "create table random (id char(36) primary key); insert into random values ('{}'), ('{}')",
            uuid(1, '4'),
            uuid(2, '4')
        ));
        once(&of("random"), &[]).expect_code(1).expect_says(&["version 4"]);
    }
}

#[test]
fn a_bare_name_means_the_table_of_the_url_s_database() {
    for kind in FAMILY {
        let (own, other) = (MySqlFamily::new(kind), MySqlFamily::new(kind));
        let name = format!("t_{}", own.name);
        for (database, id) in [(&own, 1), (&other, 2)] {
            database.run(&format!("create table {name} (id int primary key); insert into {name} values ({id})"));
        }
        // MariaDB's driver lists the URL's database only.
        let everywhere = |tables: &str| {
            let connector = connector(&own, "?nullDatabaseMeansCurrent=false", "incrementing");
            connector.without("catalog.pattern").set("table.whitelist", tables)
        };
        let bare = everywhere(&name);
        once(&bare, &[]).expect_code(0);
        assert_eq!(fields(&bare, &name, "id"), [json!(1)], "{kind}");
        let full = everywhere(&format!("{}.{name}", other.name));
        once(&full, &[]).expect_code(0);
        assert_eq!(fields(&full, &name, "id"), [json!(2)], "{kind}");
        let both = everywhere(&format!("{}.{name},{}.{name}", own.name, other.name));
        once(&both, &[])
            .expect_code(2)
            .expect_says(&["would share one topic", &format!("catalog.pattern={}", own.name)]);
    }
}

#[test]
fn a_view_that_is_named_is_said_to_be_one() {
    for kind in FAMILY {
        let database = MySqlFamily::new(kind);
        database.run("create table orders (id int primary key); create view order1 as select * from orders");
        let view = connector(&database, "", "bulk").set("table.whitelist", "order1");
        let full = connector(&database, "", "bulk").set("table.whitelist", &format!("{}.order1", database.name));
        for connector in [view, full] {
            let file = connector.file().display().to_string();
            for command in [&["check", &file][..], &["run", "--once", &file]] {
                run(command).expect_code(2).expect_says(&["order1` is a VIEW: set table.types=TABLE,VIEW"]);
            }
        }
    }
}

#[test]
fn a_view_whose_definer_is_gone_is_named_with_the_reason() {
    for kind in ["mysql", "mariadb"] {
        let database = MySqlFamily::new(kind);
        let definer = database.name.clone();
        database.run(&format!(
            "create table orders (id int primary key); create user '{definer}'@'localhost';
             create definer = '{definer}'@'localhost' view seen as select * from orders; drop user '{definer}'@'localhost'"
        ));
        let view = connector(&database, "", "bulk").set("table.whitelist", "seen").set("table.types", "VIEW");
        once(&view, &[]).expect_says(&["seen", "runs as the user who defined it, and that user no longer exists"]);
    }
}

#[test]
fn a_column_of_tidb_that_is_added_renamed_or_dropped_stops_its_table_for_less_than_three_seconds() {
    let database = MySqlFamily::new("tidb");
    database.run(
        "create table t (id bigint primary key auto_increment, ts timestamp(6) not null default current_timestamp(6),
           item varchar(20), key (ts, id))",
    );
    for mode in ["timestamp+incrementing", "incrementing"] {
        database.run("truncate table t");
        let connector = connector(&database, "", mode).alone().set("table.whitelist", "t");
        let topic = connector.topic("t");
        let running = Running::start(&connector.file(), &[]);
        let writer = Writer::start(&database, random(), |_, n| format!("insert into t (item) values ('{n}')"));
        let at_least = |count: usize| {
            eventually(&format!("{count} records"), PATIENCE, || {
                Some(read_topic(&topic).len()).filter(|found| *found >= count)
            })
        };
        let mut count = at_least(5);
        for change in ["add column extra int", "rename column extra to other", "drop column other"] {
            database.run(&format!("alter table t {change}"));
            // Those of before and those of after.
            count = at_least(count + 100);
        }
        writer.stop();
        let written: usize = database.texts("select concat(count(*)) from t")[0].parse().expect("a number");
        // Every row comes; those of the guard's window come again with their new columns, as the page of promises says.
        let read = eventually("every row is there", PATIENCE, || {
            let read = records(&topic);
            let ids: HashSet<i64> = read.iter().filter_map(|record| record.field("id").as_i64()).collect();
            (ids.len() == written).then_some(read)
        });
        assert!(read.iter().any(|record| record.value.contains("\"extra\"")), "{mode}");
        // From the last record of the old columns to the first of the new ones, the registry's time included.
        let mut times: Vec<i64> = read_topic(&topic).iter().map(|record| record.at).collect();
        times.sort_unstable();
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest < Some(3_000), "{mode}: nothing came for {longest:?} ms\n{}", running.log());
        assert_eq!(running.terminate(), Some(0));
    }
}
