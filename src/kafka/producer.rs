//! The transactional producer. rdkafka's transaction calls block, so one thread of its own owns the
//! client; commands go to it over a channel and each is answered once. Takes batches and offset records,
//! gives a classified error or nothing. Knows neither what a record means nor what to do about an error.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::RecordSink;
use super::transactions::{SLICE, Signals, TransactionClient, epoch_spent};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, Result};
use crate::model::{EncodedBatch, KafkaRecord};
use crate::telemetry::ProducerMetrics;

/// The producer of one task. Dropping it ends its thread, which aborts an open transaction if the
/// brokers answer at once; otherwise the next `init` under the same id does.
pub struct TransactionalProducer {
    commands: mpsc::Sender<Command>,
    signals: Arc<Signals>,
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
        Self::measured(spec, transactional_id, None)
    }

    /// The same, with metrics of the client.
    ///
    /// # Errors
    /// As [`TransactionalProducer::new`].
    pub fn measured(
        spec: &KafkaSpec,
        transactional_id: impl Into<String>,
        metrics: Option<ProducerMetrics>,
    ) -> Result<Self> {
        let signals = Arc::new(Signals::default());
        let client = TransactionClient::new(spec, transactional_id.into(), Arc::clone(&signals), metrics)?;
        let (commands, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || run(client, &inbox))
            .map_err(|error| Error::internal("the producer's thread cannot be started").caused_by(error))?;
        Ok(Self { commands, signals })
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
        self.signals.dropped.store(true, Ordering::Relaxed);
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
        self.signals.is_spent().then(epoch_spent)
    }
}

/// The thread of a producer: carries out one command after the other until the handle is gone.
fn run(mut client: TransactionClient, inbox: &mpsc::Receiver<Command>) {
    loop {
        match inbox.recv_timeout(SLICE) {
            Ok(command) => carry_out(&mut client, command),
            Err(RecvTimeoutError::Timeout) => client.serve(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    client.last_abort();
}

fn carry_out(client: &mut TransactionClient, command: Command) {
    let (result, reply) = match command {
        Command::Init(reply) => (client.init(), reply),
        Command::Begin(reply) => (client.begin(), reply),
        Command::Send(batch, reply) => (client.send(&batch), reply),
        Command::Commit(offsets, reply) => (client.commit(&offsets), reply),
        Command::Abort(reply) => (client.abort(), reply),
    };
    // Nobody listens if the task was cancelled meanwhile.
    let _ = reply.send(result.map_err(|error| error.with("transactional.id", client.transactional_id())));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::error::ErrorKind;
    use crate::kafka::client::{self, PATIENCE};
    use crate::kafka::topic_log;

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
        while topic_log::read(&spec, "t", PATIENCE).await.unwrap().len() < 2 {
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
        let signals = Arc::downgrade(&producer.signals);
        drop(producer);
        let started = Instant::now();
        while signals.strong_count() > 0 {
            assert!(started.elapsed() < Duration::from_secs(3), "the thread does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
