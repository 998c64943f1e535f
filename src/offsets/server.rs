//! The server a connector reads, remembered beside its offsets: one record a connector, under a source
//! partition Kafka Connect never asks for, so that the offsets of the tables stay Connect's. Pure.

use serde_json::Value;

use super::format;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KafkaRecord, SourcePartition};

/// The record that remembers an identity: `["<connector>",{"rowtide":"server"}]`, `{"identity":"…"}`.
pub fn record(topic: &str, connector: &str, identity: &str) -> KafkaRecord {
    let mut value = String::with_capacity(identity.len() + 16);
    value.push_str("{\"identity\":");
    format::push_string(&mut value, identity);
    value.push('}');
    let key = format::key(connector, &SourcePartition::server());
    KafkaRecord { topic: topic.to_owned(), key, value: Some(value.into_bytes()) }
}

/// The identity in a value; none for the JSON literal `null`.
///
/// # Errors
/// `Offsets` if the value is anything else: a check that cannot be made must not pass.
pub fn parse(connector: &str, bytes: &[u8]) -> Result<Option<String>> {
    let wrong = || {
        Error::new(ErrorKind::Offsets, "the remembered server cannot be read")
            .with("connector", connector)
            .advise("use the rowtide that wrote it, or forget it with `rowtide offsets reset`")
    };
    match serde_json::from_slice(bytes).map_err(|error| wrong().caused_by(error))? {
        Value::Null => Ok(None),
        Value::Object(map) => match map.get("identity") {
            Some(Value::String(identity)) => Ok(Some(identity.clone())),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_one_record_beside_the_offsets() {
        let record = record("offsets", "c", "postgresql database \"d\" (5), system 7");
        assert_eq!(record.key, br#"["c",{"rowtide":"server"}]"#);
        let value = record.value.unwrap();
        assert_eq!(value, br#"{"identity":"postgresql database \"d\" (5), system 7"}"#);
        assert_eq!(parse("c", &value).unwrap().as_deref(), Some("postgresql database \"d\" (5), system 7"));
        assert_eq!(format::parse_key(&record.key), Some(("c".to_owned(), SourcePartition::server())));
    }

    #[test]
    fn in_a_document_of_connect_the_server_is_no_offset() {
        let document = r#"{"offsets":[{"partition":{"rowtide":"server"},"offset":{"identity":"x"}},
                                      {"partition":{"query":"query"},"offset":null}]}"#;
        assert_eq!(format::from_rest("c", document).unwrap(), [(SourcePartition::query(), None)]);
    }

    #[test]
    fn an_identity_that_cannot_be_read_is_no_identity_at_all() {
        assert_eq!(parse("c", b"null").unwrap(), None);
        for broken in [&b"{}"[..], b"{\"identity\":5}", b"[]", b"x"] {
            assert_eq!(parse("c", broken).unwrap_err().kind(), ErrorKind::Offsets);
        }
    }
}
