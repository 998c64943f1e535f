//! Polls that are spared: where a database has [`ChangeTokens`](crate::dialect::ChangeTokens), one statement tells for
//! all tables of a connection that nothing was committed since the polls before.
//!
//! A table is at rest under a token if it was polled after that token was asked for, with nothing found, its rows change
//! by commits only, and none waits for its time, which the clock alone would let be read. As long as the token is the
//! same, another poll would find what the last one found: nothing. A poll that is spared is as if it had not been due: the
//! guard goes on at the next one as after a longer interval.
//!
//! The token counts from before the poll: what is committed in between is either found by the poll, or makes the next
//! token another one. Whatever the database says, a table is polled now and then; a database that is caught telling too
//! little is not believed any more.

use super::polled::{PollEnd, Polled};
use super::schedule::Rhythm;
use super::step::Context;
use super::tokens::{Rest, Told};
use crate::error::Result;
use crate::model::Mode;

impl Polled {
    /// True if it may be at rest, so that it is worth to ask for a token.
    pub(super) fn may_rest(&self, once: bool) -> bool {
        let Some(bound) = self.bound.as_ref().filter(|_| self.rest.found_nothing && !once) else { return false };
        let planner = &bound.binding.planner;
        // A condition of the user's may look at the clock.
        let is_plain = !planner.has_filter() && !planner.has_suffix() && !matches!(planner.mode(), Mode::Bulk);
        is_plain && self.head.is_found && self.continuity.is_settled()
    }

    /// Takes note of a poll that was made under a token, if one was asked for. Whether the table can rest is asked at the
    /// second poll under one token: where others commit all the time it is not worth the statements. Gives the token if it
    /// told that there is nothing, and there were rows.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn come_to_rest(
        &mut self,
        cx: &mut Context<'_>,
        token: Option<Told>,
        end: &PollEnd,
    ) -> Result<Option<Told>> {
        let before = std::mem::replace(&mut self.rest, Rest { found_nothing: end.found_nothing, ..Rest::default() });
        let Some(token) = token else { return Ok(None) };
        let is_same = before.since.is_some_and(|before| before == token);
        if !end.found_nothing {
            return Ok(Some(token).filter(|_| end.found_rows && before.is_sure && is_same));
        }
        self.rest.restless = before.restless.filter(|restless| *restless == token);
        self.rest.is_sure = is_same && before.is_sure;
        if is_same && !self.rest.is_sure && self.rest.restless.is_none() {
            self.rest.is_sure = self.can_rest(cx, end).await?;
            self.rest.restless = Some(token.clone()).filter(|_| !self.rest.is_sure);
        }
        self.rest.begin(token);
        Ok(None)
    }

    /// True if only a commit could let a poll after this one find something.
    async fn can_rest(&self, cx: &mut Context<'_>, end: &PollEnd) -> Result<bool> {
        let Some(tokens) = cx.connection.change_tokens() else { return Ok(false) };
        if !tokens.changes_by_commits(&self.spec.relation).await? {
            return Ok(false);
        }
        let bound = self.bound()?;
        // Ids are read without a bound.
        let waiting = end.upper.as_ref().and_then(|upper| bound.binding.planner.waiting_probe(upper));
        Ok(match waiting {
            Some(probe) => cx.connection.probe(&probe).await?.is_none(),
            None => true,
        })
    }

    /// A poll was spared: nothing newer is there.
    pub(super) fn spared(&mut self, rhythm: Rhythm) {
        self.metrics.spared();
        self.board.polled(false, true);
        self.schedule.found(false);
        self.schedule.due_at_beat(rhythm, self.schedule.pause(&self.spec.polling));
    }
}
