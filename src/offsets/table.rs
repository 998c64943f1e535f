//! Table marks, by which a table is recognised as the one its offset belongs to, stored beside the offset: one record a
//! table, under a source partition Kafka Connect never asks for. Pure.

use serde_json::{Value, json};

use super::format;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Incarnation, KafkaRecord, Landmark, Position, SourcePartition, TableMark};

/// The record: `["<connector>",{"rowtide":"table","table":"public.t"}]`,
/// `{"storage":"…","landmarks":[{"at":"[{\"i\":7}]","read":7,"columns":"…"}]}`; none is a tombstone.
pub(super) fn record(
    topic: &str,
    connector: &str,
    partition: &SourcePartition,
    mark: Option<&TableMark>,
) -> KafkaRecord {
    KafkaRecord {
        topic: topic.to_owned(),
        key: format::key(connector, &partition.mark()),
        value: mark.map(|mark| value(mark).into_bytes()),
    }
}

/// A mark as it is stored.
pub fn value(mark: &TableMark) -> String {
    let landmark = |landmark: &Landmark| {
        let columns: String = landmark.columns.iter().map(|(name, value)| format!("{name:08x}{value:08x}")).collect();
        json!({"at": landmark.at.to_text(), "read": landmark.read, "columns": columns})
    };
    let Incarnation { storage, made, counter, last_id } = &mark.incarnation;
    let landmarks: Vec<Value> = mark.landmarks.iter().map(landmark).collect();
    let mut fields = json!({"storage": storage, "landmarks": landmarks});
    for (name, text) in [("made", made), ("counter", counter)] {
        if let Some(text) = text {
            fields[name] = json!(text);
        }
    }
    if let Some(last_id) = last_id {
        fields["last_id"] = json!(last_id);
    }
    fields.to_string()
}

/// The mark of a value; none for the JSON literal `null`.
///
/// # Errors
/// `Offsets` if the value is anything else: a check that cannot be made must not pass.
pub fn parse(connector: &str, partition: &SourcePartition, bytes: &[u8]) -> Result<Option<TableMark>> {
    let wrong = || {
        Error::new(ErrorKind::Offsets, "the stored mark of a table cannot be read")
            .with("connector", connector)
            .with("partition", partition)
            .advise("use the rowtide that wrote it, or a newer one; `rowtide offsets reset` forgets it with the offset")
    };
    let fields: Value = serde_json::from_slice(bytes).map_err(|error| wrong().caused_by(error))?;
    if fields.is_null() {
        return Ok(None);
    }
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong()),
    };
    let last_id = match fields.get("last_id") {
        None | Some(Value::Null) => None,
        Some(number) => Some(number.as_i64().ok_or_else(wrong)?),
    };
    let storage = text("storage")?.ok_or_else(wrong)?;
    let incarnation = Incarnation { storage, made: text("made")?, counter: text("counter")?, last_id };
    let landmarks = match fields.get("landmarks") {
        None => Vec::new(),
        Some(Value::Array(landmarks)) => landmarks.iter().map(landmark).collect::<Option<_>>().ok_or_else(wrong)?,
        Some(_) => return Err(wrong()),
    };
    Ok(Some(TableMark { incarnation, landmarks }))
}

fn landmark(fields: &Value) -> Option<Landmark> {
    let at = Position::from_text(fields["at"].as_str()?).ok()?;
    let digits = fields["columns"].as_str().filter(|digits| digits.is_ascii() && digits.len() % 16 == 0)?;
    let pair = |at: usize| {
        let half = |from: usize| u32::from_str_radix(digits.get(from..from + 8)?, 16).ok();
        Some((half(at)?, half(at + 8)?))
    };
    let columns = (0..digits.len()).step_by(16).map(pair).collect::<Option<_>>()?;
    Some(Landmark { at, read: fields["read"].as_u64()?, columns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CursorValue;

    fn mark() -> TableMark {
        TableMark {
            incarnation: Incarnation {
                storage: "16389:16405".into(),
                made: Some("16389 p".into()),
                counter: None,
                last_id: Some(7),
            },
            landmarks: vec![Landmark {
                at: Position(vec![CursorValue::Timestamp(-5), CursorValue::Text("a\"b".into())]),
                read: 7,
                columns: vec![(1, 0xdead_beef), (u32::MAX, 0)],
            }],
        }
    }

    #[test]
    fn a_mark_is_one_record_beside_the_offset_and_goes_round() {
        let table = SourcePartition::table("public.t");
        let record = record("offsets", "c", &table, Some(&mark()));
        assert_eq!(record.key, br#"["c",{"rowtide":"table","table":"public.t"}]"#);
        assert_eq!(parse("c", &table, &record.value.unwrap()).unwrap(), Some(mark()));
        assert_eq!(format::parse_key(&record.key), Some(("c".to_owned(), table.mark())));
        let bare =
            TableMark { incarnation: Incarnation { storage: "1".into(), ..Incarnation::default() }, landmarks: vec![] };
        assert_eq!(value(&bare), r#"{"storage":"1","landmarks":[]}"#);
        assert_eq!(parse("c", &table, value(&bare).as_bytes()).unwrap(), Some(bare));
    }

    #[test]
    fn in_a_document_of_connect_a_mark_is_no_offset() {
        let document = r#"{"offsets":[{"partition":{"rowtide":"table","table":"public.t"},"offset":{"storage":"1"}}]}"#;
        assert_eq!(format::from_rest("c", document).unwrap(), []);
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_no_mark_at_all() {
        let table = SourcePartition::table("public.t");
        assert_eq!(parse("c", &table, b"null").unwrap(), None);
        for broken in [
            &b"{}"[..],
            br#"{"storage":5}"#,
            b"[]",
            b"x",
            br#"{"storage":"1","last_id":"7"}"#,
            br#"{"storage":"1","landmarks":{}}"#,
            br#"{"storage":"1","landmarks":[{"at":"[]","read":1,"columns":"00"}]}"#,
            br#"{"storage":"1","landmarks":[{"at":"x","read":1,"columns":""}]}"#,
        ] {
            assert_eq!(parse("c", &table, broken).unwrap_err().kind(), ErrorKind::Offsets);
        }
    }
}
