//! A worker in this process, asked as REST will ask it: connectors come, rest, go on, fail and go while others do not
//! notice, nothing is lost or repeated, and what is gone leaves nothing behind.

use std::time::Duration;

use rowtide::config::spec::ConnectorSpec;
use rowtide::config::{Document, Surroundings, read};
use rowtide::connector::offset_tools;
use rowtide::connector::worker::{End, Worker, WorkerOptions};
use rowtide::herder::{ConnectState, Herder, HerderError, Outcome, Put, TargetState, Written};
use rowtide::model::{SourceOffset, SourcePartition};

use crate::support::config::Connector;
use crate::support::db::{Postgres, runtime};
use crate::support::kafka::{ends, read_topic, wait_for_records};
use crate::support::load::{Writer, inserts, random};
use crate::support::oracle::{assert_exactly_once, stored_offset};
use crate::support::process::run;
use crate::support::{PATIENCE, eventually};

/// A worker that is shut down with the test.
struct House(Worker);

impl Drop for House {
    fn drop(&mut self) {
        runtime().block_on(self.0.shutdown());
    }
}

impl House {
    fn new() -> Self {
        Self(Worker::new(WorkerOptions { timeout: PATIENCE, ..WorkerOptions::default() }))
    }

    fn put(&self, connector: &Connector, put: Put) -> Outcome<Written> {
        runtime().block_on(async { self.0.put(settings(connector), put).await })
    }

    #[track_caller]
    fn create(&self, connector: &Connector) {
        let written = self.put(connector, Put::Create(TargetState::Running));
        assert_eq!(written.expect("a connector"), Written::Created);
    }

    /// One request about a connector, to its end.
    #[track_caller]
    fn ask<T>(&self, request: impl AsyncFnOnce(&Worker) -> Outcome<T>) -> T {
        runtime().block_on(request(&self.0)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused<T: std::fmt::Debug>(&self, request: impl AsyncFnOnce(&Worker) -> Outcome<T>) -> HerderError {
        runtime().block_on(request(&self.0)).expect_err("it is refused")
    }

    fn state(&self, connector: &Connector) -> ConnectState {
        self.0.status(&connector.name).expect("a status").state
    }

    fn metrics(&self) -> String {
        self.0.metrics().scrape(&self.0.boards().snapshot())
    }

    /// Waits until rows of a connector are committed.
    fn has_rows(&self, connector: &Connector) {
        eventually("rows", PATIENCE, || {
            let statuses = self.0.boards().snapshot();
            let status = statuses.iter().find(|status| status.name == connector.name)?;
            status.tables.iter().any(|table| table.rows > 0).then_some(())
        });
    }
}

fn settings(connector: &Connector) -> Document {
    read(connector.file().to_str().expect("a path")).expect("the file")
}

fn spec(connector: &Connector) -> ConnectorSpec {
    let loaded = rowtide::config::connector(settings(connector), Surroundings::default());
    loaded.unwrap_or_else(|report| panic!("{report}")).spec
}

fn partition() -> SourcePartition {
    let parts = [("protocol", "1"), ("table", "public.test_table")];
    SourcePartition(parts.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
}

fn insert(database: &Postgres, rows: usize) {
    database.run(&format!("insert into test_table (item) select 'row ' || n from generate_series(1, {rows}) n"));
}

/// PostgreSQL ends a session a moment after the client.
#[track_caller]
fn no_sessions(database: &Postgres) {
    eventually("no session", Duration::from_secs(5), || (sessions(database) == "0").then_some(()));
}

/// Sessions of rowtide in the database.
fn sessions(database: &Postgres) -> String {
    let sql = "select count(*)::text from pg_stat_activity where datname = current_database() and application_name = 'rowtide'";
    database.texts(sql).remove(0)
}

#[test]
fn a_name_is_taken_once_and_the_connector_that_has_it_does_not_notice() {
    let database = Postgres::with_test_table();
    insert(&database, 1);
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let house = House::new();
    house.create(&connector);
    wait_for_records(&connector.topic("test_table"), 1);
    let refused = house.put(&connector, Put::Create(TargetState::Running)).expect_err("the name is taken");
    assert_eq!(refused.to_string(), format!("Connector {} already exists", connector.name));
    insert(&database, 1);
    wait_for_records(&connector.topic("test_table"), 2);
    assert_eq!((house.0.connectors(), house.state(&connector)), (vec![connector.name.clone()], ConnectState::Running));
}

#[test]
fn settings_that_are_wrong_make_no_connector_and_all_that_is_wrong_is_said() {
    let connector = Connector::new("jdbc:postgresql://localhost/d").set("mode", "often").set("tasks.max", "none");
    let house = House::new();
    let HerderError::Invalid(report) = house.put(&connector, Put::Replace).expect_err("it is wrong") else {
        panic!("another error")
    };
    let keys: Vec<&str> = report.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert!(keys.contains(&"mode") && keys.contains(&"tasks.max"), "{report}");
    assert_eq!(house.0.validate(&settings(&connector)).problems, report.problems);
    assert!(house.0.connectors().is_empty());
}

#[test]
fn two_connectors_of_sixteen_tasks_read_eighty_tables_through_three_sessions() {
    const TABLES: usize = 40;
    let database = Postgres::new();
    let names = || (0..TABLES).map(|n| format!("t{n}"));
    names().for_each(|name| database.run(&format!("create table {name} (id serial primary key, item text)")));
    let insert = |rows: usize| {
        let one = |name: String| format!("insert into {name} (item) select 'x' from generate_series(1, {rows});");
        database.run(&names().map(one).collect::<String>());
    };
    insert(10);
    let connector = || {
        Connector::new(&database.jdbc_url())
            .set("mode", "incrementing")
            .set("incrementing.column.name", "id")
            .set("tasks.max", "8")
            .set("poll.interval.ms", "200")
            .set("connection.pool.size", "3")
    };
    let (first, second) = (connector(), connector());
    let house = House::new();
    house.create(&first);
    house.create(&second);
    let mut most = 0;
    let mut rows = 10;
    for _ in 0..3 {
        let delivered = || {
            let statuses = house.0.boards().snapshot();
            statuses.iter().map(|status| status.tables.iter().map(|table| table.rows).sum::<u64>()).sum::<u64>()
        };
        eventually("all rows", PATIENCE, || {
            most = most.max(sessions(&database).parse::<usize>().expect("a number"));
            (delivered() == (2 * TABLES * rows) as u64).then_some(())
        });
        insert(5);
        rows += 5;
    }
    assert_eq!(most, 3, "all of the pool is used, and no more");
}

#[test]
fn a_connector_that_fails_leaves_the_others_alone_and_can_be_started_again() {
    let database = Postgres::with_test_table();
    insert(&database, 1);
    let good = Connector::of_test_table(&database.jdbc_url()).alone();
    let bad = Connector::of_test_table(&database.jdbc_url()).alone().set("table.whitelist", "later");
    let house = House::new();
    house.create(&good);
    house.create(&bad);
    let ended = runtime().block_on(house.0.ended()).expect("an end");
    assert_eq!(ended.connector, bad.name);
    assert!(matches!(ended.end, End::Failed(_)), "{ended:?}");
    let status = house.0.status(&bad.name).expect("a status");
    assert_eq!(status.state, ConnectState::Failed);
    assert!(status.trace.is_some_and(|trace| trace.contains("no such table: `later`")));
    insert(&database, 1);
    wait_for_records(&good.topic("test_table"), 2);
    // What has failed is left as it is by a pause, and by a restart of another.
    house.ask(async |worker| worker.restart(&good.name, true).await);
    assert_eq!((house.state(&good), house.state(&bad)), (ConnectState::Running, ConnectState::Failed));
    database.run("create table later (like test_table including all); insert into later (item) values ('there')");
    house.ask(async |worker| worker.restart(&bad.name, true).await);
    wait_for_records(&bad.topic("later"), 1);
    assert_eq!(house.state(&bad), ConnectState::Running);
    assert_eq!(house.0.status(&bad.name).expect("a status").tasks, [ConnectState::Running]);
}

#[test]
fn a_paused_connector_has_committed_has_no_session_and_goes_on_where_it_was() {
    let database = Postgres::with_test_table();
    insert(&database, 50_000);
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let house = House::new();
    house.create(&connector);
    house.has_rows(&connector);
    house.ask(async |worker| worker.pause(&connector.name).await);
    assert_eq!(house.state(&connector), ConnectState::Paused);
    no_sessions(&database);
    let topic = connector.topic("test_table");
    let committed = read_topic(&topic).len();
    let offsets = house.ask(async |worker| worker.offsets(&connector.name).await);
    let stored = stored_offset(&connector, "public.test_table").expect("an offset");
    assert_eq!(offsets[&partition()].incrementing, stored["incrementing"].as_i64());
    // It still belongs to this process.
    let of_offsets = spec(&connector);
    eventually("the lease is seen", PATIENCE, || {
        let holders = runtime().block_on(offset_tools::holders(&of_offsets, PATIENCE)).expect("holders");
        (!holders.is_empty()).then_some(())
    });
    let refused = run(&["offsets", "reset", "--yes", connector.file().to_str().expect("a path")]);
    refused.expect_code(4).expect_says(&["is running"]);
    let refused = house.refused(async |worker| worker.reset_offsets(&connector.name).await);
    assert!(matches!(refused, HerderError::NotStopped(_)), "{refused}");
    insert(&database, 10);
    assert_eq!((read_topic(&topic).len(), sessions(&database).as_str()), (committed, "0"));
    house.ask(async |worker| worker.resume(&connector.name).await);
    wait_for_records(&topic, 50_010);
    assert_exactly_once(&database, &connector, "test_table", true);
}

#[test]
fn offsets_are_changed_of_a_stopped_connector_only() {
    let database = Postgres::with_test_table();
    insert(&database, 4);
    let connector = Connector::of_test_table(&database.jdbc_url())
        .alone()
        .set("mode", "incrementing")
        .without("timestamp.column.name")
        .set("commit.guard", "off");
    let (house, topic) = (House::new(), connector.topic("test_table"));
    house.create(&connector);
    wait_for_records(&topic, 4);
    let back = || vec![(partition(), Some(SourceOffset { incrementing: Some(2), ..SourceOffset::default() }))];
    let refused = house.refused(async |worker| worker.alter_offsets(&connector.name, back()).await);
    assert!(refused.to_string().contains(&format!("'/connectors/{}/stop'", connector.name)), "{refused}");
    house.ask(async |worker| worker.stop(&connector.name).await);
    let status = house.0.status(&connector.name).expect("a status");
    assert_eq!((status.state, status.tasks.len()), (ConnectState::Stopped, 0));
    house.ask(async |worker| worker.alter_offsets(&connector.name, back()).await);
    let offsets = house.ask(async |worker| worker.offsets(&connector.name).await);
    assert_eq!(offsets[&partition()].incrementing, Some(2));
    house.ask(async |worker| worker.resume(&connector.name).await);
    wait_for_records(&topic, 6);
    house.ask(async |worker| worker.stop(&connector.name).await);
    house.ask(async |worker| worker.reset_offsets(&connector.name).await);
    assert!(house.ask(async |worker| worker.offsets(&connector.name).await).is_empty());
    house.ask(async |worker| worker.resume(&connector.name).await);
    wait_for_records(&topic, 10);
}

#[test]
fn a_connector_deleted_while_it_polls_loses_nothing_and_leaves_nothing_behind() {
    let database = Postgres::with_test_table();
    insert(&database, 20_000);
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let other = Connector::of_test_table(&database.jdbc_url()).alone();
    let house = House::new();
    let writer = Writer::start(&database, random(), inserts("test_table"));
    house.create(&connector);
    house.create(&other);
    house.has_rows(&connector);
    house.has_rows(&other);
    let label = |connector: &Connector| format!("connector=\"{}\"", connector.name);
    assert!(house.metrics().contains(&label(&connector)));
    house.ask(async |worker| worker.delete(&connector.name).await);
    let text = house.metrics();
    assert!(!text.contains(&label(&connector)) && text.contains(&label(&other)), "{text}");
    assert_eq!(house.0.connectors(), [other.name.as_str()]);
    assert!(house.0.boards().snapshot().iter().all(|status| status.name != connector.name));
    let refused = house.refused(async |worker| worker.pause(&connector.name).await);
    assert_eq!(refused.to_string(), format!("Connector {} not found", connector.name));
    house.create(&connector);
    house.has_rows(&connector);
    writer.stop();
    for connector in [&connector, &other] {
        wait_for_records(&connector.topic("test_table"), database.count("test_table"));
        assert_exactly_once(&database, connector, "test_table", true);
    }
}

#[test]
fn other_settings_take_the_place_of_the_old_ones_and_the_state_is_kept() {
    let database = Postgres::with_test_table();
    insert(&database, 3);
    let mut connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let house = House::new();
    house.create(&connector);
    let before = connector.topic("test_table");
    wait_for_records(&before, 3);
    // Running: what was open is committed, and it starts again with the new settings where it was.
    let prefix = format!("{}_new_", connector.name);
    connector = connector.set("topic.prefix", &prefix);
    assert_eq!(house.put(&connector, Put::Replace).expect("it is taken"), Written::Replaced);
    insert(&database, 2);
    wait_for_records(&connector.topic("test_table"), 2);
    assert_eq!(ends(&before).len(), 1);
    assert_eq!(read_topic(&before).len(), 3);
    house.ask(async |worker| worker.pause(&connector.name).await);
    connector = connector.set("poll.interval.ms", "70");
    house.put(&connector, Put::Replace).expect("it is taken");
    assert_eq!(house.state(&connector), ConnectState::Paused);
    let given = house.0.config(&connector.name).expect("settings");
    assert_eq!(given.entries["poll.interval.ms"].raw, "70");
    insert(&database, 1);
    house.ask(async |worker| worker.resume(&connector.name).await);
    wait_for_records(&connector.topic("test_table"), 3);
}

#[test]
fn a_worker_that_ends_has_stopped_every_connector_in_time_and_starts_none_any_more() {
    let database = Postgres::with_test_table();
    insert(&database, 50_000);
    let connectors = [(); 3].map(|()| Connector::of_test_table(&database.jdbc_url()).alone());
    let house = House::new();
    for connector in &connectors {
        house.create(connector);
        house.has_rows(connector);
    }
    let asked = std::time::Instant::now();
    runtime().block_on(house.0.shutdown());
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    let mut ended: Vec<String> = Vec::new();
    while let Some(end) = runtime().block_on(house.0.ended()) {
        assert!(matches!(end.end, End::Done), "{end:?}");
        ended.push(end.connector);
    }
    ended.sort();
    assert_eq!(ended, house.0.connectors());
    no_sessions(&database);
    assert!(matches!(house.put(&connectors[0], Put::Replace), Err(HerderError::Closing)));
}
