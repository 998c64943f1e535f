//! Encoded records of one topic, ready to be sent.

use std::sync::Arc;

/// Records of one topic, encoded, in one allocation.
#[derive(Debug)]
pub struct EncodedBatch {
    /// Where the records go.
    pub topic: Arc<str>,
    /// Keys and values back to back.
    bytes: Vec<u8>,
    records: Vec<Span>,
    /// Headers of the few records that have any, in the order of the records.
    headers: Vec<RecordHeader>,
}

/// A row's delivered columns as the database gives them, not interpreted: name and text, none for NULL.
pub type RowText = Vec<(String, Option<String>)>;

/// A header of one record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The index of the record.
    pub record: usize,
    /// The header's name.
    pub name: &'static str,
    /// Its value, sent as UTF-8.
    pub value: String,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    /// End of the key; none if the record has no key.
    key_end: Option<u32>,
    start: u32,
    end: u32,
}

/// One encoded record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedRecord<'a> {
    /// The key's bytes, or none.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: &'a [u8],
}

impl EncodedBatch {
    /// An empty batch with room for `rows` records of about `row_bytes` each.
    pub fn new(topic: Arc<str>, rows: usize, row_bytes: usize) -> Self {
        let (bytes, records) = (Vec::with_capacity(rows * row_bytes), Vec::with_capacity(rows));
        Self { topic, bytes, records, headers: Vec::new() }
    }

    /// Appends a record: `encode_key` (if there is a key) and `encode_value` append to the buffer they get.
    ///
    /// # Errors
    /// Those of the two functions; the batch is then as before.
    pub fn push<E>(
        &mut self,
        encode_key: Option<impl FnOnce(&mut Vec<u8>) -> Result<(), E>>,
        encode_value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        let outcome = (|| {
            let key_end = match encode_key {
                Some(encode) => {
                    encode(&mut self.bytes)?;
                    Some(self.bytes.len())
                }
                None => None,
            };
            encode_value(&mut self.bytes)?;
            Ok(key_end)
        })();
        match outcome {
            Ok(key_end) => {
                let span =
                    Span { key_end: key_end.map(position), start: position(start), end: position(self.bytes.len()) };
                self.records.push(span);
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    /// Drops all records from index `len` on.
    pub fn truncate(&mut self, len: usize) {
        if let Some(first_dropped) = self.records.get(len) {
            self.bytes.truncate(first_dropped.start as usize);
            self.records.truncate(len);
            self.headers.retain(|header| header.record < len);
        }
    }

    /// Gives the record at an index a header, behind those it has.
    pub fn add_header(&mut self, record: usize, name: &'static str, value: impl Into<String>) {
        let at = self.headers.partition_point(|header| header.record <= record);
        self.headers.insert(at, RecordHeader { record, name, value: value.into() });
    }

    /// All headers, in the order of their records.
    pub fn headers(&self) -> &[RecordHeader] {
        &self.headers
    }

    /// Bytes of the last record's key and value; 0 if there is no record.
    pub fn last_len(&self) -> usize {
        self.records.last().map_or(0, |span| (span.end - span.start) as usize)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The record at an index.
    pub fn get(&self, index: usize) -> Option<EncodedRecord<'_>> {
        let span = self.records.get(index)?;
        let value_start = span.key_end.unwrap_or(span.start) as usize;
        Some(EncodedRecord {
            key: span.key_end.map(|end| &self.bytes[span.start as usize..end as usize]),
            value: &self.bytes[value_start..span.end as usize],
        })
    }

    /// The records in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = EncodedRecord<'_>> {
        self.records.iter().map(|span| {
            let value_start = span.key_end.unwrap_or(span.start) as usize;
            EncodedRecord {
                key: span.key_end.map(|end| &self.bytes[span.start as usize..end as usize]),
                value: &self.bytes[value_start..span.end as usize],
            }
        })
    }
}

/// Batches are cut by bytes long before 4 GiB; a single larger record cannot be a Kafka record.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A single record outside of a batch: an offset, or what tests send.
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

    #[test]
    fn a_failed_or_truncated_record_leaves_no_bytes() {
        let mut batch = EncodedBatch::new("t".into(), 4, 8);
        let key: Append = |out| {
            out.extend(b"k");
            Ok(())
        };
        let value: Append = |out| {
            out.extend(b"value");
            Ok(())
        };
        let broken: Append = |out| {
            out.extend(b"half");
            Err(())
        };
        batch.push(Some(key), value).unwrap();
        batch.push(Some(key), broken).unwrap_err();
        batch.push(None::<Append>, value).unwrap();
        assert_eq!((batch.len(), batch.bytes()), (2, 11));
        assert_eq!(batch.get(1), Some(EncodedRecord { key: None, value: b"value" }));
        batch.truncate(1);
        assert_eq!(batch.records().collect::<Vec<_>>(), [EncodedRecord { key: Some(b"k"), value: b"value" }]);
        assert_eq!((batch.bytes(), batch.last_len()), (6, 6));
    }

    #[test]
    fn headers_follow_their_records() {
        let mut batch = EncodedBatch::new("t".into(), 4, 8);
        let value: Append = |_| Ok(());
        for _ in 0..3 {
            batch.push(None::<Append>, value).unwrap();
        }
        batch.add_header(2, "b", "2");
        batch.add_header(0, "a", "0");
        batch.add_header(2, "c", "2");
        let names = |batch: &EncodedBatch| batch.headers().iter().map(|header| header.name).collect::<String>();
        assert_eq!(names(&batch), "abc");
        batch.truncate(2);
        assert_eq!(names(&batch), "a");
    }
}
