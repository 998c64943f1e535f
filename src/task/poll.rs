//! The poll stage: takes the relation due longest ago, reads one bounded page of it, encodes it and hands
//! it on. A page is a short statement of its own: a place in the channel is reserved before it begins, so
//! no read waits for Kafka with a transaction open. A full page makes its relation due again at once, behind
//! the others that are due, so no relation starves another. A relation's failure is its own.

mod orders;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant as Clock;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::continuity::Looks;
use super::control::Wishes;
use super::guard::Observer;
use super::handoff::{Handoff, Outbox};
use super::head::Parked;
use super::polled::Polled;
use super::refused::Refusals;
use super::schedule::Rhythm;
use super::server::Verdict;
use super::stall::{Activity, Waits, poll_stalls, watched};
use super::step::Context;
use crate::config::spec::{ModeName, SchemaChange, TaskSpec};
use crate::dialect::Counted;
use crate::dialect::sessions::{Session, Turn};
use crate::error::{Directive, Error, ErrorKind, Result};
use crate::model::{Relation, Server};
use crate::offsets::Loaded;
use crate::status::{ConnectorStatus, TableBoard};

/// The time for which a session is kept while somebody waits for one and tables are due.
const SLICE: Duration = Duration::from_millis(100);
/// The pause of a table that was given up until the next start.
const NEVER: Duration = Duration::from_secs(365 * 86_400);
/// The interval at which a table that is away is looked for.
const MISSED_PAUSE: Duration = Duration::from_millis(250);
/// The same once it has failed.
const MISSED_AGAIN: Duration = Duration::from_secs(5);
/// The longest wait where nothing is due.
const HOUR: Duration = Duration::from_secs(3600);

pub(super) struct PollStage<'a> {
    parts: &'a Parts,
    /// The offsets, the marks of their tables, and the server they belong to.
    stored: Loaded,
    /// True if the present connection leads to that server.
    recognised: bool,
    connection: Option<Session>,
    /// The time since which the stage has had it.
    had_since: Clock,
    /// The open transactions of the database that the connection leads to.
    watch: Observer,
    relations: Vec<Polled>,
    /// The read heads of tables that are not selected any more: one that comes back goes on where it was.
    parked: HashMap<Relation, Parked>,
    /// The looks at its tables, and the server they were made on.
    looks: Looks,
    looked_on: Option<String>,
    /// The rhythm, counted from the start of the stage, in which relations with a guard are due.
    rhythm: Rhythm,
    /// The boards of `relations`, for the watch over them while they are polled.
    boards: Arc<[TableBoard]>,
    activity: Activity,
    out: Outbox,
    refusals: &'a Refusals,
    /// The wishes of an operator.
    wishes: watch::Receiver<Arc<Wishes>>,
    /// True if they are to be looked at although they have not changed: there are other tables.
    has_orders: bool,
    /// The configuration that the tables have.
    configured: TaskSpec,
}

impl<'a> PollStage<'a> {
    pub(super) fn new(parts: &'a Parts, out: mpsc::Sender<Handoff>, refusals: &'a Refusals) -> Self {
        let activity = Activity::default();
        Self {
            parts,
            out: Outbox::new(out, activity.clone()),
            stored: Loaded::default(),
            recognised: false,
            connection: None,
            had_since: Clock::now(),
            watch: Observer::default(),
            relations: Vec::new(),
            parked: HashMap::new(),
            looks: Looks::default(),
            looked_on: None,
            rhythm: Rhythm::new(),
            boards: Arc::new([]),
            activity,
            refusals,
            wishes: parts.control.subscribe(),
            has_orders: true,
            configured: parts.control.configured().unwrap_or_else(|| parts.spec.clone()),
        }
    }

    /// Connects and binds the first relation ahead of time, if a session can be had at once. A failure here comes again
    /// at the first poll, where it is dealt with.
    pub(super) async fn warm_up(&mut self, wanted: &[Relation]) {
        self.follow(wanted);
        let turn = self.parts.sessions.turn(self.configured.source()).now_or_never();
        let Some(turn) = turn.filter(|_| !self.relations.is_empty()) else { return };
        if self.take_session(turn).await.is_err() {
            return;
        }
        let Ok((first, mut cx)) = self.at(0) else { return };
        if let Err(error) = first.bind(&mut cx).await {
            tracing::debug!(table = %first.name, error = %error.report(), "warming up failed");
        }
    }

    /// The offsets to continue from; nothing was polled before.
    pub(super) fn start_from(&mut self, loaded: Loaded) {
        self.stored = loaded;
    }

    /// A session that can be used: the one there is, or the one whose turn comes.
    async fn connect(&mut self) -> Result<()> {
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

    async fn take_session(&mut self, turn: Turn) -> Result<()> {
        let (dialect, source) = (self.parts.dialect, self.configured.source());
        self.activity.waits_for(Waits::Connection);
        let connection = turn.open(dialect, source).await?;
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
        Ok(())
    }

    /// Lends the session to those who wait for one, until this is cancelled: while nothing is polled.
    pub(super) async fn lend(&mut self) {
        while let Some(connection) = &mut self.connection {
            connection.is_wanted().await;
            self.hand_over().await;
        }
        std::future::pending().await
    }

    /// Gives the session to somebody who waits for one, between two polls.
    async fn hand_over(&mut self) {
        self.release().await;
        if let Some(connection) = self.connection.take() {
            self.connection = connection.hand_over().await;
            // Who waited may have gone meanwhile: then the next slice begins.
            self.had_since = Clock::now();
        }
    }

    /// Ends the view that is open, between two polls. On cancel the session is closed.
    async fn release(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.watch.release(&mut *connection).await {
            Ok(()) => self.connection = Some(connection),
            Err(error) => tracing::warn!(error = %error.report(), "the connection was lost between two polls"),
        }
    }

    /// Checks that each new connection leads to the server the offsets belong to; a server that is to be remembered is
    /// handed on like rows (E3), in the transaction of this relation's next message.
    async fn recognise(&mut self, index: usize) -> Result<()> {
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

    /// Polls until `stop`, or with `once` until every relation is read.
    ///
    /// # Errors
    /// Only those that end the session: every relation has failed, or a bug.
    pub(super) async fn run(
        mut self,
        mut selected: watch::Receiver<Vec<Relation>>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let mut turn = 0;
        loop {
            let wanted = selected.borrow_and_update().clone();
            self.follow(&wanted);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                obeyed = self.obey() => obeyed?,
            }
            self.give_up_if_nothing_is_left()?;
            if self.parts.once && self.relations.iter().all(|polled| polled.schedule.done) {
                break;
            }
            let next = self.next_due();
            let wake = next.map_or_else(|| Clock::now() + HOUR, |index| self.relations[index].schedule.rank().0);
            let has_time = wake > Clock::now();
            if has_time {
                self.release().await;
            }
            let may_lend = self.connection.is_some() && (has_time || self.had_since.elapsed() >= SLICE);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = selected.changed() => continue,
                Ok(()) = self.wishes.changed() => {
                    self.has_orders = true;
                    continue;
                }
                () = is_wanted(&mut self.connection), if may_lend => {
                    self.hand_over().await;
                    continue;
                }
                () = tokio::time::sleep_until(wake) => {}
            }
            let Some(index) = next else { continue };
            turn += 1;
            self.relations[index].schedule.takes_turn(turn);
            let (activity, boards, board) =
                (self.activity.clone(), Arc::clone(&self.boards), self.relations[index].board.clone());
            let name = Arc::clone(&self.relations[index].name);
            // A cancelled read leaves the connection in an unknown state; it is closed with the stage.
            let began = Clock::now();
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                outcome = watched(self.poll(index), || poll_stalls(&activity, &board, &name, &boards)) => outcome,
            };
            if outcome.is_ok() {
                let polled = &mut self.relations[index];
                polled.board.took(began.elapsed());
                polled.plan_check.took(began.elapsed());
            }
            self.settle(index, outcome)?;
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        Ok(())
    }

    /// Adds relations that are newly selected and drops those that are not any more.
    fn follow(&mut self, wanted: &[Relation]) {
        let (kept, gone) =
            std::mem::take(&mut self.relations).into_iter().partition(|polled| wanted.contains(&polled.spec.relation));
        self.relations = kept;
        let gone: Vec<Polled> = gone;
        for mut polled in gone {
            tracing::info!(table = %polled.name, "no longer selected");
            self.parts.board.remove_table(&polled.name);
            // A table that comes back under its name may be another one.
            self.parts.server.vanished(&polled.spec.partition);
            let parked = polled.park();
            self.parked.insert(polled.spec.relation, parked);
        }
        for relation in wanted {
            if !self.relations.iter().any(|polled| polled.spec.relation == *relation) {
                let mut polled = Polled::new(self.parts, relation, self.activity.clone());
                polled.parked = self.parked.remove(relation);
                if let Some((error, left)) = self.refusals.of(&polled.name) {
                    polled.fail(error, left, self.parts);
                }
                self.relations.push(polled);
                self.has_orders = true;
            }
        }
        if self.boards.len() != self.relations.len()
            || self.boards.iter().zip(&self.relations).any(|(board, polled)| *board.name() != *polled.name)
        {
            self.boards = self.relations.iter().map(|polled| polled.board.clone()).collect();
        }
    }

    /// A connector of which nothing works has failed; one with a table that works, in this task or in another, goes on,
    /// and failed tables are looked at again now and then.
    fn give_up_if_nothing_is_left(&mut self) -> Result<()> {
        if self.relations.is_empty() || self.relations.iter().any(|polled| polled.schedule.failed.is_none()) {
            return Ok(());
        }
        if !self.parts.board.with(ConnectorStatus::nothing_works) {
            return Ok(());
        }
        match self.relations.iter_mut().find_map(|polled| polled.schedule.failed.take()) {
            Some(error) => Err(super::nothing_left(error)),
            None => Ok(()),
        }
    }

    fn next_due(&self) -> Option<usize> {
        let open =
            self.relations.iter().enumerate().filter(|(_, polled)| !polled.schedule.done && !polled.schedule.paused);
        open.min_by_key(|(_, polled)| polled.schedule.rank()).map(|(index, _)| index)
    }

    /// Looks at the identities of the tables, if it is time; at the one that is polled, if that was not done before.
    async fn look(&mut self, index: usize) -> Result<()> {
        let is_due = self.looks.is_due();
        if !is_due && self.relations[index].continuity.has_looked() {
            return Ok(());
        }
        let is_wanted = |place: usize, polled: &Polled| is_due || place == index && !polled.continuity.has_looked();
        let relations = self.relations.iter().enumerate().filter(|(place, polled)| is_wanted(*place, polled));
        let asked: Vec<(usize, Counted)> =
            relations.filter_map(|(place, polled)| Some((place, polled.counted()?))).collect();
        let Some(connection) = self.connection.as_deref_mut().filter(|_| !asked.is_empty()) else { return Ok(()) };
        let began = Clock::now();
        self.watch.release(connection).await?;
        let (places, tables): (Vec<usize>, Vec<Counted>) = asked.into_iter().unzip();
        let found = match connection.incarnations(&tables).await {
            Err(error) if error.kind() != ErrorKind::Unreachable => {
                tracing::debug!(error = %error.report(), "the tables could not be looked at");
                vec![None; tables.len()]
            }
            found => found?,
        };
        for (place, found) in places.into_iter().zip(found) {
            self.relations[place].continuity.looked(found);
        }
        if is_due {
            self.looks.made(began);
        }
        Ok(())
    }

    /// One step of one table. True if nothing newer is left.
    async fn poll(&mut self, index: usize) -> Result<bool> {
        self.connect().await?;
        self.recognise(index).await?;
        let (polled, mut cx) = self.at(index)?;
        if let Some(vigil) = cx.connection.vigil() {
            vigil.bound_for(&polled.spec.relation, polled.paging.patience(polled.spec.statement_timeout));
        }
        if polled.bound.is_none() {
            // The description has to be of now.
            cx.watch.release(cx.connection).await?;
        }
        polled.bind(&mut cx).await?;
        self.look(index).await?;
        let (polled, mut cx) = self.at(index)?;
        polled.find_start(&mut cx).await?;
        if polled.continuity.is_in_doubt() {
            cx.watch.release(cx.connection).await?;
        }
        polled.settle_doubt(&mut cx).await?;
        polled.check_cursor(&mut cx).await?;
        polled.check_plan(&mut cx).await?;
        let outcome = polled.poll(&mut cx).await;
        match outcome {
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TransactionAborted) => Err(error),
            Err(error) => {
                cx.watch.abandon(cx.connection).await?;
                Err(polled.guard.classify(error))
            }
            outcome => outcome,
        }
    }

    /// A table, and the context of its poll.
    fn at(&mut self, index: usize) -> Result<(&mut Polled, Context<'_>)> {
        let connection = self.connection.as_deref_mut().ok_or_else(|| Error::internal("no connection"))?;
        let (parts, stored, watch, out) = (self.parts, &self.stored, &mut self.watch, &self.out);
        Ok((&mut self.relations[index], Context { parts, stored, connection, watch, out }))
    }

    /// The consequence of a poll's outcome for its table: when it is due again, or that it has failed.
    fn settle(&mut self, index: usize, outcome: Result<bool>) -> Result<()> {
        let polled = &mut self.relations[index];
        let error = match outcome {
            Ok(exhausted) => {
                polled.succeeded(exhausted, self.rhythm, self.parts.once);
                return Ok(());
            }
            // The error is not about this table: nothing of the connector may be read from that server.
            Err(error) if error.kind() == ErrorKind::ForeignServer => {
                self.parts.metrics.error(error.kind());
                return Err(error);
            }
            Err(error) if error.kind() == ErrorKind::SchemaHeld && polled.spec.schema_change == SchemaChange::Fail => {
                let error = error.with("table", &polled.name);
                polled.board.failed(&error);
                return Err(error);
            }
            Err(error) => error.with("table", &polled.name),
        };
        self.parts.metrics.error(error.kind());
        polled.metrics.poll_failed();
        if error.kind() == ErrorKind::Unreachable {
            self.connection = None;
        }
        match polled.broke_off(error) {
            Ok(error) => polled.failed_once(error, self.parts),
            // Only an operator can raise that limit, and until then the same rows would come again and again.
            Err(error) => {
                polled.fail(error, NEVER, self.parts);
                Ok(())
            }
        }
    }
}

/// Returns when somebody waits for the session; never if there is none.
async fn is_wanted(session: &mut Option<Session>) {
    match session {
        Some(session) => session.is_wanted().await,
        None => std::future::pending().await,
    }
}

impl Polled {
    /// A poll has failed: the table is tried again, described anew, or given up.
    ///
    /// # Errors
    /// The error itself if the session has to start again.
    fn failed_once(&mut self, error: Error, parts: &Parts) -> Result<()> {
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
