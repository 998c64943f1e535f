//! The network between the real binary and each of the servers it talks to: cut, refused, slow, silent. What
//! lasts shows in the status within half a minute, with a reason that names the side; whatever it was, nothing is
//! lost and nothing repeated.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::proxy::{Proxies, Side, Trouble};
use super::rig::{Loaded, MySql, Rig, TABLES};
use crate::support::db::Postgres;
use crate::support::http::get_json;
use crate::support::load::random;
use crate::support::process::Running;
use crate::support::{PATIENCE, eventually};

/// The time within which it has to be seen that nothing moves.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

fn statuses(address: &str) -> Vec<Json> {
    let (_, status) = get_json(address, "/status");
    status["connectors"][0]["tables"].as_array().cloned().unwrap_or_default()
}

/// Rows committed of all tables.
fn rows(address: &str) -> u64 {
    statuses(address).iter().filter_map(|table| table["rows"].as_u64()).sum()
}

/// The first reason of a table that is not plainly moving, or of not being ready.
fn complaint(address: &str) -> Option<String> {
    let held_up = |table: &Json| {
        let moves = ["live", "idle", "loading"].contains(&table["state"].as_str().unwrap_or_default());
        (!moves).then(|| table["reason"].as_str().unwrap_or_default().to_owned())
    };
    let (code, ready) = get_json(address, "/health/ready");
    let unready = (code == 503).then(|| ready["problems"][0]["reason"].as_str().unwrap_or_default().to_owned());
    statuses(address).iter().find_map(held_up).or(unready)
}

/// Rows are committed that were not when this was called.
fn goes_on(running: &mut Running, address: &str) {
    let before = rows(address);
    eventually("rows are committed again", PATIENCE, || {
        assert!(running.is_alive(), "rowtide ended:\n{}", running.log());
        (rows(address) > before).then_some(())
    });
}

/// All troubles of one side, one after the other, in one life of the process.
fn survives<D: Loaded>(side: Side, words: &[&str]) {
    let mut rng = random();
    let (proxies, mut rig) = Proxies::with_rig::<D>(side == Side::Broker, |connector| connector);
    let writer = rig.load(rng.fork());
    let mut running = Running::start(&rig.connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    goes_on(&mut running, &address);
    for (number, trouble) in Trouble::ALL.into_iter().enumerate() {
        proxies.breaks(side, trouble, &mut rng);
        if side == Side::Registry {
            // Only new columns make it ask.
            rig.change_columns(number);
        }
        if matches!(trouble, Trouble::Refused | Trouble::Stalled | Trouble::HalfOpen) {
            let broken = Instant::now();
            let reason = eventually(&format!("{trouble:?} shows"), SHOWN_WITHIN, || {
                complaint(&address).filter(|reason| words.iter().any(|word| reason.contains(word)))
            });
            println!("{side:?} {trouble:?}: shown after {:?}: {reason}", broken.elapsed());
        } else {
            // The moment itself; nothing is waited for.
            std::thread::park_timeout(Duration::from_millis(rng.u64(50..1_000)));
        }
        proxies.heal(side);
        goes_on(&mut running, &address);
        eventually("nothing is complained of any more", PATIENCE, || complaint(&address).is_none().then_some(()));
    }
    writer.stop();
    assert_eq!(running.terminate(), Some(0));
    finish(&mut rig);
}

fn finish<D: Loaded>(rig: &mut Rig<D>) {
    rig.catch_up();
    let findings = rig.look();
    assert!(findings.none(), "{findings}");
    assert!(rig.records() > TABLES.len(), "nothing was delivered");
}

#[test]
fn a_network_to_postgresql_that_breaks_in_any_way_shows_and_loses_nothing() {
    survives::<Postgres>(Side::Database, &["database"]);
}

#[test]
fn a_network_to_mysql_that_breaks_in_any_way_shows_and_loses_nothing() {
    survives::<MySql>(Side::Database, &["database"]);
}

#[test]
fn a_network_to_the_registry_that_breaks_in_any_way_shows_and_loses_nothing() {
    survives::<Postgres>(Side::Registry, &["registry"]);
}

#[test]
fn a_network_to_the_broker_that_breaks_in_any_way_shows_and_loses_nothing() {
    survives::<Postgres>(Side::Broker, &["Kafka", "broker"]);
}
