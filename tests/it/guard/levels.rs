//! Levels of the guard, object by object and right by right: what `explain` says, what the offset remembers, and what
//! comes of a row that commits late.

use Mode::{Incrementing, Timestamp, TimestampIncrementing};

use super::Arrived;
use super::load::now_of_sqlite;
use super::place::{Kind, Mode, Place};
use crate::support::config::Connector;
use crate::support::db::{Held, Server};
use crate::support::oracle::stored_offset;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, address, eventually};

/// Not the name of a relation, but that of none.
const QUERY: &str = "query";

const SELECT_ON_VIEW: &str = "select on seen";

/// A relation, and what is promised for it.
struct Cell {
    relation: &'static str,
    mode: Mode,
    level: &'static str,
    way: &'static str,
    /// The words said of it besides.
    says: &'static [&'static str],
}

fn cell(relation: &'static str, mode: Mode, level: &'static str, way: &'static str) -> Cell {
    Cell { relation, mode, level, way, says: &[] }
}

impl Cell {
    fn says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }

    /// Of the user, with the guard as it is by default.
    fn connector(&self, place: &Place) -> Connector {
        // What a view or query reads may have nulls as far as the catalog knows.
        let connector = place.connector(self.mode).set("validate.non.null", "false");
        if self.relation == QUERY {
            return connector.without("table.whitelist").without("catalog.pattern").set("query", "select * from t");
        }
        connector
            .set("table.whitelist", self.relation)
            .set("table.types", "TABLE,VIEW,MATERIALIZED VIEW,FOREIGN TABLE,PARTITIONED TABLE")
    }

    /// Proves that the level is told and kept.
    fn prove(&self, place: &Place, connector: &Connector) {
        let Self { relation, mode, level, way, says } = self;
        println!("{:?}: {relation}, {mode:?}: {level} by {way}", place.kind);
        let file = connector.file();
        let promise = if level == way { format!("{level}: ") } else { format!("{level} ({way}): ") };
        let explained = run(&["explain", file.to_str().expect("a path")]).expect_code(0);
        explained.expect_says(&[&format!("guard         {promise}")]).expect_says(says);

        let mut writes = Writes::of(place, relation);
        let running = Running::start(&file, &[]);
        let mut arrived = Arrived::of(connector, if *relation == QUERY { "" } else { relation });
        let mut come = |versions: &[i64]| {
            eventually(&format!("{versions:?} come of {relation}"), PATIENCE, || {
                let come = arrived.versions();
                versions.iter().all(|version| come.contains(version)).then(|| come.to_vec())
            })
        };
        writes.write(0);
        come(&[0]);
        writes.begin(1);
        writes.write(2);
        let come = match *level {
            // Nothing comes before those it may have to follow.
            "hold" | "delay" => {
                writes.commit();
                come(&[1, 2])
            }
            "off" => {
                come(&[2]);
                writes.commit();
                writes.write(3);
                come(&[3])
            }
            _ => {
                come(&[2]);
                writes.commit();
                come(&[1])
            }
        };
        assert_eq!(running.terminate(), Some(0));
        let expected: &[i64] = match *level {
            "hold" | "delay" => &[0, 1, 2],
            "off" => &[0, 2, 3],
            _ => &[0, 2, 1],
        };
        assert_eq!(come, expected, "{relation}");
        assert_eq!(arrived.versions(), expected, "{relation}");
        if *relation != QUERY {
            self.look_at_offset(place, connector);
        }
    }

    /// The state that is needed to go on is in the offset, and where there is no guard nothing is that Connect has not.
    fn look_at_offset(&self, place: &Place, connector: &Connector) {
        let stored = stored_offset(connector, &place.full_name(self.relation)).expect("an offset");
        // The second version of those that hold times is for columns of wall clocks.
        let word = match (place.kind, self.way) {
            (Kind::TiDb, "snapshot") if self.mode.is_timed() => "history-2/",
            (Kind::TiDb, "snapshot") => "history-1/",
            (_, "snapshot") => "snapshot-1/",
            (Kind::Postgres, "window" | "hold" | "rescan") => "window-1/",
            (_, "window" | "hold" | "rescan") => "window-2/",
            (_, "gaps") => "gaps-2/",
            _ => "",
        };
        match stored["rowtide_guard"].as_str() {
            Some(state) => assert!(!word.is_empty() && state.starts_with(word), "{stored}"),
            None => assert_eq!(word, "", "{stored}"),
        }
        if self.way == "off" && self.mode != Timestamp {
            let fields = stored.as_object().expect("fields").keys();
            assert!(fields.into_iter().all(|field| !field.starts_with("rowtide")), "{stored}");
        }
    }
}

/// Writes into what a relation is made of; one transaction may wait for its end.
struct Writes<'a> {
    place: &'a Place,
    target: &'static str,
    /// The statement that makes rows appear, where a commit alone does not.
    then: Option<&'static str>,
    open: Option<(Held, String)>,
}

impl<'a> Writes<'a> {
    /// The relation is empty to begin with.
    fn of(place: &'a Place, relation: &str) -> Self {
        let target = if relation == "parted" { "parted" } else { "t" };
        let then = (relation == "stored").then_some("refresh materialized view stored");
        let writes = Self { place, target, then, open: None };
        writes.run(&format!("delete from {target}"));
        if place.kind == Kind::TiDb {
            // It is read as of a moment ago, when what was there before still is.
            let (server, deleted) = (place.server(), place.server().texts("select cast(now(6) as char)").remove(0));
            let is_past = format!("select cast(timestampdiff(second, '{deleted}', now(6)) > 1 as char)");
            eventually("it is read as it is now", PATIENCE, || (server.texts(&is_past) == ["1"]).then_some(()));
        }
        writes
    }

    fn run(&self, sql: &str) {
        self.place.run(sql);
        self.then.iter().for_each(|then| self.place.run(then));
    }

    fn insert(&self, version: i64) -> String {
        let target = self.target;
        if self.place.kind == Kind::Sqlite {
            let (id, now) = (version + 1, now_of_sqlite());
            return format!("insert into {target} (id, ts, version) values ({id}, {now}, {version})");
        }
        format!("insert into {target} (version) values ({version})")
    }

    fn write(&self, version: i64) {
        self.run(&self.insert(version));
    }

    /// A row takes its place before those that are written before the commit.
    fn begin(&mut self, version: i64) {
        let mut session = self.place.session();
        let mut insert = self.insert(version);
        // Its only lock would keep the others from writing; what counts is when the values were taken.
        if self.place.kind != Kind::Sqlite {
            session.run("begin");
            session.run(&std::mem::replace(&mut insert, "commit".to_owned()));
        }
        self.open = Some((session, insert));
    }

    fn commit(&mut self) {
        let (mut session, commit) = self.open.take().expect("a transaction");
        session.run(&commit);
        self.then.iter().for_each(|then| self.place.run(then));
    }
}

fn prove(place: &Place, cells: &[Cell]) {
    for cell in cells {
        cell.prove(place, &cell.connector(place));
    }
}

#[test]
fn tables_of_postgresql_are_exact_with_select_alone() {
    let place = Place::new(Kind::Postgres);
    place.run(
        "create table parted (like t including defaults, primary key (id)) partition by range (id);
         create index on parted (ts, id);
         create table lower partition of parted for values from (minvalue) to (100);
         create table upper partition of parted for values from (100) to (maxvalue)",
    );
    place.grant(&["select on parted"]);
    prove(
        &place,
        &[
            cell("t", TimestampIncrementing, "exact", "snapshot").says(&["not covered"]),
            cell("t", Timestamp, "exact", "snapshot"),
            cell("t", Incrementing, "exact", "gaps"),
            cell("parted", TimestampIncrementing, "exact", "snapshot"),
            cell("parted", Incrementing, "exact", "gaps"),
        ],
    );
}

#[test]
fn where_rows_of_postgresql_do_not_tell_their_transaction_the_window_is_remembered_or_held() {
    let place = Place::bare(Kind::Postgres);
    place.run(
        "create view seen as select * from t; create view once as select id, ts, version from t where version >= 0",
    );
    place.grant(&["select on seen", "select on once", "select (id, ts, version) on t"]);
    prove(
        &place,
        &[
            cell("t", TimestampIncrementing, "exact", "window"),
            cell("t", Incrementing, "exact", "gaps"),
            cell("seen", TimestampIncrementing, "exact", "window"),
            cell("seen", Timestamp, "hold", "hold").says(&["wait"]),
            cell("seen", Incrementing, "partial", "gaps").says(&["nothing in the catalog says that ids are unique"]),
            cell("once", TimestampIncrementing, "exact", "window"),
            cell(QUERY, TimestampIncrementing, "exact", "window"),
            cell(QUERY, Timestamp, "hold", "hold").says(&["wait"]),
            cell(QUERY, Incrementing, "partial", "gaps").says(&["to raise it: a primary key or unique index"]),
        ],
    );
}

/// Somebody has taken from all roles what they have by default.
#[test]
fn where_postgresql_keeps_its_transactions_to_itself_the_level_falls_and_says_what_to_grant() {
    let place = Place::new(Kind::Postgres);
    place.run("revoke execute on function pg_catalog.pg_xact_status(xid8) from public");
    prove(&place, &[cell("t", TimestampIncrementing, "exact", "window")]);
    place.run("revoke select on pg_catalog.pg_locks from public");
    let says = &["to raise it: grant select on", "pg_locks"];
    prove(
        &place,
        &[
            cell("t", Timestamp, "rescan", "rescan").says(says),
            cell("t", Incrementing, "exact", "gaps"),
            cell(QUERY, TimestampIncrementing, "rescan", "rescan").says(says),
        ],
    );
}

#[test]
fn what_postgresql_reads_of_other_servers_or_long_ago_is_looked_at_again_and_again() {
    let place = Place::new(Kind::Postgres);
    place.run(&format!(
        "create extension postgres_fdw;
         do $$ begin
           execute format('create server elsewhere foreign data wrapper postgres_fdw
             options (host ''127.0.0.1'', port %L, dbname %L)', current_setting('port'), current_database());
         end $$;
         create user mapping for {} server elsewhere options (user 'postgres', password_required 'false');
         create foreign table distant (id bigint not null, ts timestamptz not null, version bigint not null)
           server elsewhere options (table_name 't');
         create materialized view stored as select * from t",
        place.user()
    ));
    place.grant(&["select on distant", "select on stored"]);
    prove(
        &place,
        &[
            cell("distant", TimestampIncrementing, "rescan", "rescan").says(&["to raise it: ", "that server"]),
            cell("stored", TimestampIncrementing, "rescan", "rescan").says(&["to raise it: ", "the table itself"]),
        ],
    );
}

#[test]
fn a_standby_does_not_show_the_transactions_of_its_primary() {
    let place = Place::new(Kind::Postgres);
    let standby = address("ROWTIDE_TEST_STANDBY_URL");
    let written =
        Server::Postgres(address("ROWTIDE_TEST_POSTGRES_URL")).texts("select pg_current_wal_lsn()::text").remove(0);
    eventually("the standby has the table", PATIENCE, || {
        let replayed = format!("select (pg_last_wal_replay_lsn() >= '{written}')::text");
        (Server::Postgres(standby.clone()).texts(&replayed)[0] == "true").then_some(())
    });
    let (_, server) = standby.rsplit_once('@').expect("a URL with a user");
    let url = format!("jdbc:postgresql://{}/{}", server.split('/').next().expect("a host"), place.name());
    for cell in [
        cell("t", TimestampIncrementing, "rescan", "rescan").says(&["a standby", "to raise it: ", "the primary"]),
        cell("t", Incrementing, "exact", "gaps"),
    ] {
        cell.prove(&place, &cell.connector(&place).set("connection.url", &url));
    }
}

/// Without a guard, and with one that only waits.
fn prove_unguarded(kind: Kind, modes: &[Mode]) {
    let place = Place::new(kind);
    for mode in modes {
        let off = cell("t", *mode, "off", "off").says(&["as in Kafka Connect", "remove commit.guard=off"]);
        off.prove(&place, &off.connector(&place).set("commit.guard", "off"));
    }
    let delay = cell("t", TimestampIncrementing, "delay", "delay").says(&["longer than timestamp.delay.interval.ms"]);
    let connector = delay.connector(&place).set("commit.guard", "delay");
    delay.prove(&place, &connector.set("timestamp.delay.interval.ms", "3000"));
}

#[test]
fn without_a_guard_all_is_as_in_connect_on_postgresql() {
    prove_unguarded(Kind::Postgres, &[TimestampIncrementing, Timestamp, Incrementing]);
    // Nobody knows what else is in it.
    let place = Place::new(Kind::Postgres);
    let cell = cell("t", TimestampIncrementing, "off", "off").says(&["query.suffix may leave rows out"]);
    cell.prove(&place, &cell.connector(&place).set("query.suffix", "limit 100"));
}

#[test]
fn without_a_guard_all_is_as_in_connect_on_the_others() {
    for kind in [Kind::MySql, Kind::MariaDb, Kind::TiDb, Kind::Sqlite] {
        prove_unguarded(kind, &[TimestampIncrementing]);
    }
}

#[test]
fn mysql_is_exact_where_performance_schema_shows_the_open_transactions() {
    let place = Place::bare(Kind::MySql);
    place.run("create view seen as select * from t");
    place.grant(&[
        "select on t",
        SELECT_ON_VIEW,
        "select on performance_schema.events_transactions_current",
        "select on performance_schema.threads",
    ]);
    // Prepared transactions, that is.
    const BUT: &[&str] = &["xa_recover_admin"];
    prove(
        &place,
        &[
            cell("t", TimestampIncrementing, "exact", "window").says(BUT),
            cell("t", Timestamp, "exact", "window").says(BUT),
            cell("t", Incrementing, "exact", "gaps"),
            cell("seen", TimestampIncrementing, "exact", "window"),
            cell("seen", Timestamp, "hold", "hold").says(&["wait"]),
            cell(QUERY, TimestampIncrementing, "exact", "window"),
            cell(QUERY, Timestamp, "hold", "hold"),
        ],
    );
}

#[test]
fn mysql_is_exact_where_process_shows_the_open_transactions() {
    let place = Place::bare(Kind::MySql);
    place.grant(&["select on t", "process on *.*"]);
    let cells = [cell("t", TimestampIncrementing, "exact", "window"), cell("t", Incrementing, "exact", "gaps")];
    prove(&place, &cells);
}

#[test]
fn mariadb_is_exact_where_the_open_transactions_may_be_seen() {
    let place = Place::new(Kind::MariaDb);
    place.run("create view seen as select * from t");
    place.grant(&[SELECT_ON_VIEW]);
    prove(
        &place,
        &[
            cell("t", TimestampIncrementing, "exact", "window"),
            cell("t", Incrementing, "exact", "gaps"),
            cell("seen", TimestampIncrementing, "exact", "window"),
            cell("seen", Timestamp, "hold", "hold"),
        ],
    );
}

#[test]
fn where_the_open_transactions_may_not_be_seen_it_is_said_what_to_grant() {
    for (kind, raise) in [(Kind::MySql, "performance_schema"), (Kind::MariaDb, "process")] {
        let place = Place::bare(kind);
        place.grant(&["select on t"]);
        let cells = [
            cell("t", TimestampIncrementing, "rescan", "rescan").says(&["a restart may repeat", "to raise it: "]),
            cell("t", Incrementing, "exact", "gaps").says(&["commit.guard.window.ms"]),
        ];
        prove(&place, &cells);
        let explained = run(&["explain", cells[0].connector(&place).file().to_str().expect("a path")]).expect_code(0);
        assert!(explained.stdout.to_lowercase().contains(raise), "{}", explained.stdout);
    }
}

#[test]
fn tidb_is_exact_with_select_alone() {
    let place = Place::new(Kind::TiDb);
    place.run("create view seen as select * from t");
    place.grant(&[SELECT_ON_VIEW]);
    let cells = [
        cell("t", TimestampIncrementing, "exact", "snapshot"),
        cell("t", Timestamp, "exact", "snapshot"),
        cell("t", Incrementing, "exact", "snapshot").says(&["30000"]),
        cell("seen", TimestampIncrementing, "exact", "snapshot"),
        cell(QUERY, TimestampIncrementing, "exact", "snapshot"),
    ];
    prove(&place, &cells);
    // Then it need not take a fixed time for the longest that a transaction lasts.
    let unseen = "commit.guard.window.ms";
    let explain =
        || run(&["explain", cells[0].connector(&place).file().to_str().expect("a path")]).expect_code(0).stdout;
    assert!(explain().contains(unseen));
    place.grant(&["process on *.*"]);
    assert!(!explain().contains(unseen));
    prove(&place, &cells[..1]);
}

#[test]
fn sqlite_is_exact_by_id_and_looks_again_and_again_by_time() {
    let place = Place::new(Kind::Sqlite);
    prove(
        &place,
        &[
            cell("t", Incrementing, "exact", "gaps"),
            cell("t", TimestampIncrementing, "rescan", "rescan").says(&["a restart may repeat"]),
        ],
    );
}

#[test]
fn a_way_that_is_asked_for_and_not_possible_is_refused_with_the_reason() {
    let postgres = Place::bare(Kind::Postgres);
    postgres.run("create view seen as select * from t");
    postgres.grant(&["select on seen", "select (id, ts, version) on t"]);
    let mysql = Place::bare(Kind::MySql);
    mysql.grant(&["select on t"]);
    let sqlite = Place::new(Kind::Sqlite);
    for (place, relation, mode, guard, why) in [
        (&postgres, "seen", TimestampIncrementing, "snapshot", "it is no plain table"),
        (&postgres, "t", TimestampIncrementing, "snapshot", "the role may not read xmin"),
        (&postgres, "t", TimestampIncrementing, "gaps", "mode=incrementing"),
        (&postgres, "t", Incrementing, "hold", "timestamp"),
        (&mysql, "t", TimestampIncrementing, "window", "performance_schema"),
        (&mysql, "t", TimestampIncrementing, "snapshot", "rows do not tell their transaction"),
        (&sqlite, "t", TimestampIncrementing, "hold", "a file does not show who is writing it"),
        (&sqlite, "t", Incrementing, "rescan", "timestamp"),
    ] {
        let connector = cell(relation, mode, "", "").connector(place).set("commit.guard", guard);
        let refused = run(&["explain", connector.file().to_str().expect("a path")]);
        refused.expect_code(2).expect_says(&["commit.guard", why]);
    }
}
