//! Open transactions as MySQL, MariaDB and TiDB show them, against transactions that are open.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rowtide::config::spec::SourceSpec;
use rowtide::dialect::{Ability, LateSupport, SourceConnection};
use rowtide::model::{Micros, OpenTransaction, OpenTransactions, Relation};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::mysql::{Family, MYSQL, TIDB};
use super::place::{Place, User, connect};
use crate::support::PATIENCE;

const TABLE: &str =
    "create table t (id int auto_increment primary key, ts datetime(6) not null, n int not null default 0);";

/// The time by which a statement may have taken its time before the begin of its transaction.
const SLACK: Micros = 200_000;

/// A session of an application.
struct Writer {
    connection: MySqlConnection,
    id: u64,
}

impl Writer {
    async fn new(place: &Place, family: &Family) -> Self {
        let url = format!("{}{}", family.address("URL"), place.name);
        let mut connection = MySqlConnection::connect(&url).await.unwrap();
        let id: (String,) =
            sqlx::query_as("select cast(connection_id() as char)").fetch_one(&mut connection).await.unwrap();
        let mut writer = Self { connection, id: id.0.parse().unwrap() };
        writer.run("set time_zone = '+00:00'").await;
        writer
    }

    async fn run(&mut self, sql: &str) {
        self.try_run(sql).await.unwrap();
    }

    async fn try_run(&mut self, sql: &str) -> sqlx::Result<()> {
        self.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.map(drop)
    }

    async fn numbers(&mut self, sql: &str) -> Vec<(i64, i64)> {
        sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.connection).await.unwrap()
    }

    async fn clock(&mut self) -> Micros {
        self.numbers("select timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)), 0").await[0].0
    }

    fn of<'a>(&self, open: &'a OpenTransactions) -> Option<&'a OpenTransaction> {
        let name = format!("connection {} ", self.id);
        open.sessions.iter().find(|one| one.holder.as_ref().is_some_and(|holder| holder.starts_with(&name)))
    }
}

/// The open transactions, as of now; other tests may read the same lists.
async fn look(connection: &mut dyn SourceConnection) -> OpenTransactions {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = connection.open_transactions().await.unwrap();
        if !open.is_stale {
            return open;
        }
        assert!(Instant::now() < deadline, "the list is never made anew");
    }
}

/// A user who sees the transactions of MySQL in the engine's list only.
fn with_process_only(place: &Place, user: &User) -> SourceSpec {
    place.sql(&format!("grant process on *.* to {}; grant select on {}.* to {0}", user.name, place.name));
    place.source_as(&user.name)
}

pub(super) async fn an_open_writer_is_seen_from_its_begin_to_its_end(family: &'static Family) {
    let place = Place::new(family, TABLE);
    let user = User::new(&place);
    for source in [place.source.clone(), with_process_only(&place, &user)] {
        let mut writer = Writer::new(&place, family).await;
        let mut idle = Writer::new(&place, family).await;
        idle.run("select 1").await;
        let before = writer.clock().await;
        writer.run("begin; insert into t (ts) values (utc_timestamp(6))").await;
        let after = writer.clock().await;
        let mut connection = connect(&source).await.unwrap();
        let open = look(&mut *connection).await;
        let seen = writer.of(&open).expect("an open writer");
        let began = seen.began.expect("a start");
        assert!(began <= after && began >= before - 2_000_000, "{began} is not near {before}");
        assert!(seen.holder.as_ref().unwrap().contains("(root@"), "{seen:?}");
        assert_eq!(idle.of(&open), None);
        let now = writer.clock().await;
        assert!(open.clock >= after && open.clock <= now, "{} is not the present", open.clock);
        let again = look(&mut *connection).await;
        assert_eq!(writer.of(&again).map(|one| (&one.name, one.began)), Some((&seen.name, Some(began))));
        // A newcomer counts from the last look on, whatever it did meanwhile.
        idle.run("begin; insert into t (ts) values (utc_timestamp(6))").await;
        let open = look(&mut *connection).await;
        assert!(idle.of(&open).unwrap().began.unwrap() >= again.clock - SLACK, "{open:?}");
        writer.run("commit").await;
        idle.run("rollback").await;
        // A busy TiDB lists a transaction a moment longer than it lasts.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open = look(&mut *connection).await;
            if (writer.of(&open), idle.of(&open)) == (None, None) {
                break;
            }
            assert!(Instant::now() < deadline, "it has ended and is still listed: {open:?}");
        }
    }
}

pub(super) async fn a_statement_that_waits_for_a_lock_counts_from_its_begin(family: &'static Family) {
    let place = Place::new(family, &format!("{TABLE} insert into t (ts) values (utc_timestamp(6));"));
    let user = User::new(&place);
    for (round, source) in [place.source.clone(), with_process_only(&place, &user)].iter().enumerate() {
        let mut connection = connect(source).await.unwrap();
        look(&mut *connection).await;
        let mut reader = Writer::new(&place, family).await;
        reader.run("begin; select * from t").await;
        let (mut alters, mut writer) = (Writer::new(&place, family).await, Writer::new(&place, family).await);
        let (altering, id) = (alters.id, writer.id);
        let altered = tokio::spawn(async move { alters.run(&format!("alter table t add column c{round} int")).await });
        waits(&place, family, altering).await;
        let before = writer.clock().await;
        writer.run("set autocommit = 0").await;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let written = tokio::spawn(async move {
            writer.run("insert into t (ts) values (utc_timestamp(6))").await;
            sender.send(()).unwrap();
            writer
        });
        waits(&place, family, id).await;
        let holder = format!("connection {id} ");
        let bound = |open: &OpenTransactions| {
            let seen = open.sessions.iter().find(|one| one.holder.as_ref().unwrap().starts_with(&holder));
            seen.expect("a writer that waits, or has").began.expect("a start")
        };
        let since = bound(&look(&mut *connection).await);
        assert!(since >= before - 2_000_000, "{since} is long before {before}");
        reader.run("commit").await;
        receiver.await.unwrap();
        altered.await.unwrap();
        // By now the engine says that it began when the wait was over.
        let open = look(&mut *connection).await;
        let mut writer = written.await.unwrap();
        let taken = writer.numbers("select timestampdiff(microsecond, '1970-01-01', max(ts)), 0 from t").await[0].0;
        assert!(since <= taken && bound(&open) <= taken, "{since} or {} is after {taken}", bound(&open));
        writer.run("commit").await;
    }
}

/// Waits until a session waits for a lock of a table.
async fn waits(place: &Place, family: &Family, id: u64) {
    let mut monitor = Writer::new(place, family).await;
    let sql = format!(
        "select count(*), 0 from information_schema.processlist where id = {id} and state like '%metadata lock'"
    );
    let deadline = Instant::now() + PATIENCE;
    while monitor.numbers(&sql).await[0].0 == 0 {
        assert!(Instant::now() < deadline, "it never waits");
    }
}

pub(super) async fn a_prepared_transaction_is_seen(family: &'static Family) {
    let place = Place::new(family, TABLE);
    let user = User::new(&place);
    for source in [place.source.clone(), with_process_only(&place, &user)] {
        let mut connection = connect(&source).await.unwrap();
        let names = |open: &OpenTransactions| -> Vec<String> {
            open.prepared.iter().map(|prepared| prepared.name.clone()).collect()
        };
        let before = names(&look(&mut *connection).await);
        let mut writer = Writer::new(&place, family).await;
        let id = format!("'{}'", crate::support::unique("xa"));
        let _ended = Prepared { server: family.address("URL"), id: id.clone() };
        writer.run(&format!("xa start {id}; insert into t (ts) values (utc_timestamp(6)); xa end {id}")).await;
        writer.run(&format!("xa prepare {id}")).await;
        writer.connection.close().await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        // Those of other tests come and go.
        let new = loop {
            let open = look(&mut *connection).await;
            assert!(open.prepared.len() + open.sessions.len() > 0, "it is nowhere");
            let new: Vec<String> = names(&open).into_iter().filter(|name| !before.contains(name)).collect();
            if !new.is_empty() {
                break new;
            }
            assert!(Instant::now() < deadline, "it is not told as prepared");
        };
        let mut writer = Writer::new(&place, family).await;
        writer.run(&format!("xa commit {id}")).await;
        loop {
            let open = names(&look(&mut *connection).await);
            if new.iter().any(|name| !open.contains(name)) {
                break;
            }
            assert!(Instant::now() < deadline, "it is told as prepared although it has ended: {new:?}");
        }
    }
}

/// A prepared transaction that is not left behind by a test that fails.
struct Prepared {
    server: String,
    id: String,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("xa rollback {}", self.id));
        let rolled_back = async move {
            let mut connection = MySqlConnection::connect(&server).await.unwrap();
            // It is gone if the test has committed it.
            let _ = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
        };
        crate::support::db::block(rolled_back);
    }
}

pub(super) async fn a_list_is_fresh_or_said_not_to_be(family: &'static Family) {
    let place = Place::new(family, TABLE);
    let user = User::new(&place);
    let source = with_process_only(&place, &user);
    let mut connection = connect(&source).await.unwrap();
    let mut writer = Writer::new(&place, family).await;
    let (mut stale, mut fresh) = (0, 0);
    let mut monitor = Some(spawn_monitor(&place, family).await);
    for round in 0..12 {
        if round == 8 {
            let (stop, task) = monitor.take().unwrap();
            stop.store(true, Ordering::Relaxed);
            task.await.unwrap();
        }
        writer.run("begin; insert into t (ts) values (utc_timestamp(6))").await;
        let open = connection.open_transactions().await.unwrap();
        if open.is_stale {
            assert!(open.sessions.is_empty());
            stale += 1;
        } else {
            assert!(writer.of(&open).is_some(), "a fresh list without a transaction that is open");
            fresh += 1;
        }
        let in_time = (writer.clock().await - open.clock).abs() < 2_000_000;
        assert!(in_time, "the clock is right also then");
        writer.run("rollback").await;
    }
    assert!(stale > 0, "the monitor does not keep the list as it is: {stale} {fresh}");
    writer.run("begin; insert into t (ts) values (utc_timestamp(6))").await;
    let open = look(&mut *connection).await;
    assert!(writer.of(&open).is_some());
}

async fn spawn_monitor(place: &Place, family: &Family) -> (Arc<AtomicBool>, tokio::task::JoinHandle<()>) {
    let mut monitor = Writer::new(place, family).await;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            monitor.run("select count(*) from information_schema.innodb_trx").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (stop, task)
}

/// The purpose of it all: whatever appears after a look has a time at or after what the look has shown to be possible.
pub(super) async fn nothing_is_written_before_the_start_of_what_is_open(family: &'static Family) {
    let place =
        Place::new(family, &format!("{TABLE} insert into t (ts) values (utc_timestamp(6)), (utc_timestamp(6));"));
    let user = User::new(&place);
    for source in [place.source.clone(), with_process_only(&place, &user)] {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for seed in 0..12 {
            let (mut writer, stop) = (Writer::new(&place, family).await, stop.clone());
            tasks.push(tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                while !stop.load(Ordering::Relaxed) {
                    // Deadlocks and the like are part of it.
                    if writer.try_run(&load(&mut random)).await.is_err() {
                        writer.run("rollback; unlock tables; set autocommit = 1").await;
                    }
                }
            }));
        }
        let mut connection = connect(&source).await.unwrap();
        let mut reader = Writer::new(&place, family).await;
        let mut seen: HashSet<(i64, i64)> = HashSet::new();
        let (mut edge, mut late, mut looks) = (Micros::MIN, 0, 0);
        let started = Instant::now();
        // Others may keep the list as it is for a while.
        while started.elapsed() < Duration::from_secs(6) || (late <= 10 || looks <= 5) && started.elapsed() < PATIENCE {
            let open = connection.open_transactions().await.unwrap();
            let rows =
                reader.numbers("select cast(id as signed), timestampdiff(microsecond, '1970-01-01', ts) from t").await;
            let newest = seen.iter().map(|(_, ts)| *ts).max().unwrap_or(0);
            for row in rows {
                if seen.insert(row) && looks > 0 {
                    assert!(row.1 >= edge, "a row of {} came after {edge}", row.1);
                    late += usize::from(row.1 < newest);
                }
            }
            if !open.is_stale {
                looks += 1;
                let began = open.sessions.iter().map(|one| one.began.expect("a start"));
                edge = edge.max(began.fold(open.clock, Micros::min) - SLACK);
            }
        }
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        assert!(late > 10 && looks > 5, "{late} late rows in {looks} looks prove nothing");
    }
}

/// A statement that an application may run.
fn load(random: &mut fastrand::Rng) -> String {
    let insert = "insert into t (ts) values (utc_timestamp(6))";
    let hold = f64::from(random.u32(1..300)) / 1000.0;
    match random.u32(0..8) {
        0 | 1 => insert.to_owned(),
        2 => format!("insert into t (ts) select utc_timestamp(6) from (select sleep({hold})) as s"),
        3 => format!("begin; {insert}; do sleep({hold}); {insert}; commit"),
        4 => format!("begin; {insert}; do sleep({hold}); rollback"),
        5 => format!("update t set ts = utc_timestamp(6), n = n + 1 where id = {}", random.u32(1..3)),
        6 => {
            let id = random.u32(1..3);
            format!("begin; update t set ts = utc_timestamp(6), n = n + 1 where id = {id}; do sleep({hold}); commit")
        }
        _ => format!("set autocommit = 0; {insert}; do sleep({hold}); commit; set autocommit = 1"),
    }
}

pub(super) async fn the_privilege_that_is_missing_is_told_and_enough(family: &'static Family) {
    let place = Place::new(family, TABLE);
    let relation = place.table("t");
    let ways: &[&[&str]] = if *family == MYSQL {
        &[
            &["select on performance_schema.threads", "select on performance_schema.events_transactions_current"],
            &["process on *.*"],
        ]
    } else {
        &[&["process on *.*"]]
    };
    for grants in ways {
        let user = User::new(&place);
        user.may_read(&place, "t", true);
        let source = place.source_as(&user.name);
        let writers = async |source: &SourceSpec| {
            let mut connection = connect(source).await.unwrap();
            let support: LateSupport = connection.late_support(&relation, None).await.unwrap();
            (support.writers, connection)
        };
        for grant in *grants {
            let (writers, mut connection) = writers(&source).await;
            let Ability::No { why, raise } = writers else { panic!("{writers:?} without {grant}") };
            assert_eq!(why, "the account may not see the transactions of others");
            let (privilege, _) = grant.split_once(" on ").unwrap();
            assert!(raise.contains(&format!("grant {privilege} on")) && raise.contains(&user.name), "{raise}");
            let open = connection.open_transactions().await.unwrap();
            assert!(open.clock > 0 && open.sessions.is_empty() && !open.is_stale, "{open:?}");
            place.sql(&format!("grant {grant} to {}", user.name));
        }
        let (sees, mut connection) = writers(&source).await;
        let Ability::Yes { but } = sees else { panic!("{sees:?} with {grants:?}") };
        let mut writer = Writer::new(&place, family).await;
        writer.run("begin; insert into t (ts) values (utc_timestamp(6))").await;
        assert!(writer.of(&look(&mut *connection).await).is_some());
        if *family == MYSQL && grants.len() == 2 {
            assert!(but.contains("grant xa_recover_admin on *.*"), "{but}");
            place.sql(&format!("grant xa_recover_admin on *.* to {}", user.name));
            assert_eq!(writers(&source).await.0, Ability::yes());
            place.sql(&format!("revoke select on performance_schema.threads from {}", user.name));
            let open = connection.open_transactions().await.unwrap();
            assert!(open.is_stale, "what was promised is no longer seen: {open:?}");
        }
    }
}

pub(super) async fn what_shows_no_transactions_is_told(family: &'static Family) {
    let mut place = Place::new(family, &format!("{TABLE} create view v as select * from t;"));
    let mut connection = place.connect().await;
    let support = connection.late_support(&place.table("t"), Some("id")).await.unwrap();
    let has = |ability: &Ability| matches!(ability, Ability::Yes { .. });
    assert!(has(&support.writers) && has(&support.past) == (*family == TIDB), "{support:?}");
    assert_eq!(support.ids_kept, if *family == TIDB { 30_000 } else { 0 });
    for relation in [place.table("v"), Relation::Query("select * from t".to_owned())] {
        let support = connection.late_support(&relation, None).await.unwrap();
        let Ability::Yes { but } = support.writers else { panic!("{support:?}") };
        assert!(*family == TIDB || but.contains("not InnoDB"), "{but}");
        assert_eq!(has(&support.past), *family == TIDB);
    }
    if *family == TIDB {
        place.sql("create table u (id int auto_increment primary key) auto_id_cache 1");
        assert_eq!(connection.late_support(&place.table("u"), Some("id")).await.unwrap().ids_kept, 1);
        return;
    }
    place.sql("create table u (id int auto_increment primary key) engine = myisam");
    let support = connection.late_support(&place.table("u"), Some("id")).await.unwrap();
    let why = "its engine MyISAM does not show its transactions";
    assert_eq!(support.writers, Ability::no(why, "use InnoDB"));
    place.source.url.parameters.insert("sessionVariables".to_owned(), "auto_increment_increment=3".to_owned());
    let support = place.connect().await.late_support(&place.table("t"), Some("id")).await.unwrap();
    assert_eq!(support.ids_kept, 3);
}

pub(super) async fn a_look_that_is_broken_off_leaves_no_view_behind(family: &'static Family) {
    let place = Place::new(family, TABLE);
    let user = User::new(&place);
    for source in [place.source.clone(), with_process_only(&place, &user)] {
        let mut connection = connect(&source).await.unwrap();
        let mut writer = Writer::new(&place, family).await;
        let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
        look(&mut *connection).await;
        writer.run("delete from t").await;
        for round in 1..=20_u64 {
            let patience = Duration::from_micros(round * 100);
            let _ = tokio::time::timeout(patience, connection.open_transactions()).await;
            writer.run("insert into t (ts) values (utc_timestamp(6))").await;
            let rows = super::place::read(&mut *connection, &definition, &place.select(&definition, "")).await.unwrap();
            assert_eq!(rows.rows.len(), round as usize, "after {patience:?}");
        }
    }
}
