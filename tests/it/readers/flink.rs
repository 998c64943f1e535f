//! Flink SQL over the topics: the rows it holds after inserts, updates and soft deletes are those of the table, with the
//! definition that `explain --ddl flink` prints and with the one of the walkthrough (W2).

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::connect::flink;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::process::{once, run};
use crate::support::{Stack, unique};

const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
/// Ends a query with the records there are.
const BOUNDED: &str = "'scan.bounded.mode' = 'latest-offset',\n  ";

/// The rows of a query once all its changes are applied, each as often as it is there.
fn rows(lines: &[String], query: usize) -> Vec<String> {
    let mut rows: BTreeMap<&str, isize> = BTreeMap::new();
    for line in lines {
        let Some((kind, row)) = line.strip_prefix(&format!("{query}\t")).and_then(|line| line.split_once('\t')) else {
            continue;
        };
        *rows.entry(row).or_default() += if matches!(kind, "+I" | "+U") { 1 } else { -1 };
    }
    rows.retain(|_, count| *count != 0);
    assert!(rows.values().all(|count| *count == 1), "{rows:?}");
    rows.into_keys().map(str::to_owned).collect()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// The definition that is printed for Flink, for a query that ends.
fn definition(connector: &Connector) -> String {
    let printed = run(&["explain", "--ddl", "flink", connector.file().to_str().expect("a path")]).expect_code(0).stdout;
    printed.replace("'properties.bootstrap.servers'", &format!("{BOUNDED}'properties.bootstrap.servers'"))
}

#[test]
fn flink_holds_the_rows_of_the_table_from_each_format_with_the_definition_that_explain_prints() {
    let database = Postgres::new();
    database.run(
        "create table t (id bigint primary key, name text, price numeric(10,2), at timestamp not null, day date, ok boolean,
             f double precision, gone boolean not null default false, updated_at timestamp not null default clock_timestamp());
         insert into t (id, name, price, at, day, ok, f)
             select n, nullif('é 😀 ' || n, 'é 😀 3'), n * 1.25, timestamp '2024-02-29 12:00:00.123' + n * interval '1 second',
                    date '1969-12-31' + n::int, n % 2 = 0, n + 0.25 from generate_series(1, 40) n",
    );
    let connectors = ["canal-json", "debezium-json", AVRO].map(|format| {
        Connector::new(&database.jdbc_url())
            .alone()
            .set("mode", "timestamp+incrementing")
            .set("timestamp.column.name", "updated_at")
            .set("incrementing.column.name", "id")
            .set("key.mode", "primary_key")
            .set("key.converter", format)
            .set("value.converter", format)
            .set("value.converter.decimal.format", "NUMERIC")
            .set("delete.mode", "soft")
            .set("delete.column", "gone")
    });
    let deliver = |sql: &str| {
        database.run(sql);
        connectors.iter().for_each(|connector| drop(once(connector).expect_code(0)));
    };
    deliver("select 1");
    deliver(
        "update t set price = price + 100, updated_at = clock_timestamp() where id % 3 = 0;
         update t set gone = true, updated_at = clock_timestamp() where id in (4, 7, 12)",
    );
    // One comes back, and another is new.
    deliver(
        "update t set gone = false, name = 'back', updated_at = clock_timestamp() where id = 7;
         insert into t (id, name, at) values (41, 'new', '2024-03-01 00:00:00.5')",
    );
    let columns = "`id`, `name`, `price`, `at`, `day`, `ok`, `f`";
    let script: String = connectors
        .iter()
        .map(|connector| format!("{}\nSELECT {columns} FROM `{}`;\n", definition(connector), connector.topic("t")))
        .collect();
    let lines = flink(&script);
    let expected = |at: &str, day: &str| {
        let texts = ["id::text", "name", "price::text", at, day, "ok::text", "f::text"];
        let texts: Vec<_> = texts.iter().map(|text| format!("coalesce({text}, 'null')")).collect();
        sorted(database.texts(&format!("select concat_ws(E'\\t', {}) from t where not gone", texts.join(", "))))
    };
    let texts = expected("to_char(at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')", "day::text");
    assert_eq!(texts.len(), 39);
    assert_eq!(rows(&lines, 0), texts, "canal-json");
    let numbers = expected("(extract(epoch from at) * 1000)::bigint::text", "(day - date '1970-01-01')::text");
    assert_eq!(rows(&lines, 1), numbers, "debezium-json");
    assert_eq!(rows(&lines, 2), texts, "avro-confluent as upsert-kafka");
}

/// TPC-C of one warehouse as go-tpc makes it, without the large tables that the walkthrough does not read, and with the column
/// that it adds; and its table of one column.
fn tpcc(database: &MySqlFamily) {
    let url = database.jdbc_url();
    let address = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
    let (host, port) = address.rsplit_once(':').expect("a port");
    let prepared = Command::new(crate::support::address("ROWTIDE_TEST_GO_TPC"))
        .args(["tpcc", "-H", host, "-P", port, "-U", "root", "-D", &database.name])
        .args(["--warehouses", "1", "--threads", "2", "prepare", "--no-check"])
        .output()
        .expect("go-tpc");
    let said = String::from_utf8_lossy(&prepared.stdout);
    // Its exit code is 0 whatever happens.
    assert!(said.ends_with("Finished\n"), "{said}{}", String::from_utf8_lossy(&prepared.stderr));
    database.run("drop table order_line, stock, item, customer, history");
    for table in ["orders", "new_order", "district", "warehouse"] {
        database.run(&format!(
            "alter table {table} add updated_at timestamp(6) not null default current_timestamp(6)
                 on update current_timestamp(6)"
        ));
    }
    database.run("create table t1 (id int); insert into t1 values (1), (2), (3)");
}

/// The connector of the walkthrough: the file as it stands, but for addresses and names of its own; its prefix of topics.
fn walkthrough(database: &MySqlFamily) -> (Connector, String) {
    let mut document: Json = serde_json::from_str(include_str!("../../../configs/w2.json")).expect("configs/w2.json");
    let mut connector = Connector::new(&database.jdbc_url());
    let own = ["connection.url", "catalog.pattern"].map(|key| (key.to_owned(), json!(connector.keys[key])));
    let keys = document["config"].as_object_mut().expect("an object");
    keys.extend(own);
    let prefix = format!("{}_", unique("tidb"));
    keys.insert("topic.prefix".to_owned(), json!(prefix));
    connector.keys.retain(|key, _| key.starts_with("offset.") || key == "bootstrap.servers");
    for (key, value) in keys {
        let key = key.replace("table.tpcc.", &format!("table.{}.", database.name));
        connector.keys.insert(key, value.as_str().expect("a text").to_owned());
    }
    (connector.alone(), format!("{prefix}{}_", database.name))
}

#[test]
fn the_walkthrough_of_tidb_ends_in_the_rows_of_the_table_in_flink() {
    let database = MySqlFamily::new("tidb");
    tpcc(&database);
    let (connector, prefix) = walkthrough(&database);
    once(&connector).expect_code(0);
    let topic = |table: &str| format!("{prefix}{table}");
    let brokers = Stack::get().brokers;
    let with = |topic: &str| {
        format!(
            "WITH ('connector' = 'kafka', 'topic' = '{topic}', {BOUNDED}'properties.bootstrap.servers' = '{brokers}',
                   'properties.isolation.level' = 'read_committed', 'format' = 'canal-json',
                   'scan.startup.mode' = 'earliest-offset');\n"
        )
    };
    let columns = "o_id INT, o_d_id INT, o_w_id INT, o_c_id INT, o_entry_d STRING, o_carrier_id INT, o_ol_cnt INT, o_all_local INT";
    let script = format!(
        "CREATE TABLE tpcc_orders ({columns}) {}SELECT * FROM tpcc_orders;\n\
         CREATE TABLE t1 (id INT) {}SELECT * FROM t1;\n",
        with(&topic("orders")),
        with(&topic("t1"))
    );
    let lines = flink(&script);
    let expected = || {
        let texts = "o_id, o_d_id, o_w_id, o_c_id, o_entry_d, ifnull(o_carrier_id, 'null'), o_ol_cnt, o_all_local";
        sorted(database.texts(&format!("select cast(concat_ws('\\t', {texts}) as char) from orders")))
    };
    let (found, wanted) = (rows(&lines, 0), expected());
    assert_eq!((found.len(), wanted.len()), (30_000, 30_000));
    assert_eq!(found, wanted);
    assert_eq!(rows(&lines, 1), ["1", "2", "3"]);
    // The delivery transaction, and new orders: an update has no row before it, so the definition needs the key.
    database.run("update orders set o_carrier_id = 7 where o_id between 2101 and 2120");
    database.run(
        "insert into orders (o_id, o_d_id, o_w_id, o_c_id, o_ol_cnt) values (3001, 1, 1, 5, 9), (3001, 2, 1, 6, 8)",
    );
    once(&connector).expect_code(0);
    let named = definition(&connector);
    let orders = topic("orders");
    let lines = flink(&format!(
        "{named}\nSELECT o_id, o_d_id, o_w_id, o_c_id, DATE_FORMAT(o_entry_d, 'yyyy-MM-dd HH:mm:ss'), o_carrier_id, \
         o_ol_cnt, o_all_local FROM `{orders}`;\n"
    ));
    let wanted = sorted(database.texts(
        "select cast(concat_ws('\\t', o_id, o_d_id, o_w_id, o_c_id, ifnull(o_entry_d, 'null'), ifnull(o_carrier_id, 'null'), \
         o_ol_cnt, ifnull(o_all_local, 'null')) as char) from orders",
    ));
    assert_eq!(wanted.len(), 30_002);
    assert_eq!(rows(&lines, 0), wanted);
}
