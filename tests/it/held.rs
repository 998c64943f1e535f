//! Tables that are held back: outside of `poll.windows`, and while the replica that is read lags behind its primary.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use crate::recreated::clusters::Pair;
use crate::support::config::Connector;
use crate::support::db::{Postgres, Server, Source};
use crate::support::http::{metric, table, wait_for_state};
use crate::support::kafka::{read_topic, wait_for_records};
use crate::support::private::Private;
use crate::support::process::{Running, finish, rowtide};
use crate::support::rest::{Client, Worker, settings, wait_for_raw};
use crate::support::{PATIENCE, eventually};

/// The time from half an hour ago to half an hour from now, by a clock that is two hours before UTC.
fn around_now() -> String {
    let minutes = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs() / 60 + 120;
    let time = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    format!("{}-{}", time(minutes - 30), time(minutes + 30))
}

/// The status of a table by REST once it waits for its window.
fn held(client: &Client, path: &str) -> Json {
    eventually(&format!("{path} is held back"), PATIENCE, || {
        let answer = client.get(path);
        let status = (answer.status == 200).then(|| answer.json())?;
        (status["held_back"]["by"] == "poll.windows").then_some(status)
    })
}

#[test]
fn a_table_waits_for_its_window_without_a_session_and_says_so_until_it_opens() {
    let (database, worker) = (Postgres::new(), Worker::new());
    database.run("create table t (seq serial primary key); create table u (seq serial primary key)");
    database.run("insert into t default values; insert into u default values");
    let (name, prefix) = (format!("{}-c", worker.name), format!("{}_", worker.name));
    let (_running, client) = worker.start(&[]);
    let mut config = settings(&database.jdbc_url(), &prefix);
    for (key, value) in [
        ("table.whitelist", "t,u"),
        ("table.poll.interval.ms", "100"),
        ("db.timezone", "+02:00"),
        ("poll.windows", &format!("not {}", around_now())),
        ("table.u.poll.windows", ""),
    ] {
        config[key] = json!(value);
    }
    client.send("POST", "/connectors", &json!({"name": name, "config": config})).expect(201);
    let path = |table: &str| format!("/rowtide/v1/connectors/{name}/tables/public.{table}");
    let status = held(&client, &path("t"));
    assert_eq!(status["state"], "waiting");
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("outside of poll.windows until 20"), "{reason}");
    wait_for_raw(&format!("{prefix}u"), 1);
    assert_eq!(client.get("/health/ready").status, 200, "{}", client.get("/health/ready").body);

    let put = |config: &Json| client.send("PUT", &format!("/connectors/{name}/config"), config).expect(200);
    config["table.u.poll.windows"] = config["poll.windows"].clone();
    put(&config);
    held(&client, &path("u"));
    eventually("no session is left", PATIENCE, || {
        let sessions = "select count(*)::text from pg_stat_activity where datname = current_database() \
                        and pid <> pg_backend_pid()";
        (database.server().texts(sessions) == ["0"]).then_some(())
    });
    assert_eq!(read_topic(&format!("{prefix}t")).len(), 0);

    config["poll.windows"] = json!(around_now());
    put(&config);
    wait_for_raw(&format!("{prefix}t"), 1);
    let events = client.get(&format!("/rowtide/v1/events?connector={name}")).expect(200).body;
    for text in ["not polled: outside of poll.windows until", "polling again"] {
        assert!(events.contains(text), "no {text} in {events}");
    }
}

/// The reason of a table that waits for a replica.
fn lags(address: &str, name: &str) -> String {
    let status = eventually(&format!("{name} is held back"), PATIENCE, || {
        table(address, name).filter(|table| table["held_back"]["by"] == "replica.lag.max.ms")
    });
    assert_eq!(status["state"], "waiting");
    status["reason"].as_str().expect("a reason").to_owned()
}

fn of_replica(url: &str, limit: u32) -> Connector {
    let connector = Connector::new(url).alone().set("mode", "incrementing").set("table.whitelist", "t");
    connector.set("replica.lag.max.ms", &limit.to_string())
}

#[test]
fn a_standby_that_lags_is_not_read_until_it_has_caught_up() {
    let servers = Private::start_all(&["postgres", "standby"], "");
    let primary = Server::Postgres(servers.address("ROWTIDE_TEST_POSTGRES_URL"));
    let standby = Server::Postgres(servers.address("ROWTIDE_TEST_STANDBY_URL"));
    primary.run("create table t (id serial primary key); insert into t default values");
    let url = servers.address("ROWTIDE_TEST_STANDBY_URL");
    let (_, place) = url.rsplit_once('@').expect("a user");
    let connector = of_replica(&format!("jdbc:postgresql://{place}"), 1000);
    let mut process = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = process.address();
    wait_for_records(&connector.topic("t"), 1);

    standby.run("select pg_wal_replay_pause()");
    primary.run("insert into t default values");
    let reason = lags(&address, "public.t");
    assert!(
        reason.starts_with("the replica is ") && reason.contains("behind its primary, 1 s are allowed"),
        "{reason}"
    );
    assert!(metric(&address, "rowtide_replica_lag_seconds", &[]) > 1.0);
    let short = ["run", "--once", "--timeout", "2"];
    let once = finish(rowtide().args(short).arg(of_replica(&format!("jdbc:postgresql://{place}"), 1000).file()));
    once.expect_code(3).expect_says(&["behind its primary", "replica.lag.max.ms"]);

    standby.run("select pg_wal_replay_resume()");
    wait_for_records(&connector.topic("t"), 2);
    wait_for_state(&address, "public.t", "idle");
    process.wait_for_log_in_order(&["tables are not polled", "the replica has caught up"]);
    // Whatever its lag is called, its operator has wanted it.
    standby.run("alter system set recovery_min_apply_delay = '1h'");
    standby.run("select pg_reload_conf()");
    primary.run("insert into t default values");
    let primary_is_ahead = "select (pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn())::text";
    eventually("the row waits", PATIENCE, || (standby.texts(primary_is_ahead) == ["true"]).then_some(()));
    let polled = || table(&address, "public.t").map(|table| table["last_poll"].to_string());
    let before = polled();
    eventually("the next poll", PATIENCE, || (polled() != before).then_some(()));
    assert_eq!(process.terminate(), Some(0));
}

fn a_replica_that_lags_is_not_read(kind: &'static str) {
    let pair = Pair::start(kind);
    let create = "create table shop.t (id int primary key auto_increment, v int); insert into shop.t (v) values (1)";
    pair.run(&pair.first, create);
    let second = Server::MySql(format!("{}/shop", pair.url(&pair.second).trim_end_matches('/')));
    let tables = "select cast(count(*) as char) from information_schema.tables where table_name = 't'";
    eventually("the replica has the table", PATIENCE, || (second.texts(tables) == ["1"]).then_some(()));
    let connector = of_replica(&pair.jdbc_url(&pair.second), 1000);
    let mut process = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = process.address();
    wait_for_records(&connector.topic("t"), 1);

    let (stop, start) = if kind == "mysql" {
        ("stop replica sql_thread", "start replica sql_thread")
    } else {
        ("stop slave sql_thread", "start slave sql_thread")
    };
    pair.run(&pair.second, stop);
    pair.run(&pair.first, "insert into shop.t (v) values (2)");
    let reason = lags(&address, "shop.t");
    assert!(
        reason.starts_with("the replica does not follow its primary") && reason.contains("applier running: No"),
        "{reason}"
    );
    pair.run(&pair.second, start);
    wait_for_records(&connector.topic("t"), 2);

    // A lock on the replica lets its applier wait, and the lag grow.
    let blocked = std::thread::spawn({
        let second = second.clone();
        move || second.run("lock tables t read; do sleep(8); unlock tables")
    });
    eventually("the applier waits and the lag is seen", PATIENCE, || {
        pair.run(&pair.first, "insert into shop.t (v) values (3)");
        (metric(&address, "rowtide_replica_lag_seconds", &[]) > 1.0).then_some(())
    });
    assert!(lags(&address, "shop.t").contains("behind its primary"));
    blocked.join().expect("the lock");
    wait_for_state(&address, "shop.t", "idle");

    // An account that may not ask is told so, once, and reads.
    pair.run(
        &pair.second,
        "set sql_log_bin = 0; create user reader@'%' identified by ''; grant select on shop.* to reader@'%'",
    );
    let reader = of_replica(&pair.jdbc_url(&pair.second), 1000).set("connection.user", "reader");
    let once = finish(rowtide().args(["run", "--once"]).arg(reader.file()));
    once.expect_code(0).expect_says(&["the lag of the replica is not told"]);
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn a_replica_of_mysql_that_lags_or_does_not_follow_is_not_read() {
    a_replica_that_lags_is_not_read("mysql");
}

#[test]
fn a_replica_of_mariadb_that_lags_or_does_not_follow_is_not_read() {
    a_replica_that_lags_is_not_read("mariadb");
}
