//! Brokers in memory: they keep what is committed, as a read_committed consumer would see it, and fence.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use super::super::faults::{Effect, Step};
use super::{Outside, SinkFault};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::RecordSink;
use crate::model::{EncodedBatch, KafkaRecord, OffsetDelta, Server, SourceOffset, SourcePartition, TableMark};
use crate::offsets::{Loaded, OffsetStore, Owner, StoredOffset, format};

/// The key of the remembered server.
const SERVER: &str = "the server";
/// The key of the owner.
const OWNER: &str = "the owner";

/// The brokers as the producer of one task sees them.
pub(super) struct Sink {
    outside: Outside,
    task: usize,
    epoch: u64,
    open: Option<Vec<(String, i64)>>,
    /// True if a commit under this epoch may still arrive.
    is_spent: bool,
}

impl Sink {
    pub(super) fn new(outside: Outside, task: usize) -> Self {
        Self { outside, task, epoch: 0, open: None, is_spent: false }
    }

    fn fault(&self, wanted: &[SinkFault]) -> Option<SinkFault> {
        let mut world = self.outside.world();
        world.sink_faults.front().copied().filter(|fault| wanted.contains(fault)).inspect(|_| {
            world.sink_faults.pop_front();
        })
    }

    fn check_epoch(&self) -> Result<()> {
        if self.outside.world().epochs.get(&self.task) == Some(&self.epoch) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Fenced, "another process"))
        }
    }

    fn aborted() -> Error {
        Error::new(ErrorKind::TransactionAborted, "scripted")
    }

    fn apply(&mut self, offsets: Vec<KafkaRecord>) {
        let mut world = self.outside.world();
        world.transactions += usize::from(!is_signature(&offsets));
        world.committed.extend(self.open.take().into_iter().flatten());
        for record in offsets {
            let known = format::parse_key(&record.key);
            let Some(value) = record.value.map(|value| String::from_utf8(value).unwrap()) else {
                known.map(|(_, partition)| world.offsets.remove(&partition));
                continue;
            };
            if record.key == SERVER.as_bytes() {
                world.remembered = Some(value);
                continue;
            }
            if record.key == OWNER.as_bytes() {
                let (run, tasks) = value.split_once(' ').unwrap();
                world.owner = Some(Owner { run: run.to_owned(), tasks: tasks.parse().unwrap() });
                continue;
            }
            let (_, partition) = known.unwrap();
            let offset = format::parse_value("c", &partition, value.as_bytes()).unwrap().expect("an offset");
            world.offsets.insert(partition, offset);
        }
        world.open -= 1;
    }
}

fn is_signature(offsets: &[KafkaRecord]) -> bool {
    offsets.first().is_some_and(|record| record.key == OWNER.as_bytes())
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.open.is_some() {
            self.outside.world().open -= 1;
        }
    }
}

impl RecordSink for Sink {
    fn init(&mut self) -> BoxFuture<'_, Result<()>> {
        async {
            if self.fault(&[SinkFault::RejectInit]).is_some() {
                return Err(Error::new(ErrorKind::Kafka, "scripted"));
            }
            self.outside.visit(Step::Init).await?;
            self.epoch = self.outside.fence(self.task);
            Ok(())
        }
        .boxed()
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<()>> {
        async {
            let is_signed = self.outside.world().owner.is_some();
            if is_signed && self.fault(&[SinkFault::Fence]).is_some() {
                self.outside.fence(self.task);
            }
            if is_signed && self.fault(&[SinkFault::RejectBegin]).is_some() {
                return Err(Error::new(ErrorKind::Kafka, "scripted"));
            }
            self.outside.visit(Step::Begin).await?;
            assert!(self.open.is_none(), "a transaction inside a transaction");
            assert!(!self.is_spent, "a late commit would end this transaction half-way");
            self.open = Some(Vec::new());
            self.outside.world().open += 1;
            Ok(())
        }
        .boxed()
    }

    fn send(&mut self, batch: EncodedBatch) -> BoxFuture<'_, Result<()>> {
        async move {
            if self.fault(&[SinkFault::RejectSend]).is_some() {
                return Err(Self::aborted());
            }
            self.outside.visit(Step::Send).await?;
            // A value is an id, or a letter of the dead letter topic.
            let id = |value| match serde_json::from_slice::<Json>(value).unwrap() {
                Json::Number(id) => id.as_i64(),
                letter => letter["row"]["id"].as_str().and_then(|id| id.parse().ok()),
            };
            let ids = batch.records().map(|record| id(record.value.expect("a value")).expect("an id"));
            let open = self.open.as_mut().expect("an open transaction");
            open.extend(ids.map(|id| (batch.topic.to_string(), id)));
            Ok(())
        }
        .boxed()
    }

    fn commit(&mut self, offsets: Vec<KafkaRecord>) -> BoxFuture<'_, Result<()>> {
        async move {
            self.check_epoch()?;
            let unknown = || Err(Error::new(ErrorKind::OutcomeUnknown, "scripted"));
            let faults: &[SinkFault] = if is_signature(&offsets) {
                &[SinkFault::LoseSignature]
            } else {
                &[
                    SinkFault::RejectCommit,
                    SinkFault::LoseAnswer,
                    SinkFault::LoseCommit,
                    SinkFault::Hold,
                    SinkFault::SendTwice,
                ]
            };
            match self.fault(faults) {
                Some(SinkFault::RejectCommit) => return Err(Self::aborted()),
                Some(SinkFault::LoseCommit) => return unknown(),
                Some(SinkFault::LoseAnswer | SinkFault::LoseSignature) => {
                    self.apply(offsets);
                    return unknown();
                }
                Some(SinkFault::Hold) => tokio::time::sleep(Duration::from_secs(60)).await,
                Some(SinkFault::SendTwice) => self.is_spent = true,
                _ => {}
            }
            let effect = self.outside.visit(Step::Commit).await?;
            if effect == Some(Effect::LoseRequest) {
                return unknown();
            }
            // Who was fenced meanwhile comes too late.
            self.check_epoch()?;
            self.apply(offsets);
            self.is_spent |= effect == Some(Effect::SendTwice);
            match effect {
                Some(Effect::LoseAnswer) => unknown(),
                Some(Effect::HangAfter) => std::future::pending().await,
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn spent(&self) -> Option<Error> {
        self.is_spent.then(|| Error::new(ErrorKind::EpochSpent, "scripted"))
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

impl OffsetStore for Outside {
    fn load<'a>(&'a self, _connector: &'a str) -> BoxFuture<'a, Result<Loaded>> {
        let stored = |(partition, offset): (&SourcePartition, &SourceOffset)| {
            let stored = StoredOffset {
                offset: offset.clone(),
                topic: "offsets".into(),
                partition: 0,
                kafka_offset: 0,
                written_at: None,
            };
            (partition.clone(), stored)
        };
        async move {
            self.visit(Step::Load).await?;
            let world = self.world();
            let offsets = world.offsets.iter().map(stored).collect();
            let server = world.remembered.clone().map(Server::host);
            Ok(Loaded { offsets, server, owner: world.owner.clone(), ..Loaded::default() })
        }
        .boxed()
    }

    fn assign(&self, _: &str, partition: &SourcePartition, offset: Option<&SourceOffset>) -> Vec<KafkaRecord> {
        let value = offset.map(format::value);
        vec![KafkaRecord { topic: "offsets".into(), key: format::key("c", partition), value }]
    }

    fn stage_table(&self, _: &str, partition: &SourcePartition, _: &TableMark) -> KafkaRecord {
        KafkaRecord { topic: "offsets".into(), key: format::key("c", &partition.mark()), value: None }
    }

    fn stage_server(&self, _connector: &str, server: &Server) -> Vec<KafkaRecord> {
        let value = Some(server.identity.clone().into());
        vec![KafkaRecord { topic: "offsets".into(), key: SERVER.into(), value }]
    }

    fn stage_owner(&self, _connector: &str, owner: &Owner) -> KafkaRecord {
        let value = format!("{} {}", owner.run, owner.tasks);
        KafkaRecord { topic: "offsets".into(), key: OWNER.into(), value: Some(value.into()) }
    }

    fn stage(&self, _connector: &str, delta: &OffsetDelta) -> Vec<KafkaRecord> {
        let value = format::value(&delta.stored());
        vec![KafkaRecord { topic: "offsets".into(), key: format::key("c", &delta.partition), value: Some(value) }]
    }
}
