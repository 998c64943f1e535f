//! The transactional producer. rdkafka's transaction calls block, so one thread of its own owns the
//! client; commands go to it over a channel and each is answered once. Takes batches and offset records,
//! gives a classified error or nothing. Knows neither what a record means nor what to do about an error.

#![expect(clippy::disallowed_methods, reason = "on the thread of the producer")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use tokio::sync::oneshot;

use super::RecordSink;
use super::client::{self, Context, PATIENCE};
use super::verdict::Verdict;
use super::wait::Wait;
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EncodedBatch, Header, KafkaRecord};

/// The longest a call to librdkafka may keep the thread from noticing that nobody waits any more.
const SLICE: Duration = Duration::from_millis(500);
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
/// The longest time for a dropped producer to abort what it left open.
const LAST_ABORT: Duration = Duration::from_secs(2);

/// The producer of one task. Dropping it ends its thread, which aborts an open transaction if the
/// brokers answer at once; otherwise the next `init` under the same id does.
pub struct TransactionalProducer {
    commands: mpsc::Sender<Command>,
    dropped: Arc<AtomicBool>,
    spent: Arc<AtomicBool>,
}

enum Command {
    Init(Reply),
    Begin(Reply),
    Send(Box<EncodedBatch>, Reply),
    Commit(Vec<KafkaRecord>, Reply),
    Abort(Reply),
}

type Reply = oneshot::Sender<Result<()>>;

impl TransactionalProducer {
    /// Makes the client and its thread; contacts no broker yet.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub fn new(spec: &KafkaSpec, transactional_id: impl Into<String>) -> Result<Self> {
        let transactional_id = transactional_id.into();
        let config = client::producer_config(spec, &transactional_id)?;
        let producer: BaseProducer<Context> = client::create(&config, Context::default())?;
        let (dropped, spent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let worker = Worker {
            producer,
            brokers: spec.bootstrap_servers.clone(),
            transactional_id,
            timeout: client::transaction_timeout(&config),
            began: None,
            dropped: Arc::clone(&dropped),
            spent: Arc::clone(&spent),
        };
        let (commands, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || worker.run(&inbox))
            .map_err(|error| Error::internal("the producer's thread cannot be started").caused_by(error))?;
        Ok(Self { commands, dropped, spent })
    }

    fn ask(&self, command: impl FnOnce(Reply) -> Command) -> BoxFuture<'_, Result<()>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply));
        async move {
            let gone = || Error::internal("the producer's thread has ended");
            sent.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        }
        .boxed()
    }
}

impl Drop for TransactionalProducer {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Relaxed);
    }
}

impl RecordSink for TransactionalProducer {
    fn init(&mut self) -> BoxFuture<'_, Result<()>> {
        self.ask(Command::Init)
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<()>> {
        self.ask(Command::Begin)
    }

    fn send(&mut self, batch: EncodedBatch) -> BoxFuture<'_, Result<()>> {
        self.ask(|reply| Command::Send(Box::new(batch), reply))
    }

    fn commit(&mut self, offsets: Vec<KafkaRecord>) -> BoxFuture<'_, Result<()>> {
        self.ask(|reply| Command::Commit(offsets, reply))
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<()>> {
        self.ask(Command::Abort)
    }

    fn spent(&self) -> Option<Error> {
        self.spent.load(Ordering::Relaxed).then(epoch_spent)
    }
}

/// E3, E4: librdkafka knows no KIP-890. Where the answer to EndTxn does not come, it sends the request again under the
/// same epoch; the first one may still arrive, and would end whatever transaction is open by then, with half of its
/// records in it. Only a new epoch makes the brokers refuse it.
fn epoch_spent() -> Error {
    let what =
        "the transaction was ended, but the request may have been sent twice: no other one is begun under its epoch";
    Error::new(ErrorKind::EpochSpent, what)
}

/// The part of the producer that lives on the thread.
pub(super) struct Worker {
    pub(super) producer: BaseProducer<Context>,
    brokers: String,
    transactional_id: String,
    /// `transaction.timeout.ms`.
    pub(super) timeout: Duration,
    /// The begin of the open transaction, by our clock; none if none is open.
    pub(super) began: Option<Instant>,
    dropped: Arc<AtomicBool>,
    /// No transaction may be begun any more.
    spent: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self, inbox: &mpsc::Receiver<Command>) {
        loop {
            match inbox.recv_timeout(SLICE) {
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => self.serve(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.began.is_some() && self.producer.client().fatal_error().is_none() {
            self.last_abort();
        }
    }

    fn obey(&mut self, command: Command) {
        let (result, reply) = match command {
            Command::Init(reply) => (self.init(), reply),
            Command::Begin(reply) => (self.begin(), reply),
            Command::Send(batch, reply) => (self.send(&batch), reply),
            Command::Commit(offsets, reply) => (self.commit(&offsets), reply),
            Command::Abort(reply) => (self.abort(), reply),
        };
        let result = result.map_err(|error| error.with("transactional.id", &self.transactional_id));
        // Nobody listens if the task was cancelled meanwhile.
        let _ = reply.send(result);
    }

    fn init(&mut self) -> Result<()> {
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
            match self.judge("the transactional producer cannot start", &error) {
                Verdict::Stop(error) => return Err(error),
                Verdict::Again(_) if started.elapsed() > PATIENCE && health.disconnected() => {
                    return Err(health.silence(&self.brokers));
                }
                Verdict::Again(error) if started.elapsed() > PATIENCE => return Err(error.advise(NO_COORDINATOR)),
                Verdict::Again(_) => self.again(&asked)?,
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        if self.spent.load(Ordering::Relaxed) {
            return Err(epoch_spent());
        }
        let _ = self.producer.context().health.take_delivery_failure();
        self.producer.begin_transaction().map_err(|error| self.stop("a transaction cannot be opened", &error))?;
        self.began = Some(Instant::now());
        Ok(())
    }

    fn send(&self, batch: &EncodedBatch) -> Result<()> {
        let mut of_records = batch.headers();
        for (index, record) in batch.records().enumerate() {
            if index % RECORDS_PER_LOOK == RECORDS_PER_LOOK - 1 {
                self.serve();
                self.cancelled()?;
            }
            let (own, rest) = of_records.split_at(of_records.partition_point(|own| own.record <= index));
            of_records = rest;
            let headers = || batch.common_headers().iter().chain(own.iter().map(|own| &own.header));
            let timestamp = batch.timestamp(index);
            self.send_one(&batch.topic, record.key, record.value, headers(), timestamp)?;
            if record.then_tombstone {
                self.send_one(&batch.topic, record.key, None, headers(), timestamp)?;
            }
        }
        Ok(())
    }

    /// Hands one record over, waiting for room as long as it takes: librdkafka fails records that wait
    /// longer than the transaction may last.
    fn send_one<'h>(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = &'h Header>,
        timestamp: Option<i64>,
    ) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic);
        record.key = key;
        record.payload = value;
        record.timestamp = timestamp;
        for header in headers {
            let all = record.headers.take().unwrap_or_default();
            let header = message::Header { key: &*header.name, value: header.value.as_deref() };
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
                Err((error, _)) => return Err(self.refused(topic, &error)),
            }
        }
    }

    fn commit(&mut self, offsets: &[KafkaRecord]) -> Result<()> {
        for record in offsets {
            self.send_one(&record.topic, Some(&record.key), record.value.as_deref(), [].iter(), None)?;
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
            match self.judge("the transaction was not committed", &error) {
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
            self.spent.store(true, Ordering::Relaxed);
        }
    }

    /// librdkafka's abort throws queued records away and waits until their delivery reports are served,
    /// which only this thread can do: so a first short call, the reports, then the call that ends it.
    fn abort(&mut self) -> Result<()> {
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
            match self.judge("the transaction was not aborted", &error) {
                Verdict::Again(_) if Instant::now() < deadline => self.again(&asked)?,
                Verdict::Again(error) | Verdict::Stop(error) => return Err(error),
            }
        }
    }

    /// A late request to abort does to the next transaction what a late one to commit does.
    fn aborted_ok(&mut self, first: Instant, is_first: bool) -> Result<()> {
        self.began = None;
        self.look_for_doubles(first, is_first);
        let _ = self.producer.context().health.take_delivery_failure();
        Ok(())
    }

    /// The same for a dropped producer, with little time: the next `init` does it otherwise.
    fn last_abort(&mut self) {
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

    /// Takes what librdkafka has to say: its `poll` takes one event and returns.
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
        if self.dropped.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the producer was dropped"));
        }
        Ok(())
    }

    /// E4: a failed commit is either known to be undone or its outcome is unknown; what will fail
    /// again next time, whatever happened to this transaction, keeps its kind.
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

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    type Mock = MockCluster<'static, DefaultProducerContext>;

    /// The mock cluster serves here for error classes only; visibility is for real brokers.
    fn started(settings: &[(&str, &str)]) -> (Mock, TransactionalProducer) {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("t", 1, 1).unwrap();
        let mut spec = client::tests::spec(&mock.bootstrap_servers());
        spec.producer = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let producer = TransactionalProducer::new(&spec, "rowtide-c-0").unwrap();
        (mock, producer)
    }

    fn record(value: &[u8]) -> KafkaRecord {
        KafkaRecord { topic: "t".to_owned(), key: b"k".to_vec(), value: Some(value.to_vec()) }
    }

    async fn commit_after(api: RDKafkaApiKey, errors: &[RDKafkaRespErr]) -> (Mock, TransactionalProducer, Result<()>) {
        let (mock, mut producer) = started(&[]);
        producer.init().await.unwrap();
        producer.begin().await.unwrap();
        mock.request_errors(api, errors);
        let outcome = producer.commit(vec![record(b"v")]).await;
        (mock, producer, outcome)
    }

    #[tokio::test]
    async fn a_transaction_commits_and_a_passing_error_is_retried() {
        let passing = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 2];
        let (_mock, mut producer, outcome) = commit_after(RDKafkaApiKey::EndTxn, &passing).await;
        outcome.unwrap();
        producer.begin().await.unwrap();
        producer.abort().await.unwrap();
    }

    #[tokio::test]
    async fn a_commit_that_may_have_been_sent_twice_is_the_last_under_its_epoch() {
        // The mock brokers end the connection instead of answering.
        let cut = [RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT];
        let (mock, mut producer, outcome) = commit_after(RDKafkaApiKey::EndTxn, &cut).await;
        outcome.unwrap();
        assert_eq!(producer.spent().unwrap().kind(), ErrorKind::EpochSpent);
        assert_eq!(producer.begin().await.unwrap_err().kind(), ErrorKind::EpochSpent);
        drop(producer);
        // A new producer is not affected.
        let mut next =
            TransactionalProducer::new(&client::tests::spec(&mock.bootstrap_servers()), "rowtide-c-0").unwrap();
        next.init().await.unwrap();
        for _ in 0..2 {
            next.begin().await.unwrap();
            next.commit(vec![record(b"v")]).await.unwrap();
            assert!(next.spent().is_none());
        }
    }

    #[tokio::test]
    async fn an_abort_that_may_have_been_sent_twice_is_the_last_under_its_epoch() {
        let (mock, mut producer) = started(&[]);
        producer.init().await.unwrap();
        producer.begin().await.unwrap();
        producer.commit(vec![record(b"v")]).await.unwrap();
        producer.begin().await.unwrap();
        let mut batch = EncodedBatch::new("t".into(), 1, 8);
        batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, Some(|_: &mut Vec<u8>| Ok::<(), Error>(()))).unwrap();
        producer.send(batch).await.unwrap();
        // The brokers know nothing of a transaction without records. These show what is not committed.
        let spec = client::tests::spec(&mock.bootstrap_servers());
        while super::super::topic_log::read(&spec, "t", PATIENCE).await.unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        mock.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT]);
        producer.abort().await.unwrap();
        assert_eq!(producer.begin().await.unwrap_err().kind(), ErrorKind::EpochSpent);
    }

    #[tokio::test]
    async fn a_newer_producer_means_fenced() {
        let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED];
        let (_mock, _producer, outcome) = commit_after(RDKafkaApiKey::EndTxn, &fenced).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
        assert_eq!(error.context("transactional.id"), Some("rowtide-c-0"));
    }

    #[tokio::test]
    async fn a_fence_after_our_own_timeout_is_only_an_abort() {
        let settings = [("transaction.timeout.ms", "1000"), ("linger.ms", "0")];
        let (mock, mut producer) = started(&settings);
        producer.init().await.unwrap();
        producer.begin().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        mock.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
        let error = producer.commit(vec![record(b"v")]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TransactionAborted, "{error:?}");
    }

    #[tokio::test]
    async fn records_the_broker_refuses_say_why() {
        let too_large = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE];
        let (_mock, mut producer, outcome) = commit_after(RDKafkaApiKey::Produce, &too_large).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KafkaRefused, "{error:?}");
        assert!(
            error.to_string().starts_with("a record or a batch of records is larger than allowed (topic t"),
            "{error}"
        );
        producer.abort().await.unwrap();

        let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
        let (_mock, _producer, outcome) = commit_after(RDKafkaApiKey::Produce, &denied).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KafkaRefused, "{error:?}");
        assert_eq!(error.context("topic"), Some("t"));
    }

    #[tokio::test]
    async fn a_record_above_our_own_limit_is_refused_at_once() {
        let (_mock, mut producer) = started(&[("max.request.size", "2000")]);
        producer.init().await.unwrap();
        producer.begin().await.unwrap();
        let error = producer.commit(vec![record(&[0; 3_000])]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KafkaRefused);
        assert!(error.advice().contains("max.request.size"), "{}", error.advice());
    }

    #[tokio::test]
    async fn a_transactional_id_without_privilege_fails_the_start() {
        let (mock, mut producer) = started(&[]);
        let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED];
        mock.request_errors(RDKafkaApiKey::InitProducerId, &denied);
        let error = producer.init().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KafkaRefused, "{error:?}");
    }

    #[tokio::test]
    async fn a_start_without_brokers_is_cancelled_by_dropping_it() {
        let spec = client::tests::spec("127.0.0.1:9");
        let mut producer = TransactionalProducer::new(&spec, "rowtide-c-0").unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(300), producer.init()).await;
        assert!(waited.is_err());
        let dropped = Arc::downgrade(&producer.dropped);
        drop(producer);
        let started = Instant::now();
        while dropped.strong_count() > 0 {
            assert!(started.elapsed() < Duration::from_secs(3), "the thread does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
