//! Encoded records of one topic, ready to be sent.

use std::sync::Arc;

use super::hash::{murmur2, partition_of};

/// Records of one topic, encoded, in one allocation: one for each row, which a tombstone of the same key may follow.
#[derive(Debug)]
pub struct EncodedBatch {
    /// The topic of the records.
    pub topic: Arc<str>,
    /// Keys and values back to back.
    bytes: Vec<u8>,
    records: Vec<Span>,
    /// Record timestamps in milliseconds since the epoch, one for each record; empty if the producer gives its own.
    timestamps: Vec<i64>,
    /// Hashes that choose the partitions of the records, one for each; empty if their keys do.
    hashes: Vec<u32>,
    /// Headers that every record has, before its own.
    common: Arc<[Header]>,
    /// Headers of the few records that have any of their own, in the order of the records.
    headers: Vec<RecordHeader>,
}

/// A row's delivered columns as the database gives them, not interpreted: name and text, none for NULL.
pub type RowText = Vec<(String, Option<String>)>;

/// A Kafka header: its name, and its value, which may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: Arc<str>,
    /// The value's bytes.
    pub value: Option<Vec<u8>>,
}

impl Header {
    /// A header with a text.
    pub fn text(name: impl Into<Arc<str>>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into().into_bytes()) }
    }
}

/// A header of one record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The index of the record.
    pub record: usize,
    /// The header.
    pub header: Header,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    /// End of the key; none if the record has no key.
    key_end: Option<u32>,
    start: u32,
    end: u32,
    form: Form,
}

/// The messages that a row becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Value,
    Tombstone,
    ValueThenTombstone,
}

/// One encoded record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedRecord<'a> {
    /// The key's bytes, or none.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// A tombstone of the same key follows it.
    pub then_tombstone: bool,
}

impl EncodedBatch {
    /// An empty batch with room for `rows` records of about `row_bytes` each.
    pub fn new(topic: Arc<str>, rows: usize, row_bytes: usize) -> Self {
        let (bytes, records) = (Vec::with_capacity(rows * row_bytes), Vec::with_capacity(rows));
        let (timestamps, hashes, headers) = (Vec::new(), Vec::new(), Vec::new());
        Self { topic, bytes, records, timestamps, hashes, common: Arc::new([]), headers }
    }

    /// The same batch with headers that every record has.
    #[must_use]
    pub fn with_headers(self, common: Arc<[Header]>) -> Self {
        Self { common, ..self }
    }

    /// Appends a record: `encode_key` (if there is a key) and `encode_value` (without it the record is a tombstone) append
    /// to the buffer they get.
    ///
    /// # Errors
    /// Those of the two functions; the batch is then as before.
    pub fn push<E>(
        &mut self,
        encode_key: Option<impl FnOnce(&mut Vec<u8>) -> Result<(), E>>,
        encode_value: Option<impl FnOnce(&mut Vec<u8>) -> Result<(), E>>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        let form = if encode_value.is_some() { Form::Value } else { Form::Tombstone };
        let outcome = (|| {
            let key_end = match encode_key {
                Some(encode) => {
                    encode(&mut self.bytes)?;
                    Some(self.bytes.len())
                }
                None => None,
            };
            encode_value.map_or(Ok(()), |encode| encode(&mut self.bytes))?;
            Ok(key_end)
        })();
        match outcome {
            Ok(key_end) => {
                let (key_end, start, end) = (key_end.map(position), position(start), position(self.bytes.len()));
                self.records.push(Span { key_end, start, end, form });
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    /// Lets a tombstone of its key follow the last record.
    pub fn add_tombstone(&mut self) {
        if let Some(span) = self.records.last_mut().filter(|span| span.form == Form::Value) {
            span.form = Form::ValueThenTombstone;
        }
    }

    /// Gives the last record a timestamp, in milliseconds since the epoch. Either every record of a batch gets one or none.
    pub fn set_timestamp(&mut self, millis: i64) {
        self.timestamps.truncate(self.records.len().saturating_sub(1));
        self.timestamps.push(millis);
    }

    /// The timestamp of the record at an index; none if the producer gives its own.
    pub fn timestamp(&self, record: usize) -> Option<i64> {
        self.timestamps.get(record).copied()
    }

    /// Gives the last record the partition of other bytes than its key's: those that `write` appends. Either every record of
    /// a batch gets one or none.
    pub fn set_partition_bytes(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let end = self.bytes.len();
        write(&mut self.bytes);
        let hash = murmur2(self.bytes.get(end..).unwrap_or_default());
        self.bytes.truncate(end);
        self.set_partition_hash(hash);
    }

    /// The same, given the hash of those bytes.
    pub fn set_partition_hash(&mut self, hash: u32) {
        self.hashes.truncate(self.records.len().saturating_sub(1));
        self.hashes.push(hash);
    }

    /// The partition of the record at an index, of so many; none if its key chooses it.
    pub fn partition(&self, record: usize, partitions: i32) -> Option<i32> {
        self.hashes.get(record).map(|hash| partition_of(*hash, partitions))
    }

    /// True if the partitions of its records are not those of their keys.
    pub fn has_partitions(&self) -> bool {
        !self.hashes.is_empty()
    }

    /// Drops all records from index `len` on.
    pub fn truncate(&mut self, len: usize) {
        if let Some(first_dropped) = self.records.get(len) {
            self.bytes.truncate(first_dropped.start as usize);
            self.records.truncate(len);
            self.timestamps.truncate(len);
            self.hashes.truncate(len);
            self.headers.retain(|header| header.record < len);
        }
    }

    /// Gives the record at an index a header, behind those it has.
    pub fn add_header(&mut self, record: usize, header: Header) {
        let at = self.headers.partition_point(|header| header.record <= record);
        self.headers.insert(at, RecordHeader { record, header });
    }

    /// The headers of every record.
    pub fn common_headers(&self) -> &[Header] {
        &self.common
    }

    /// The headers of single records, in the order of their records.
    pub fn headers(&self) -> &[RecordHeader] {
        &self.headers
    }

    /// Bytes of the last record's key and value; 0 if there is no record.
    pub fn last_len(&self) -> usize {
        self.records.last().map_or(0, |span| (span.end - span.start) as usize)
    }

    /// The number of records, one for each row.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The record at an index.
    pub fn get(&self, index: usize) -> Option<EncodedRecord<'_>> {
        self.records.get(index).map(|span| self.record(span))
    }

    /// The records in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = EncodedRecord<'_>> {
        self.records.iter().map(|span| self.record(span))
    }

    fn record(&self, span: &Span) -> EncodedRecord<'_> {
        let (start, end) = (span.start as usize, span.end as usize);
        let key_end = span.key_end.map(|end| end as usize);
        EncodedRecord {
            key: key_end.map(|end| &self.bytes[start..end]),
            value: (span.form != Form::Tombstone).then(|| &self.bytes[key_end.unwrap_or(start)..end]),
            then_tombstone: span.form == Form::ValueThenTombstone,
        }
    }
}

/// Batches are cut by bytes long before 4 GiB; a single larger record cannot be a Kafka record.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A single record outside of a batch: an offset, or a record of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaRecord {
    /// The topic.
    pub topic: String,
    /// Key bytes.
    pub key: Vec<u8>,
    /// Value bytes; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    type Append = fn(&mut Vec<u8>) -> Result<(), ()>;

    const KEY: Append = |out| {
        out.extend(b"k");
        Ok(())
    };
    const VALUE: Append = |out| {
        out.extend(b"value");
        Ok(())
    };
    const NONE: Option<Append> = None;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, then_tombstone: bool) -> EncodedRecord<'a> {
        EncodedRecord { key, value, then_tombstone }
    }

    #[test]
    fn a_failed_or_truncated_record_leaves_no_bytes() {
        let mut batch = EncodedBatch::new("t".into(), 4, 8);
        let broken: Append = |out| {
            out.extend(b"half");
            Err(())
        };
        batch.push(Some(KEY), Some(VALUE)).unwrap();
        batch.push(Some(KEY), Some(broken)).unwrap_err();
        batch.push(NONE, Some(VALUE)).unwrap();
        assert_eq!((batch.len(), batch.bytes()), (2, 11));
        assert_eq!(batch.get(1), Some(record(None, Some(b"value"), false)));
        batch.truncate(1);
        assert_eq!(batch.records().collect::<Vec<_>>(), [record(Some(b"k"), Some(b"value"), false)]);
        assert_eq!((batch.bytes(), batch.last_len()), (6, 6));
    }

    #[test]
    fn a_row_may_be_a_tombstone_or_be_followed_by_one_and_stays_one_record() {
        let mut batch = EncodedBatch::new("t".into(), 4, 8);
        batch.push(Some(KEY), NONE).unwrap();
        batch.add_tombstone();
        batch.push(Some(KEY), Some(VALUE)).unwrap();
        batch.add_tombstone();
        let expected = [record(Some(b"k"), None, false), record(Some(b"k"), Some(b"value"), true)];
        assert_eq!(batch.records().collect::<Vec<_>>(), expected);
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn headers_and_timestamps_follow_their_records() {
        let mut batch = EncodedBatch::new("t".into(), 4, 8);
        for millis in 0..3 {
            batch.push(NONE, Some(VALUE)).unwrap();
            batch.set_timestamp(millis);
            batch.set_partition_bytes(|out| out.extend(b"foobar"));
        }
        assert_eq!((batch.bytes(), batch.partition(2, 100)), (15, Some((-790_332_482_i32 & 0x7fff_ffff) % 100)));
        batch.set_timestamp(7);
        batch.set_partition_hash(7);
        batch.add_header(2, Header::text("b", "2"));
        batch.add_header(0, Header::text("a", "0"));
        batch.add_header(2, Header::text("c", "2"));
        let names = |batch: &EncodedBatch| batch.headers().iter().map(|own| &*own.header.name).collect::<String>();
        assert_eq!((names(&batch).as_str(), batch.timestamp(2), batch.partition(2, 5)), ("abc", Some(7), Some(2)));
        batch.truncate(2);
        assert_eq!((names(&batch).as_str(), batch.timestamp(1), batch.timestamp(2)), ("a", Some(1), None));
        assert_eq!((batch.partition(1, 100).is_some(), batch.partition(2, 100)), (true, None));
    }
}
