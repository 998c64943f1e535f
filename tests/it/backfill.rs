//! Backfills: a table is read again while it is polled, to its topic or another, over kills, asked for by REST and by the
//! command line; no older row follows a newer one.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value as Json, json};

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::http::table;
use crate::support::kafka::{read_topic, total_ends};
use crate::support::process::{Running, once, run};
use crate::support::rest::{Client, wait_for_raw};
use crate::support::{PATIENCE, eventually};

const ROWS: usize = 2_000;

/// The clock of a database, to the microsecond, in its SQL.
fn clock(database: &Any) -> &'static str {
    match database {
        Any::Postgres(_) => "clock_timestamp()",
        Any::MySql(..) => "current_timestamp(6)",
        Any::Sqlite(_) => "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    }
}

/// A table of rows in their first version.
fn fill(database: &Any, key: &str) {
    let time = match database {
        Any::Postgres(_) => "timestamptz",
        Any::MySql(..) => "timestamp(6)",
        Any::Sqlite(_) => "timestamp",
    };
    database.run(&format!("create table t (id int not null {key}, ts {time} not null, v int not null)"));
    let begin = "'2024-01-01 00:00:00'";
    let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, {begin}, 0)")).collect();
    database.run(&format!("insert into t values {}", rows.join(", ")));
}

fn plain(connector: Connector) -> Connector {
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let connector = connector.set("value.converter", json).set("value.converter.schemas.enable", "false");
    connector.set("batch.max.rows", "100").without("value.converter.schema.registry.url")
}

/// The versions of each row in the order in which they were delivered.
fn versions(topic: &str) -> BTreeMap<i64, Vec<i64>> {
    let mut versions: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for record in read_topic(topic) {
        let value: Json = serde_json::from_slice(&record.value.expect("a value")).expect("JSON");
        let field = |name: &str| value[name].as_i64().expect("a number");
        versions.entry(field("id")).or_default().push(field("v"));
    }
    versions
}

/// A connector that runs, and its REST.
struct House<'c> {
    process: Running,
    address: String,
    client: Client,
    connector: &'c Connector,
    /// The table's name in the status.
    table: String,
}

impl<'c> House<'c> {
    fn start(connector: &'c Connector, table: &str) -> Self {
        let mut process = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
        let address = process.address();
        let client = Client::new(&address);
        Self { process, address, client, connector, table: table.to_owned() }
    }

    fn path(&self) -> String {
        format!("/rowtide/v1/connectors/{}/tables/{}/backfill", self.connector.name, self.table)
    }

    /// The status of its backfill, while there is one.
    fn backfill(&self) -> Option<Json> {
        table(&self.address, &format!("{} (backfill)", self.table))
    }

    #[track_caller]
    fn wait_for_end(&self) {
        eventually("the end of the backfill", PATIENCE, || self.backfill().is_none().then_some(()));
    }

    fn events(&self) -> String {
        self.client.get(&format!("/rowtide/v1/events?connector={}", self.connector.name)).expect(200).json().to_string()
    }
}

/// The partitions with stored offsets.
fn listed(connector: &Connector) -> Vec<Json> {
    let listed = run(&["offsets", "list", &connector.file().display().to_string(), "--json", "--timeout", "120"]);
    let listed: Vec<Json> = serde_json::from_str(&listed.expect_code(0).stdout).expect("JSON");
    listed.into_iter().map(|entry| entry["partition"].clone()).collect()
}

fn reads_again_beside_changes(database: &Any) {
    fill(database, "primary key");
    let connector = plain(database.in_mode("timestamp+incrementing")).set("poll.interval.ms", "50");
    let topic = connector.topic("t");
    let house = House::start(&connector, &database.full_name("t"));
    wait_for_raw(&topic, ROWS);
    let request = json!({"rows_per_second": ROWS / 2});
    let answer = house.client.send("POST", &house.path(), &request).expect(201).json();
    assert!(answer["progress"]["rowtide_backfill"].is_string(), "{answer}");
    let again = house.client.send("POST", &house.path(), &request).expect(400);
    assert!(again.message().contains("is under way"), "{}", again.message());
    let mut rounds = 0;
    let status = house.backfill().expect("a status");
    assert_eq!(status["backfill"]["of"], house.table, "{status}");
    while house.backfill().is_some() {
        let (now, seventh) = (clock(database), rounds % 7);
        database.run(&format!("update t set v = v + 1, ts = {now} where id % 49 = {seventh}"));
        rounds += 1;
    }
    assert!(rounds > 0, "{}: the backfill was over at once", database.name());
    database.run(&format!("update t set v = 1000000, ts = {} where id = 49", clock(database)));
    eventually("the last change", PATIENCE, || versions(&topic)[&49].contains(&1_000_000).then_some(()));
    assert_eq!(house.process.terminate(), Some(0));
    let versions = versions(&topic);
    assert_eq!(versions.len(), ROWS);
    for (id, of_row) in &versions {
        assert!(of_row.is_sorted(), "{}: an older version of {id} follows a newer one: {of_row:?}", database.name());
        let is_untouched = id % 49 >= 7;
        assert!(!is_untouched || *of_row == [0, 0], "{}: {id} was read once more: {of_row:?}", database.name());
        let changes = of_row.iter().filter(|version| **version > 0);
        let changes: Vec<&i64> = changes.collect();
        assert!(changes.is_sorted_by(|one, other| one < other), "{}: {id}: {of_row:?}", database.name());
    }
}

#[test]
fn a_table_is_read_again_beside_changes_and_no_older_row_follows_a_newer_one_on_every_database() {
    thread::scope(|scope| {
        for database in Any::all() {
            scope.spawn(move || reads_again_beside_changes(&database));
        }
    });
}

#[test]
fn a_backfill_goes_on_after_a_kill_and_delivers_each_row_once() {
    let database = Any::Postgres(Postgres::new());
    fill(&database, "primary key");
    let connector = plain(database.in_mode("incrementing"));
    let topic = connector.topic("t");
    let house = House::start(&connector, "public.t");
    wait_for_raw(&topic, ROWS);
    house.client.send("POST", &house.path(), &json!({"rows_per_second": 200})).expect(201);
    let ends = || total_ends([topic.clone()].into_iter())[0];
    eventually("some rows once more", PATIENCE, || (ends() > ROWS as i64 + 150).then_some(()));
    house.process.kill();
    let stored = listed(&connector);
    assert!(stored.contains(&json!({"rowtide": "backfill", "table": "public.t"})), "{stored:?}");
    let house = House::start(&connector, "public.t");
    let status = eventually("the backfill goes on", PATIENCE, || house.backfill());
    assert_eq!(status["backfill"]["rows_per_second"], 200, "{status}");
    house.wait_for_end();
    let events = house.events();
    assert!(events.contains("the backfill is complete") && !events.contains("first load"), "{events}");
    assert_eq!(house.process.terminate(), Some(0));
    let versions = versions(&topic);
    assert_eq!(versions.len(), ROWS);
    versions.iter().for_each(|(id, of_row)| assert_eq!(of_row, &[0, 0], "{id}"));
    assert_eq!(listed(&connector), [json!({"protocol": "1", "table": "public.t"})]);
}

#[test]
fn some_rows_go_to_another_topic_and_the_table_s_own_has_no_more() {
    for database in [Any::Postgres(Postgres::new()), Any::Sqlite(Sqlite::new())] {
        // Without a key it is read in the order of the cursor.
        fill(&database, "");
        let connector = plain(database.in_mode("timestamp")).set("key.mode", "none").set("where", "v < 5 -- all");
        let connector = connector.set("table.t.where", "v < 5 -- all");
        let (topic, again) = (connector.topic("t"), connector.topic("again"));
        let house = House::start(&connector, &database.full_name("t"));
        wait_for_raw(&topic, ROWS);
        let request = json!({"where": "id % 10 = 3 -- some", "topic": again});
        house.client.send("POST", &house.path(), &request).expect(201);
        house.wait_for_end();
        let found = versions(&again);
        assert_eq!(found.len(), ROWS / 10, "{}", database.name());
        assert!(found.iter().all(|(id, of_row)| id % 10 == 3 && of_row.len() == 1), "{}", database.name());
        assert_eq!(read_topic(&topic).len(), ROWS);
        assert_eq!(house.process.terminate(), Some(0));
    }
}

#[test]
fn a_request_that_cannot_be_is_answered_with_what_is_wrong_and_a_cancelled_one_ends() {
    let database = Any::Postgres(Postgres::new());
    fill(&database, "primary key");
    database.run("create table whole (id int primary key); insert into whole values (1)");
    let connector = plain(database.in_mode("incrementing")).set("table.whitelist", "t,whole");
    let connector = connector.set("table.whole.mode", "bulk").set("poll.interval.ms", "100");
    let house = House::start(&connector, "public.t");
    wait_for_raw(&connector.topic("t"), ROWS);
    let refused = |body: &Json| house.client.send("POST", &house.path(), body).expect(400).message();
    for (body, says) in [
        (json!({"where": "nothing = 7"}), "nothing"),
        (json!({"where": "1 = 1) or ("}), "where"),
        (json!({"where": ""}), "`where` must be a text"),
        (json!({"topic": "no topic"}), "`no topic` is not a valid topic name"),
        (json!({"rows_per_second": 0}), "`rows_per_second` must be a whole number from 1"),
        (json!({"rate": 5}), "Unrecognized field \"rate\""),
    ] {
        let message = refused(&body);
        assert!(message.contains(says), "{body}: {message}");
    }
    let whole = house.path().replace("public.t/", "public.whole/");
    let message = house.client.send("POST", &whole, &json!({})).expect(400).message();
    assert!(message.contains("mode=bulk reads every row"), "{message}");
    let message = house.client.call("DELETE", &house.path(), None).expect(400).message();
    assert!(message.contains("no backfill of the table is under way"), "{message}");
    house.client.send("POST", &house.path().replace("public.t", "public.no"), &json!({})).expect(404);

    house.client.send("POST", &house.path(), &json!({"rows_per_second": 1})).expect(201);
    assert!(house.backfill().is_some());
    // A table that rests has a backfill that rests.
    let pause = house.path().replace("/backfill", "/pause");
    house.client.call("PUT", &pause, None).expect(202);
    eventually("it rests", PATIENCE, || house.backfill().filter(|status| status["state"] == "paused"));
    house.client.call("DELETE", &house.path(), None).expect(200);
    house.wait_for_end();
    assert!(house.events().contains("the backfill was cancelled"), "{}", house.events());
    assert_eq!(house.process.terminate(), Some(0));
    assert_eq!(listed(&connector).len(), 1);
}

#[test]
fn the_command_asks_the_instance_that_runs_and_stores_the_request_where_none_does() {
    let database = Any::Sqlite(Sqlite::new());
    fill(&database, "primary key");
    let connector = plain(database.in_mode("incrementing"));
    let (file, topic) = (connector.file().display().to_string(), connector.topic("t"));
    let backfill = |more: &[&str]| run(&[&["backfill", &file, "--table", "t"], more].concat());
    backfill(&[]).expect_code(2).expect_says(&["no offset is stored for `t`", "first load"]);
    once(&connector).expect_code(0);
    backfill(&["--cancel"]).expect_code(2).expect_says(&["no backfill of t is stored"]);
    backfill(&["--where", "nothing = 7"]).expect_says(&["nothing", "where"]);
    backfill(&["--where", "id <= 10"]).expect_code(0).expect_says(&["the next run", "reads t again, up to"]);
    backfill(&[]).expect_says(&["is stored, and not at its end", "--cancel"]);
    let listed_text = run(&["offsets", "list", &file]).expect_code(0);
    assert!(
        listed_text.stdout.contains("t (backfill)  backfill, up to the key the beginning"),
        "{}",
        listed_text.stdout
    );
    once(&connector).expect_code(0);
    assert_eq!(read_topic(&topic).len(), ROWS + 10);
    assert_eq!(listed(&connector).len(), 1);

    let house = House::start(&connector, "t");
    eventually("it is polled", PATIENCE, || table(&house.address, "t").filter(|table| table["state"] == "idle"));
    let url = format!("http://{}", house.address);
    let asked = backfill(&["--where", "id > 10 and id <= 30", "--rate", "5", "--url", &url]).expect_code(0);
    asked.expect_says(&["begun by the running instance", "t (backfill)"]);
    let again = backfill(&["--url", &url]).expect_says(&["is under way", "--cancel"]);
    assert_eq!(again.stderr.matches("more: ").count(), 1, "{}", again.stderr);
    backfill(&["--cancel", "--url", &url]).expect_code(0).expect_says(&["ended by the running instance"]);
    house.wait_for_end();
    backfill(&["--where", "id > 30 and id <= 50", "--url", &url]).expect_code(0);
    house.wait_for_end();
    let count = |id: i64| versions(&topic)[&id].len();
    assert_eq!((count(5), count(40), count(60)), (2, 2, 1));
    assert_eq!(house.process.terminate(), Some(0));
}

#[test]
fn a_reset_of_the_offset_forgets_the_backfill_and_so_does_a_table_that_begins_anew() {
    let database = Any::Postgres(Postgres::new());
    fill(&database, "primary key");
    let connector = plain(database.in_mode("incrementing")).set("table.recreated", "follow");
    let connector = connector.set("poll.interval.ms", "100");
    let topic = connector.topic("t");
    let house = House::start(&connector, "public.t");
    wait_for_raw(&topic, ROWS);
    house.client.send("POST", &house.path(), &json!({"rows_per_second": 1})).expect(201);
    house.client.call("DELETE", &house.path().replace("/backfill", "/offset"), None).expect(200);
    house.wait_for_end();
    wait_for_raw(&topic, 2 * ROWS);
    eventually("it is polled", PATIENCE, || table(&house.address, "public.t").filter(|table| table["state"] == "idle"));
    house.client.send("POST", &house.path(), &json!({"rows_per_second": 1})).expect(201);
    assert!(house.backfill().is_some());
    database.run("truncate t");
    database.run("insert into t values (1, now(), 7), (2, now(), 7)");
    house.wait_for_end();
    let is_there = || versions(&topic)[&2].contains(&7).then_some(());
    eventually("the new rows", PATIENCE, is_there);
    assert!(house.events().contains("the table is read from its beginning"), "{}", house.events());
    assert_eq!(house.process.terminate(), Some(0));
    assert_eq!(listed(&connector).len(), 1);
}
