//! The end of a session that was dropped in the middle of a statement: the statement is cancelled in the background, the
//! one task of the dialects that the connector does not spawn besides that of a tunnel.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{FAREWELL, Vigil};

/// Cancels, when the session is dropped, the statement that it is dropped in the middle of.
pub(in crate::dialect) struct Farewell(pub(in crate::dialect) Vigil);

static FAREWELLS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Farewell {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.0.is_amid_statement() {
            return;
        }
        FAREWELLS.fetch_add(1, Ordering::SeqCst);
        let vigil = self.0.clone();
        // Ends by itself within seconds. On cancel the server goes on with a statement that nobody waits for.
        runtime.spawn(async move {
            let _counted = Counted;
            vigil.cancel().await;
        });
    }
}

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        FAREWELLS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until the statements of dropped sessions are cancelled, for the end of the process.
pub async fn farewells() {
    let began = Instant::now();
    while FAREWELLS.load(Ordering::SeqCst) > 0 && began.elapsed() < FAREWELL {
        sleep(Duration::from_millis(10)).await;
    }
}
