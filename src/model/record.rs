//! What travels from the poll stage to the commit stage: encoded records beside the step they make.

use std::sync::Arc;

use super::cursor::Instant;
use super::offset::OffsetDelta;

/// Records of one relation, encoded, in one allocation, with the offset step they carry. The batch is
/// the unit of progress: its records and its delta are committed together or not at all (E3).
#[derive(Debug)]
pub struct EncodedBatch {
    /// What the rows were read from, for status and metrics.
    pub relation: Arc<str>,
    /// Where the records go.
    pub topic: Arc<str>,
    /// Keys and values back to back.
    bytes: Vec<u8>,
    records: Vec<Span>,
    /// The step; none in `bulk` mode, which has no offset.
    pub delta: Option<OffsetDelta>,
    /// The newest cursor time in the batch, for lag.
    pub newest: Option<Instant>,
    /// Nothing newer was there when the batch was read.
    pub exhausted: bool,
    /// The rest of what belongs to one step follows in other batches, the delta with the last: nothing may be committed
    /// in between.
    pub is_part: bool,
    /// The identity of the server the rows come from, where it is to be remembered.
    pub server: Option<Arc<str>>,
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
    pub fn new(relation: Arc<str>, topic: Arc<str>, rows: usize, row_bytes: usize) -> Self {
        Self {
            relation,
            topic,
            bytes: Vec::with_capacity(rows * row_bytes),
            records: Vec::with_capacity(rows),
            delta: None,
            newest: None,
            exhausted: false,
            is_part: false,
            server: None,
        }
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
        }
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
        let mut batch = EncodedBatch::new("t".into(), "t".into(), 4, 8);
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
        assert_eq!(batch.bytes(), 6);
    }
}
