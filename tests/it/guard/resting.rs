//! Polls that are spared because the database tells that nothing was committed: whatever makes a row visible is noticed by
//! the next poll. Each server is one of the test's own, for others commit all the time on a shared one.

use std::time::{Duration, Instant};

use crate::support::config::Connector;
use crate::support::db::{Held, Server, Sqlite, run_on_postgres};
use crate::support::http::metric;
use crate::support::kafka::records;
use crate::support::private::Private;
use crate::support::process::Running;
use crate::support::{PATIENCE, eventually};

/// A row comes much sooner than a table at rest is polled, whatever the database tells.
const SOON: Duration = Duration::from_secs(20);

/// A running connector of some tables.
struct Poller {
    connector: Connector,
    _running: Running,
    address: String,
}

impl Poller {
    fn start(connector: Connector) -> Self {
        let connector = connector
            .set("mode", "timestamp+incrementing")
            .set("incrementing.column.name", "id")
            .set("timestamp.column.name", "ts")
            .set("poll.interval.ms", "100")
            .alone();
        let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
        let address = running.address();
        Self { connector, _running: running, address }
    }

    /// The polls of a table that were spared: those that count and took no time.
    fn spared(&self, table: &str) -> f64 {
        let label = format!("table=\"{table}\"");
        let counted = metric(&self.address, "rowtide_polls_total", &[&label]);
        counted - metric(&self.address, "rowtide_poll_seconds_count", &[&label])
    }

    #[track_caller]
    fn rests(&self, table: &str) {
        let before = self.spared(table);
        eventually(&format!("polls of {table} are spared"), PATIENCE, || {
            (self.spared(table) > before + 5.0).then_some(())
        });
    }

    #[track_caller]
    fn brings(&self, table: &str, rows: usize, what: &str) {
        eventually(&format!("row {rows} of {table}: {what}"), SOON, || {
            (records(&self.connector.topic(table)).len() >= rows).then_some(())
        });
    }
}

#[test]
fn a_row_comes_at_once_to_a_postgresql_table_at_rest_in_whatever_way_it_becomes_visible() {
    let server = Private::start("postgres");
    let url = server.address("ROWTIDE_TEST_POSTGRES_URL");
    run_on_postgres(
        &url,
        "create table t (id bigint generated always as identity primary key, ts timestamptz not null default now(),
           shown timestamptz not null default now());
         create table late (like t including all);
         create view v as select * from late where shown <= now();
         create role reader login; grant select on t, late, v to reader;",
    );
    let (_, address) = url.rsplit_once('@').expect("a URL with a user");
    let poller = Poller::start(
        Connector::new(&format!("jdbc:postgresql://{address}"))
            .set("connection.user", "reader")
            .set("table.types", "TABLE,VIEW")
            // The columns of a view may be null, as far as the catalog knows.
            .set("validate.non.null", "false")
            .set("table.whitelist", "t,v"),
    );
    let mut writer = Held::on(Server::Postgres(url.clone()));
    poller.rests("public.t");
    let (insert, mut rows) = ("insert into t default values", 0);
    for (open, visible) in [
        (String::new(), insert.to_owned()),
        (format!("begin; {insert}"), "commit".to_owned()),
        (format!("begin; savepoint s; {insert}; release s"), "commit".to_owned()),
        (format!("begin; savepoint s; {insert}; rollback to s; {insert}"), "commit".to_owned()),
        (format!("begin; {insert}; prepare transaction 'p'"), "commit prepared 'p'".to_owned()),
        // The clock alone shows the rows of these; nothing is committed any more when their time comes.
        (String::new(), "insert into t (ts) values (now() + interval '3 s')".to_owned()),
    ] {
        if !open.is_empty() {
            writer.run(&open);
        }
        poller.rests("public.t");
        writer.run(&visible);
        rows += 1;
        poller.brings("t", rows, &format!("{open}, {visible}"));
    }
    // A table that came to rest, and then gets a policy that looks at the clock.
    poller.rests("public.t");
    writer.run("create policy p on t using (shown <= now()); alter table t enable row level security");
    writer.run("insert into t (shown) values (now() + interval '4 s')");
    let (written, spared) = (Instant::now(), poller.spared("public.t"));
    poller.brings("t", rows + 1, "a policy shows it");
    assert!(written.elapsed() > Duration::from_secs(3) && poller.spared("public.t") - spared < 3.0);
    writer.run("insert into late (shown) values (now() + interval '4 s')");
    poller.brings("v", 1, "a view shows it");
    assert!(poller.spared("public.v") <= 0.0, "its rows depend on more than commits");
}

#[test]
fn a_row_comes_at_once_to_a_sqlite_table_at_rest_by_whichever_journal_it_was_committed() {
    let insert = "insert into t (ts) values (strftime('%Y-%m-%d %H:%M:%f', 'now'))";
    for journal in ["wal", "delete"] {
        let database = Sqlite::new();
        database.run(&format!("pragma journal_mode = {journal}"));
        database.run(
            "create table t (id integer primary key autoincrement, ts timestamp not null); create table other (n int)",
        );
        let poller = Poller::start(Connector::new(&database.jdbc_url()).set("table.whitelist", "t"));
        for (rows, sql) in [
            (1, insert.to_owned()),
            (2, insert.to_owned()),
            (3, format!("begin; insert into other values (1); {insert}; commit")),
            (4, format!("create table more (n int); {insert}; drop table more")),
            (5, format!("vacuum; {insert}")),
            (6, "insert into t (ts) values (strftime('%Y-%m-%d %H:%M:%f', 'now', '+3 seconds'))".to_owned()),
        ] {
            poller.rests("t");
            database.run(&sql);
            poller.brings("t", rows, &format!("{journal}: {sql}"));
        }
        poller.rests("t");
    }
}
