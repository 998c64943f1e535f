//! Classification of the transactional producer's errors (`delivery-and-runtime.md`, 4.1): abort before retry before
//! fatal, and our own clock to tell a fence from a timeout. Reads librdkafka's state, calls nothing.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

use super::client::{self, kind_of};
use super::transactions::TransactionClient;
use super::wait::Wait;
use crate::error::{Error, ErrorKind};

/// The reaction that an error of a transaction call demands (`delivery-and-runtime.md`, 4.1).
pub(super) enum Verdict {
    /// The same function is to be called again.
    Again(Error),
    /// The error is to be given up on.
    Stop(Error),
}

/// The longest wait for the report of a record that failed a transaction.
const REPORTS_COME: Duration = Duration::from_secs(1);

impl TransactionClient {
    pub(super) fn stop(&self, what: &'static str, error: &KafkaError) -> Error {
        match self.classify(what, error) {
            Verdict::Again(error) | Verdict::Stop(error) => error,
        }
    }

    /// The table of `delivery-and-runtime.md`, 4.1: abort before retry before fatal, the rest is fatal.
    pub(super) fn classify(&self, what: &'static str, error: &KafkaError) -> Verdict {
        match error {
            KafkaError::Transaction(native) if native.txn_requires_abort() => Verdict::Stop(self.aborted(native)),
            KafkaError::Transaction(native) if native.is_retriable() => Verdict::Again(client::classify(what, error)),
            KafkaError::Transaction(native) => Verdict::Stop(self.fatal(what, native.code(), error)),
            // Our own drain comes first, so nothing is left to flush; the commit was not sent.
            KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => Verdict::Again(client::classify(what, error)),
            KafkaError::Flush(_) => {
                Verdict::Stop(Error::new(ErrorKind::TransactionAborted, what).caused_by(error.clone()))
            }
            other => Verdict::Stop(client::classify(what, other)),
        }
    }

    /// A record that was not even accepted: a fatal state, an aborted transaction, or the record itself.
    pub(super) fn refused(&self, topic: &str, error: &KafkaError) -> Error {
        self.serve();
        let what = "a record was not accepted";
        let error = match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::Fatal) => {
                let code = self.producer.client().fatal_error().map_or(RDKafkaErrorCode::Fatal, |(code, _)| code);
                self.fatal(what, code, error)
            }
            KafkaError::MessageProduction(RDKafkaErrorCode::State) => self.coming_delivery().unwrap_or_else(|| {
                Error::new(ErrorKind::TransactionAborted, "the transaction failed before it was complete")
            }),
            KafkaError::MessageProduction(code) => refused_record(topic, *code),
            other => client::classify(what, other),
        };
        error.with("topic", topic)
    }

    fn aborted(&self, native: &RDKafkaError) -> Error {
        let error = self.failed_delivery().unwrap_or_else(|| match kind_of(native.code()) {
            _ if is_gone(native.code()) => Error::new(ErrorKind::TransactionAborted, GONE),
            ErrorKind::Fenced => self.fenced(),
            _ if native.code() == RDKafkaErrorCode::TopicAuthorizationFailed => {
                Error::new(ErrorKind::KafkaRefused, "writing to a topic is not allowed").advise(GRANT_TOPIC)
            }
            // A missing right fails every try.
            ErrorKind::KafkaRefused => Error::new(ErrorKind::KafkaRefused, "the brokers refused the transaction"),
            _ => Error::new(ErrorKind::TransactionAborted, "the transaction has to be aborted"),
        });
        error.caused_by(native.clone())
    }

    /// The same where the transaction is known to have failed: the report of the record that it failed for may still be
    /// on its way, behind those of others.
    fn coming_delivery(&self) -> Option<Error> {
        let coming = Wait::new();
        loop {
            let found = self.failed_delivery();
            if found.is_some() || coming.elapsed() > REPORTS_COME {
                return found;
            }
            coming.pause();
            self.serve();
        }
    }

    /// The reason why records of this transaction could not be delivered.
    fn failed_delivery(&self) -> Option<Error> {
        let (topic, code) = self.producer.context().health.take_delivery_failure()?;
        Some(if kind_of(code) == ErrorKind::Fenced { self.fenced() } else { refused_record(&topic, code) })
    }

    /// The broker ends a transaction that takes too long by the same means as a second instance does;
    /// only our own clock tells the two apart.
    fn fenced(&self) -> Error {
        if self.began.is_some_and(|began| began.elapsed() >= self.timeout) {
            return Error::new(
                ErrorKind::TransactionAborted,
                "the transaction took longer than transaction.timeout.ms",
            )
            .advise("rowtide starts again by itself; if it persists, raise transaction.timeout.ms");
        }
        Error::new(ErrorKind::Fenced, "another process took over the transactional id")
    }

    fn fatal(&self, what: &'static str, code: RDKafkaErrorCode, cause: &KafkaError) -> Error {
        let error = match kind_of(code) {
            ErrorKind::Fenced => self.fenced(),
            kind @ (ErrorKind::Auth | ErrorKind::KafkaRefused) => Error::new(kind, what),
            // The client is spent, the id is not: start again.
            _ if self.began.is_some() => Error::new(ErrorKind::TransactionAborted, what),
            kind => Error::new(kind, what),
        };
        let error = match code {
            RDKafkaErrorCode::InvalidTransactionTimeout => {
                error.advise("lower transaction.timeout.ms, or raise transaction.max.timeout.ms of the brokers")
            }
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
                error.advise("allow Write and Describe on the transactional id")
            }
            _ => error,
        };
        error.caused_by(cause.clone())
    }
}

const GRANT_TOPIC: &str = "allow the connector's user Write and Describe on the topic";
const GONE: &str = "the topic does not exist any more";

fn is_gone(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::*;
    matches!(code, UnknownTopicOrPartition | UnknownTopic | UnknownPartition)
}

/// True if brokers that are asked about a topic may answer another time: it may have been made a moment ago.
pub(super) fn passes(code: RDKafkaErrorCode) -> bool {
    is_gone(code) || matches!(kind_of(code), ErrorKind::Unreachable | ErrorKind::Kafka)
}

/// An error about one record, by the code of its delivery.
pub(super) fn refused_record(topic: &str, code: RDKafkaErrorCode) -> Error {
    use RDKafkaErrorCode::*;
    let refused = |what: &str, advice: &str| Error::new(ErrorKind::KafkaRefused, what).advise(advice);
    let error = match code {
        MessageSizeTooLarge | MessageBatchTooLarge => refused(
            "a record or a batch of records is larger than allowed",
            "raise producer.override.max.request.size, and max.message.bytes of the topic; or start again, if that was \
             lowered meanwhile; or, if rowtide may not ask for it, lower producer.override.batch.size to it",
        ),
        TopicAuthorizationFailed => refused("writing to the topic is not allowed", GRANT_TOPIC),
        InvalidRecord => refused(
            "the brokers refuse records of the topic",
            "a compacted topic takes no records without keys: set key.mode=primary_key, or cleanup.policy=delete on the \
             topic; else the brokers' log says why",
        ),
        InvalidTimestamp => refused(
            "the topic does not take records of this time",
            "compare the clock of this machine with the brokers', and message.timestamp.before.max.ms and \
             message.timestamp.after.max.ms of the topic",
        ),
        UnsupportedCompressionType => refused(
            "the topic does not take records compressed like that",
            "set producer.override.compression.type to what the brokers take",
        ),
        PolicyViolation => {
            refused("a policy of the brokers refuses records of the topic", "ask the operator of the brokers")
        }
        NotEnoughReplicas | NotEnoughReplicasAfterAppend => {
            Error::new(ErrorKind::TransactionAborted, "the topic has fewer replicas in sync than min.insync.replicas")
                .advise("start the brokers that are down, or lower min.insync.replicas of the topic")
        }
        // It was there when the table was bound; the next start creates it again, or tells why it cannot.
        code if is_gone(code) => Error::new(ErrorKind::TransactionAborted, GONE),
        MessageTimedOut => Error::new(ErrorKind::TransactionAborted, "records were not delivered in time"),
        code if kind_of(code) == ErrorKind::KafkaRefused => {
            Error::new(ErrorKind::KafkaRefused, "the brokers refused a record")
        }
        _ => Error::new(ErrorKind::TransactionAborted, "a record was not delivered"),
    };
    error.with("topic", topic).caused_by(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_record_names_its_topic_and_the_way_out() {
        use RDKafkaErrorCode::*;
        for (code, kind, advice) in [
            (NotEnoughReplicas, ErrorKind::TransactionAborted, "lower min.insync.replicas of the topic"),
            (NotEnoughReplicasAfterAppend, ErrorKind::TransactionAborted, "start the brokers that are down"),
            (InvalidRecord, ErrorKind::KafkaRefused, "a compacted topic takes no records without keys"),
            (TopicAuthorizationFailed, ErrorKind::KafkaRefused, "Write and Describe on the topic"),
            (MessageSizeTooLarge, ErrorKind::KafkaRefused, "max.message.bytes of the topic"),
            (InvalidTimestamp, ErrorKind::KafkaRefused, "message.timestamp.before.max.ms"),
            (UnsupportedCompressionType, ErrorKind::KafkaRefused, "producer.override.compression.type"),
            (PolicyViolation, ErrorKind::KafkaRefused, "ask the operator of the brokers"),
        ] {
            let error = refused_record("orders", code);
            assert_eq!(error.kind(), kind, "{code:?}");
            assert!(error.report().contains("topic orders") && error.advice().contains(advice), "{}", error.advice());
        }
        let gone = refused_record("orders", UnknownTopicOrPartition);
        assert_eq!((gone.kind(), gone.report().contains(GONE)), (ErrorKind::TransactionAborted, true));
    }
}
