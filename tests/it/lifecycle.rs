//! Starting, idling and stopping as an orchestrator sees it: what a signal does in every state, that an idle
//! connector leaves the brokers alone, and what health and metrics say meanwhile.

use std::collections::HashSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::http::{get, get_json, metric};
use crate::support::kafka::{ends, read_topic, wait_for_records};
use crate::support::oracle::assert_exactly_once;
use crate::support::process::{Running, run, signal};
use crate::support::{PATIENCE, eventually};

const LISTEN: &[&str] = &["--listen", "127.0.0.1:0"];

/// Stops it as an orchestrator does; it ends well and in time.
#[track_caller]
fn stops_in_time(mut running: Running) {
    let asked = Instant::now();
    signal(running.pid(), "TERM");
    let code = running.ended();
    assert_eq!(code, Some(0), "{}", running.log());
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}:\n{}", asked.elapsed(), running.log());
}

#[test]
fn an_idle_connector_opens_no_transaction_and_stops_at_once() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) values ('only')");
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    wait_for_records(&connector.topic("test_table"), 1);
    let empty = || metric(&address, "rowtide_polls_total", &[r#"result="empty""#]);
    let committed = || metric(&address, "rowtide_transactions_total", &[r#"outcome="committed""#]);
    eventually("idle", PATIENCE, || (empty() >= 1.0).then_some(()));
    let places = || [ends(&connector.topic("test_table")), ends(&connector.keys["offset.storage.topic"])];
    let (before, polls, transactions) = (places(), empty(), committed());
    eventually("ten idle polls", PATIENCE, || (empty() >= polls + 10.0).then_some(()));
    assert_eq!((places(), committed()), (before, transactions));
    let asked = Instant::now();
    stops_in_time(running);
    assert!(asked.elapsed() < Duration::from_secs(3), "nothing was open, and it took {:?}", asked.elapsed());
}

#[test]
fn a_first_load_stops_in_time_and_goes_on_where_it_was() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) select 'row ' || n from generate_series(1, 300000) n");
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    eventually("the first transaction", PATIENCE, || (metric(&address, "rowtide_rows_total", &[]) > 0.0).then_some(()));
    stops_in_time(running);
    let topic = connector.topic("test_table");
    println!("{} of 300000 rows were there at the stop", read_topic(&topic).len());
    run(&["run", "--once", connector.file().to_str().expect("a path")]).expect_code(0);
    let records = read_topic(&topic);
    let distinct: HashSet<_> = records.iter().map(|record| record.key.clone()).collect();
    assert_eq!((records.len(), distinct.len()), (300_000, 300_000));
}

/// A port that takes connections and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

/// A port where nobody listens.
fn nobody() -> String {
    silent().1
}

#[test]
fn a_connector_that_waits_for_its_database_says_so_and_stops_in_time() {
    let (_open, silent) = silent();
    for address in [nobody(), silent] {
        let connector = Connector::of_test_table(&format!("jdbc:postgresql://{address}/d"))
            .alone()
            .set("connect.timeout.ms", "1500");
        let mut running = Running::start(&connector.file(), LISTEN);
        running.wait_for_log("cannot start yet, trying again");
        let address = running.address();
        let (code, ready) = get_json(&address, "/health/ready");
        assert_eq!((code, get(&address, "/health/live").0), (503, 200), "{ready}");
        assert_eq!(ready["problems"][0]["connector"], connector.name.as_str(), "{ready}");
        assert!(
            ready["problems"][0]["reason"].as_str().is_some_and(|reason| reason.starts_with("starting: ")),
            "{ready}"
        );
        stops_in_time(running);
    }
}

#[test]
fn a_connector_that_waits_for_the_brokers_stops_in_time() {
    let database = Postgres::with_test_table();
    let (_open, silent) = silent();
    for brokers in [nobody(), silent] {
        let connector = Connector::of_test_table(&database.jdbc_url()).set("bootstrap.servers", &brokers);
        let mut running = Running::start(&connector.file(), LISTEN);
        let address = running.address();
        eventually("it asks for the brokers", PATIENCE, || {
            let idle = "select count(*)::text from pg_stat_activity where datname = current_database() and application_name = 'rowtide'";
            (database.texts(idle)[0] == "0" && get_json(&address, "/health/ready").0 == 503).then_some(())
        });
        stops_in_time(running);
    }
}

/// A connector whose brokers went away while a transaction is open.
fn with_an_open_transaction(
    database: &Postgres,
    mock: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>,
) -> Running {
    let connector = Connector::of_test_table(&database.jdbc_url())
        .alone()
        .set("bootstrap.servers", &mock.bootstrap_servers())
        .set("internal.topics.automatic.creation.enable", "false");
    for topic in [&connector.topic("test_table"), &connector.keys["offset.storage.topic"]] {
        mock.create_topic(topic, 1, 1).expect("a topic");
    }
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    database.run("insert into test_table (item) values ('delivered')");
    eventually("a transaction", PATIENCE, || (metric(&address, "rowtide_rows_total", &[]) > 0.0).then_some(()));
    mock.broker_down(1).expect("a broker to stop");
    database.run("insert into test_table (item) values ('in an open transaction')");
    let polled = || metric(&address, "rowtide_polls_total", &[r#"result="rows""#]);
    eventually("the row is read", PATIENCE, || (polled() >= 2.0).then_some(()));
    running
}

#[test]
fn brokers_that_went_away_do_not_hold_up_a_stop() {
    let database = Postgres::with_test_table();
    let mock = MockCluster::new(1).expect("mock brokers");
    stops_in_time(with_an_open_transaction(&database, &mock));
}

#[test]
fn a_second_signal_leaves_at_once() {
    let database = Postgres::with_test_table();
    let mock = MockCluster::new(1).expect("mock brokers");
    let mut running = with_an_open_transaction(&database, &mock);
    signal(running.pid(), "TERM");
    running.wait_for_log("stopping: committing open transactions");
    let asked = Instant::now();
    eventually("it leaves", PATIENCE, || {
        let is_alive = running.is_alive();
        if is_alive {
            signal(running.pid(), "INT");
        }
        (!is_alive).then_some(())
    });
    assert_eq!(running.ended(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) values ('only')");
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let running = Running::start(&connector.file(), &[]);
    wait_for_records(&connector.topic("test_table"), 1);
    // As `timeout` does it.
    let pid = running.pid().to_string();
    let twice = std::process::Command::new("sh").args(["-c", "kill -TERM $0; kill -TERM $0", &pid]).status();
    assert!(twice.expect("a shell").success());
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn health_and_metrics_follow_a_running_connector() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) select n::text from generate_series(1, 30) n");
    let connector = Connector::of_test_table(&database.jdbc_url()).alone();
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    eventually("ready", PATIENCE, || (get_json(&address, "/health/ready").0 == 200).then_some(()));
    eventually("all rows are counted", PATIENCE, || {
        (metric(&address, "rowtide_rows_total", &[]) >= 30.0).then_some(())
    });
    let (_, text) = get(&address, "/metrics");
    for (name, least) in [
        ("rowtide_rows_total", 30.0),
        ("rowtide_bytes_total", 30.0),
        ("rowtide_polls_total", 1.0),
        ("rowtide_poll_seconds_count", 1.0),
        ("rowtide_transactions_total", 1.0),
        ("rowtide_transaction_seconds_count", 1.0),
        ("rowtide_up", 1.0),
        ("rowtide_build_info", 1.0),
        ("rowtide_last_successful_poll_timestamp_seconds", 1_700_000_000.0),
    ] {
        assert!(metric(&address, name, &[]) >= least, "{name}:\n{text}");
    }
    let (_, status) = get_json(&address, "/status");
    let table = &status["connectors"][0]["tables"][0];
    assert_eq!((&table["table"], table["rows"].as_u64()), (&"public.test_table".into(), Some(30)), "{status}");
    assert!(table["position"].as_str().is_some_and(|position| position.ends_with(", 30")), "{status}");
    stops_in_time(running);
    assert_exactly_once(&database, &connector, "test_table", true);
}
