//! The long run: hundreds of faults of every kind at random, the oracle after each, and a table of what was found.
//! It stops and crashes services that others use too, so it runs by itself: `scripts/test --long`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;

use super::proxy::{Proxies, Side, Trouble};
use super::rig::{Loaded, MariaDb, MySql, Rig, TiDb};
use super::script::Fault;
use crate::support::connect::move_leaders;
use crate::support::db::{Postgres, Sqlite};
use crate::support::load::random;
use crate::support::process::Running;
use crate::support::replication;

/// The effect of one kind of fault.
#[derive(Default)]
struct Line {
    times: usize,
    lost: usize,
    repeated: usize,
    /// Versions out of order, an offset of another row, a connector that did not come back.
    wrong: usize,
}

/// Something to live through.
enum Trial {
    /// At a step, in this process.
    Step(Fault),
    /// SIGKILL of the binary.
    Kill,
    /// On the way of the binary to a server, and whether the binary is killed then.
    Network(Side, Trouble, bool),
    /// A server is crashed and started again.
    Crash(&'static str),
    /// Each broker is stopped and started again, one after the other.
    Roll,
    /// The leaders of all partitions go to other brokers.
    MoveLeaders,
}

/// The brokers of a cluster of three, or the one.
fn brokers() -> &'static [&'static str] {
    if replication() == 3 { &["kafka", "kafka2", "kafka3"] } else { &["kafka"] }
}

impl Trial {
    fn random(rng: &mut Rng, database: Option<&'static str>, proxies: &Proxies) -> Self {
        let brokers = brokers();
        match rng.u8(..20) {
            0..8 => Self::Step(Fault::random(rng)),
            8..12 => Self::Kill,
            12..17 => {
                let sides: Vec<Side> = Side::ALL.into_iter().filter(|side| proxies.reaches(*side)).collect();
                let side = sides[rng.usize(..sides.len())];
                Self::Network(side, Trouble::ALL[rng.usize(..Trouble::ALL.len())], rng.bool())
            }
            17 if brokers.len() > 1 && rng.bool() => Self::Roll,
            17 if brokers.len() > 1 => Self::MoveLeaders,
            _ => match database.filter(|_| rng.bool()) {
                Some(database) => Self::Crash(database),
                None => Self::Crash(brokers[rng.usize(..brokers.len())]),
            },
        }
    }

    fn kind(&self) -> String {
        match self {
            Self::Step(fault) => fault.kind(),
            Self::Kill => "process killed".to_owned(),
            Self::Network(side, trouble, killed) => {
                let then = if *killed { ", then killed" } else { "" };
                format!("network to {side:?}: {trouble:?}{then}").to_lowercase()
            }
            Self::Crash(service) if service.starts_with("kafka") => "a broker crashed".to_owned(),
            Self::Crash(service) => format!("{service} crashed"),
            Self::Roll => "brokers restarted one by one".to_owned(),
            Self::MoveLeaders => "leaders moved".to_owned(),
        }
    }
}

/// `scripts/services COMMAND...`, for whatever the services of this run are.
fn services(words: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
    let output = Command::new(script).args(words).output().expect("scripts/services");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The moment itself; nothing is waited for.
fn a_while(rng: &mut Rng, millis: std::ops::Range<u64>) {
    std::thread::park_timeout(Duration::from_millis(rng.u64(millis)));
}

fn live_through<D: Loaded>(rig: &Rig<D>, proxies: &Proxies, trial: &Trial, rng: &mut Rng) {
    if let Trial::Step(fault) = trial {
        return rig.live_through(*fault);
    }
    let mut running = Running::start(&rig.connector.file(), &[]);
    if !matches!(trial, Trial::Kill) || rng.bool() {
        running.wait_for_log("continuing table=");
    }
    a_while(rng, 20..500);
    match trial {
        Trial::Step(_) | Trial::Kill => {}
        Trial::Network(side, trouble, _) => {
            proxies.breaks(*side, *trouble, rng);
            // Seldom longer than a transaction may last.
            let longest = if rng.u8(..8) == 0 { 15_000 } else { 2_500 };
            a_while(rng, 50..longest);
            if matches!(trial, Trial::Network(_, _, true)) {
                running.kill();
                return proxies.heal(*side);
            }
            proxies.heal(*side);
        }
        Trial::Crash(service) => services(&["restart", "--hard", service]),
        Trial::Roll => brokers().iter().for_each(|broker| services(&["restart", broker])),
        Trial::MoveLeaders => assert!(move_leaders() > 0, "no partition is replicated"),
    }
    assert!(running.is_alive(), "rowtide ended by itself:\n{}", running.log());
    if matches!(trial, Trial::Kill) {
        return running.kill();
    }
    a_while(rng, 0..1_000);
    let code = running.terminate();
    assert_eq!(code, Some(0));
}

/// `crashes`: the service that is crashed now and then, if the database is one.
fn long_run<D: Loaded>(database: &str, crashes: Option<&'static str>) {
    let faults = std::env::var("ROWTIDE_TEST_FAULTS").ok().and_then(|faults| faults.parse().ok()).unwrap_or(300);
    let mut rng = random();
    let (proxies, mut rig) = Proxies::with_rig::<D>(true, |connector| {
        // Black holes outlast it.
        connector.set("producer.override.transaction.timeout.ms", "10000")
    });
    let first = rig.load(rng.fork());
    std::thread::park_timeout(Duration::from_millis(500));
    first.stop();
    rig.catch_up();
    assert!(rig.look().none());
    let mut summary: BTreeMap<String, Line> = BTreeMap::new();
    for number in 1..=faults {
        let trial = Trial::random(&mut rng, crashes, &proxies);
        let writer = rig.load(rng.fork());
        let lived = catch_unwind(AssertUnwindSafe(|| live_through(&rig, &proxies, &trial, &mut rng)));
        for side in Side::ALL {
            proxies.heal(side);
        }
        writer.stop();
        rig.catch_up();
        let found = rig.look();
        let line = summary.entry(trial.kind()).or_default();
        line.times += 1;
        line.lost += found.lost.len();
        line.repeated += found.repeated.len();
        line.wrong += found.wrong.len() + usize::from(lived.is_err());
        if !found.none() || lived.is_err() {
            println!("fault {number}, {}: {found}", trial.kind());
        }
        if number % 25 == 0 {
            println!("{number} faults, {} records", rig.records());
        }
    }
    show(&summary, database, rig.records());
    assert!(summary.values().all(|line| line.lost + line.repeated + line.wrong == 0));
}

fn show(summary: &BTreeMap<String, Line>, database: &str, records: usize) {
    println!("\n| {database}: fault | times | lost | repeated | wrong |\n|---|--:|--:|--:|--:|");
    let mut all = Line::default();
    for (kind, line) in summary {
        println!("| {kind} | {} | {} | {} | {} |", line.times, line.lost, line.repeated, line.wrong);
        all.times += line.times;
        all.lost += line.lost;
        all.repeated += line.repeated;
        all.wrong += line.wrong;
    }
    println!("| all, {records} records | {} | {} | {} | {} |", all.times, all.lost, all.repeated, all.wrong);
}

macro_rules! long_run {
    ($name:ident, $database:ty, $title:literal, $crashes:expr) => {
        #[test]
        #[ignore = "takes an hour and crashes services: scripts/test --long"]
        fn $name() {
            long_run::<$database>($title, $crashes);
        }
    };
}

long_run!(hundreds_of_random_faults_lose_and_repeat_nothing_on_postgresql, Postgres, "PostgreSQL", Some("postgres"));
long_run!(hundreds_of_random_faults_lose_and_repeat_nothing_on_mysql, MySql, "MySQL", Some("mysql"));
long_run!(hundreds_of_random_faults_lose_and_repeat_nothing_on_mariadb, MariaDb, "MariaDB", Some("mariadb"));
long_run!(hundreds_of_random_faults_lose_and_repeat_nothing_on_tidb, TiDb, "TiDB", Some("tidb"));
long_run!(hundreds_of_random_faults_lose_and_repeat_nothing_on_sqlite, Sqlite, "SQLite", None);
