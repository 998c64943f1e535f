//! The session of a poll stage: had from the pool when something is polled, lent to those who wait for one, and recognised
//! before anything of it counts.

use std::sync::Arc;

use tokio::time::Instant as Clock;

use super::super::continuity::Looks;
use super::super::handoff::Handoff;
use super::super::server::Verdict;
use super::super::stall::Waits;
use super::PollStage;
use crate::config::spec::ModeName;
use crate::dialect::sessions::{Session, Turn};
use crate::error::Result;
use crate::model::Server;

impl PollStage<'_> {
    /// A session that can be used: the one there is, or the one whose turn comes.
    pub(super) async fn connect(&mut self) -> Result<()> {
        loop {
            if self.connection.is_none() {
                self.activity.waits_for(Waits::Session);
                let turn = self.parts.sessions.turn(self.configured.source()).await;
                self.take_session(turn).await?;
            }
            let Some(connection) = &mut self.connection else { continue };
            if connection.is_usable().await {
                return Ok(());
            }
            tracing::info!("the connection was closed while it was idle, connecting again");
            self.connection = None;
        }
    }

    pub(super) async fn take_session(&mut self, turn: Turn) -> Result<()> {
        let (parts, source) = (self.parts, self.configured.source());
        self.activity.waits_for(Waits::Connection);
        let connection = turn.open(parts.dialect, source).await?;
        self.activity.asks(connection.vigil());
        self.activity.waits_for(Waits::Database);
        if !connection.is_handed_over() {
            tracing::info!(server = connection.server(), url = %source.url, "connected");
        }
        // On a new server tables may be others.
        if !connection.is_handed_over() || connection.identity().is_none_or(|it| self.looked_on.as_deref() != Some(it))
        {
            self.looks = Looks::default();
            self.looked_on = connection.identity().map(str::to_owned);
        }
        self.connection = Some(connection);
        self.had_since = Clock::now();
        self.recognised = false;
        self.watch.reset();
        self.tokens.reset();
        Ok(())
    }

    /// Lends the session to those who wait for one, until this is cancelled: while nothing is polled.
    pub(in crate::task) async fn lend(&mut self) {
        while let Some(connection) = &mut self.connection {
            connection.is_wanted().await;
            self.hand_over().await;
        }
        std::future::pending().await
    }

    /// Gives the session to somebody who waits for one, between two polls.
    pub(super) async fn hand_over(&mut self) {
        self.release().await;
        if let Some(connection) = self.connection.take() {
            self.connection = connection.hand_over().await;
            // Who waited may have gone meanwhile: then the next slice begins.
            self.had_since = Clock::now();
        }
    }

    /// Ends the view that is open, between two polls. On cancel the session is closed.
    pub(super) async fn release(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.watch.release(&mut *connection).await {
            Ok(()) => self.connection = Some(connection),
            Err(error) => tracing::warn!(error = %error.report(), "the connection was lost between two polls"),
        }
    }

    /// Checks that each new connection leads to the server the offsets belong to; a server that is to be remembered is
    /// handed on like rows (E3), in the transaction of this relation's next message.
    pub(super) async fn recognise(&mut self, index: usize) -> Result<()> {
        let (Some(connection), false) = (self.connection.as_deref_mut(), self.recognised) else { return Ok(()) };
        let Some(identity) = connection.identity() else { return Ok(()) };
        if self.relations[index].spec.mode.mode == ModeName::Bulk || self.parts.server.is_off() {
            // No offset belongs to this server, or to it alone.
            return Ok(());
        }
        let mut found = Server::host(identity);
        if self.parts.server.wants_lineage() {
            found.lineage = connection.lineage().await?;
        }
        if let Verdict::Remember(server) = self.parts.server.check(self.stored.server.as_ref(), &found)? {
            let polled = &mut self.relations[index];
            let replaces = self.stored.server.as_ref().map(|server| server.identity.as_str());
            tracing::info!(identity = %server.identity, replaces, "the server is remembered");
            self.out.send(Handoff::Server { table: Arc::clone(&polled.name), server: server.clone() }).await?;
            polled.more_promised = true;
            self.stored.server = Some(server);
        }
        self.recognised = true;
        Ok(())
    }
}

/// Returns when somebody waits for the session; never if there is none.
pub(super) async fn is_wanted(session: &mut Option<Session>) {
    match session {
        Some(session) => session.is_wanted().await,
        None => std::future::pending().await,
    }
}
