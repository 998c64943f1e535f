//! The way to a session's server beside the session itself, and the answers it gives.

use futures_util::future::BoxFuture;

use crate::error::Result;

/// The server's word on a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) enum Seen {
    /// Its statement runs.
    AtWork,
    /// Its statement waits for a lock; whose, in words that follow "held by", if that is shown.
    Locked(Option<String>),
    /// The session has no statement any more, or nobody takes its answer.
    Idle,
    /// The server has no such session.
    Gone,
    /// The server does not tell, for this reason.
    Untold(String),
    /// The server cannot be reached over another connection either.
    Unreached,
}

/// The way to a session's server beside the session itself.
pub(in crate::dialect) trait SideDoor: Send + Sync {
    /// Asks the server about the session.
    fn look(&self) -> BoxFuture<'_, Result<Seen>>;

    /// Cancels the session's statement, if one runs.
    fn cancel(&self) -> BoxFuture<'_, Result<()>>;

    /// A statement begins: an earlier cancellation is not meant for it.
    fn begins(&self) {}
}
