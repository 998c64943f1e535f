//! The headers that transforms make (`InsertHeader`, `HeaderFrom`), as `header.converter` writes them. Those about the
//! source of a record are in `source_headers`.

use std::sync::Arc;

use crate::convert::{Converter, Encoder, Role, Side};
use crate::error::{Error, Result};
use crate::kafka::limits::header_size;
use crate::model::{EncodedBatch, Header, Schema, TableDefinition, Value};
use crate::transform::{BoundHeader, HeaderValue};

/// Encodes the headers of a table's records.
#[derive(Default)]
pub(super) struct HeaderEncoder {
    /// The headers of every record, where none depends on the row.
    common: Arc<[Header]>,
    /// Else the headers of one record, in order.
    own: Vec<OwnHeader>,
}

enum OwnHeader {
    Constant(Header),
    OfRow { name: Arc<str>, encoder: Arc<dyn Encoder> },
}

impl HeaderEncoder {
    /// The encoder of headers.
    ///
    /// # Errors
    /// `Config` if the converter cannot write a header of its type; `Value` if it cannot write a value that is always the same.
    pub(super) fn new(
        headers: &[BoundHeader],
        converter: &dyn Converter,
        (topic, table): (&str, &TableDefinition),
    ) -> Result<Self> {
        let own = headers.iter().map(|header| {
            let schema = Schema::Field(header.field.clone());
            let text;
            let (place, constant) = match &header.value {
                HeaderValue::Constant(value) => (0, Some(value)),
                HeaderValue::Structure(structure) => {
                    if !converter.has_texts_of_structures() {
                        return Err(no_structure(&header.field.name));
                    }
                    text = Value::Text(structure.to_string().into());
                    (0, Some(&text))
                }
                HeaderValue::Place(place) => (*place, None),
            };
            let side = Side { topic, role: Role::Value, schema: &schema, projection: &[place], table };
            let named = |error: Error| error.with("header", &header.field.name);
            let encoder = converter.bind_sample(side).map_err(named)?;
            let name: Arc<str> = header.field.name.as_str().into();
            Ok(match constant {
                Some(value) => OwnHeader::Constant(made(name, &*encoder, std::slice::from_ref(value)).map_err(named)?),
                None => OwnHeader::OfRow { name, encoder },
            })
        });
        let own = own.collect::<Result<Vec<_>>>()?;
        let constant = |header: &OwnHeader| match header {
            OwnHeader::Constant(header) => Some(header.clone()),
            OwnHeader::OfRow { .. } => None,
        };
        Ok(match own.iter().map(constant).collect::<Option<Arc<[Header]>>>() {
            Some(common) => Self { common, own: Vec::new() },
            None => Self { common: Arc::new([]), own },
        })
    }

    /// The headers of every record.
    pub(super) fn common(&self) -> &Arc<[Header]> {
        &self.common
    }

    /// Gives the last record of a batch its own headers; their size.
    ///
    /// # Errors
    /// `Value`, naming the header, for a value that the converter cannot write.
    pub(super) fn add(&self, row: &[Value<'_>], batch: &mut EncodedBatch) -> Result<usize> {
        let (mut size, at) = (0, batch.len().saturating_sub(1));
        for header in &self.own {
            let header = match header {
                OwnHeader::Constant(header) => header.clone(),
                OwnHeader::OfRow { name, encoder } => {
                    made(Arc::clone(name), &**encoder, row).map_err(|error| error.with("header", &**name))?
                }
            };
            size += header_size(&header);
            batch.add_header(at, header);
        }
        Ok(size)
    }
}

fn no_structure(name: &str) -> Error {
    Error::config("header.converter: a header that is a list or a map is written by SimpleHeaderConverter alone")
        .with("header", name)
        .advise("remove header.converter, or give the header a text: begin value.literal with another character")
}

fn made(name: Arc<str>, encoder: &dyn Encoder, row: &[Value<'_>]) -> Result<Header> {
    if encoder.is_null(row) {
        return Ok(Header { name, value: None });
    }
    let mut value = Vec::new();
    encoder.encode(row, &mut value)?;
    Ok(Header { name, value: Some(value) })
}
