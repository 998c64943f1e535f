//! The poll stage: takes the relation due longest ago, reads one bounded page of it, encodes it and hands
//! it on. A page is a short statement of its own: a place in the channel is reserved before it begins, so
//! no read waits for Kafka with a transaction open. A full page makes its relation due again at once, behind
//! the others that are due, so no relation starves another. A relation's failure is its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant as Clock;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::continuity::Looks;
use super::late::Watch;
use super::refused::Refusals;
use super::relation::{Polled, closed};
use super::server::Verdict;
use super::stall::{Step, Waits, poll_stalls, watched};
use crate::config::spec::{ModeName, SchemaChange};
use crate::dialect::{Counted, SourceConnection};
use crate::error::{Directive, Error, ErrorKind, Result};
use crate::model::{EncodedBatch, Relation, Server};
use crate::offsets::{Loaded, StoredOffset};
use crate::status::{ConnectorStatus, TableBoard};

/// A connection that was idle for longer is asked whether it is still one before it is used.
const IDLE: Duration = Duration::from_secs(10);
/// When a table is looked at again that was given up until the next start.
const NEVER: Duration = Duration::from_secs(365 * 86_400);
/// The interval at which a table that is away is looked for.
const MISSED_PAUSE: Duration = Duration::from_millis(250);
/// The same once it has failed.
const MISSED_AGAIN: Duration = Duration::from_secs(5);
/// How long closing the connection may take.
const GOODBYE: Duration = Duration::from_secs(3);

pub(super) struct PollStage<'a> {
    parts: &'a Parts,
    /// Offsets, what is known of their tables, and the server they belong to.
    stored: Loaded,
    /// The present connection leads to that server.
    recognised: bool,
    connection: Option<Box<dyn SourceConnection>>,
    /// When the connection was last used.
    used: Clock,
    /// What is open in the database the connection leads to.
    watch: Watch,
    relations: Vec<Polled>,
    /// When its tables are looked at.
    looks: Looks,
    /// When the stage was made; relations with a guard are due in its rhythm.
    rhythm: Clock,
    /// Those of `relations`, for whoever watches them while they are polled.
    boards: Arc<[TableBoard]>,
    step: Step,
    out: mpsc::Sender<EncodedBatch>,
    refusals: &'a Refusals,
}

impl<'a> PollStage<'a> {
    pub(super) fn new(parts: &'a Parts, out: mpsc::Sender<EncodedBatch>, refusals: &'a Refusals) -> Self {
        Self {
            parts,
            stored: Loaded::default(),
            recognised: false,
            connection: None,
            used: Clock::now(),
            watch: Watch::default(),
            relations: Vec::new(),
            looks: Looks::default(),
            rhythm: Clock::now(),
            boards: Arc::new([]),
            step: Step::default(),
            out,
            refusals,
        }
    }

    /// Connects and binds the first relation ahead of time. What fails here fails again at the first
    /// poll, where it is dealt with.
    pub(super) async fn warm_up(&mut self, wanted: &[Relation]) {
        self.follow(wanted);
        if self.connect().await.is_ok()
            && let (Some(first), Some(connection)) = (self.relations.first_mut(), self.connection.as_deref_mut())
            && let Err(error) = first.bind(self.parts, connection, self.watch.life()).await
        {
            tracing::debug!(table = %first.name, error = %error.report(), "warming up failed");
        }
    }

    /// The offsets to continue from; nothing was polled before.
    pub(super) fn start_from(&mut self, loaded: Loaded) {
        self.stored = loaded;
    }

    async fn connect(&mut self) -> Result<()> {
        if self.used.elapsed() > IDLE
            && let Some(connection) = self.connection.as_deref_mut()
            && !connection.is_alive().await
        {
            tracing::info!("the connection was closed while it was idle, connecting anew");
            self.connection = None;
        }
        self.used = Clock::now();
        if self.connection.is_none() {
            self.step.waits_for(Waits::Connection);
            let connection = self.parts.dialect.connect(&self.parts.spec.source).await?;
            tracing::info!(server = connection.server(), url = %self.parts.spec.source.url, "connected");
            self.step.asks(connection.vigil());
            self.step.waits_for(Waits::Database);
            self.connection = Some(connection);
            self.recognised = false;
            self.watch.reset();
            // Where it leads now, tables may be others.
            self.looks = Looks::default();
        }
        Ok(())
    }

    /// Whether each new connection leads to the server the offsets belong to; a server that is to be
    /// remembered goes down the way of the rows (E3), in the transaction of what this relation has to say.
    async fn recognise(&mut self, index: usize) -> Result<()> {
        let (Some(connection), false) = (self.connection.as_deref_mut(), self.recognised) else { return Ok(()) };
        let Some(identity) = connection.identity() else { return Ok(()) };
        if self.parts.spec.mode.mode == ModeName::Bulk || self.parts.server.is_off() {
            // No offset that would belong to it, or to it alone.
            return Ok(());
        }
        let mut found = Server::host(identity);
        if self.parts.server.wants_lineage() {
            found.lineage = connection.lineage().await?;
        }
        if let Verdict::Remember(server) = self.parts.server.judge(self.stored.server.as_ref(), &found)? {
            self.step.waits_for(Waits::Kafka);
            let polled = &mut self.relations[index];
            let replaces = self.stored.server.as_ref().map(|server| server.identity.as_str());
            tracing::info!(identity = %server.identity, replaces, "the server is remembered");
            let mut batch = EncodedBatch::new(Arc::clone(&polled.name), "".into(), 0, 0);
            batch.memos.server = Some(Arc::new(server.clone()));
            self.out.send(batch).await.map_err(|_| closed())?;
            self.step.waits_for(Waits::Database);
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
            self.give_up_if_nothing_is_left()?;
            if self.parts.once && self.relations.iter().all(|polled| polled.done) {
                break;
            }
            let next = self.next_due();
            if next.is_none_or(|index| self.relations[index].due > Clock::now())
                && let Some(connection) = self.connection.as_deref_mut()
                && let Err(error) = self.watch.release(connection).await
            {
                tracing::warn!(error = %error.report(), "the connection was lost between two polls");
                self.connection = None;
            }
            let wake = next.map_or_else(|| Clock::now() + Duration::from_secs(3600), |index| self.relations[index].due);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = selected.changed() => continue,
                () = tokio::time::sleep_until(wake) => {}
            }
            let Some(index) = next else { continue };
            turn += 1;
            self.relations[index].turn = turn;
            let (step, boards, board) =
                (self.step.clone(), Arc::clone(&self.boards), self.relations[index].board.clone());
            let name = Arc::clone(&self.relations[index].name);
            // A cancelled read leaves the connection in an unknown state; it is closed with the stage.
            let began = Clock::now();
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                outcome = watched(self.poll(index), || poll_stalls(&step, &board, &name, &boards)) => outcome,
            };
            if outcome.is_ok() {
                self.relations[index].board.took(began.elapsed());
            }
            self.settle(index, outcome)?;
        }
        if let Some(connection) = self.connection.take() {
            // What still runs is cancelled at the server.
            let _ = tokio::time::timeout(GOODBYE, connection.close()).await;
        }
        Ok(())
    }

    /// Adds what is newly selected and drops what is not any more.
    fn follow(&mut self, wanted: &[Relation]) {
        let (kept, gone) =
            std::mem::take(&mut self.relations).into_iter().partition(|polled| wanted.contains(&polled.relation));
        self.relations = kept;
        let gone: Vec<Polled> = gone;
        for polled in gone {
            tracing::info!(table = %polled.name, "no longer selected");
            self.parts.board.remove_table(&polled.name);
            // What comes back under its name may be another table.
            self.parts.server.vanished(&polled.partition);
            // One that comes back goes on where it was, not where it was when the session began.
            self.stored.tables.extend(polled.continuity.to_mark().map(|mark| (polled.stored_as.clone(), mark)));
            if let Some(offset) = polled.offset {
                let topic = self.parts.spec.offsets.topic.clone();
                let stored = StoredOffset { offset, topic, partition: -1, kafka_offset: -1, written_at: None };
                self.stored.offsets.insert(polled.stored_as, stored);
            }
        }
        for relation in wanted {
            if !self.relations.iter().any(|polled| polled.relation == *relation) {
                let mut polled = Polled::new(self.parts, relation.clone(), self.step.clone());
                if let Some((error, left)) = self.refusals.of(&polled.name) {
                    polled.fail(error, left, self.parts);
                }
                self.relations.push(polled);
            }
        }
        if self.boards.len() != self.relations.len()
            || self.boards.iter().zip(&self.relations).any(|(board, polled)| *board.name() != *polled.name)
        {
            self.boards = self.relations.iter().map(|polled| polled.board.clone()).collect();
        }
    }

    /// A connector of which nothing works has failed; one with a table that works, in this task or in
    /// another, goes on, and what has failed is looked at again now and then.
    fn give_up_if_nothing_is_left(&mut self) -> Result<()> {
        if self.relations.is_empty() || self.relations.iter().any(|polled| polled.failed.is_none()) {
            return Ok(());
        }
        if !self.parts.board.with(ConnectorStatus::nothing_works) {
            return Ok(());
        }
        match self.relations.iter_mut().find_map(|polled| polled.failed.take()) {
            Some(error) => Err(super::nothing_left(error)),
            None => Ok(()),
        }
    }

    fn next_due(&self) -> Option<usize> {
        let open = self.relations.iter().enumerate().filter(|(_, polled)| !polled.done);
        open.min_by_key(|(_, polled)| (polled.due, polled.turn)).map(|(index, _)| index)
    }

    /// Looks at what identifies the tables, if it is time; at the one that is polled, if that was not done before.
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

    /// One page of one relation. True if nothing newer is left.
    async fn poll(&mut self, index: usize) -> Result<bool> {
        self.connect().await?;
        self.recognise(index).await?;
        let polled = &mut self.relations[index];
        let Some(connection) = self.connection.as_deref_mut() else {
            return Err(Error::internal("no connection"));
        };
        if let Some(vigil) = connection.vigil() {
            vigil.bound_for(&polled.relation, polled.patience(self.parts.spec.source.statement_timeout));
        }
        if polled.bound.is_none() {
            // What is described has to be as it is now.
            self.watch.release(connection).await?;
        }
        polled.bind(self.parts, connection, self.watch.life()).await?;
        self.look(index).await?;
        let polled = &mut self.relations[index];
        let Some(connection) = self.connection.as_deref_mut() else {
            return Err(Error::internal("no connection"));
        };
        polled.find_start(self.parts, connection, &self.stored, &self.out).await?;
        if polled.continuity.is_in_doubt() {
            self.watch.release(connection).await?;
        }
        polled.settle_doubt(self.parts, connection, &self.out).await?;
        polled.check_cursor(self.parts, connection, &mut self.watch).await?;
        let outcome = polled.poll(self.parts, connection, &mut self.watch, &self.out).await;
        polled.late.settle(outcome.is_ok());
        match outcome {
            Err(error) if std::mem::take(polled.is_torn.get_mut()) => {
                let message = "the rest of a step could not be read";
                Err(Error::new(ErrorKind::TransactionAborted, message).caused_by(error))
            }
            Err(error) if error.kind() != ErrorKind::Unreachable => {
                self.watch.abandon(connection).await?;
                Err(polled.late.judge_error(error))
            }
            outcome => outcome,
        }
    }

    /// What a poll's outcome means for its relation: when it is due again, or that it has failed.
    fn settle(&mut self, index: usize, outcome: Result<bool>) -> Result<()> {
        let spec = &self.parts.spec;
        let polled = &mut self.relations[index];
        let error = match outcome {
            Ok(exhausted) => {
                polled.succeeded(exhausted, (self.rhythm, spec.polling.interval), self.parts.once);
                return Ok(());
            }
            // Not about the table that met it: nothing of the connector may be read from there.
            Err(error) if error.kind() == ErrorKind::ForeignServer => {
                self.parts.metrics.error(error.kind());
                return Err(error);
            }
            Err(error) if error.kind() == ErrorKind::SchemaHeld && spec.schema_change == SchemaChange::Fail => {
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
        let error = match polled.broke_off(error, spec.polling.batch_max_rows) {
            Ok(error) => error,
            // Only an operator can raise that limit, and until then the same rows would come again and again.
            Err(error) => {
                polled.fail(error, NEVER, self.parts);
                return Ok(());
            }
        };
        match error.kind().directive() {
            Directive::Rebuild => return Err(error),
            Directive::Retry => match polled.backoff.next(&spec.polling.retry) {
                Some(pause) => {
                    if polled.backoff.failures() == 1 {
                        tracing::warn!(table = %polled.name, error = %error.report(), "poll failed, trying again");
                    }
                    polled.due = Clock::now() + pause;
                    polled.board.backing_off(&error);
                }
                None => polled.fail(error, spec.polling.table_interval, self.parts),
            },
            Directive::Redescribe => match polled.redescribe(error) {
                Ok(()) => {}
                Err(error) => polled.fail(error, spec.polling.table_interval, self.parts),
            },
            Directive::Fail if polled.is_missed(&error, self.parts) => {
                polled.due = Clock::now() + MISSED_PAUSE;
                polled.board.backing_off(&error);
            }
            Directive::Fail => {
                let again_after = if polled.missed.is_some() { MISSED_AGAIN } else { spec.polling.table_interval };
                polled.fail(error, again_after.min(spec.polling.table_interval), self.parts);
            }
        }
        Ok(())
    }
}
