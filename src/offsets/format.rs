//! The bytes of the offsets topic, exactly as Kafka Connect's JSON converter writes them
//! (`offsets-topic.md`, 1 to 4), and the JSON form its REST API shows. Keys are compared as raw bytes by
//! Java, so they are written by hand here; values are read strictly, because a number of the wrong type
//! would move the position. Pure: bytes in, offsets out.

use serde_json::{Map, Value};

use crate::convert::json_text::push_escaped;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Instant, KafkaRecord, SourceOffset, SourcePartition};

/// The version of our own fields, written only together with one of them.
const VERSION: i64 = 1;
const VERSION_FIELD: &str = "rowtide";
const NANOS_PER_MILLI: u32 = 1_000_000;

/// The record that stores an offset; none is a tombstone.
pub fn record(topic: &str, connector: &str, partition: &SourcePartition, offset: Option<&SourceOffset>) -> KafkaRecord {
    KafkaRecord { topic: topic.to_owned(), key: key(connector, partition), value: offset.map(value) }
}

/// `["<connector>",{<partition>}]`.
pub fn key(connector: &str, partition: &SourcePartition) -> Vec<u8> {
    let mut out = String::with_capacity(64);
    out.push('[');
    push_escaped(&mut out, connector);
    out.push(',');
    push_partition(&mut out, partition);
    out.push(']');
    out.into_bytes()
}

/// The offset map: `timestamp_nanos`, `incrementing`, `timestamp` in Java's order, then ours.
pub fn value(offset: &SourceOffset) -> Vec<u8> {
    let mut out = String::with_capacity(64);
    push_offset(&mut out, offset);
    out.into_bytes()
}

/// The connector and source partition of a key; none for anything that is not a key Java would find
/// again: other shapes, other types, other bytes.
pub fn parse_key(bytes: &[u8]) -> Option<(String, SourcePartition)> {
    let Value::Array(elements) = serde_json::from_slice(bytes).ok()? else { return None };
    let [Value::String(connector), Value::Object(map)] = elements.as_slice() else { return None };
    let partition = parse_partition(map)?;
    // Maps of other shapes have an order of their own, which only their writer knows.
    let known_order = partition.0.len() < 2 || partition.0.keys().eq(["protocol", "table"]);
    if known_order && key(connector, &partition) != bytes {
        return None;
    }
    Some((connector.clone(), partition))
}

/// The connector of any key Kafka Connect could have written, also with a source partition of a connector that
/// is no JDBC source; none for anything else.
pub fn connector_of(bytes: &[u8]) -> Option<String> {
    let Value::Array(elements) = serde_json::from_slice(bytes).ok()? else { return None };
    match <[Value; 2]>::try_from(elements) {
        Ok([Value::String(connector), Value::Object(_) | Value::Null]) => Some(connector),
        _ => None,
    }
}

/// The offset in a value; none for the JSON literal `null`, which means "no offset" like a tombstone.
///
/// # Errors
/// `Offsets`, naming connector, partition and field, if a field is not what Java could have written.
pub fn parse_value(connector: &str, partition: &SourcePartition, bytes: &[u8]) -> Result<Option<SourceOffset>> {
    let parsed: Value = serde_json::from_slice(bytes)
        .map_err(|error| wrong("a stored offset is not JSON", connector, partition).caused_by(error))?;
    parse_offset(connector, partition, &parsed)
}

/// `{"offsets":[{"partition":{...},"offset":{...}},...]}`, as `GET /connectors/NAME/offsets` answers.
pub fn to_rest<'a>(offsets: impl IntoIterator<Item = (&'a SourcePartition, Option<&'a SourceOffset>)>) -> String {
    let mut out = String::from("{\"offsets\":[");
    for (index, (partition, offset)) in offsets.into_iter().enumerate() {
        out.push_str(if index == 0 { "{\"partition\":" } else { ",{\"partition\":" });
        push_partition(&mut out, partition);
        out.push_str(",\"offset\":");
        match offset {
            Some(offset) => push_offset(&mut out, offset),
            None => out.push_str("null"),
        }
        out.push('}');
    }
    out.push_str("]}");
    out
}

/// The reverse of [`to_rest`], as `PATCH /connectors/NAME/offsets` takes it; a null offset resets. The server's
/// identity, the owner and the marks of tables, which Connect lists among the offsets, are left out.
///
/// # Errors
/// `Config` if the document has another shape, `Offsets` if an offset cannot be one.
pub fn from_rest(connector: &str, text: &str) -> Result<Vec<(SourcePartition, Option<SourceOffset>)>> {
    let shape = |what: &str| {
        Error::config(format!("offsets document: {what}"))
            .advise("expected {\"offsets\":[{\"partition\":{...},\"offset\":{...}},...]}, as GET /connectors/NAME/offsets answers")
    };
    let document: Value = serde_json::from_str(text).map_err(|error| shape("not JSON").caused_by(error))?;
    let Some(Value::Array(entries)) = document.get("offsets") else {
        return Err(shape("there is no list `offsets`"));
    };
    let mut offsets = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let Some(Value::Object(map)) = entry.get("partition") else {
            return Err(shape(&format!("entry {index} has no object `partition`")));
        };
        let Some(partition) = parse_partition(map) else {
            return Err(shape(&format!("entry {index}: the fields of `partition` must be strings")));
        };
        if partition.is_own() {
            continue;
        }
        let offset = match entry.get("offset") {
            Some(offset) => parse_offset(connector, &partition, offset)
                .map_err(|error| shape(&format!("entry {index}")).caused_by(error))?,
            None => return Err(shape(&format!("entry {index} has no `offset` (null resets it)"))),
        };
        offsets.push((partition, offset));
    }
    Ok(offsets)
}

fn wrong(what: impl Into<String>, connector: &str, partition: &SourcePartition) -> Error {
    Error::new(ErrorKind::Offsets, what).with("connector", connector).with("partition", partition)
}

fn parse_partition(map: &Map<String, Value>) -> Option<SourcePartition> {
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    map.iter().map(text).collect::<Option<_>>().map(SourcePartition)
}

fn parse_offset(connector: &str, partition: &SourcePartition, parsed: &Value) -> Result<Option<SourceOffset>> {
    let map = match parsed {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        _ => return Err(wrong("a stored offset is not a JSON object", connector, partition)),
    };
    let field = |name: &'static str, what: &str| {
        wrong(format!("a stored offset has a field that is not {what}"), connector, partition).with("field", name)
    };
    // Java casts to Long: 42.0, "42" and numbers beyond 64 bits would fail there too.
    let integer = |name: &'static str| match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(integer) => Ok(Some(integer)),
            None => Err(field(name, "a 64-bit integer")),
        },
        Some(_) => Err(field(name, "a 64-bit integer")),
    };
    let mut offset = SourceOffset { incrementing: integer("incrementing")?, ..SourceOffset::default() };
    if let Some(millis) = integer("timestamp")? {
        let mut instant = Instant::from_millis(millis);
        if let Some(nanos) = integer("timestamp_nanos")? {
            // The whole sub-second part: it repeats the milliseconds.
            instant.nanos = u32::try_from(nanos)
                .ok()
                .filter(|nanos| *nanos < 1_000 * NANOS_PER_MILLI)
                .ok_or_else(|| field("timestamp_nanos", "between 0 and 999999999"))?;
            offset.has_nanos = true;
        }
        offset.timestamp = Some(instant);
    }
    if integer(VERSION_FIELD)?.is_some_and(|version| version > VERSION) {
        return Err(field(VERSION_FIELD, "a version this rowtide knows")
            .advise("use the rowtide that wrote it, or a newer one"));
    }
    offset.exact = match map.get(SourceOffset::EXACT) {
        None | Some(Value::Null) => None,
        Some(Value::String(position)) => Some(position.clone()),
        Some(_) => return Err(field(SourceOffset::EXACT, "a string")),
    };
    offset.accepted = match map.get(SourceOffset::ACCEPTED) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(accepted)) => *accepted,
        Some(_) => return Err(field(SourceOffset::ACCEPTED, "true or false")),
    };
    offset.guard = match map.get(SourceOffset::GUARD) {
        None | Some(Value::Null) => None,
        Some(Value::String(state)) => Some(state.clone()),
        Some(_) => return Err(field(SourceOffset::GUARD, "a string")),
    };
    offset.load = match map.get(SourceOffset::LOAD) {
        None | Some(Value::Null) => None,
        Some(Value::String(position)) => Some(position.clone()),
        Some(_) => return Err(field(SourceOffset::LOAD, "a string")),
    };
    offset.backfill = match map.get(SourceOffset::BACKFILL) {
        None | Some(Value::Null) => None,
        Some(Value::String(request)) => Some(request.clone()),
        Some(_) => return Err(field(SourceOffset::BACKFILL, "a string")),
    };
    Ok(Some(offset))
}

fn push_partition(out: &mut String, partition: &SourcePartition) {
    out.push('{');
    for (index, (name, text)) in partition.0.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_escaped(out, name);
        out.push(':');
        push_escaped(out, text);
    }
    out.push('}');
}

fn push_offset(out: &mut String, offset: &SourceOffset) {
    let mut separator = '{';
    let mut field = |name: &str, text: &str| {
        out.push(separator);
        separator = ',';
        push_escaped(out, name);
        out.push(':');
        out.push_str(text);
    };
    if let Some(instant) = offset.timestamp.filter(|_| offset.has_nanos) {
        field("timestamp_nanos", &instant.nanos.to_string());
    }
    if let Some(id) = offset.incrementing {
        field("incrementing", &id.to_string());
    }
    if let Some(instant) = offset.timestamp {
        field("timestamp", &instant.millis().to_string());
    }
    let has_own = [&offset.exact, &offset.guard, &offset.load, &offset.backfill].iter().any(|own| own.is_some());
    if has_own || offset.accepted {
        field(VERSION_FIELD, &VERSION.to_string());
    }
    let quoted = |text: &String| {
        let mut quoted = String::with_capacity(text.len() + 2);
        push_escaped(&mut quoted, text);
        quoted
    };
    if let Some(exact) = &offset.exact {
        field(SourceOffset::EXACT, &quoted(exact));
    }
    if offset.accepted {
        field(SourceOffset::ACCEPTED, "true");
    }
    if let Some(guard) = &offset.guard {
        field(SourceOffset::GUARD, &quoted(guard));
    }
    if let Some(load) = &offset.load {
        field(SourceOffset::LOAD, &quoted(load));
    }
    if let Some(backfill) = &offset.backfill {
        field(SourceOffset::BACKFILL, &quoted(backfill));
    }
    if separator == '{' {
        out.push('{');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    fn parse(json: &str) -> Result<Option<SourceOffset>> {
        parse_value("pg-src", &SourcePartition::table("public.orders"), json.as_bytes())
    }

    #[test]
    fn keys_are_the_bytes_java_looks_up() {
        let golden = [
            (SourcePartition::table("public.orders"), r#"["pg-src",{"protocol":"1","table":"public.orders"}]"#),
            (SourcePartition::legacy_table("orders"), r#"["pg-src",{"table":"orders"}]"#),
            (SourcePartition::query(), r#"["pg-src",{"query":"query"}]"#),
        ];
        for (partition, expected) in golden {
            assert_eq!(text(key("pg-src", &partition)), expected);
            assert_eq!(parse_key(expected.as_bytes()), Some(("pg-src".to_owned(), partition)));
        }
    }

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        let partition = SourcePartition::table("a\"\\/\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}\u{2028}é😀");
        let expected = "[\"c\",{\"protocol\":\"1\",\"table\":\"a\\\"\\\\/\\b\\t\\n\\f\\r\\u0001\\u001F\u{7f}\u{2028}é\\uD83D\\uDE00\"}]";
        assert_eq!(text(key("c", &partition)), expected);
        assert_eq!(parse_key(expected.as_bytes()), Some(("c".to_owned(), partition)));
    }

    #[test]
    fn what_was_accepted_is_ours_and_goes_round() {
        let offset = SourceOffset { incrementing: Some(7), accepted: true, ..SourceOffset::default() };
        assert_eq!(text(value(&offset)), r#"{"incrementing":7,"rowtide":1,"rowtide_accepted":true}"#);
        assert_eq!(parse(&text(value(&offset))).unwrap(), Some(offset));
        assert!(parse(r#"{"rowtide_accepted":1}"#).is_err());
    }

    #[test]
    fn what_the_guard_goes_on_from_is_ours_and_goes_round() {
        let offset = SourceOffset { incrementing: Some(7), guard: Some("g;1".into()), ..SourceOffset::default() };
        assert_eq!(text(value(&offset)), r#"{"incrementing":7,"rowtide":1,"rowtide_guard":"g;1"}"#);
        assert_eq!(parse(&text(value(&offset))).unwrap(), Some(offset));
        assert!(parse(r#"{"rowtide_guard":1}"#).is_err());
    }

    #[test]
    fn the_progress_of_a_first_load_is_ours_and_goes_round_under_a_key_that_java_does_not_look_up() {
        let load = Some(r#"[{"i":5}]"#.to_owned());
        let offset = SourceOffset { timestamp: Some(Instant::from_millis(7)), load, ..SourceOffset::default() };
        assert_eq!(text(value(&offset)), r#"{"timestamp":7,"rowtide":1,"rowtide_load":"[{\"i\":5}]"}"#);
        assert_eq!(parse(&text(value(&offset))).unwrap(), Some(offset));
        assert!(parse(r#"{"rowtide_load":1}"#).is_err());
        let partition = SourcePartition::table("public.orders").load();
        assert_eq!(text(key("c", &partition)), r#"["c",{"rowtide":"load","table":"public.orders"}]"#);
    }

    #[test]
    fn the_progress_of_a_backfill_is_ours_and_has_its_request_with_it() {
        let (load, backfill) = (Some(r#"[{"i":5}]"#.to_owned()), Some(r#"{"topic":"x"}"#.to_owned()));
        let offset = SourceOffset { incrementing: Some(9), load, backfill, ..SourceOffset::default() };
        let expected =
            r#"{"incrementing":9,"rowtide":1,"rowtide_load":"[{\"i\":5}]","rowtide_backfill":"{\"topic\":\"x\"}"}"#;
        assert_eq!(text(value(&offset)), expected);
        assert_eq!(parse(expected).unwrap(), Some(offset));
        assert!(parse(r#"{"rowtide_backfill":{}}"#).is_err());
        for (partition, expected) in [
            (SourcePartition::table("public.t"), r#"["c",{"rowtide":"backfill","table":"public.t"}]"#),
            (SourcePartition::query(), r#"["c",{"query":"query","rowtide":"backfill"}]"#),
        ] {
            assert_eq!(text(key("c", &partition.backfill())), expected);
            assert_eq!(parse_key(expected.as_bytes()), Some(("c".to_owned(), partition.backfill())));
            assert!(partition.backfill().is_own() && !partition.backfill().is_load());
        }
    }

    #[test]
    fn keys_that_java_would_not_find_are_not_ours() {
        for foreign in [
            r#"["c",{"table":"t","protocol":"1"}]"#,
            r#"["c",{"protocol":1,"table":"t"}]"#,
            r#"["c", {"table":"t"}]"#,
            r#"["c",null]"#,
            r#"["c"]"#,
            r#"[1,{"table":"t"}]"#,
            r#"{"schema":null,"payload":["c",{"table":"t"}]}"#,
            "not json",
        ] {
            assert_eq!(parse_key(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn values_have_javas_field_order_and_ours_last() {
        let instant = Instant { seconds: 1_700_000_000, nanos: 123_456_789 };
        let timestamp = SourceOffset { timestamp: Some(instant), has_nanos: true, ..SourceOffset::default() };
        let incrementing = SourceOffset { incrementing: Some(42), ..SourceOffset::default() };
        let both = SourceOffset { incrementing: Some(42), ..timestamp.clone() };
        let exact = SourceOffset { exact: Some(r#"[{"us":1}]"#.to_owned()), ..timestamp.clone() };
        let millis = SourceOffset { timestamp: Some(Instant::from_millis(-1)), ..SourceOffset::default() };
        let before_epoch = SourceOffset {
            timestamp: Some(Instant { seconds: -1, nanos: 999_500_000 }),
            has_nanos: true,
            ..SourceOffset::default()
        };
        for (offset, expected) in [
            (incrementing, r#"{"incrementing":42}"#),
            (timestamp, r#"{"timestamp_nanos":123456789,"timestamp":1700000000123}"#),
            (both, r#"{"timestamp_nanos":123456789,"incrementing":42,"timestamp":1700000000123}"#),
            (before_epoch, r#"{"timestamp_nanos":999500000,"timestamp":-1}"#),
            (millis, r#"{"timestamp":-1}"#),
            (
                exact,
                r#"{"timestamp_nanos":123456789,"timestamp":1700000000123,"rowtide":1,"rowtide_position":"[{\"us\":1}]"}"#,
            ),
            (SourceOffset::default(), "{}"),
        ] {
            assert_eq!(text(value(&offset)), expected);
            assert_eq!(parse(expected).unwrap(), Some(offset));
        }
        assert_eq!(parse("null").unwrap(), None);
        assert_eq!(parse(r#"{"timestamp_nanos":"ignored"}"#).unwrap(), Some(SourceOffset::default()));
    }

    #[test]
    fn numbers_of_the_wrong_type_fail_and_name_the_field() {
        for (json, field) in [
            (r#"{"incrementing":42.0}"#, "incrementing"),
            (r#"{"incrementing":4e2}"#, "incrementing"),
            (r#"{"incrementing":"42"}"#, "incrementing"),
            (r#"{"incrementing":9223372036854775808}"#, "incrementing"),
            (r#"{"timestamp":true}"#, "timestamp"),
            (r#"{"timestamp":1,"timestamp_nanos":1000000000}"#, "timestamp_nanos"),
            (r#"{"timestamp":1,"timestamp_nanos":-1}"#, "timestamp_nanos"),
            (r#"{"rowtide":2,"rowtide_position":"x"}"#, "rowtide"),
            (r#"{"rowtide":1,"rowtide_position":7}"#, "rowtide_position"),
        ] {
            let error = parse(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Offsets);
            assert_eq!(error.context("field"), Some(field), "{json}");
            assert_eq!(error.context("connector"), Some("pg-src"));
            assert_eq!(error.context("partition"), Some("public.orders"));
        }
        assert_eq!(parse("[]").unwrap_err().kind(), ErrorKind::Offsets);
        assert_eq!(parse("{").unwrap_err().kind(), ErrorKind::Offsets);
    }

    #[test]
    fn rest_documents_go_both_ways() {
        let document = r#"{"offsets":[{"partition":{"protocol":"1","table":"public.t"},"offset":{"incrementing":7}},{"partition":{"query":"query"},"offset":null}]}"#;
        let offsets = from_rest("c", document).unwrap();
        let expected = SourceOffset { incrementing: Some(7), ..SourceOffset::default() };
        assert_eq!(offsets, [(SourcePartition::table("public.t"), Some(expected)), (SourcePartition::query(), None)]);
        assert_eq!(to_rest(offsets.iter().map(|(partition, offset)| (partition, offset.as_ref()))), document);
        for broken in ["{}", r#"{"offsets":[{}]}"#, r#"{"offsets":[{"partition":{"table":1},"offset":null}]}"#, "x"] {
            assert_eq!(from_rest("c", broken).unwrap_err().kind(), ErrorKind::Config, "{broken}");
        }
    }
}
