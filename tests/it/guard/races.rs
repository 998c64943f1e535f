//! Many writers, and three connectors of their table: one that runs all the time, one that is killed again and again,
//! and one without the guard, which must lose rows.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::Arrived;
use super::load::{self, Load};
use super::place::{Kind, Mode, Place};
use crate::support::config::Connector;
use crate::support::http::{metric, table as table_status};
use crate::support::load::random;
use crate::support::process::{Running, run};

/// The load that is asked for, or the usual one.
fn load(writers: u64, seconds: u64, longest: u64) -> Load {
    let given = |name: &str, usual| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    Load {
        writers: given("ROWTIDE_TEST_WRITERS", writers) as i64,
        time: Duration::from_secs(given("ROWTIDE_TEST_SECONDS", seconds)),
        longest: Duration::from_secs(longest),
    }
}

fn once(connector: &Connector) {
    run(&["run", "--once", connector.file().to_str().expect("a path")]).expect_code(0);
}

/// Starts a connector, kills it at a random moment, and starts it again.
fn kill(victim: &mut Option<Running>, start: impl Fn() -> Running, rng: &mut Rng) {
    let mut running = victim.take().expect("one runs");
    // Often while it works, and now and then while it starts.
    if rng.u8(..4) > 0 {
        running.wait_for_log("continuing table=");
    }
    // The moment itself; nothing is waited for.
    std::thread::park_timeout(Duration::from_millis(rng.u64(20..1_000)));
    running.kill();
    *victim = Some(start());
}

/// The proof for one database and mode. `level` is what must be promised all the time; none where the load is so
/// heavy that more has to be remembered for a while than is promised to be.
fn race(kind: Kind, mode: Mode, load: Load, level: Option<&str>) {
    let mut rng = random();
    let place = Place::new(kind);
    place.seed(load::SEEDS);
    let [steady, killed, off] = ["auto", "auto", "off"].map(|guard| place.connector(mode).set("commit.guard", guard));
    // From here on its starts go on from an offset.
    once(&killed);
    let mut running = Running::start(&steady.file(), &["--listen", "127.0.0.1:0"]);
    let unguarded = Running::start(&off.file(), &[]);
    let start = || Running::start(&killed.file(), &[]);
    let mut victim = Some(start());
    let [mut of_steady, mut of_killed, mut of_off] = [&steady, &killed, &off].map(|of| Arrived::of(of, "t"));
    for arrived in [&mut of_steady, &mut of_killed, &mut of_off] {
        arrived.wait_for(&place.rows());
    }

    let (address, name) = (running.address(), place.full_name("t"));
    let (mut kills, mut levels) = (0, BTreeSet::new());
    load::run(&place, load, rng.fork(), |rng| {
        kill(&mut victim, start, rng);
        kills += 1;
        let status = table_status(&address, &name).expect("a status");
        levels.insert(status["guard"]["level"].as_str().expect("a level").to_owned());
    });
    let (rows, ended) = (place.rows(), Instant::now());

    // The rest has long been committed: what one more pass does not find is lost.
    assert_eq!(unguarded.terminate(), Some(0));
    once(&off);
    let lost = of_off.missing(&rows).len();
    println!("{kind:?}, {mode:?}: {} rows; without the guard {lost} are lost", rows.len());
    assert!(lost > 0, "nothing is lost without the guard: the load proves nothing");

    of_steady.wait_for(&rows);
    of_killed.wait_for(&rows);
    let late = metric(&address, "rowtide_guard_late_rows_total", &[]);
    assert_eq!(running.terminate(), Some(0));
    // Once more over the window, which must not bring anything twice.
    victim.expect("one runs").kill();
    once(&killed);
    let (of_steady, of_killed) = (of_steady.repeated(), of_killed.repeated());
    println!(
        "{kind:?}, {mode:?}: none is lost with the guard ({levels:?}): {late} rows caught late, {kills} kills, complete \
         {:?} after the load; repeated {}, with kills {}",
        ended.elapsed(),
        of_steady.len(),
        of_killed.len()
    );
    assert!(of_steady.is_empty(), "repeated, such as {:?}", of_steady[0]);
    assert!(late > 0.0, "no row was late");
    if let Some(level) = level {
        assert_eq!(levels.into_iter().collect::<Vec<_>>(), [level]);
    }
    assert!(level == Some("rescan") || of_killed.is_empty(), "repeated after a kill, such as {:?}", of_killed[0]);
}

macro_rules! races {
    ($($name:ident: $kind:ident $mode:ident $writers:literal $level:literal;)*) => {$(
        #[test]
        fn $name() {
            race(Kind::$kind, Mode::$mode, load($writers, 8, 3), Some($level));
        }
    )*};
}

races! {
    rows_late_by_time_come_once_and_are_lost_without_the_guard_on_postgresql:
        Postgres TimestampIncrementing 30 "exact";
    rows_late_by_id_come_once_and_are_lost_without_the_guard_on_postgresql: Postgres Incrementing 30 "exact";
    rows_late_by_time_come_once_and_are_lost_without_the_guard_on_mysql: MySql TimestampIncrementing 30 "exact";
    rows_late_by_id_come_once_and_are_lost_without_the_guard_on_mysql: MySql Incrementing 30 "exact";
    rows_late_by_time_come_once_and_are_lost_without_the_guard_on_mariadb: MariaDb TimestampIncrementing 30 "exact";
    rows_late_by_id_come_once_and_are_lost_without_the_guard_on_mariadb: MariaDb Incrementing 30 "exact";
    rows_late_by_time_come_once_and_are_lost_without_the_guard_on_tidb: TiDb TimestampIncrementing 30 "exact";
    rows_late_by_id_come_once_and_are_lost_without_the_guard_on_tidb: TiDb Incrementing 30 "exact";
    rows_late_by_time_come_and_are_lost_without_the_guard_on_sqlite: Sqlite TimestampIncrementing 8 "rescan";
    rows_late_by_id_come_once_and_are_lost_without_the_guard_on_sqlite: Sqlite Incrementing 8 "exact";
}

/// The same with many more writers, for minutes, with transactions that stay open for up to a minute.
mod long {
    use super::*;

    macro_rules! long_races {
        ($($name:ident: $kind:ident;)*) => {$(
            #[test]
            #[ignore = "takes a quarter of an hour: scripts/test --long"]
            fn $name() {
                for mode in [Mode::TimestampIncrementing, Mode::Timestamp, Mode::Incrementing] {
                    race(Kind::$kind, mode, load(200, 120, 60), None);
                }
            }
        )*};
    }

    long_races! {
        hundreds_of_writers_for_minutes_lose_nothing_on_postgresql: Postgres;
        hundreds_of_writers_for_minutes_lose_nothing_on_mysql: MySql;
        hundreds_of_writers_for_minutes_lose_nothing_on_mariadb: MariaDb;
        hundreds_of_writers_for_minutes_lose_nothing_on_tidb: TiDb;
    }
}
