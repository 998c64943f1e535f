//! Formats with an envelope that tells the change of a row (canal-json, Debezium).

use super::{Change, Encoder, Operation};
use crate::error::Result;
use crate::model::Value;

/// The form of an envelope; bound to one schema.
pub(super) trait Envelope: Send + Sync {
    /// Appends the bytes of a change.
    ///
    /// # Errors
    /// `Value`, with the field, if a value does not fit; `out` may have part of the change then.
    fn append(&self, change: Change, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()>;
}

/// The encoder of changes in an envelope.
#[derive(Debug)]
pub(super) struct EnvelopeEncoder<E>(pub(super) E);

impl<E: Envelope> Encoder for EnvelopeEncoder<E> {
    /// A row on its own is one that is read.
    fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        self.encode_change(Change { operation: Operation::Read, changed_at: None, read_at: 0 }, row, out)
    }

    fn encode_change(&self, change: Change, row: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        self.0.append(change, row, out).inspect_err(|_| out.truncate(start))
    }

    fn has_envelope(&self) -> bool {
        true
    }
}
