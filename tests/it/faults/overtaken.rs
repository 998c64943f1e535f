//! A process that was overtaken and starts a session again before it has seen it.

use std::time::{Duration, Instant};

use super::proxy::{Proxies, Side, Trouble};
use crate::support::db::Postgres;
use crate::support::kafka::{is_open, read_topic};
use crate::support::load::random;
use crate::support::process::{Running, signal};
use crate::support::{PATIENCE, eventually};

const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(3);

/// Most that are overtaken see it at once. This one sleeps for longer than its transaction may last, so by its own
/// clock it is only late, and it starts a session again.
fn an_overtaken_process_stops_and_does_not_fence_in_turn(tasks: &str) {
    let mut rng = random();
    let (proxies, mut rig) = Proxies::with_rig::<Postgres>(false, |connector| {
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        connector.set("tasks.max", tasks).set("producer.override.transaction.timeout.ms", &timeout)
    });
    let (file, topic) = (rig.connector.file(), rig.connector.topic("a"));
    let delivers = |least: usize| {
        eventually(&format!("{least} rows are delivered"), PATIENCE, || {
            (read_topic(&topic).len() >= least).then_some(())
        });
    };
    let insert = |rows: usize| {
        let text = "repeat('x', 200)";
        rig.database.run(&format!("insert into a (item) select {text} from generate_series(1, {rows})"));
    };
    insert(1);
    let mut older = Running::start(&file, &[]);
    delivers(1);
    // While rows come by drops a transaction is open.
    proxies.breaks(Side::Database, Trouble::Slow, &mut rng);
    insert(2_000);
    eventually("a transaction is open", PATIENCE, || is_open(&topic).then_some(()));
    signal(older.pid(), "STOP");
    let asleep = Instant::now();
    proxies.heal(Side::Database);
    let mut younger = Running::start(&file, &[]);
    delivers(2_001);
    // The moment itself; nothing is waited for.
    std::thread::park_timeout((TRANSACTION_TIMEOUT + Duration::from_millis(500)).saturating_sub(asleep.elapsed()));
    signal(older.pid(), "CONT");
    assert_eq!(older.ended(), Some(4), "{}", older.log());
    for text in ["starting again", "another process took over the connector", "stop one of the two"] {
        assert!(older.log().contains(text), "`{text}` is not said:\n{}", older.log());
    }
    insert(1);
    delivers(2_002);
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
