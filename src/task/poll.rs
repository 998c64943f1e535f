//! The poll stage: takes the relation due longest ago, reads one bounded page of it, encodes it and hands
//! it on. A page is a short statement of its own: a place in the channel is reserved before it begins, so
//! no read waits for Kafka with a transaction open. A full page makes its relation due again at once, behind
//! the others that are due, so no relation starves another. A relation's failure is its own.

mod backfills;
mod failed;
mod held;
mod orders;
mod session;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant as Clock;
use tokio_util::sync::CancellationToken;

use self::held::ReplicaWatch;
use self::session::is_wanted;
use super::Parts;
use super::continuity::Looks;
use super::control::Wishes;
use super::guard::Observer;
use super::handoff::{Handoff, Outbox};
use super::head::Parked;
use super::polled::Polled;
use super::refused::Refusals;
use super::schedule::{Rank, Rhythm};
use super::stall::{Activity, poll_stalls, watched};
use super::step::Context;
use super::together::{self, TOGETHER};
use super::tokens::{Rest, Tokens, Told};
use crate::config::spec::{SchemaChange, TaskSpec};
use crate::dialect::Counted;
use crate::dialect::sessions::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Relation;
use crate::offsets::Loaded;
use crate::status::{ConnectorStatus, TableBoard, now_millis};

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

/// The outcome of a table's turn.
enum Outcome {
    /// It was polled.
    Polled {
        /// True if nothing newer is left.
        exhausted: bool,
    },
    /// Its poll was spared.
    Spared,
    /// It is not polled now, by a setting.
    HeldBack,
}

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
    /// The tokens by which it tells whether anything was committed.
    tokens: Tokens,
    /// The lag of that server, if it is a replica.
    replica: ReplicaWatch,
    relations: Vec<Polled>,
    /// The places of those that are to be polled, in the order in which they are due. The one that is polled is not among
    /// them.
    due: BTreeSet<(Rank, usize)>,
    /// The number of those that are no backfills, and how many of them have failed.
    tables: usize,
    failed: usize,
    /// False once binding several at once has met something that does not answer.
    binds_together: bool,
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
            tokens: Tokens::default(),
            replica: ReplicaWatch::default(),
            relations: Vec::new(),
            due: BTreeSet::new(),
            tables: 0,
            failed: 0,
            binds_together: true,
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

    /// Connects and binds the first relations ahead of time, if a session can be had at once. A failure here comes again
    /// at the first poll, where it is dealt with.
    pub(super) async fn warm_up(&mut self, wanted: &[Relation]) {
        self.follow(wanted);
        let Some((_, first)) = self.due.first().copied() else { return };
        if self.closed_until(first, now_millis()).is_some() {
            return;
        }
        let Some(turn) = self.parts.sessions.turn(self.configured.source()).now_or_never() else { return };
        if self.take_session(turn).await.is_ok() {
            self.bind_together(first).await;
        }
    }

    /// Binds a relation, and with it those behind it, if nothing of them has been tried yet.
    async fn bind_together(&mut self, index: usize) {
        if !self.binds_together || !self.relations[index].is_new() {
            return;
        }
        let behind = self.due.iter().map(|(_, place)| *place).filter(|place| *place != index);
        let news = std::iter::once(index).chain(behind).filter(|place| self.relations[*place].is_new());
        let places: Vec<usize> = news.take(TOGETHER).collect();
        let Some(connection) = self.connection.as_deref_mut() else { return };
        let (parts, stored, watch, out) = (self.parts, &self.stored, &mut self.watch, &self.out);
        let mut cx = Context { parts, stored, connection, watch, out };
        self.binds_together = together::bind(&mut self.relations, &places, &mut cx).await;
    }

    /// The offsets to continue from; nothing was polled before.
    pub(super) fn start_from(&mut self, loaded: Loaded) {
        self.stored = loaded;
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
        self.follow(&selected.borrow_and_update().clone());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                obeyed = self.obey() => obeyed?,
            }
            self.give_up_if_nothing_is_left()?;
            if self.parts.once && self.due.is_empty() && self.relations.iter().all(|polled| polled.schedule.done) {
                break;
            }
            let next = self.due.first().copied();
            let wake = next.map_or_else(|| Clock::now() + HOUR, |((due, _), _)| due);
            let has_time = wake > Clock::now();
            if has_time {
                self.release().await;
            }
            let may_lend = self.connection.is_some() && (has_time || self.had_since.elapsed() >= SLICE);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = selected.changed() => {
                    self.follow(&selected.borrow_and_update().clone());
                    continue;
                }
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
            let Some((_, index)) = next else { continue };
            turn += 1;
            if self.take_turn(index, turn, stop).await?.is_break() {
                break;
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        Ok(())
    }

    /// Polls the relation that is due, which then takes its place among the others again; it breaks off when `stop` is
    /// cancelled.
    async fn take_turn(&mut self, index: usize, turn: u64, stop: &CancellationToken) -> Result<ControlFlow<()>> {
        self.due.pop_first();
        let polled = &mut self.relations[index];
        polled.schedule.takes_turn(turn);
        let had_failed = polled.schedule.failed.is_some();
        let (board, name) = (polled.board.clone(), Arc::clone(&polled.name));
        let (activity, boards) = (self.activity.clone(), Arc::clone(&self.boards));
        let began = Clock::now();
        // A cancelled read leaves the connection in an unknown state; it is closed with the stage.
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(ControlFlow::Break(())),
            outcome = watched(self.poll(index), || poll_stalls(&activity, &board, &name, &boards)) => outcome,
        };
        if matches!(outcome, Ok(Outcome::Polled { .. })) {
            let polled = &mut self.relations[index];
            polled.board.took(began.elapsed());
            polled.plan_check.took(began.elapsed());
        }
        self.settle(index, outcome)?;
        self.rejoin(index, had_failed);
        Ok(ControlFlow::Continue(()))
    }

    /// Adds relations that are newly selected and drops those that are not any more.
    fn follow(&mut self, wanted: &[Relation]) {
        let selected: HashSet<&Relation> = wanted.iter().collect();
        let (kept, gone): (Vec<Polled>, Vec<Polled>) = std::mem::take(&mut self.relations)
            .into_iter()
            .partition(|polled| selected.contains(&polled.spec.relation));
        self.relations = kept;
        self.parts.board.remove_tables(gone.iter().map(|polled| &*polled.name));
        for mut polled in gone {
            if polled.backfill.is_some() {
                self.park_backfill(polled);
                continue;
            }
            tracing::info!(table = %polled.name, "no longer selected");
            // A table that comes back under its name may be another one.
            self.parts.server.vanished(&polled.spec.partition);
            let parked = polled.park();
            self.parked.insert(polled.spec.relation, parked);
        }
        let known: HashSet<Relation> = self.relations.iter().map(|polled| polled.spec.relation.clone()).collect();
        for relation in wanted.iter().filter(|relation| !known.contains(*relation)) {
            self.has_orders = true;
            let mut polled = Polled::new(self.parts, relation, self.activity.clone());
            polled.parked = self.parked.remove(relation);
            if let Some((error, left)) = self.refusals.of(&polled.name) {
                polled.fail(error, left, self.parts);
            }
            self.relations.push(polled);
        }
        self.resume_backfills();
        self.line_up();
    }

    /// Puts all relations in their places among those that are due.
    fn line_up(&mut self) {
        self.boards = self.relations.iter().map(|polled| polled.board.clone()).collect();
        let tables = || self.relations.iter().filter(|polled| polled.backfill.is_none());
        self.tables = tables().count();
        self.failed = tables().filter(|polled| polled.schedule.failed.is_some()).count();
        let open = self.relations.iter().enumerate().filter(|(_, polled)| polled.schedule.is_open());
        self.due = open.map(|(index, polled)| (polled.schedule.rank(), index)).collect();
    }

    /// Puts a relation in its place among those that are due, after its turn.
    fn rejoin(&mut self, index: usize, had_failed: bool) {
        let polled = &self.relations[index];
        let schedule = &polled.schedule;
        match (had_failed, schedule.failed.is_some()) {
            _ if polled.backfill.is_some() => {}
            (false, true) => self.failed += 1,
            (true, false) => self.failed -= 1,
            _ => {}
        }
        if schedule.is_open() {
            self.due.insert((schedule.rank(), index));
        }
    }

    /// A connector of which nothing works has failed; one with a table that works, in this task or in another, goes on,
    /// and failed tables are looked at again now and then.
    fn give_up_if_nothing_is_left(&mut self) -> Result<()> {
        if self.relations.is_empty() || self.failed < self.tables {
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

    /// Looks at the identities of the tables, if it is time; at the new ones, if the one that is polled is among them.
    async fn look(&mut self, index: usize) -> Result<()> {
        let is_due = self.looks.is_due();
        if !is_due && self.relations[index].continuity.has_looked() {
            return Ok(());
        }
        // Those that were bound together with it are looked at together.
        let relations = self.relations.iter().enumerate();
        let is_wanted = |polled: &Polled| polled.backfill.is_none() && (is_due || !polled.continuity.has_looked());
        let relations = relations.filter(|(_, polled)| is_wanted(polled));
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

    /// The token of what is committed, if it is worth to ask for it: the table may be at rest.
    async fn token(&mut self, index: usize) -> Result<Option<Told>> {
        let polled = &self.relations[index];
        let (due, _) = polled.schedule.rank();
        if !self.tokens.is_trusted() || !polled.may_rest(self.parts.once) {
            return Ok(None);
        }
        if let Some(told) = self.tokens.as_of(due) {
            return Ok(told);
        }
        let Some(connection) = self.connection.as_deref_mut() else { return Ok(None) };
        // Inside a view time stands still.
        self.watch.release(connection).await?;
        self.tokens.ask(connection, self.watch.epoch()).await
    }

    /// One step of one table, unless it is known to find nothing.
    async fn poll(&mut self, index: usize) -> Result<Outcome> {
        if !self.may_poll(index).await? || self.waits_for_table(index).await? {
            return Ok(Outcome::HeldBack);
        }
        self.recognise(index).await?;
        let token = self.token(index).await?;
        if token.as_ref().is_some_and(|token| self.relations[index].rest.lasts(token)) {
            return Ok(Outcome::Spared);
        }
        let (polled, cx) = self.at(index)?;
        if polled.bound.is_none() {
            // The description has to be of now.
            cx.watch.release(cx.connection).await?;
            self.bind_together(index).await;
        }
        let (polled, mut cx) = self.at(index)?;
        if let Some(vigil) = cx.connection.vigil() {
            vigil.bound_for(&polled.spec.relation, polled.paging.patience(polled.spec.statement_timeout));
        }
        polled.bind(&mut cx).await?;
        if polled.backfill.is_some() {
            return self.backfill_step(index).await;
        }
        self.look(index).await?;
        let (polled, mut cx) = self.at(index)?;
        polled.find_start(&mut cx).await?;
        if polled.continuity.is_in_doubt() {
            cx.watch.release(cx.connection).await?;
        }
        polled.settle_doubt(&mut cx).await?;
        if polled.head.begins_anew {
            self.drop_backfill(index).await?;
        }
        let (polled, mut cx) = self.at(index)?;
        polled.check_cursor(&mut cx).await?;
        polled.begin_load(&mut cx).await?;
        polled.check_plan(&mut cx).await?;
        let outcome: Result<_> = async {
            let end = polled.poll(&mut cx).await?;
            let doubtful = polled.come_to_rest(&mut cx, token, &end).await?;
            Ok((end.exhausted, doubtful))
        }
        .await;
        match outcome {
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TransactionAborted) => Err(error),
            Err(error) => {
                cx.watch.abandon(cx.connection).await?;
                Err(polled.guard.classify(error))
            }
            Ok((exhausted, doubtful)) => {
                if let Some(token) = doubtful {
                    self.doubt(index, &token).await?;
                }
                Ok(Outcome::Polled { exhausted })
            }
        }
    }

    /// Rows were found of a table that was at rest under a token.
    async fn doubt(&mut self, index: usize, token: &Told) -> Result<()> {
        let Some(connection) = self.connection.as_deref_mut() else { return Ok(()) };
        self.watch.release(connection).await?;
        self.tokens.doubt(token, &self.relations[index].name, connection, self.watch.epoch()).await
    }

    /// A table, and the context of its poll.
    fn at(&mut self, index: usize) -> Result<(&mut Polled, Context<'_>)> {
        let connection = self.connection.as_deref_mut().ok_or_else(|| Error::internal("no connection"))?;
        let (parts, stored, watch, out) = (self.parts, &self.stored, &mut self.watch, &self.out);
        Ok((&mut self.relations[index], Context { parts, stored, connection, watch, out }))
    }

    /// The consequence of a poll's outcome for its table: when it is due again, or that it has failed.
    fn settle(&mut self, index: usize, outcome: Result<Outcome>) -> Result<()> {
        let polled = &mut self.relations[index];
        let error = match outcome {
            Ok(Outcome::HeldBack) => return Ok(()),
            Ok(Outcome::Spared) => {
                polled.spared(self.rhythm);
                return Ok(());
            }
            Ok(Outcome::Polled { exhausted }) => {
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
        polled.rest = Rest::default();
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
