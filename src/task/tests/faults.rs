//! The calls of the outside, and what a schedule lets go wrong in them.

use fastrand::Rng;

use crate::error::{Error, ErrorKind};

/// A call of the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Connect,
    Describe,
    Clock,
    Probe,
    /// The transactions that are open.
    Observe,
    /// A view of the database begins.
    View,
    /// The token of what is committed.
    Token,
    Fetch,
    Bind,
    EnsureTopic,
    Init,
    Load,
    Begin,
    Send,
    Commit,
}

impl Step {
    const ALL: [Step; 15] = [
        Step::Connect,
        Step::Describe,
        Step::Clock,
        Step::Probe,
        Step::Observe,
        Step::View,
        Step::Token,
        Step::Fetch,
        Step::Bind,
        Step::EnsureTopic,
        Step::Init,
        Step::Load,
        Step::Begin,
        Step::Send,
        Step::Commit,
    ];

    /// The error that it makes.
    pub(super) fn error(self) -> Error {
        let kind = match self {
            Step::Connect | Step::Clock => ErrorKind::Unreachable,
            Step::Describe | Step::Probe | Step::Observe | Step::View | Step::Token | Step::Fetch => ErrorKind::Query,
            Step::Bind => ErrorKind::Registry,
            Step::EnsureTopic | Step::Init | Step::Load | Step::Begin => ErrorKind::Kafka,
            Step::Send | Step::Commit => ErrorKind::TransactionAborted,
        };
        Error::new(kind, "scripted")
    }
}

/// The effect of a plan on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Fail,
    /// No answer, ever.
    Hang,
    /// The connection breaks after so many rows.
    BreakAfter(usize),
    /// The result has other columns than described.
    Changed,
    /// The commit is done and its answer lost.
    LoseAnswer,
    /// The commit never arrives, and that is not known either.
    LoseRequest,
    /// The commit is done, and no answer comes, ever.
    HangAfter,
    /// The commit is done, and was sent twice: the other one may still arrive.
    SendTwice,
}

/// A fault at the so many-th call of a step in one life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub(super) step: Step,
    pub(super) call: usize,
    pub(super) effect: Effect,
}

impl Planned {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let step = Step::ALL[rng.usize(..Step::ALL.len())];
        let effects: &[Effect] = match step {
            Step::Fetch => &[Effect::Fail, Effect::Hang, Effect::Changed, Effect::BreakAfter(rng.usize(..9))],
            Step::Commit => &[
                Effect::Fail,
                Effect::Hang,
                Effect::LoseAnswer,
                Effect::LoseRequest,
                Effect::HangAfter,
                Effect::SendTwice,
            ],
            _ => &[Effect::Fail, Effect::Hang],
        };
        Self { step, call: rng.usize(1..=8), effect: effects[rng.usize(..effects.len())] }
    }
}
