//! Offsets in Kafka Connect's offsets topic. Takes the topic's log, gives the newest offset of each source partition of
//! a connector; the records it stages are part of the rows' transaction (E3). Never writes by itself and never touches
//! keys of other connectors.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, try_join};

use super::{Loaded, OffsetStore, Owner, StoredOffset, format, owner, server, table};
use crate::config::spec::{KafkaSpec, OffsetsSpec};
use crate::error::Result;
use crate::kafka::tail::Tail;
use crate::kafka::topic_log::LogRecord;
use crate::lock::locked;
use crate::model::{KafkaRecord, OffsetDelta, Server, SourceOffset, SourcePartition, TableMark};

/// The longest time for which open transactions of other connectors may hold the topic's end back: longer than the
/// `transaction.timeout.ms` that Kafka Connect's producers have by default.
const PATIENCE: Duration = Duration::from_secs(90);

/// The offsets topic, and the worker's where the connector has one of its own.
pub struct KafkaOffsetStore {
    kafka: KafkaSpec,
    topic: String,
    worker_topic: Option<String>,
    /// The tails by topic, as far as they were asked for.
    tails: Mutex<HashMap<String, Arc<Tail>>>,
}

impl KafkaOffsetStore {
    /// The store; contacts no broker yet.
    pub fn new(kafka: KafkaSpec, offsets: &OffsetsSpec) -> Self {
        let worker_topic = offsets.worker_topic.clone().filter(|topic| *topic != offsets.topic);
        Self { kafka, topic: offsets.topic.clone(), worker_topic, tails: Mutex::default() }
    }

    /// One record for each topic that is read. The bytes are made once: those of a checkpoint may be many.
    fn records(&self, connector: &str, partition: &SourcePartition, offset: Option<&SourceOffset>) -> Vec<KafkaRecord> {
        let own = format::record(&self.topic, connector, partition, offset);
        let worker = self.worker_topic.iter().map(|topic| KafkaRecord { topic: topic.clone(), ..own.clone() });
        let mut records: Vec<KafkaRecord> = worker.collect();
        records.push(own);
        records
    }

    fn topics(&self) -> impl Iterator<Item = &String> {
        self.worker_topic.iter().chain([&self.topic])
    }

    /// The tail of a topic, which lives as long as the store.
    fn tail(&self, topic: &str, connector: &str) -> Arc<Tail> {
        let connector_of = |key: &[u8]| format::parse_key(key).map(|(connector, _)| connector);
        let tail = Tail::shared(&self.kafka, topic, connector_of, connector);
        let mut tails = locked(&self.tails);
        tails.insert(topic.to_owned(), Arc::clone(&tail));
        tail
    }

    async fn read(&self, topic: &str, connector: &str) -> Result<Loaded> {
        newest(self.tail(topic, connector).load(connector, PATIENCE).await?, topic, connector)
    }
}

impl OffsetStore for KafkaOffsetStore {
    fn load<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<Loaded>> {
        async move {
            let Some(worker_topic) = &self.worker_topic else { return self.read(&self.topic, connector).await };
            let (mut own, worker) =
                try_join(self.read(&self.topic, connector), self.read(worker_topic, connector)).await?;
            own.server = own.server.or(worker.server);
            for (partition, stored) in worker.offsets {
                if let Entry::Vacant(missing) = own.offsets.entry(partition) {
                    tracing::info!(partition = %missing.key(), topic = stored.topic, "offset taken from the worker's topic");
                    missing.insert(stored);
                }
            }
            Ok(own)
        }
        .boxed()
    }

    fn read_ahead<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, ()> {
        let read = async |topic: &String| {
            if let Err(error) = self.tail(topic, connector).catch_up().await {
                // The next real read reports the error.
                tracing::debug!(topic, error = %error.report(), "the offsets were not read ahead");
            }
        };
        join_all(self.topics().map(read)).map(|_| ()).boxed()
    }

    fn follow<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, ()> {
        join_all(self.topics().map(async |topic| self.tail(topic, connector).follow().await)).map(|_| ()).boxed()
    }

    fn stage(&self, connector: &str, delta: &OffsetDelta) -> Vec<KafkaRecord> {
        self.records(connector, &delta.partition, Some(&delta.stored()))
    }

    fn assign(&self, connector: &str, partition: &SourcePartition, offset: Option<&SourceOffset>) -> Vec<KafkaRecord> {
        let is_table = !partition.is_own() && partition.0.contains_key("table");
        let mut records = self.records(connector, partition, offset);
        if is_table {
            records.push(table::record(&self.topic, connector, partition, None));
            records.extend(self.records(connector, &partition.load(), None));
        }
        if offset.is_none() && !partition.is_own() {
            records.extend(self.records(connector, &partition.backfill(), None));
        }
        records
    }

    fn stage_server(&self, connector: &str, server: &Server) -> Vec<KafkaRecord> {
        self.topics().map(|topic| server::record(topic, connector, server)).collect()
    }

    fn stage_table(&self, connector: &str, partition: &SourcePartition, mark: &TableMark) -> KafkaRecord {
        table::record(&self.topic, connector, partition, Some(mark))
    }

    fn stage_owner(&self, connector: &str, owner: &Owner) -> KafkaRecord {
        owner::record(&self.topic, connector, owner)
    }
}

/// The offset to start a relation from: protocol 1, then the legacy form, as Java looks them up.
/// `database` is given for PostgreSQL only: some releases of the Java connector wrote `db.schema.table`
/// there (`offsets-topic.md`, 13.4); it is as current as protocol 1.
pub fn resolve<'a, T>(
    loaded: &'a HashMap<SourcePartition, T>,
    dotted_name: &str,
    bare_name: &str,
    database: Option<&str>,
) -> Option<(&'a SourcePartition, &'a T)> {
    let with_database = database.map(|database| SourcePartition::table(&format!("{database}.{dotted_name}")));
    let own = [Some(SourcePartition::table(dotted_name)), with_database];
    if let Some(found) = own.iter().flatten().find_map(|partition| loaded.get_key_value(partition)) {
        return Some(found);
    }
    let is_of_another = |partition: &SourcePartition| {
        let name = partition.to_string();
        let is_own = name.strip_suffix(dotted_name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let has_name = name.rsplit_once('.').is_some_and(|(_, bare)| bare == bare_name);
        partition.0.contains_key("protocol") && has_name && !is_own
    };
    // An offset by the bare name is that of one table. Another of this name has gone on from it if it has one of its own.
    let legacy = loaded.get_key_value(&SourcePartition::legacy_table(bare_name))?;
    (!loaded.keys().any(is_of_another)).then_some(legacy)
}

/// The last record of each key of one connector. A key in two topic partitions (another hash, more
/// partitions than once) has no defined winner in Java; the one written later wins here.
fn newest(records: Vec<LogRecord>, topic: &str, connector: &str) -> Result<Loaded> {
    let mut last: HashMap<SourcePartition, LogRecord> = HashMap::new();
    for record in records {
        let Some((name, partition)) = record.key.as_deref().and_then(format::parse_key) else { continue };
        if name != connector {
            continue;
        }
        match last.entry(partition) {
            Entry::Vacant(first) => {
                first.insert(record);
            }
            Entry::Occupied(mut known) if known.get().partition == record.partition => {
                if known.get().offset < record.offset {
                    known.insert(record);
                }
            }
            Entry::Occupied(mut known) => {
                tracing::warn!(
                    partition = %known.key(), topic, partitions = ?[known.get().partition, record.partition],
                    "an offset is stored in two topic partitions, the later one counts"
                );
                if known.get().timestamp < record.timestamp {
                    known.insert(record);
                }
            }
        }
    }
    let mut loaded = Loaded::default();
    for (partition, record) in last {
        let Some(value) = record.value else { continue };
        if partition == SourcePartition::server() {
            loaded.server = server::parse(connector, &value).map_err(|error| error.with("topic", topic))?;
            continue;
        }
        if partition == SourcePartition::owner() {
            loaded.owner = owner::parse(connector, &value).map_err(|error| error.with("topic", topic))?;
            continue;
        }
        if partition.is_mark() {
            let of = SourcePartition::table(partition.0.get("table").map_or("", String::as_str));
            let mark = table::parse(connector, &of, &value).map_err(|error| error.with("topic", topic))?;
            loaded.tables.extend(mark.map(|mark| (of, mark)));
            continue;
        }
        let Some(offset) =
            format::parse_value(connector, &partition, &value).map_err(|error| error.with("topic", topic))?
        else {
            continue;
        };
        let stored = StoredOffset {
            offset,
            topic: topic.to_owned(),
            partition: record.partition,
            kafka_offset: record.offset,
            written_at: record.timestamp,
        };
        loaded.offsets.insert(partition, stored);
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::ErrorKind;
    use crate::kafka::client;
    use crate::model::GuardCheckpoint;

    fn record(partition: i32, offset: i64, timestamp: i64, key: &str, value: Option<&str>) -> LogRecord {
        LogRecord {
            key: Some(key.as_bytes().to_vec()),
            value: value.map(|text| text.as_bytes().to_vec()),
            partition,
            offset,
            timestamp: Some(timestamp),
        }
    }

    const T: &str = r#"["c",{"protocol":"1","table":"s.t"}]"#;

    fn ids(records: Vec<LogRecord>) -> Vec<(String, Option<i64>)> {
        let loaded = newest(records, "offsets", "c").unwrap();
        let mut ids: Vec<_> =
            loaded.offsets.iter().map(|(at, stored)| (at.to_string(), stored.offset.incrementing)).collect();
        ids.sort();
        ids
    }

    #[test]
    fn the_text_of_a_checkpoint_is_made_once_also_for_two_topics() {
        #[derive(Debug, Default)]
        struct Counting(AtomicUsize);

        impl GuardCheckpoint for Counting {
            fn to_text(&self) -> String {
                self.0.fetch_add(1, Ordering::Relaxed);
                "window-2/tag/state".to_owned()
            }
        }

        let spec = OffsetsSpec {
            topic: "own".to_owned(),
            worker_topic: Some("worker".to_owned()),
            partitions: 25,
            replication: 1,
            automatic_creation: true,
            standalone_file: None,
            settings: BTreeMap::new(),
        };
        let checkpoint = Arc::new(Counting::default());
        let guard: Arc<dyn GuardCheckpoint> = Arc::<Counting>::clone(&checkpoint);
        let to = SourceOffset { incrementing: Some(7), ..SourceOffset::default() };
        let delta = OffsetDelta { partition: SourcePartition::table("s.t"), from: None, to, guard: Some(guard) };
        let store = KafkaOffsetStore::new(client::tests::spec("localhost:9"), &spec);
        let records = store.stage("c", &delta);
        assert_eq!(records.iter().map(|record| record.topic.as_str()).collect::<Vec<_>>(), ["worker", "own"]);
        assert_eq!((&records[0].key, &records[0].value), (&records[1].key, &records[1].value));
        assert!(String::from_utf8_lossy(records[0].value.as_ref().unwrap()).contains("window-2/tag/state"));
        assert_eq!(checkpoint.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_last_record_of_a_key_counts_and_others_are_not_ours() {
        let loaded = ids(vec![
            record(0, 1, 1, T, Some(r#"{"incrementing":1}"#)),
            record(0, 2, 2, T, Some(r#"{"incrementing":2}"#)),
            record(0, 3, 3, r#"["other",{"protocol":"1","table":"s.t"}]"#, Some(r#"{"incrementing":"broken"}"#)),
            record(0, 4, 4, "not json", Some("x")),
            record(1, 1, 1, r#"["c",{"table":"gone"}]"#, Some(r#"{"incrementing":9}"#)),
            record(1, 2, 2, r#"["c",{"table":"gone"}]"#, None),
            record(1, 3, 2, r#"["c",{"table":"null"}]"#, Some("null")),
            record(1, 4, 2, r#"["c",{"query":"query"}]"#, Some("{}")),
            LogRecord { key: None, value: None, partition: 2, offset: 0, timestamp: None },
        ]);
        assert_eq!(loaded, [("query".to_owned(), None), ("s.t".to_owned(), Some(2))]);
    }

    #[test]
    fn the_remembered_server_is_no_offset() {
        let key = r#"["c",{"rowtide":"server"}]"#;
        let server = |value| newest(vec![record(0, 1, 1, key, value)], "offsets", "c").unwrap();
        let loaded = server(Some(r#"{"identity":"system 7"}"#));
        assert_eq!((loaded.server, loaded.offsets.len()), (Some(Server::host("system 7")), 0));
        assert_eq!(server(None), Loaded::default());
    }

    #[test]
    fn of_two_partitions_the_later_record_counts_also_if_it_is_a_tombstone() {
        let (old, new) = (Some(r#"{"incrementing":1}"#), Some(r#"{"incrementing":2}"#));
        let expected = [("s.t".to_owned(), Some(2))];
        assert_eq!(ids(vec![record(0, 9, 10, T, new), record(1, 99, 5, T, old)]), expected);
        assert_eq!(ids(vec![record(0, 9, 5, T, old), record(1, 1, 10, T, new)]), expected);
        assert_eq!(ids(vec![record(0, 9, 5, T, old), record(1, 1, 10, T, None)]), []);
    }

    #[test]
    fn a_stored_offset_that_cannot_be_read_fails_with_its_place() {
        let error = newest(vec![record(0, 1, 1, T, Some(r#"{"incrementing":1.5}"#))], "offsets", "c").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offsets);
        assert_eq!(error.context("topic"), Some("offsets"));
    }

    #[test]
    fn a_relation_starts_from_protocol_1_then_the_database_form_then_legacy() {
        let stored = |id| StoredOffset {
            offset: SourceOffset { incrementing: Some(id), ..SourceOffset::default() },
            topic: "offsets".to_owned(),
            partition: 0,
            kafka_offset: 0,
            written_at: None,
        };
        let mut loaded = HashMap::from([
            (SourcePartition::table("s.t"), stored(1)),
            (SourcePartition::table("db.s.t"), stored(2)),
            (SourcePartition::legacy_table("t"), stored(3)),
        ]);
        let id = |loaded: &HashMap<_, _>, database| {
            resolve(loaded, "s.t", "t", database).and_then(|(_, stored): (_, &StoredOffset)| stored.offset.incrementing)
        };
        assert_eq!(id(&loaded, Some("db")), Some(1));
        loaded.remove(&SourcePartition::table("s.t"));
        assert_eq!((id(&loaded, Some("db")), id(&loaded, Some("x")), id(&loaded, None)), (Some(2), Some(3), Some(3)));
        loaded.clear();
        assert_eq!(id(&loaded, Some("db")), None);
    }
}
