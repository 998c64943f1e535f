//! The server a connector reads, remembered beside its offsets: one record a connector, under a source
//! partition Kafka Connect never asks for, so that the offsets of the tables stay Connect's. Pure.

use serde_json::Value;

use super::format;
use crate::convert::json_text::push_escaped;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KafkaRecord, Lineage, Server, SourcePartition};

/// The record that remembers a server: `["<connector>",{"rowtide":"server"}]`, `{"identity":"…"}`, and with
/// `server.identity=cluster` `"cluster":["…"]`.
pub fn record(topic: &str, connector: &str, server: &Server) -> KafkaRecord {
    let mut value = String::with_capacity(server.identity.len() + 16);
    value.push_str("{\"identity\":");
    push_escaped(&mut value, &server.identity);
    for (index, source) in server.lineage.sources.iter().enumerate() {
        value.push_str(if index == 0 { ",\"cluster\":[" } else { "," });
        push_escaped(&mut value, source);
    }
    value.push_str(if server.lineage.sources.is_empty() { "}" } else { "]}" });
    let key = format::key(connector, &SourcePartition::server());
    KafkaRecord { topic: topic.to_owned(), key, value: Some(value.into_bytes()) }
}

/// The server in a value; none for the JSON literal `null`.
///
/// # Errors
/// `Offsets` if the value is anything else: a check that cannot be made must not pass.
pub fn parse(connector: &str, bytes: &[u8]) -> Result<Option<Server>> {
    let wrong = || {
        Error::new(ErrorKind::Offsets, "the remembered server cannot be read")
            .with("connector", connector)
            .advise("use the rowtide that wrote it, or forget it with `rowtide offsets reset`")
    };
    let map = match serde_json::from_slice(bytes).map_err(|error| wrong().caused_by(error))? {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        _ => return Err(wrong()),
    };
    let Some(Value::String(identity)) = map.get("identity") else { return Err(wrong()) };
    let source = |source: &Value| source.as_str().map(str::to_owned);
    let sources = match map.get("cluster") {
        None => Vec::new(),
        Some(Value::Array(sources)) => sources.iter().map(source).collect::<Option<_>>().ok_or_else(wrong)?,
        Some(_) => return Err(wrong()),
    };
    Ok(Some(Server { identity: identity.clone(), lineage: Lineage { sources, own: None } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_one_record_beside_the_offsets() {
        let server = Server::host("postgresql database \"d\" (5), system 7");
        let record = record("offsets", "c", &server);
        assert_eq!(record.key, br#"["c",{"rowtide":"server"}]"#);
        let value = record.value.unwrap();
        assert_eq!(value, br#"{"identity":"postgresql database \"d\" (5), system 7"}"#);
        assert_eq!(parse("c", &value).unwrap(), Some(server));
        assert_eq!(format::parse_key(&record.key), Some(("c".to_owned(), SourcePartition::server())));
    }

    #[test]
    fn a_cluster_goes_round() {
        let lineage = Lineage { sources: vec!["a".into(), "b\"".into()], own: None };
        let server = Server { lineage, ..Server::host("mysql server b") };
        let value = record("offsets", "c", &server).value.unwrap();
        assert_eq!(value, br#"{"identity":"mysql server b","cluster":["a","b\""]}"#);
        assert_eq!(parse("c", &value).unwrap(), Some(server));
        assert!(parse("c", br#"{"identity":"b","cluster":[1]}"#).is_err());
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
        for broken in [&b"{}"[..], b"{\"identity\":5}", b"[]", b"x", b"{\"identity\":\"a\",\"cluster\":1}"] {
            assert_eq!(parse("c", broken).unwrap_err().kind(), ErrorKind::Offsets);
        }
    }
}
