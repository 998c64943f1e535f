//! The calls of one transactional id to librdkafka, in their order: init, begin, send, commit, abort. They block, and belong
//! on the thread of the producer; each ends soon once the producer is dropped. Takes records, gives a classified error or
//! nothing. Knows no commands and no channel.

#![expect(clippy::disallowed_methods, reason = "on the thread of the producer")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;

use super::client::{self, Context, PATIENCE};
use super::partitions::Partitions;
use super::statistics;
use super::verdict::{Verdict, passes, refused_record};
use super::wait::Wait;
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EncodedBatch, Header, KafkaRecord};
use crate::telemetry::ProducerMetrics;

/// The longest a call to librdkafka may keep the thread from noticing that nobody waits any more.
pub(super) const SLICE: Duration = Duration::from_millis(500);
/// A call that returns sooner with an error that passes must not be repeated at once.
const AT_ONCE: Duration = Duration::from_millis(10);
/// A request that took this long to answer may have been sent twice.
const LONG: Duration = Duration::from_secs(5);
/// The number of records sent between two looks at logs, errors and cancellation.
const RECORDS_PER_LOOK: usize = 8_192;
/// The most events of librdkafka in the life of a transaction.
const MOST_EVENTS: usize = 10_000;
/// The time of the first, short abort: enough to throw records away and, with none left, for a broker's answer.
const SHORT_ABORT: Timeout = Timeout::After(Duration::from_millis(20));
/// The error of brokers that answer everything but a request for a transaction coordinator.
const NO_COORDINATOR: &str = "no broker coordinates transactions: check transaction.state.log.replication.factor and \
     transaction.state.log.min.isr of the brokers against how many are up; `rowtide check` looks at it";
/// The longest time for a dropped producer to abort its open transaction.
const LAST_ABORT: Duration = Duration::from_secs(2);

/// The error of an epoch that may not be used any more (E3, E4): librdkafka knows no KIP-890. Where the answer to
/// EndTxn does not come, it sends the request again under the same epoch; the first one may still arrive, and would end
/// whatever transaction is open by then, with half of its records in it. Only a new epoch makes the brokers refuse it.
pub(super) fn epoch_spent() -> Error {
    let what =
        "the transaction was ended, but the request may have been sent twice: no other one is begun under its epoch";
    Error::new(ErrorKind::EpochSpent, what)
}

/// Signals between a producer and its thread.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Nobody waits for the thread any more.
    pub(super) dropped: AtomicBool,
    /// No transaction may be begun any more.
    spent: AtomicBool,
}

impl Signals {
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }
}

/// The place of a record, and its time.
#[derive(Clone, Copy)]
struct Destination<'a> {
    topic: &'a str,
    /// None: that of its key.
    partition: Option<i32>,
    /// None: that of the producer.
    timestamp: Option<i64>,
}

/// The client of one transactional id.
pub(super) struct TransactionClient {
    pub(super) producer: BaseProducer<Context>,
    brokers: String,
    transactional_id: String,
    /// `transaction.timeout.ms`.
    pub(super) timeout: Duration,
    /// The begin of the open transaction, by our clock; none if none is open.
    pub(super) began: Option<Instant>,
    signals: Arc<Signals>,
    partitions: Partitions,
}

impl TransactionClient {
    /// Makes the client; contacts no broker yet.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub(super) fn new(
        spec: &KafkaSpec,
        transactional_id: String,
        signals: Arc<Signals>,
        metrics: Option<ProducerMetrics>,
    ) -> Result<Self> {
        let mut config = client::producer_config(spec, &transactional_id)?;
        let interval = "statistics.interval.ms";
        if metrics.is_some() && config.get(interval).is_none() {
            config.set(interval, statistics::INTERVAL_MS);
        }
        let context = Context { metrics: metrics.map(Arc::new), ..Context::default() };
        Ok(Self {
            producer: client::create(&config, context)?,
            brokers: spec.bootstrap_servers.clone(),
            transactional_id,
            timeout: client::transaction_timeout(&config),
            began: None,
            signals,
            partitions: Partitions::default(),
        })
    }

    pub(super) fn transactional_id(&self) -> &str {
        &self.transactional_id
    }

    /// Fences every older owner of the transactional id.
    pub(super) fn init(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let asked = Wait::new();
            let outcome = self.producer.init_transactions(SLICE);
            self.serve();
            let Err(error) = outcome else { return Ok(()) };
            let health = Arc::clone(&self.producer.context().health);
            if health.refused() {
                return Err(health.silence(&self.brokers));
            }
            match self.classify("the transactional producer cannot start", &error) {
                Verdict::Stop(error) => return Err(error),
                Verdict::Again(_) if started.elapsed() > PATIENCE && health.disconnected() => {
                    return Err(health.silence(&self.brokers));
                }
                Verdict::Again(error) if started.elapsed() > PATIENCE => return Err(error.advise(NO_COORDINATOR)),
                Verdict::Again(_) => self.again(&asked)?,
            }
        }
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        if self.signals.is_spent() {
            return Err(epoch_spent());
        }
        let _ = self.producer.context().health.take_delivery_failure();
        self.producer.begin_transaction().map_err(|error| self.stop("a transaction cannot be opened", &error))?;
        self.began = Some(Instant::now());
        Ok(())
    }

    pub(super) fn send(&mut self, batch: &EncodedBatch) -> Result<()> {
        let mut of_records = batch.headers();
        let partitions = if batch.has_partitions() { self.partitions_of(&batch.topic)? } else { 0 };
        for (index, record) in batch.records().enumerate() {
            if index % RECORDS_PER_LOOK == RECORDS_PER_LOOK - 1 {
                self.serve();
                self.cancelled()?;
            }
            let (own, rest) = of_records.split_at(of_records.partition_point(|own| own.record <= index));
            of_records = rest;
            let headers = || batch.common_headers().iter().chain(own.iter().map(|own| &own.header));
            let to = Destination {
                topic: &batch.topic,
                partition: batch.partition(index, partitions),
                timestamp: batch.timestamp(index),
            };
            self.send_one(to, record.key, record.value, headers())?;
            if record.then_tombstone {
                self.send_one(to, record.key, None, headers())?;
            }
        }
        Ok(())
    }

    /// The number of partitions of a topic, as the brokers have said not long ago.
    fn partitions_of(&mut self, topic: &Arc<str>) -> Result<i32> {
        let started = Wait::new();
        loop {
            let error = match self.partitions.of(self.producer.client(), topic, SLICE) {
                Ok(count) => return Ok(count),
                Err(error) => error,
            };
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            if !passes(code) || started.elapsed() > PATIENCE {
                return Err(refused_record(topic, code));
            }
            self.rest(&started)?;
        }
    }

    /// Hands one record over, waiting for room as long as it takes: librdkafka fails records that wait
    /// longer than the transaction may last.
    fn send_one<'h>(
        &self,
        to: Destination<'_>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = &'h Header>,
    ) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(to.topic);
        record.key = key;
        record.payload = value;
        record.partition = to.partition;
        record.timestamp = to.timestamp;
        for header in headers {
            let all = record.headers.take().unwrap_or_default();
            let header = message::Header { key: &header.name, value: header.value.as_deref() };
            record.headers = Some(all.insert(header));
        }
        let mut full = None;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.rest(full.get_or_insert_with(Wait::new))?;
                }
                Err((error, _)) => return Err(self.refused(to.topic, &error)),
            }
        }
    }

    pub(super) fn commit(&mut self, offsets: &[KafkaRecord]) -> Result<()> {
        for record in offsets {
            let to = Destination { topic: &record.topic, partition: None, timestamp: None };
            self.send_one(to, Some(&record.key), record.value.as_deref(), [].iter())?;
        }
        // rdkafka's commit would wait for these in steps of 100 ms.
        let sent = Wait::new();
        while self.producer.in_flight_count() > 0 {
            self.rest(&sent)?;
        }
        let deadline = self.began.unwrap_or_else(Instant::now) + self.timeout + PATIENCE;
        let (first, mut is_first) = (Instant::now(), true);
        loop {
            let asked = Wait::new();
            let Err(error) = self.producer.commit_transaction(Timeout::Never) else {
                self.began = None;
                self.look_for_doubles(first, is_first);
                return Ok(());
            };
            is_first = false;
            self.serve();
            match self.classify("the transaction was not committed", &error) {
                Verdict::Stop(error) => return Err(self.doubt(error)),
                Verdict::Again(error) if Instant::now() > deadline => return Err(self.doubt(error)),
                Verdict::Again(_) => self.again(&asked)?,
            }
        }
    }

    /// Waits until no duplicate of the request that has just been answered is under way. `since` is the time it was
    /// first sent; nothing is left in the queue but librdkafka's own events.
    fn look_for_doubles(&self, since: Instant, is_first: bool) {
        let mut left = MOST_EVENTS;
        while self.producer.in_flight_count() > 0 && left > 0 {
            self.producer.poll(Duration::ZERO);
            left -= 1;
        }
        let lost = self.producer.context().health.lost_a_connection(since);
        if left == 0 || !is_first || lost || since.elapsed() > LONG {
            self.signals.spent.store(true, Ordering::Relaxed);
        }
    }

    /// librdkafka's abort throws queued records away and waits until their delivery reports are served,
    /// which only this thread can do: so a first short call, the reports, then the call that ends it.
    pub(super) fn abort(&mut self) -> Result<()> {
        let first = Instant::now();
        let deadline = first + PATIENCE;
        if self.producer.in_flight_count() > 0 && self.producer.abort_transaction(SHORT_ABORT).is_ok() {
            return self.aborted_ok(first, true);
        }
        let purged = Wait::new();
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.rest(&purged)?;
        }
        let mut is_first = true;
        loop {
            let asked = Wait::new();
            let Err(error) = self.producer.abort_transaction(Timeout::Never) else {
                return self.aborted_ok(first, is_first);
            };
            is_first = false;
            self.serve();
            match self.classify("the transaction was not aborted", &error) {
                Verdict::Again(_) if Instant::now() < deadline => self.again(&asked)?,
                Verdict::Again(error) | Verdict::Stop(error) => return Err(error),
            }
        }
    }

    /// Notes the end of an abort. A late request to abort harms the next transaction like a late one to commit.
    fn aborted_ok(&mut self, first: Instant, is_first: bool) -> Result<()> {
        self.began = None;
        self.look_for_doubles(first, is_first);
        let _ = self.producer.context().health.take_delivery_failure();
        Ok(())
    }

    /// Aborts the open transaction of a dropped producer, with little time: the next `init` does it otherwise.
    pub(super) fn last_abort(&mut self) {
        if self.began.is_none() || self.producer.client().fatal_error().is_some() {
            return;
        }
        let wait = Wait::new();
        while wait.elapsed() < LAST_ABORT {
            if self.producer.abort_transaction(SHORT_ABORT).is_ok() {
                return;
            }
            self.serve();
            wait.pause();
        }
        tracing::debug!(transactional_id = self.transactional_id, "the open transaction was left to the next start");
    }

    /// Serves librdkafka's events: its `poll` takes one and returns.
    pub(super) fn serve(&self) {
        loop {
            let before = self.producer.in_flight_count();
            self.producer.poll(Duration::ZERO);
            if self.producer.in_flight_count() >= before {
                return;
            }
        }
    }

    /// A pause in a wait for librdkafka.
    fn rest(&self, wait: &Wait) -> Result<()> {
        self.serve();
        wait.pause();
        self.cancelled()
    }

    /// The pause before a call is repeated that has failed in a way that passes.
    fn again(&self, asked: &Wait) -> Result<()> {
        if asked.elapsed() < AT_ONCE {
            std::thread::sleep(AT_ONCE);
        }
        self.cancelled()
    }

    /// Ends a wait when the handle is gone.
    fn cancelled(&self) -> Result<()> {
        if self.signals.dropped.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the producer was dropped"));
        }
        Ok(())
    }

    /// The error of a failed commit: either known to be undone, or of unknown outcome (E4); one that will fail again
    /// next time, whatever happened to this transaction, keeps its kind.
    fn doubt(&mut self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::TransactionAborted | ErrorKind::Fenced | ErrorKind::KafkaRefused | ErrorKind::Auth => error,
            _ => {
                // The commit may still be under way: nothing to abort.
                self.began = None;
                Error::new(ErrorKind::OutcomeUnknown, "the answer to a commit was lost").caused_by(error)
            }
        }
    }
}
