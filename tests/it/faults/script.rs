//! Planned faults: at which step from poll to commit, at which of its calls, and of which kind. The wrappers of the
//! parts ask at every call.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rowtide::error::{Error, ErrorKind, Result};

use crate::support::PATIENCE;

/// A step of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Connect,
    Describe,
    UpperBound,
    Fetch,
    /// After some rows of a result.
    Rows,
    Bind,
    EnsureTopic,
    Init,
    Load,
    Begin,
    Send,
    /// The transaction is complete, and its commit never arrives.
    BeforeCommit,
    /// The transaction is committed and the answer lost.
    AfterCommit,
}

impl Step {
    pub const ALL: [Step; 13] = [
        Step::Connect,
        Step::Describe,
        Step::UpperBound,
        Step::Fetch,
        Step::Rows,
        Step::Bind,
        Step::EnsureTopic,
        Step::Init,
        Step::Load,
        Step::Begin,
        Step::Send,
        Step::BeforeCommit,
        Step::AfterCommit,
    ];

    /// The error that the step makes in life.
    fn error(self) -> Error {
        let kind = match self {
            Step::Connect | Step::UpperBound | Step::Rows => ErrorKind::Unreachable,
            Step::Describe | Step::Fetch => ErrorKind::Query,
            Step::Bind => ErrorKind::Registry,
            Step::EnsureTopic | Step::Init | Step::Load | Step::Begin => ErrorKind::Kafka,
            Step::Send => ErrorKind::TransactionAborted,
            Step::BeforeCommit | Step::AfterCommit => ErrorKind::OutcomeUnknown,
        };
        Error::new(kind, "scripted")
    }

    /// The least number of times that a session of the tests comes by, all tasks together.
    fn calls(self) -> usize {
        match self {
            Step::Connect | Step::Init | Step::Load => 2,
            Step::Describe | Step::EnsureTopic => 3,
            Step::Bind => 6,
            Step::UpperBound | Step::Fetch | Step::Rows => 12,
            Step::Begin | Step::Send | Step::BeforeCommit | Step::AfterCommit => 4,
        }
    }
}

/// The effect on the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// An error, so many times in a row.
    Error(usize),
    Panic,
    /// Nothing, until whoever waits goes away.
    Hang,
}

/// A fault that is to happen.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub step: Step,
    /// At its how many-th call, from 1 on.
    pub call: usize,
    pub effect: Effect,
    /// After how many rows, where the step is that.
    pub rows: usize,
}

impl Fault {
    /// At a random call of a step.
    pub fn at(step: Step, effect: Effect, rng: &mut Rng) -> Self {
        Self { step, call: rng.usize(1..=step.calls()), effect, rows: rng.usize(..7) }
    }

    /// Any.
    pub fn random(rng: &mut Rng) -> Self {
        let step = Step::ALL[rng.usize(..Step::ALL.len())];
        let effect = [Effect::Error(rng.usize(1..=3)), Effect::Panic, Effect::Hang][rng.usize(..3)];
        Self::at(step, effect, rng)
    }

    /// Without the numbers: the line of a summary.
    pub fn kind(&self) -> String {
        let effect = match self.effect {
            Effect::Error(_) => "error",
            Effect::Panic => "panic",
            Effect::Hang => "hang",
        };
        format!("{:?}: {effect}", self.step)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at call {} of {:?} (rows {})", self.effect, self.call, self.step, self.rows)
    }
}

/// The script of one life of a connector, shared by the parts of all its tasks.
pub struct Script {
    fault: Option<Fault>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: usize,
    /// The task the fault hit last.
    hit: Option<usize>,
    /// That task has committed since.
    recovered: bool,
}

impl Script {
    pub fn new(fault: Option<Fault>) -> Self {
        Self { fault, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task has come to a step. What is scripted happens.
    pub async fn at(&self, step: Step, task: usize) -> Result<()> {
        match self.due(step, task) {
            None => Ok(()),
            Some(Effect::Error(_)) => Err(step.error()),
            Some(Effect::Panic) => panic!("scripted at {step:?}"),
            Some(Effect::Hang) => std::future::pending().await,
        }
    }

    /// After how many rows of the present result something happens, if anything does.
    pub fn cut(&self) -> Option<usize> {
        let fault = self.fault.filter(|fault| fault.step == Step::Rows)?;
        let last = fault.call + fault.times();
        (fault.call..last).contains(&(self.state().calls + 1)).then_some(fault.rows)
    }

    fn due(&self, step: Step, task: usize) -> Option<Effect> {
        let fault = self.fault.filter(|fault| fault.step == step)?;
        let mut state = self.state();
        state.calls += 1;
        if !(fault.call..fault.call + fault.times()).contains(&state.calls) {
            return None;
        }
        (state.hit, state.recovered) = (Some(task), false);
        Some(fault.effect)
    }

    /// A transaction of a task is committed, and it knows.
    pub fn committed(&self, task: usize) {
        let mut state = self.state();
        state.recovered |= state.hit == Some(task);
    }

    /// Waits until the fault has happened.
    pub async fn has_hit(&self) {
        self.wait("happens", |state| state.hit.is_some()).await;
    }

    /// Waits until the fault has happened, and the task that it hit has committed again by itself.
    pub async fn is_over(&self) {
        self.wait("is recovered from", |state| state.recovered).await;
    }

    async fn wait(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&self.state()) {
            let fault = self.fault.map(|fault| fault.to_string()).unwrap_or_default();
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: the fault {what}: {fault}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Fault {
    fn times(&self) -> usize {
        if let Effect::Error(times) = self.effect { times } else { 1 }
    }
}
