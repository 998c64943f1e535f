//! A table's failure is its own: the status says what, since when and what to do, the other tables go on,
//! and once it is mended nothing of it is missing and nothing comes twice.

use serde_json::Value as Json;

use crate::support::config::Connector;
use crate::support::db::{Held, Postgres, Role};
use crate::support::http::{get_json, metric, table, wait_for_state};
use crate::support::kafka::{read_topic, wait_for_records};
use crate::support::oracle::assert_exactly_once;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, eventually};

/// A good and a bad table of three rows each.
pub fn tables() -> Postgres {
    let database = Postgres::new();
    for name in ["good", "bad"] {
        database.run(&format!(
            "create table {name} (seq serial primary key, ts timestamp default now(), item varchar(256), n numeric(10,2));
             insert into {name} (item) values ('one'), ('two'), ('three')"
        ));
    }
    database
}

/// Without a list of tables: what the database has is polled.
pub fn connector(database: &Postgres) -> Connector {
    Connector::of_test_table(&database.jdbc_url()).alone().without("table.whitelist").set("validate.non.null", "false")
}

const LISTEN: &[&str] = &["--listen", "127.0.0.1:0"];

/// Both tables are delivered; then `break_it` runs and a row follows in the bad table.
pub struct Broken {
    pub database: Postgres,
    pub connector: Connector,
    pub running: Running,
    address: String,
}

impl Broken {
    pub fn start(database: Postgres, connector: Connector) -> Self {
        let mut running = Running::start(&connector.file(), LISTEN);
        let address = running.address();
        Self { database, connector, running, address }
    }

    pub fn after_the_first_rows(database: Postgres, connector: Connector) -> Self {
        let broken = Self::start(database, connector);
        for table in ["good", "bad"] {
            wait_for_records(&broken.connector.topic(table), 3);
        }
        broken
    }

    /// The bad table fails as it should, and the good one does not notice.
    #[track_caller]
    pub fn fails(&mut self, reason: &str, advice: &str) -> Json {
        let status = wait_for_state(&self.address, "public.bad", "failed");
        let has = |field: &str, text: &str| status[field].as_str().is_some_and(|found| found.contains(text));
        assert!(has("reason", reason) && has("advice", advice), "{status}");
        assert!(has("since", "T"), "{status}");
        let (code, ready) = get_json(&self.address, "/health/ready");
        let problem =
            ready["problems"].as_array().and_then(|problems| problems.iter().find(|p| p["table"] == "public.bad"));
        assert_eq!(code, 503, "{ready}");
        assert!(
            problem.is_some_and(|problem| problem["reason"].as_str().is_some_and(|text| text.contains(reason))),
            "{ready}"
        );
        assert_eq!(get_json(&self.address, "/health/live").0, 200);
        assert!(metric(&self.address, "rowtide_table_state", &[r#"table="public.bad""#, r#"state="failed""#]) > 0.0);
        let before = self.database.count("good");
        wait_for_records(&self.connector.topic("good"), before);
        self.database.run("insert into good (item) values ('while the other has failed')");
        wait_for_records(&self.connector.topic("good"), before + 1);
        assert_eq!(table(&self.address, "public.good").expect("a status")["reason"], Json::Null);
        status
    }

    /// After the cause is gone everything is there, once.
    #[track_caller]
    pub fn recovers(mut self, mend: &str) {
        self.database.run(mend);
        self.database.run("insert into bad (item) values ('after'); insert into good (item) values ('after')");
        for table in ["good", "bad"] {
            wait_for_records(&self.connector.topic(table), self.database.count(table));
        }
        eventually("ready again", PATIENCE, || (get_json(&self.address, "/health/ready").0 == 200).then_some(()));
        assert!(self.running.is_alive());
        assert_eq!(self.running.terminate(), Some(0));
        for table in ["good", "bad"] {
            assert_exactly_once(&self.database, &self.connector, table, true);
        }
    }
}

#[test]
fn a_value_that_fits_no_schema_stops_its_table_until_the_row_is_mended() {
    let database = tables();
    let connector = connector(&database);
    let mut broken = Broken::after_the_first_rows(database, connector);
    broken.database.run("insert into bad (item, n) values ('before', 1), ('poison', 'NaN'), ('behind', 2)");
    broken.fails("column n", "correct the row");
    broken.recovers("update bad set n = 0 where n = 'NaN'");
}

#[test]
fn a_row_without_a_cursor_value_stops_its_table_until_it_has_one() {
    let database = tables();
    let connector = connector(&database).set("cursor.null", "fail");
    let mut broken = Broken::after_the_first_rows(database, connector);
    broken.database.run("insert into bad (ts, item) values (null, 'poison')");
    broken.fails("holds NULL", "cursor.null=ignore");
    broken.recovers("update bad set ts = now() where ts is null");
}

#[test]
fn a_row_from_the_far_future_stops_its_table_until_it_is_mended() {
    let database = tables();
    let connector = connector(&database).set("cursor.future", "fail");
    let mut broken = Broken::after_the_first_rows(database, connector);
    broken.database.run("insert into bad (ts, item) values (now() + interval '10 years', 'poison')");
    broken.fails("far in the future", "cursor.future=wait");
    broken.recovers("update bad set ts = now() where item = 'poison'");
}

#[test]
fn a_row_from_before_1970_stops_its_table_until_it_is_mended() {
    let database = tables();
    database.run("insert into bad (ts, item) values ('1969-12-31 23:59:59', 'poison')");
    let connector = connector(&database).set("cursor.before.epoch", "fail");
    let mut broken = Broken::start(database, connector);
    wait_for_records(&broken.connector.topic("good"), 3);
    broken.fails("before 1970", "cursor.before.epoch=read");
    assert!(read_topic(&broken.connector.topic("bad")).is_empty());
    broken.recovers("update bad set ts = now() where item = 'poison'");
}

#[test]
fn a_missing_cursor_column_stops_its_table_until_it_is_back() {
    let database = tables();
    // One table in each task: a task of which nothing works must not end the other.
    let connector = connector(&database).set("tasks.max", "2");
    let mut broken = Broken::after_the_first_rows(database, connector);
    broken.database.run("alter table bad rename column ts to ts_away; insert into bad (item) values ('meanwhile')");
    broken.fails("`ts`", "");
    broken.recovers("alter table bad rename column ts_away to ts");
}

#[test]
fn a_revoked_privilege_stops_its_table_until_it_is_granted() {
    let role = Role::new();
    let database = tables();
    database.run(&format!("grant select on good, bad to {}", role.0));
    let connector = connector(&database).set("connection.user", &role.0);
    let mut broken = Broken::after_the_first_rows(database, connector);
    broken.database.run(&format!("revoke select on bad from {}; insert into bad (item) values ('meanwhile')", role.0));
    broken.fails("privilege is missing", "grant");
    broken.recovers(&format!("grant select on bad to {}", role.0));
}

#[test]
fn a_table_that_is_named_and_gone_is_missed_until_it_is_back() {
    let database = tables();
    let connector = connector(&database).set("table.whitelist", "public.good,public.bad").set("tasks.max", "2");
    let mut broken = Broken::after_the_first_rows(database, connector);
    broken
        .database
        .run("create schema attic; insert into bad (item) values ('meanwhile'); alter table bad set schema attic");
    broken.fails("does not exist", "");
    // Also after the catalog was listed several times.
    let listed = std::time::Instant::now();
    eventually("three listings", PATIENCE, || (listed.elapsed().as_millis() > 1_500).then_some(()));
    broken.fails("does not exist", "");
    broken.recovers("alter table attic.bad set schema public");
}

#[test]
fn a_table_that_was_listed_and_is_gone_leaves_and_goes_on_where_it_was_when_it_is_back() {
    let database = tables();
    let connector = connector(&database).set("tasks.max", "2").set("schema.pattern", "public");
    let broken = Broken::after_the_first_rows(database, connector);
    broken.database.run("create schema attic; alter table bad set schema attic");
    eventually("it leaves the status", PATIENCE, || table(&broken.address, "public.bad").is_none().then_some(()));
    assert_eq!(get_json(&broken.address, "/health/ready").0, 200);
    broken.database.run("insert into attic.bad (item) values ('meanwhile')");
    broken.recovers("alter table attic.bad set schema public");
}

#[test]
fn a_locked_table_is_said_to_be_waited_for_within_the_statement_limit_and_recovers() {
    let database = tables();
    let connector = connector(&database).set("tasks.max", "2").set("statement.timeout.ms", "1000");
    let broken = Broken::after_the_first_rows(database, connector);
    let mut lock = Held::new(&broken.database);
    lock.run("begin; insert into bad (item) values ('meanwhile'); lock table bad in access exclusive mode");
    let locked = std::time::Instant::now();
    let status = wait_for_state(&broken.address, "public.bad", "backing_off");
    assert!(locked.elapsed() < std::time::Duration::from_secs(10), "noticed after {:?}", locked.elapsed());
    assert!(status["reason"].as_str().is_some_and(|reason| reason.contains("for a lock held by session ")), "{status}");
    broken.database.run("insert into good (item) values ('while the other is locked')");
    wait_for_records(&broken.connector.topic("good"), 4);
    lock.run("commit");
    broken.recovers("select 1");
}

#[test]
fn a_single_run_reads_the_good_tables_and_names_the_bad_one() {
    let database = tables();
    database.run("update bad set n = 'NaN' where seq = 2");
    let connector = connector(&database);
    let once = |connector: &Connector| run(&["run", "--once", connector.file().to_str().expect("a path")]);
    once(&connector).expect_code(1).expect_says(&["table public.bad has failed", "column n", "correct the row"]);
    assert_exactly_once(&database, &connector, "good", true);
    assert!(read_topic(&connector.topic("bad")).is_empty());
    database.run("update bad set n = 0 where seq = 2");
    once(&connector).expect_code(0);
    assert_exactly_once(&database, &connector, "bad", true);
}

#[test]
fn a_connector_of_which_every_table_has_failed_ends() {
    let database = tables();
    let connector = connector(&database).set("tasks.max", "2");
    let mut broken = Broken::after_the_first_rows(database, connector);
    broken.database.run("alter table bad rename column ts to ts_away; insert into bad (item) values ('x')");
    broken.fails("`ts`", "");
    broken.database.run("alter table good rename column ts to ts_away; insert into good (item) values ('x')");
    assert_eq!(broken.running.ended(), Some(1));
    let log = broken.running.log();
    assert!(log.contains("`ts`") && log.contains("timestamp.column.name"), "{log}");

    let at_start = Running::start(&broken.connector.file(), &[]);
    assert_eq!(at_start.exit_code(), Some(2));
}
