//! Tokens of what is committed ([`ChangeTokens`](crate::dialect::ChangeTokens)), as a task holds them: the last one of its
//! connection, which tells for all tables that are due at one beat, and the one under which a table came to rest.

use std::time::Duration;

use tokio::time::Instant as Clock;

use crate::dialect::SourceConnection;
use crate::error::{ErrorKind, Result};
use crate::model::ChangeToken;

/// The longest time for which polls of a table are spared, whatever the database says.
const LONGEST: Duration = Duration::from_secs(60);

/// A token, and the number of the connection that it was given to: those of two say nothing together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    epoch: u64,
    token: ChangeToken,
}

/// The last token of a connection.
#[derive(Default)]
pub(super) struct Tokens {
    last: Option<(Clock, Option<Told>)>,
    /// True if one has told too little.
    is_refuted: bool,
}

impl Tokens {
    /// Begins anew for another connection.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }

    /// True if they are worth to be asked for.
    pub(super) fn is_trusted(&self) -> bool {
        !self.is_refuted
    }

    /// The token as of a time or later, if it was asked for since: none within where the database could not tell.
    pub(super) fn as_of(&self, due: Clock) -> Option<Option<Told>> {
        self.last.as_ref().filter(|(asked, _)| *asked >= due).map(|(_, told)| told.clone())
    }

    /// The token as of now. `epoch` is the number of the connection, which shows no view.
    ///
    /// # Errors
    /// `Unreachable`. A database that refuses to tell has told nothing.
    pub(super) async fn ask(&mut self, connection: &mut dyn SourceConnection, epoch: u64) -> Result<Option<Told>> {
        let Some(tokens) = connection.change_tokens() else { return Ok(None) };
        let asked = Clock::now();
        let told = match tokens.change_token().await {
            Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
            Err(error) => {
                tracing::debug!(error = %error.report(), "the database does not tell whether anything was committed");
                None
            }
            Ok(token) => token.map(|token| Told { epoch, token }),
        };
        self.last = Some((asked, told.clone()));
        Ok(told)
    }

    /// Takes in that rows were found of a table that was at rest under a token. If that is the token still, nothing was
    /// committed and yet they were not there before: what this database tells is not all.
    ///
    /// # Errors
    /// Those of [`Tokens::ask`].
    pub(super) async fn doubt(
        &mut self,
        token: &Told,
        table: &str,
        connection: &mut dyn SourceConnection,
        epoch: u64,
    ) -> Result<()> {
        if self.ask(connection, epoch).await?.as_ref() == Some(token) {
            self.is_refuted = true;
            tracing::warn!(
                table,
                "rows have appeared although the database told that nothing was committed: polls are not spared any more"
            );
        }
        Ok(())
    }
}

/// The rest of one table.
#[derive(Default)]
pub(super) struct Rest {
    /// True if the last poll found nothing.
    pub(super) found_nothing: bool,
    /// The token before the last poll that found nothing; none if it was not asked for.
    pub(super) since: Option<Told>,
    /// The time at which it is polled whatever the token.
    pub(super) until: Option<Clock>,
    /// True if only a commit could let a poll find something.
    pub(super) is_sure: bool,
    /// The token under which it was found that more than a commit can.
    pub(super) restless: Option<Told>,
}

impl Rest {
    /// Begins under a token, or goes on. The ends of many are spread over time.
    pub(super) fn begin(&mut self, token: Told) {
        self.since = Some(token);
        self.until = Some(Clock::now() + LONGEST.mul_f64(0.5 + fastrand::f64() / 2.0));
    }

    /// True if a poll under this token would find nothing.
    pub(super) fn lasts(&self, token: &Told) -> bool {
        self.is_sure && self.since.as_ref() == Some(token) && self.until.is_some_and(|until| Clock::now() < until)
    }

    /// True if tokens are asked for.
    pub(super) fn is_watched(&self) -> bool {
        self.since.is_some()
    }
}
