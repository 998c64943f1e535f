//! A process that was overtaken and starts a session again before it has seen it.

use std::time::{Duration, Instant};

use super::proxy::{Proxies, Side, Trouble};
use super::rig::Rig;
use crate::support::db::Postgres;
use crate::support::kafka::{is_open, read_topic};
use crate::support::load::random;
use crate::support::process::{Running, run, signal};
use crate::support::{PATIENCE, eventually};

const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(3);

/// A process that is stopped while a transaction is open, and its connector of so many tasks.
struct Sleeper {
    rig: Rig<Postgres>,
    process: Running,
    since: Instant,
    _proxies: Proxies,
}

impl Sleeper {
    fn new(tasks: &str) -> Self {
        let (proxies, rig) = Proxies::with_rig::<Postgres>(false, |connector| {
            let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
            connector.set("tasks.max", tasks).set("producer.override.transaction.timeout.ms", &timeout)
        });
        insert(&rig, 1);
        let process = Running::start(&rig.connector.file(), &[]);
        delivers(&rig, 1);
        // While rows come by drops a transaction is open.
        proxies.breaks(Side::Database, Trouble::Slow, &mut random());
        insert(&rig, 2_000);
        let topic = rig.connector.topic("a");
        eventually("a transaction is open", PATIENCE, || is_open(&topic).then_some(()));
        signal(process.pid(), "STOP");
        proxies.heal(Side::Database);
        Self { rig, process, since: Instant::now(), _proxies: proxies }
    }

    /// Most that are overtaken see it at once. This one slept for longer than its transaction may last, so by its own
    /// clock it is only late, and it starts a session again.
    fn wakes_and_stops(&mut self) {
        let longer = TRANSACTION_TIMEOUT + Duration::from_millis(500);
        // The moment itself; nothing is waited for.
        std::thread::park_timeout(longer.saturating_sub(self.since.elapsed()));
        signal(self.process.pid(), "CONT");
        assert_eq!(self.process.ended(), Some(4), "{}", self.process.log());
        let log = self.process.log();
        for text in ["starting again", "another process took over the connector", "stop one of the two"] {
            assert!(log.contains(text), "`{text}` is not said:\n{log}");
        }
    }
}

fn insert(rig: &Rig<Postgres>, rows: usize) {
    let text = "repeat('x', 200)";
    rig.database.run(&format!("insert into a (item) select {text} from generate_series(1, {rows})"));
}

fn delivers(rig: &Rig<Postgres>, least: usize) {
    let topic = rig.connector.topic("a");
    eventually(&format!("{least} rows are delivered"), PATIENCE, || (read_topic(&topic).len() >= least).then_some(()));
}

fn an_overtaken_process_stops_and_does_not_fence_in_turn(tasks: &str) {
    let mut older = Sleeper::new(tasks);
    let mut younger = Running::start(&older.rig.connector.file(), &[]);
    delivers(&older.rig, 2_001);
    older.wakes_and_stops();
    let mut rig = older.rig;
    insert(&rig, 1);
    delivers(&rig, 2_002);
    assert!(younger.is_alive());
    assert!(!younger.log().contains("starting again"), "it was fenced in turn:\n{}", younger.log());
    assert_eq!(younger.terminate(), Some(0));
    rig.catch_up();
    let findings = rig.look();
    assert!(findings.none(), "{findings}");
    assert_eq!(rig.records(), 2_002);
}

#[test]
fn an_overtaken_process_of_one_task_that_starts_again_stops_and_does_not_fence_in_turn() {
    an_overtaken_process_stops_and_does_not_fence_in_turn("1");
}

#[test]
fn an_overtaken_process_of_two_tasks_that_starts_again_stops_and_does_not_fence_in_turn() {
    an_overtaken_process_stops_and_does_not_fence_in_turn("2");
}

#[test]
fn a_process_that_starts_again_after_its_offsets_were_moved_by_force_stops() {
    let mut sleeper = Sleeper::new("1");
    let file = sleeper.rig.connector.file();
    let file = file.to_str().expect("a path");
    run(&["offsets", "reset", file, "--table", "a", "--force", "--yes"]).expect_code(0);
    sleeper.wakes_and_stops();
    let stored = run(&["offsets", "get", file]).expect_code(0).stdout;
    assert!(!stored.contains("public.a"), "{stored}");
}
