//! The encoder of a table's records: the values that transforms compute, key, value, headers and timestamp, and the records
//! of deleted rows and of rows that would be too large.

use std::cmp::Reverse;
use std::sync::Arc;

use super::deletes::DeleteRule;
use super::headers::HeaderEncoder;
use super::partition::PartitionRule;
use crate::convert::{Change, Encoder, Operation};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::limits::{OVERHEAD, header_size};
use crate::model::{CursorKind, CursorValue, EncodedBatch, Header, Value};
use crate::status::now_millis;
use crate::transform::{self, CLASS, Computation};
use crate::zone::Zone;

/// Encodes rows of one binding.
pub struct RecordEncoder {
    /// The values that transforms compute for each row.
    pub(super) computations: Arc<[Computation]>,
    pub(super) key: Option<Arc<dyn Encoder>>,
    pub(super) value: Arc<dyn Encoder>,
    pub(super) deletes: Option<DeleteRule>,
    pub(super) partition: PartitionRule,
    pub(super) clock: RowClock,
    pub(super) timestamp: Timestamp,
    /// The operation of a row that is not deleted.
    pub(super) operation: Operation,
    pub(super) headers: HeaderEncoder,
    /// The largest record, [`OVERHEAD`] included.
    pub(super) limit: usize,
    /// The columns that may be null where a record would be too large.
    pub(super) omittable: Vec<(usize, String)>,
}

/// The timestamp of records.
#[derive(Debug, Clone, Copy)]
pub(super) enum Timestamp {
    /// The producer's.
    OfProducer,
    /// The time of the row (`record.timestamp=column`).
    OfRow,
    /// The value at this index of the row: the commit of its transaction, if the database knows it.
    OfCommit(usize),
    /// The value at this index of the row, made by a transform.
    At(usize),
}

/// The time of a row: its timestamp cursor, if it has one.
#[derive(Debug, Clone)]
pub(super) struct RowClock {
    pub(super) kind: Option<CursorKind>,
    pub(super) zone: Zone,
}

impl RowClock {
    /// Milliseconds since the epoch; none for a row without a timestamp cursor.
    fn millis(&self, cursor: &[CursorValue<'_>]) -> Result<Option<i64>> {
        match (self.kind, cursor.first()) {
            (Some(kind), Some(value)) if *value != CursorValue::Null => {
                Ok(Some(kind.to_instant(value, &self.zone)?.millis()))
            }
            _ => Ok(None),
        }
    }
}

impl RecordEncoder {
    /// Records must not be larger than `limit`; a larger one goes without the largest of the columns `omittable`.
    #[must_use]
    pub fn within(self, limit: usize, omittable: Vec<(usize, String)>) -> Self {
        let common: usize = self.headers.common().iter().map(header_size).sum();
        Self { limit: limit.saturating_sub(common), omittable, ..self }
    }

    /// The headers that every record has.
    pub(super) fn common_headers(&self) -> Arc<[Header]> {
        Arc::clone(self.headers.common())
    }

    /// Appends one row to the batch.
    ///
    /// # Errors
    /// Those of [`Encoder::encode`]; `RecordTooLarge`; `Value` for a deleted row without a key.
    pub fn encode(&self, values: &[Value<'_>], cursor: &[CursorValue<'_>], batch: &mut EncodedBatch) -> Result<()> {
        let headers = self.append(values, cursor, batch)?;
        if batch.last_len().saturating_add(OVERHEAD + headers) > self.limit {
            self.shrink(values, cursor, batch)?;
        }
        Ok(())
    }

    /// Appends one row; gives the size of the headers that it has for itself.
    fn append(&self, values: &[Value<'_>], cursor: &[CursorValue<'_>], batch: &mut EncodedBatch) -> Result<usize> {
        let is_deleted = self.deletes.as_ref().is_some_and(|rule| rule.is_deleted(values));
        if self.computations.is_empty() {
            return self.push(values, cursor, is_deleted, batch);
        }
        let mut row = Vec::with_capacity(values.len() + self.computations.len());
        row.extend(values.iter().map(Value::borrowed));
        for computation in self.computations.iter() {
            row.push(computation.expr.eval(values)?);
        }
        self.push(&row, cursor, is_deleted, batch)
    }

    fn push(
        &self,
        row: &[Value<'_>],
        cursor: &[CursorValue<'_>],
        is_deleted: bool,
        batch: &mut EncodedBatch,
    ) -> Result<usize> {
        let key = self.key.as_ref().filter(|key| !key.is_null(row));
        if is_deleted && key.is_none() {
            return Err(Error::new(ErrorKind::Value, "a deleted row has no key, so nothing can say that it is gone")
                .advise("make the key of columns that are never NULL"));
        }
        let key = key.map(|key| |out: &mut Vec<u8>| key.encode(row, out));
        let with_row = self.deletes.as_ref().is_some_and(|rule| rule.with_row);
        if self.value.has_envelope() {
            let operation = if is_deleted { Operation::Delete } else { self.operation };
            let change = Change { operation, changed_at: self.clock.millis(cursor)?, read_at: now_millis() };
            batch.push(key, Some(|out: &mut Vec<u8>| self.value.encode_change(change, row, out)))?;
        } else {
            let value = |out: &mut Vec<u8>| self.value.encode(row, out);
            let has_value = (!is_deleted || with_row) && !self.value.is_null(row);
            batch.push(key, has_value.then_some(value))?;
        }
        if is_deleted && with_row {
            batch.add_tombstone();
        }
        self.partition.apply(row, batch);
        let rest = self.timestamp(row, cursor).and_then(|timestamp| {
            if let Some(millis) = timestamp {
                batch.set_timestamp(millis);
            }
            self.headers.add(row, batch)
        });
        if rest.is_err() {
            batch.truncate(batch.len() - 1);
        }
        rest
    }

    fn timestamp(&self, row: &[Value<'_>], cursor: &[CursorValue<'_>]) -> Result<Option<i64>> {
        match self.timestamp {
            Timestamp::OfProducer => Ok(None),
            Timestamp::OfRow => Ok(Some(self.clock.millis(cursor)?.unwrap_or_else(now_millis))),
            Timestamp::OfCommit(index) => match row.get(index) {
                Some(Value::Integer(millis)) => Ok(Some(*millis)),
                _ => Ok(Some(now_millis())),
            },
            Timestamp::At(index) => match row.get(index) {
                Some(Value::Integer(millis)) if *millis >= 0 => Ok(Some(*millis)),
                Some(Value::Integer(_)) => Err(no_timestamp("it lies before 1970")),
                _ => Err(no_timestamp("it is null")),
            },
        }
    }

    /// Takes the last record back, and appends it again without as many of the largest columns as it takes.
    #[cold]
    fn shrink(&self, values: &[Value<'_>], cursor: &[CursorValue<'_>], batch: &mut EncodedBatch) -> Result<()> {
        let size = batch.last_len() + OVERHEAD;
        let at = batch.len() - 1;
        batch.truncate(at);
        let mut values = values.to_vec();
        let mut columns: Vec<_> = self.omittable.iter().filter(|(index, _)| values[*index] != Value::Null).collect();
        columns.sort_by_key(|(index, _)| Reverse(weight(&values[*index])));
        let mut omitted = String::new();
        for (index, name) in columns {
            let value = std::mem::replace(&mut values[*index], Value::Null);
            let Ok(own) = self.append(&values, cursor, batch) else {
                // A schema that somebody else registered may demand it.
                values[*index] = value;
                continue;
            };
            omitted.push_str(if omitted.is_empty() { "" } else { "," });
            omitted.push_str(name);
            let header = Header::text(OMITTED, omitted.as_str());
            if batch.last_len() + OVERHEAD + own + header_size(&header) <= self.limit {
                batch.add_header(at, header);
                return Ok(());
            }
            batch.truncate(at);
        }
        let message = format!("the record is too large: {size} bytes, at most {} are allowed", self.limit);
        Err(Error::new(ErrorKind::RecordTooLarge, message).with("topic", &batch.topic))
    }
}

/// The error of a row whose field is no timestamp for its record.
fn no_timestamp(why: &str) -> Error {
    Error::new(ErrorKind::Value, format!("the field that is to be the record's timestamp cannot be one: {why}"))
        .with(CLASS, transform::EXTRACT_TIMESTAMP)
}

/// The header that names the columns a record goes without.
const OMITTED: &str = "rowtide.omitted";

/// The rough size of a value.
fn weight(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) | Value::Decimal(bytes) => bytes.len(),
        Value::Null => 0,
        Value::Boolean(_) | Value::Integer(_) | Value::Float32(_) | Value::Float64(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes texts one after the other; the last column must not be null.
    struct Texts;

    impl Encoder for Texts {
        fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
            for value in row {
                if let Value::Text(text) = value {
                    out.extend_from_slice(text.as_bytes());
                }
            }
            match row.last() {
                Some(Value::Null) => Err(Error::new(ErrorKind::Value, "null in a field that cannot be null")),
                _ => Ok(()),
            }
        }
    }

    fn own(batch: &EncodedBatch, index: usize) -> Header {
        batch.headers()[index].header.clone()
    }

    #[test]
    fn a_record_too_large_goes_without_its_largest_columns_until_it_fits() {
        let omittable = [(1, "a".to_owned()), (2, "b".to_owned()), (3, "c".to_owned())];
        let encoder = |limit: usize, omittable: &[(usize, String)]| {
            let (key, value, computations) = (None, Arc::new(Texts), Arc::default());
            let encoder = RecordEncoder {
                computations,
                key,
                value,
                deletes: None,
                partition: PartitionRule::Key,
                clock: RowClock { kind: None, zone: Zone::UTC },
                timestamp: Timestamp::OfProducer,
                operation: Operation::Upsert,
                headers: HeaderEncoder::default(),
                limit: 0,
                omittable: Vec::new(),
            };
            encoder.within(limit + OVERHEAD, omittable.to_vec())
        };
        let row = ["id", "a".repeat(200).as_str(), "b".repeat(300).as_str(), "c".repeat(400).as_str()]
            .map(|text| Value::Text(text.to_owned().into()));
        let mut batch = EncodedBatch::new("topic".into(), 4, 64);
        encoder(902, &omittable).encode(&row, &[], &mut batch).unwrap();
        assert_eq!((batch.last_len(), batch.headers()), (902, &[][..]));
        // `c` is the largest, but its schema demands it; the header counts, too.
        encoder(901, &omittable).encode(&row, &[], &mut batch).unwrap();
        assert_eq!((batch.last_len(), own(&batch, 0)), (602, Header::text(OMITTED, "b")));
        encoder(602, &omittable).encode(&row, &[], &mut batch).unwrap();
        assert_eq!((batch.last_len(), own(&batch, 1)), (402, Header::text(OMITTED, "b,a")));
        assert_eq!(batch.headers().iter().map(|header| header.record).collect::<Vec<_>>(), [1, 2]);
        for encoder in [encoder(400, &omittable), encoder(901, &[])] {
            let error = encoder.encode(&row, &[], &mut batch).unwrap_err();
            assert_eq!((error.kind(), error.context("topic")), (ErrorKind::RecordTooLarge, Some("topic")));
            assert!(error.report().contains("999 bytes"), "{error:?}");
            assert_eq!((batch.len(), batch.headers().len()), (3, 2), "as before");
        }
    }
}
