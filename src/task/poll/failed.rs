//! The consequence of a poll that has failed for its table.

use super::{MISSED_AGAIN, MISSED_PAUSE};
use crate::error::{Directive, Error, Result};
use crate::task::Parts;
use crate::task::polled::Polled;

impl Polled {
    /// A poll has failed: the table is tried again, described anew, or given up.
    ///
    /// # Errors
    /// The error itself if the session has to start again.
    pub(super) fn failed_once(&mut self, error: Error, parts: &Parts) -> Result<()> {
        let again_after = self.spec.polling.table_interval;
        match error.kind().directive() {
            Directive::Rebuild => return Err(error),
            Directive::Retry => match self.schedule.backoff.next(&self.spec.polling.retry) {
                Some(pause) => {
                    if self.schedule.backoff.failures() == 1 {
                        tracing::warn!(table = %self.name, error = %error.report(), "poll failed, trying again");
                    }
                    self.schedule.due_after(pause);
                    self.board.backing_off(&error);
                }
                None => self.fail(error, again_after, parts),
            },
            Directive::Redescribe => {
                if let Err(error) = self.redescribe(error) {
                    self.fail(error, again_after, parts);
                }
            }
            Directive::Fail if self.is_missed(&error, parts) => {
                self.schedule.due_after(MISSED_PAUSE);
                self.board.backing_off(&error);
            }
            Directive::Fail if self.schedule.missed.is_some() => self.fail(error, MISSED_AGAIN.min(again_after), parts),
            Directive::Fail => self.fail(error, again_after, parts),
        }
        Ok(())
    }
}
