//! Statements that take long: one that is at work is waited for, whatever it takes; one that nobody waits for any more
//! is cancelled at the server; one that waits for a lock says for whose.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::support::config::Connector;
use crate::support::db::{Held, MySqlFamily, Postgres, Server, Source, Sqlite};
use crate::support::http::{get_json, table, wait_for_state};
use crate::support::kafka::{records, wait_for_records};
use crate::support::process::{Finished, Running, run};
use crate::support::{PATIENCE, eventually, unique};

const KINDS: [&str; 5] = ["postgresql", "mysql", "mariadb", "tidb", "sqlite"];
const LISTEN: &[&str] = &["--listen", "127.0.0.1:0"];

/// A database of one of the kinds.
enum Database {
    Postgres(Postgres),
    Family(MySqlFamily),
    Sqlite(Sqlite),
}

impl Database {
    fn new(kind: &str) -> Self {
        match kind {
            "postgresql" => Self::Postgres(Postgres::new()),
            "sqlite" => Self::Sqlite(Sqlite::new()),
            _ => Self::Family(MySqlFamily::new(kind)),
        }
    }

    fn server(&self) -> Server {
        match self {
            Self::Postgres(database) => database.server(),
            Self::Family(database) => database.server(),
            Self::Sqlite(database) => database.server(),
        }
    }

    fn connector(&self, query: &str) -> Connector {
        let url = match self {
            Self::Postgres(database) => database.jdbc_url(),
            Self::Family(database) => database.jdbc_url(),
            Self::Sqlite(database) => database.jdbc_url(),
        };
        let connector = Connector::new(&url).alone().set("mode", "bulk").set("query", query);
        let connector = connector.set("table.poll.interval.ms", "60000").without("catalog.pattern");
        let prefix = format!("{}rows", connector.keys["topic.prefix"]);
        connector.set("topic.prefix", &prefix)
    }

    /// Thirty rows, each of which takes its time; the server keeps them back until they fill a buffer.
    fn slow_rows(&self) -> String {
        let digits = "(select 0 as n union all select 1 union all select 2 union all select 3 union all select 4 \
                      union all select 5 union all select 6 union all select 7 union all select 8 union all select 9)";
        let tens = "(select 0 as n union all select 1 union all select 2)";
        match self {
            Self::Postgres(_) => {
                "select i as id, pg_sleep(0.1)::text as slept from generate_series(1, 30) as i".to_owned()
            }
            Self::Family(_) => {
                format!(
                    "select d.n + 10 * t.n + 1 as id, sleep(0.1) as slept from {digits} as d cross join {tens} as t"
                )
            }
            Self::Sqlite(_) => format!(
                "select d.n + 10 * t.n + 1 as id, {} as slept from {digits} as d cross join {tens} as t",
                counting(400_000, "t.n")
            ),
        }
    }

    /// One row that takes that many seconds; of SQLite, which has no clock to wait for, a lot of work.
    fn slow_row(&self, seconds: u32, marker: &str) -> String {
        match self {
            Self::Postgres(_) => format!("select 1 as id, '{marker}' as marker, pg_sleep({seconds})::text as slept"),
            Self::Family(_) => format!("select 1 as id, '{marker}' as marker, sleep({seconds}) as slept"),
            Self::Sqlite(_) => {
                format!(
                    "select 1 as id, '{marker}' as marker, {} as slept",
                    counting(4_000_000 * u64::from(seconds), "0")
                )
            }
        }
    }

    /// The number of sessions that run a statement that holds the marker; none where nothing shows it.
    fn running(&self, marker: &str) -> Option<usize> {
        let sql = match self {
            Self::Postgres(_) => format!(
                "select pid::text from pg_stat_activity where state = 'active' and query like '%{marker}%' and pid <> pg_backend_pid()"
            ),
            Self::Family(_) => format!(
                "select cast(id as char) from information_schema.processlist where info like '%{marker}%' and id <> connection_id()"
            ),
            Self::Sqlite(_) => return None,
        };
        Some(self.server().texts(&sql).len())
    }
}

/// An expression that counts that far.
fn counting(to: u64, with: &str) -> String {
    format!(
        "(with recursive c (x) as (select 1 union all select x + 1 from c where x < {to} + {with}) select max(x) from c)"
    )
}

fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", &connector.file().display().to_string()])
}

/// In order; an expression of SQLite is text.
fn ids(connector: &Connector) -> Vec<i64> {
    let number = |id: Json| id.as_i64().or_else(|| id.as_str()?.parse().ok()).expect("a number");
    let mut found: Vec<i64> =
        records(&connector.keys["topic.prefix"]).iter().map(|record| number(record.field("id"))).collect();
    found.sort_unstable();
    found
}

#[test]
fn a_pass_takes_as_long_as_its_server_works_on_it_and_its_rows_come_once() {
    for kind in KINDS {
        let database = Database::new(kind);
        let connector = database.connector(&database.slow_rows()).set("statement.timeout.ms", "300");
        once(&connector).expect_code(0);
        assert_eq!(ids(&connector), (1..=30).collect::<Vec<_>>(), "{kind}");
    }
}

#[test]
fn a_query_may_take_longer_than_the_limit_to_its_first_row_in_any_mode() {
    for kind in KINDS {
        let database = Database::new(kind);
        let bulk = database.connector(&database.slow_row(2, "first")).set("statement.timeout.ms", "300");
        once(&bulk).expect_code(0);
        assert_eq!(ids(&bulk), [1], "{kind}");
        let pages = database.connector(&database.slow_row(2, "first")).set("statement.timeout.ms", "300");
        if kind == "sqlite" {
            // Its expressions are no ids.
            continue;
        }
        let pages = pages.set("mode", "incrementing").set("incrementing.column.name", "id");
        let pages = pages.set("validate.non.null", "false");
        once(&pages).expect_code(0);
        assert_eq!(ids(&pages), [1], "{kind}");
    }
}

#[test]
fn a_connector_is_not_ready_before_its_first_pass_has_ended() {
    let database = Database::new("postgresql");
    let connector = database.connector(&database.slow_rows()).set("statement.timeout.ms", "300");
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    let mut reasons = Vec::new();
    eventually("it is ready", PATIENCE, || {
        let (code, ready) = get_json(&address, "/health/ready");
        reasons.push(ready["problems"][0]["reason"].as_str().unwrap_or_default().to_owned());
        (code == 200).then_some(())
    });
    wait_for_records(&connector.keys["topic.prefix"], 30);
    let status = table(&address, "query").expect("a status");
    assert!(status["last_poll"].is_string(), "ready before a pass had ended: {status}");
    assert!(reasons.iter().any(|reason| reason.contains("not polled yet")), "{reasons:?}");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_pass_that_a_limit_of_the_server_ends_each_time_is_not_repeated_for_ever() {
    let database = Database::new("postgresql");
    let connector = database.connector(&database.slow_rows());
    let url = format!("{}?options=-c%20statement_timeout=700", connector.keys["connection.url"]);
    let connector = connector.set("connection.url", &url);
    let mut running = Running::start(&connector.file(), &[]);
    assert_eq!(running.ended(), Some(1));
    let log = running.log();
    assert!(log.contains("ended by a time limit 3 times") && log.contains("statement_timeout"), "{log}");
}

#[test]
fn a_page_that_needs_more_than_its_time_is_cancelled_and_gets_twice_as_much() {
    let database = Postgres::new();
    database.run(
        "create table t (id int primary key); insert into t select generate_series(1, 3);
         create view slow as select id, pg_sleep(0.5)::text as slept from t",
    );
    let connector = Connector::new(&database.jdbc_url())
        .alone()
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.types", "VIEW")
        .set("table.whitelist", "slow")
        .set("validate.non.null", "false")
        .set("statement.timeout.ms", "400");
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    let status = wait_for_state(&address, "public.slow", "backing_off");
    let says = |field: &str, text: &str| status[field].as_str().is_some_and(|found| found.contains(text));
    assert!(says("reason", "gave no row") && says("advice", "statement.timeout.ms"), "{status}");
    wait_for_records(&connector.topic("slow"), 3);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_statement_that_runs_is_cancelled_at_the_server_when_rowtide_is_stopped() {
    for kind in KINDS {
        let (database, marker) = (Database::new(kind), unique("stop"));
        let connector = database.connector(&database.slow_row(600, &marker));
        let mut running = Running::start(&connector.file(), LISTEN);
        let address = running.address();
        match database.running(&marker) {
            Some(_) => {
                eventually("the statement runs", PATIENCE, || (database.running(&marker) > Some(0)).then_some(()));
            }
            None => wait_until_polled(&address),
        }
        let stopped = Instant::now();
        assert_eq!(running.terminate(), Some(0), "{kind}");
        assert!(stopped.elapsed() < Duration::from_secs(9), "{kind}: stopped after {:?}", stopped.elapsed());
        eventually(&format!("{kind}: the statement is gone"), Duration::from_secs(5), || {
            (database.running(&marker).unwrap_or(0) == 0).then_some(())
        });
    }
}

/// Long enough for its statement to run.
fn wait_until_polled(address: &str) {
    eventually("the poll takes long", PATIENCE, || {
        table(address, "query")?["reason"].as_str().is_some_and(|reason| reason.contains("at work on it")).then_some(())
    });
}

#[test]
fn a_locked_table_names_the_holder_of_the_lock_and_its_lag_grows() {
    for kind in ["postgresql", "mysql", "mariadb"] {
        let database = Database::new(kind);
        let now = if kind == "postgresql" { "now()" } else { "now(6)" };
        let of_type = if kind == "postgresql" { "timestamptz" } else { "timestamp(6)" };
        database.server().run(&format!(
            "create table t (id int primary key, ts {of_type} not null default {now}); insert into t (id) values (1)"
        ));
        let connector = database
            .connector("")
            .without("query")
            .set("mode", "timestamp+incrementing")
            .set("timestamp.column.name", "ts")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", "t")
            .set("poll.interval.ms", "100")
            .set("statement.timeout.ms", "1500");
        let mut running = Running::start(&connector.file(), LISTEN);
        let address = running.address();
        wait_for_records(&connector.topic("t"), 1);
        let mut holder = Held::on(database.server());
        holder.run(if kind == "postgresql" {
            "begin; lock table t in access exclusive mode"
        } else {
            "lock tables t write"
        });
        let name = match &database {
            Database::Postgres(_) => "public.t".to_owned(),
            Database::Family(database) => database.full_name("t"),
            Database::Sqlite(_) => unreachable!(),
        };
        let status = wait_for_state(&address, &name, "backing_off");
        let reason = status["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains("s for a lock"), "{kind}: {status}");
        assert!(kind == "mariadb" || reason.contains("for a lock held by session "), "{kind}: {status}");
        assert!(status["advice"].as_str().is_some_and(|advice| advice.contains("holds the lock")), "{kind}: {status}");
        eventually("the lag grows", PATIENCE, || {
            table(&address, &name)?["lag_seconds"].as_f64().filter(|lag| *lag > 2.5)
        });
        let (_, metrics) = crate::support::http::get(&address, "/metrics");
        let lag = metrics.lines().find(|line| line.starts_with("rowtide_lag_seconds{")).unwrap_or_default();
        assert!(
            lag.rsplit(' ').next().and_then(|lag| lag.parse().ok()).is_some_and(|lag: f64| lag > 2.5),
            "{kind}: {lag}"
        );
        holder.run(if kind == "postgresql" {
            "insert into t (id) values (2); commit"
        } else {
            "insert into t (id) values (2); unlock tables"
        });
        wait_for_records(&connector.topic("t"), 2);
        assert_eq!(running.terminate(), Some(0), "{kind}");
    }
}
