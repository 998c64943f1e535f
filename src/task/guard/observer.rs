//! The observer of a database's transactions, shared by all relations of a task's connection: open transactions and
//! their starts, and one view of the database for all that are polled in one go.

use std::time::Duration;

use tokio::time::Instant as Clock;

use crate::dialect::SourceConnection;
use crate::error::{Error, Result};
use crate::guard::watermark::{LowWatermark, Observation, WatermarkTracker};
use crate::model::{Micros, PastView, ViewAnswer, ViewQuestion, micros_of};

/// An older observation, or view, widens the window more than a query costs.
const LONGEST_USE: Duration = Duration::from_secs(1);

/// The observer of a database's open transactions, for all relations of a connection.
#[derive(Default)]
pub(in crate::task) struct Observer {
    tracker: WatermarkTracker,
    /// The number of the connection: observations on one say nothing on another.
    epoch: u64,
    low: Option<LowWatermark>,
    /// The times at which the last observation was asked for, and answered.
    asked: Option<(Clock, Clock)>,
    /// The ids that the last view may have hidden: the only ones that the next has to be asked for.
    unsettled: ViewQuestion,
    view: Option<OpenView>,
    /// True if rows committed before the run began can be read.
    has_waited: bool,
}

/// The open view, the observation before it, and its begin.
struct OpenView {
    low: LowWatermark,
    since: Clock,
    kind: ViewKind,
}

enum ViewKind {
    /// A view of now.
    Now(ViewAnswer),
    /// A view of a time in the past.
    Past(PastView),
}

impl Observer {
    /// Begins anew for another connection, perhaps to another server.
    pub(in crate::task) fn reset(&mut self) {
        *self = Self { epoch: self.epoch + 1, ..Self::default() };
    }

    /// The number of the connection.
    pub(in crate::task) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The lowest time the clock may have shown since an observation, where it has stepped back.
    pub(super) fn stepped_back_since(&self, (epoch, number): (u64, u64)) -> Option<Micros> {
        self.tracker.stepped_back_since(if epoch == self.epoch { number } else { 0 })
    }

    /// The low watermark, observed anew if that was longer ago than `age`.
    pub(super) async fn low(&mut self, connection: &mut dyn SourceConnection, age: Duration) -> Result<LowWatermark> {
        if let (Some(low), Some((_, answered))) = (&self.low, self.asked)
            && answered.elapsed() < age.min(LONGEST_USE)
        {
            return Ok(low.clone());
        }
        // Inside a view time stands still.
        self.release(connection).await?;
        let sent = Clock::now();
        let open = connection.open_transactions().await?;
        let answered = Clock::now();
        let passed = self.asked.map_or((0, 0), |(last_sent, last_answered)| {
            (micros_of(sent.duration_since(last_answered)), micros_of(answered.duration_since(last_sent)))
        });
        if !open.is_stale {
            self.asked = Some((sent, answered));
        }
        let low = self.tracker.observe(&Observation { open, passed });
        self.low = Some(low.clone());
        Ok(low)
    }

    /// One view of the database as of now, and the low watermark observed before it. The one that is open already if there is
    /// one.
    pub(super) async fn view(&mut self, connection: &mut dyn SourceConnection) -> Result<(ViewAnswer, LowWatermark)> {
        if let Some(OpenView { low, since, kind: ViewKind::Now(answer) }) = &self.view
            && since.elapsed() < LONGEST_USE
        {
            return Ok((answer.clone(), low.clone()));
        }
        self.release(connection).await?;
        let low = self.low(connection, Duration::ZERO).await?;
        let since = Clock::now();
        let answer = family(connection.snapshot_views())?.begin_view(&self.unsettled).await?;
        self.unsettled = ViewQuestion { since: answer.view.xmax, hidden: answer.in_progress.clone() };
        self.unsettled.hidden.extend(&answer.view.running.iter().copied().collect());
        self.view = Some(OpenView { low: low.clone(), since, kind: ViewKind::Now(answer.clone()) });
        Ok((answer, low))
    }

    /// The same as of a time: that of the view that is open already, or the latest that is final. With `once` it is not
    /// before now at the first time: rows committed by then are read. The same with `fresh`.
    pub(super) async fn past(
        &mut self,
        connection: &mut dyn SourceConnection,
        once: bool,
        fresh: bool,
    ) -> Result<(PastView, LowWatermark)> {
        if fresh {
            self.release(connection).await?;
        }
        if let Some(OpenView { low, since, kind: ViewKind::Past(past) }) = &self.view
            && since.elapsed() < LONGEST_USE
        {
            return Ok((*past, low.clone()));
        }
        self.release(connection).await?;
        let low = self.low(connection, Duration::ZERO).await?;
        let since = Clock::now();
        let mut past = family(connection.past_reads())?.begin_past(None).await?;
        if fresh || once && !std::mem::replace(&mut self.has_waited, true) {
            connection.end_view().await?;
            tokio::time::sleep(past.settled_after).await;
            past = family(connection.past_reads())?.begin_past(None).await?;
        }
        self.view = Some(OpenView { low: low.clone(), since, kind: ViewKind::Past(past) });
        Ok((past, low))
    }

    /// The begin of the open view of a time in the past.
    pub(super) fn past_since(&self) -> Option<Clock> {
        self.view.as_ref().filter(|view| matches!(view.kind, ViewKind::Past(_))).map(|view| view.since)
    }

    /// Begins the view of a time again, which was left for another.
    pub(super) async fn reopen(&mut self, connection: &mut dyn SourceConnection, past: PastView) -> Result<()> {
        let low = self.low.clone().ok_or_else(|| Error::internal("a view begins with an observation"))?;
        let since = Clock::now();
        family(connection.past_reads())?.begin_past(Some(past.as_of)).await?;
        self.view = Some(OpenView { low, since, kind: ViewKind::Past(past) });
        Ok(())
    }

    /// Ends the view after a failure; one that is open shows nothing any more.
    pub(in crate::task) async fn abandon(&mut self, connection: &mut dyn SourceConnection) -> Result<()> {
        self.view = None;
        connection.end_view().await
    }

    /// Ends the view, if one is open: nothing is held while somebody waits.
    pub(in crate::task) async fn release(&mut self, connection: &mut dyn SourceConnection) -> Result<()> {
        if self.view.take().is_some() {
            connection.end_view().await?;
        }
        Ok(())
    }
}

/// The calls of a connection that the chosen method needs; it was chosen because the database has them.
///
/// # Errors
/// `Internal` if it has not: the method was chosen for another database.
pub(super) fn family<T>(family: Option<T>) -> Result<T> {
    family.ok_or_else(|| Error::internal("the method against late rows was chosen for another kind of database"))
}
