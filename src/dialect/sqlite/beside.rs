//! The driver's thread, asked and cancelled from beside: there is no server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::super::vigil::side_door::{Seen, SideDoor};
use crate::error::Result;

/// The driver's thread, which looks at this between two steps of a statement.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) cancelled: Arc<AtomicBool>,
}

impl SideDoor for Beside {
    /// Always at work, as long as the thread lives: without it the result ends with an error.
    fn look(&self) -> BoxFuture<'_, Result<Seen>> {
        Box::pin(async { Ok(Seen::AtWork) })
    }

    fn cancel(&self) -> BoxFuture<'_, Result<()>> {
        self.cancelled.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn begins(&self) {
        self.cancelled.store(false, Ordering::Relaxed);
    }
}
