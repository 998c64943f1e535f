//! Faults at the steps of the pipeline, on real databases, a real broker and a real registry, under load.

use fastrand::Rng;

use super::rig::{Loaded, MySql, Rig};
use super::script::{Effect, Fault, Step};
use crate::support::db::Postgres;
use crate::support::load::random;

/// Lives through the faults, one after the other, under load; then everything is there once.
fn survives<D: Loaded>(rig: &mut Rig<D>, faults: &[Fault], rng: &mut Rng) {
    let writer = rig.load(rng.fork());
    for fault in faults {
        rig.live_through(*fault);
    }
    writer.stop();
    rig.catch_up();
    let findings = rig.look();
    let list: Vec<_> = faults.iter().map(Fault::to_string).collect();
    assert!(findings.none(), "{findings} after:\n{}", list.join("\n"));
}

#[test]
fn an_error_a_panic_and_a_hang_at_every_step_lose_nothing_and_repeat_nothing_on_postgresql() {
    let mut rng = random();
    let mut rig = Rig::<Postgres>::new(|connector| connector);
    for step in Step::ALL {
        let effects = [Effect::Error(rng.usize(1..=3)), Effect::Panic, Effect::Hang];
        let faults = effects.map(|effect| Fault::at(step, effect, &mut rng));
        survives(&mut rig, &faults, &mut rng);
    }
    println!("{} faults, {} records", Step::ALL.len() * 3, rig.records());
}

#[test]
fn random_faults_at_random_steps_lose_nothing_and_repeat_nothing_on_mysql() {
    let mut rng = random();
    let mut rig = Rig::<MySql>::new(|connector| connector);
    for _ in 0..4 {
        let faults = [(); 3].map(|()| Fault::random(&mut rng));
        survives(&mut rig, &faults, &mut rng);
    }
    println!("12 faults, {} records", rig.records());
}
