//! The process a connector belongs to, remembered beside its offsets: one record under a source partition Kafka
//! Connect never asks for.

use serde_json::{Value, json};

use super::format;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KafkaRecord, SourcePartition};

/// A process that runs a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name, which no other process has.
    pub run: String,
    /// The number of transactional ids that may be in use: as many as it has tasks, or more as long as those of an
    /// older process are not fenced.
    pub tasks: usize,
}

impl Owner {
    /// A name that no other process has.
    pub fn new(tasks: usize) -> Self {
        Self { run: format!("{:016x}", fastrand::u64(..)), tasks }
    }
}

/// The record of the owner: `["<connector>",{"rowtide":"owner"}]`, `{"run":"…","tasks":2}`.
pub(super) fn record(topic: &str, connector: &str, owner: &Owner) -> KafkaRecord {
    let value = json!({"run": owner.run, "tasks": owner.tasks}).to_string();
    let key = format::key(connector, &SourcePartition::owner());
    KafkaRecord { topic: topic.to_owned(), key, value: Some(value.into_bytes()) }
}

/// The owner in a record's value; none for the JSON literal `null`.
///
/// # Errors
/// `Offsets` if the value is anything else: who cannot be known must not be overlooked.
pub(super) fn parse(connector: &str, bytes: &[u8]) -> Result<Option<Owner>> {
    let wrong = || {
        Error::new(ErrorKind::Offsets, "the process the connector belongs to cannot be read")
            .with("connector", connector)
            .advise("use the rowtide that wrote it")
    };
    let value: Value = serde_json::from_slice(bytes).map_err(|error| wrong().caused_by(error))?;
    if value.is_null() {
        return Ok(None);
    }
    let tasks = value["tasks"].as_u64().and_then(|tasks| usize::try_from(tasks).ok());
    match (value["run"].as_str(), tasks) {
        (Some(run), Some(tasks)) => Ok(Some(Owner { run: run.to_owned(), tasks })),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_one_record_beside_the_offsets() {
        let owner = Owner { run: "00ff".into(), tasks: 2 };
        let record = record("offsets", "c", &owner);
        assert_eq!(record.key, br#"["c",{"rowtide":"owner"}]"#);
        let value = record.value.unwrap();
        assert_eq!(value, br#"{"run":"00ff","tasks":2}"#);
        assert_eq!(parse("c", &value).unwrap(), Some(owner));
        assert_eq!(parse("c", b"null").unwrap(), None);
        for broken in [&b"{}"[..], b"{\"run\":\"x\"}", b"[]", b"x"] {
            assert_eq!(parse("c", broken).unwrap_err().kind(), ErrorKind::Offsets);
        }
        let document = r#"{"offsets":[{"partition":{"rowtide":"owner"},"offset":{"run":"x","tasks":1}}]}"#;
        assert_eq!(format::from_rest("c", document).unwrap(), []);
    }
}
