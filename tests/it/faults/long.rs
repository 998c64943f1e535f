//! The long run: hundreds of faults of every kind at random, the oracle after each, and a table of what was found.
//! It stops and crashes services that others use too, so it runs by itself: `scripts/test --long`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;

use super::proxy::{Proxies, Side, Trouble};
use super::rig::{Loaded, Rig};
use super::script::Fault;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::load::random;
use crate::support::process::Running;

/// What one kind of fault has done.
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
}

impl Trial {
    fn random(rng: &mut Rng, database: &'static str) -> Self {
        match rng.u8(..20) {
            0..9 => Self::Step(Fault::random(rng)),
            9..13 => Self::Kill,
            13..18 => {
                let side = Side::ALL[rng.usize(..3)];
                Self::Network(side, Trouble::ALL[rng.usize(..Trouble::ALL.len())], rng.bool())
            }
            _ => Self::Crash([database, "kafka"][rng.usize(..2)]),
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
            Self::Crash(service) => format!("{service} crashed"),
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
    }
    assert!(running.is_alive(), "rowtide ended by itself:\n{}", running.log());
    if matches!(trial, Trial::Kill) {
        return running.kill();
    }
    a_while(rng, 0..1_000);
    let code = running.terminate();
    assert_eq!(code, Some(0));
}

fn long_run<D: Loaded>(database: &'static str) {
    let faults = std::env::var("ROWTIDE_TEST_FAULTS").ok().and_then(|faults| faults.parse().ok()).unwrap_or(500);
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
        let trial = Trial::random(&mut rng, database);
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

#[test]
#[ignore = "takes half an hour and crashes services: scripts/test --long"]
fn hundreds_of_random_faults_lose_nothing_and_repeat_nothing_on_postgresql() {
    long_run::<Postgres>("postgres");
}

#[test]
#[ignore = "takes half an hour and crashes services: scripts/test --long"]
fn hundreds_of_random_faults_lose_nothing_and_repeat_nothing_on_mysql() {
    long_run::<MySqlFamily>("mysql");
}
