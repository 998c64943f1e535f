//! The wire format of records with a schema of a registry: a zero byte, the schema's id in four bytes, and the rest by
//! the format.

use crate::error::{Error, ErrorKind, Result};

/// Magic byte and schema id.
pub(super) const PREFIX: usize = 5;

/// The bytes in front of a record.
pub(super) fn prefix(id: u32) -> [u8; PREFIX] {
    let [a, b, c, d] = id.to_be_bytes();
    [0, a, b, c, d]
}

/// The schema's id, and what follows it.
///
/// # Errors
/// `Value` if the bytes do not begin so; `format` is the word for what was expected.
pub(super) fn split<'a>(bytes: &'a [u8], format: &str) -> Result<(u32, &'a [u8])> {
    match bytes {
        [0, a, b, c, d, rest @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        _ => {
            let message = format!("the record is not {format} with a schema id (no magic byte 0)");
            Err(Error::new(ErrorKind::Value, message)
                .advise("the topic holds another format; read it with a tool for that"))
        }
    }
}
