//! The first load of a table in the order of its primary key: each row once although it changes meanwhile, gone on with after
//! a kill, and forgotten with the offset.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Sqlite};
use crate::support::kafka::{read_topic, total_ends};
use crate::support::process::{Running, once, run};
use crate::support::{PATIENCE, eventually};

const ROWS: i64 = 60_000;

/// A table whose cursor has no index and another order than its key.
fn fill(database: &Any) {
    database.run("create table t (id int not null primary key, ts timestamp not null, v int not null)");
    let digits = |name: &str| {
        let rows: Vec<String> = (0..10).map(|digit| format!("select {digit} as d")).collect();
        format!("({}) {name}", rows.join(" union all "))
    };
    let place = format!("(i * 7919) % {ROWS}");
    database.run(&match database {
        Any::Postgres(_) => format!(
            "insert into t select i, timestamp '2024-01-01' + {place} * interval '1 second', 0 from generate_series(1, {ROWS}) i"
        ),
        Any::Sqlite(_) => format!(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS})
             insert into t select i, datetime('2024-01-01', ({place}) || ' seconds'), 0 from n"
        ),
        Any::MySql(..) => {
            let five = ["a", "b", "c", "e", "f"].map(digits).join(", ");
            format!(
                "insert into t select i, timestampadd(second, {place}, '2024-01-01'), 0 from
                 (select a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 1 as i from {five}) n where i <= {ROWS}"
            )
        }
    });
}

fn connector(database: &Any) -> Connector {
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let connector = database.in_mode("timestamp+incrementing").set("batch.max.rows", "100");
    let connector = connector.set("value.converter", json).set("value.converter.schemas.enable", "false");
    connector.set("load.order", "primary_key").without("value.converter.schema.registry.url")
}

/// The stored offsets as `offsets list --json` tells them.
fn listed(connector: &Connector) -> Vec<Json> {
    let listed = run(&["offsets", "list", &connector.file().display().to_string(), "--json", "--timeout", "120"]);
    let listed = listed.expect_code(0);
    serde_json::from_str(&listed.stdout).expect("JSON")
}

/// Kills the connector in the middle of its first load.
fn kill_in_the_middle(connector: &Connector) {
    let process = Running::start(&connector.file(), &["--listen", "off"]);
    eventually("the first rows", PATIENCE, || (total_ends([connector.topic("t")].into_iter())[0] > 0).then_some(()));
    process.kill();
    let offsets = listed(connector);
    let [only] = offsets.as_slice() else { panic!("one offset: {offsets:?}") };
    assert_eq!(only["partition"]["rowtide"], "load", "the load was over before the kill: {only}");
    assert!(only["offset"]["rowtide_load"].is_string(), "{only}");
}

/// The number of records of each row, by its id and version.
fn versions(connector: &Connector) -> BTreeMap<(i64, i64), usize> {
    let mut versions = BTreeMap::new();
    for record in read_topic(&connector.topic("t")) {
        let value: Json = serde_json::from_slice(&record.value.expect("a value")).expect("JSON");
        let field = |name: &str| value[name].as_i64().expect("a number");
        *versions.entry((field("id"), field("v"))).or_default() += 1;
    }
    versions
}

fn loads_each_row_once(database: &Any) {
    fill(database);
    let connector = connector(database);
    kill_in_the_middle(&connector);
    let now = if matches!(database, Any::Sqlite(_)) { "datetime('now')" } else { "current_timestamp" };
    let changed = [1, ROWS / 2, ROWS];
    database.run(&format!("update t set v = 1, ts = {now} where id in (1, {}, {ROWS})", ROWS / 2));
    database.run(&format!("insert into t values ({}, {now}, 1)", ROWS + 1));
    let end = || {
        once(&connector).expect_code(0);
        let versions = versions(&connector);
        let is_there = |id: i64| versions.contains_key(&(id, i64::from(changed.contains(&id) || id > ROWS)));
        (versions.values().all(|count| *count == 1), (1..=ROWS + 1).all(is_there), versions.len())
    };
    let (are_single, are_all_there, count) = eventually("the row of this second", PATIENCE, || {
        let end = end();
        end.1.then_some(end)
    });
    assert!(are_single && are_all_there, "{}: {count} versions", database.name());
    // Of those that were changed the version before is there if it had been read.
    assert!((ROWS as usize + 1..=ROWS as usize + 4).contains(&count), "{}: {count}", database.name());
    let offsets = listed(&connector);
    let [only] = offsets.as_slice() else { panic!("one offset: {offsets:?}") };
    assert_eq!(only["partition"]["protocol"], "1", "Kafka Connect's own: {only}");
    assert!(only["offset"]["rowtide_load"].is_null(), "{only}");
    assert_eq!(end().2, count, "nothing comes again");
}

#[test]
fn a_first_load_by_the_key_delivers_each_row_once_over_a_kill_and_over_changes_on_every_database() {
    Any::all().iter().for_each(loads_each_row_once);
}

#[test]
fn a_reset_in_the_middle_of_a_first_load_begins_it_anew() {
    let database = Any::Sqlite(Sqlite::new());
    fill(&database);
    let connector = connector(&database);
    kill_in_the_middle(&connector);
    let before = versions(&connector).len();
    let file = connector.file().display().to_string();
    let reset = run(&["offsets", "reset", &file, "--table", "t", "--yes", "--force"]).expect_code(0);
    reset.expect_says(&["first load, up to the key"]);
    assert_eq!(listed(&connector), Vec::<Json>::new());
    once(&connector).expect_code(0);
    let versions = versions(&connector);
    assert_eq!(versions.len(), ROWS as usize, "all rows are there");
    assert_eq!(versions.values().filter(|count| **count == 2).count(), before, "and those read before once more");
}

#[test]
fn a_large_table_without_statistics_is_found_to_be_large() {
    for kind in ["mysql", "tidb"] {
        let database = Any::MySql(kind, MySqlFamily::new(kind));
        let order = || {
            run(&["explain", &database.in_mode("timestamp+incrementing").file().display().to_string()]).expect_code(0)
        };
        database.run("create table t (id int primary key, ts timestamp not null, v int not null, key (ts, id))");
        order().expect_says(&["in the order of the cursor: the table is not known to be large"]);
        let rows: Vec<String> = (0..10_000).map(|id| format!("({id}, '2024-01-01', 0)")).collect();
        database.run(&format!("insert into t values {}", rows.join(", ")));
        for ten_thousands in [1, 2, 4, 8] {
            let more = 10_000 * ten_thousands;
            database.run(&format!("insert into t select id + {more}, ts, v from t"));
        }
        order().expect_says(&["in the order of the primary key: rows are stored by it"]);
    }
}

#[test]
fn explain_tells_the_order_of_the_first_load() {
    let database = Any::MySql("mysql", MySqlFamily::new("mysql"));
    database.run("create table t (id int primary key, ts timestamp not null, key (ts, id))");
    let order = |order: &str| {
        let connector = database.in_mode("timestamp+incrementing").set("load.order", order);
        run(&["explain", &connector.file().display().to_string()]).expect_code(0)
    };
    order("auto").expect_says(&["first load", "in the order of the cursor: the table is not known to be large"]);
    order("primary_key").expect_says(&["in the order of the primary key: load.order=primary_key"]);
    order("cursor").expect_says(&["in the order of the cursor: load.order=cursor"]);
}
