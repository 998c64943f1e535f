//! The file of a standalone worker's offsets (`offset.storage.file.filename`): Java's serialization of a
//! `HashMap<byte[], byte[]>` with the keys and values of the offsets topic (`offsets-topic.md`, 12). Takes and
//! gives exactly this layout, as `ObjectOutputStream` writes it; anything else is refused with the byte at
//! which it begins. Pure: bytes in, offsets out.

use std::collections::BTreeMap;

use super::format;
use crate::error::{Error, Result};
use crate::model::{SourceOffset, SourcePartition};

/// A key and its value as they stand in the file.
pub type Entry = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The magic number of a Java object stream and its version.
pub const MAGIC: &[u8] = &[0xac, 0xed, 0x00, 0x05];

/// The class description of `HashMap` and its field `loadFactor`, always 0.75.
const MAP: &[u8] = b"sr\x00\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\x00\x02\
    F\x00\x0aloadFactorI\x00\x09thresholdxp\x3f\x40\x00\x00";
/// A block of eight bytes: capacity and number of entries.
const SIZES: &[u8] = b"w\x08";
/// The first `byte[]` carries its class description, later ones refer to it.
const FIRST_ARRAY: &[u8] = b"ur\x00\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00xp";
const NEXT_ARRAY: &[u8] = b"uq\x00\x7e\x00\x02";
const NULL: u8 = b'p';
const END: u8 = b'x';

/// The entries of a file, in its order.
///
/// # Errors
/// `Config` with the byte, what was expected there and what was found.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>> {
    if bytes.is_empty() {
        return Err(Error::config("the file is empty").advise("the worker that wrote it had stored no offsets"));
    }
    let mut reader = Reader { bytes, at: 0, knows_arrays: false };
    reader.expect(MAGIC, "a Java object stream")?;
    reader.expect(MAP, "a java.util.HashMap")?;
    reader.number("the threshold")?;
    reader.expect(SIZES, "the sizes of the map")?;
    reader.number("the capacity")?;
    let at = reader.at;
    let count = reader.number("the number of entries")?;
    let count = usize::try_from(count).map_err(|_| reader.wrong(at, "a number of entries", &count.to_string()))?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push((reader.array("a key")?, reader.array("a value")?));
    }
    reader.expect(&[END], "the end of the map")?;
    match reader.at == bytes.len() {
        true => Ok(entries),
        false => Err(reader.wrong(reader.at, "the end of the file", &reader.shown(reader.at))),
    }
}

/// The file with these entries, as `FileOffsetBackingStore` reads it.
pub fn write(entries: &[Entry]) -> Vec<u8> {
    // Java makes a table of its own from the number of entries; it only checks that these are no nonsense.
    let capacity = (entries.len() * 4 / 3 + 1).next_power_of_two().max(16);
    let mut out = [MAGIC, MAP].concat();
    out.extend(be(capacity * 3 / 4));
    out.extend_from_slice(SIZES);
    out.extend(be(capacity));
    out.extend(be(entries.len()));
    let mut head = FIRST_ARRAY;
    for array in entries.iter().flat_map(|(key, value)| [key, value]) {
        match array {
            None => out.push(NULL),
            Some(bytes) => {
                out.extend_from_slice(std::mem::replace(&mut head, NEXT_ARRAY));
                out.extend(be(bytes.len()));
                out.extend_from_slice(bytes);
            }
        }
    }
    out.push(END);
    out
}

fn be(number: usize) -> [u8; 4] {
    i32::try_from(number).unwrap_or(i32::MAX).to_be_bytes()
}

/// The contents of a file, seen from one connector.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// Its offsets.
    pub offsets: BTreeMap<SourcePartition, SourceOffset>,
    /// Its partitions without an offset: reset, or of `bulk` mode.
    pub without_offset: Vec<SourcePartition>,
    /// Keys of its own that no JDBC source would look for, and keys that are none of Kafka Connect's.
    pub malformed: Vec<String>,
    /// The number of entries of the worker's other connectors, by name.
    pub others: BTreeMap<String, usize>,
}

/// Takes the entries of the connector.
///
/// # Errors
/// `Offsets`, naming partition and field, if one of its offsets cannot be one.
pub fn of_connector(connector: &str, entries: &[Entry]) -> Result<Found> {
    let mut found = Found::default();
    for (key, value) in entries {
        let key = key.as_deref().unwrap_or_default();
        let partition = match (format::parse_key(key), format::connector_of(key)) {
            (Some((name, partition)), _) if name == connector && is_known(&partition) => partition,
            (_, Some(name)) if name != connector => {
                *found.others.entry(name).or_default() += 1;
                continue;
            }
            _ => {
                found.malformed.push(String::from_utf8_lossy(key).into_owned());
                continue;
            }
        };
        if partition.is_own() {
            continue;
        }
        let offset = match value {
            Some(value) => format::parse_value(connector, &partition, value)?,
            None => None,
        };
        match offset {
            Some(offset) => _ = found.offsets.insert(partition, offset),
            None => found.without_offset.push(partition),
        }
    }
    Ok(found)
}

/// A table, a query, or a record of rowtide's own.
fn is_known(partition: &SourcePartition) -> bool {
    let fields: Vec<&str> = partition.0.keys().map(String::as_str).collect();
    matches!(fields.as_slice(), ["protocol", "table"] | ["table"] | ["query"]) || partition.is_own()
}

/// The entries with these offsets as the connector's only ones; those of others stay as they are.
pub fn replace(entries: Vec<Entry>, connector: &str, offsets: &BTreeMap<SourcePartition, SourceOffset>) -> Vec<Entry> {
    let is_other =
        |(key, _): &Entry| key.as_deref().and_then(format::connector_of).is_none_or(|name| name != connector);
    let own = offsets
        .iter()
        .map(|(partition, offset)| (Some(format::key(connector, partition)), Some(format::value(offset))));
    entries.into_iter().filter(is_other).chain(own).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// True if the class description of `byte[]` has been read.
    knows_arrays: bool,
}

impl Reader<'_> {
    fn expect(&mut self, wanted: &[u8], what: &str) -> Result<()> {
        let rest = &self.bytes[self.at..];
        let same = rest.iter().zip(wanted).take_while(|(one, other)| one == other).count();
        self.at += same;
        match same == wanted.len() {
            true => Ok(()),
            false => Err(self.wrong(self.at, what, &self.shown(self.at))),
        }
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&[u8]> {
        let left = self.bytes.len() - self.at;
        if left < length {
            return Err(self.wrong(self.bytes.len(), what, "the end of the file").with("missing bytes", length - left));
        }
        self.at += length;
        Ok(&self.bytes[self.at - length..self.at])
    }

    fn number(&mut self, what: &str) -> Result<i32> {
        let bytes = self.take(4, what)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A `byte[]`, or null.
    fn array(&mut self, what: &str) -> Result<Option<Vec<u8>>> {
        if self.bytes.get(self.at) == Some(&NULL) {
            self.at += 1;
            return Ok(None);
        }
        self.expect(if self.knows_arrays { NEXT_ARRAY } else { FIRST_ARRAY }, what)?;
        self.knows_arrays = true;
        let at = self.at;
        let length = self.number("the length of a byte[]")?;
        let length =
            usize::try_from(length).map_err(|_| self.wrong(at, "the length of a byte[]", &length.to_string()))?;
        self.take(length, what).map(|bytes| Some(bytes.to_vec()))
    }

    fn shown(&self, at: usize) -> String {
        self.bytes.get(at).map_or_else(|| "the end of the file".to_owned(), |byte| format!("0x{byte:02x}"))
    }

    fn wrong(&self, at: usize, wanted: &str, found: &str) -> Error {
        let error = Error::config(format!(
            "not the offsets of a standalone worker: byte {at} should be {wanted}, found {found}"
        ));
        if at >= self.bytes.len() {
            return error.advise(
                "the file is cut short; stop the worker, which then writes all of it, and import it \
                                 again",
            );
        }
        error.advise(
            "expected the file that `offset.storage.file.filename` of Kafka Connect names; JSON as of GET \
             /connectors/NAME/offsets goes without --from-file",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    /// OpenJDK 17's bytes of a null key, a null value and an array of its own each.
    const JAVA: &[u8] = b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\x00\x02F\x00\
        \x0aloadFactorI\x00\x09thresholdxp\x3f\x40\x00\x00\x00\x00\x00\x0cw\x08\x00\x00\x00\x10\x00\x00\x00\x03pur\x00\
        \x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00xp\x00\x00\x00\x01xuq\x00\x7e\x00\x02\x00\x00\x00\x02k2uq\x00\
        \x7e\x00\x02\x00\x00\x00\x03abcuq\x00\x7e\x00\x02\x00\x00\x00\x02k1px";

    #[test]
    fn the_bytes_are_those_of_java() {
        let entries = vec![(None, bytes("x")), (bytes("k2"), bytes("abc")), (bytes("k1"), None)];
        assert_eq!(parse(JAVA).unwrap(), entries);
        assert_eq!(write(&entries), JAVA);
        assert_eq!(parse(&write(&[])).unwrap(), []);
    }

    #[test]
    fn every_cut_is_noticed_and_so_is_what_follows() {
        for end in 1..JAVA.len() {
            let error = parse(&JAVA[..end]).unwrap_err();
            assert!(error.to_string().contains("the end of the file"), "{end}: {error}");
            assert!(error.advice().contains("cut short"), "{end}: {}", error.advice());
        }
        let error = parse(&[JAVA, b"x"].concat()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("byte {} should be the end of the file, found 0x78", JAVA.len())), "{error}");
        assert!(parse(b"").unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn other_layouts_are_refused_at_the_byte_where_they_begin() {
        let at = |needle: &[u8]| JAVA.windows(needle.len()).position(|window| window == needle).unwrap();
        let changed = |at: usize, bytes: &[u8]| {
            let mut file = JAVA.to_vec();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            parse(&file).unwrap_err().to_string()
        };
        let (sizes, array) = (at(b"w\x08"), at(b"uq\x00"));
        for (error, says) in [
            (
                parse(b"{\"offsets\": []}").unwrap_err().to_string(),
                "byte 0 should be a Java object stream, found 0x7b".to_owned(),
            ),
            (changed(8, b"X"), "byte 8 should be a java.util.HashMap, found 0x58".to_owned()),
            (changed(sizes, b"z"), format!("byte {sizes} should be the sizes of the map, found 0x7a")),
            (changed(sizes + 6, b"\xff"), format!("byte {} should be a number of entries, found -16777213", sizes + 6)),
            (changed(sizes + 9, b"\x04"), "should be a key, found 0x78".to_owned()),
            (changed(sizes + 9, b"\x02"), "should be the end of the map, found 0x75".to_owned()),
            // A shared array, which Kafka Connect never writes.
            (changed(array, b"q"), format!("byte {array} should be a key, found 0x71")),
            (changed(array + 6, b"\x80"), format!("byte {} should be the length of a byte[]", array + 6)),
            (changed(array + 6, b"\x7f"), "should be a key, found the end of the file (missing bytes".to_owned()),
        ] {
            assert!(error.contains(&says), "`{says}` is not in {error}");
        }
    }

    #[test]
    fn a_connector_takes_what_is_its_own_and_says_what_it_leaves() {
        let own = SourceOffset { incrementing: Some(7), ..SourceOffset::default() };
        let entries = vec![
            (bytes(r#"["c",{"protocol":"1","table":"s.t"}]"#), bytes(r#"{"incrementing":7}"#)),
            (bytes(r#"["c",{"table":"t"}]"#), None),
            (bytes(r#"["c",{"query":"query"}]"#), bytes("null")),
            (bytes(r#"["c",{"table":"t","protocol":"1"}]"#), bytes("{}")),
            (bytes(r#"["c",{"filename":"f"}]"#), bytes(r#"{"position":1}"#)),
            (bytes(r#"["c",{"rowtide":"server"}]"#), bytes(r#"{"identity":"x"}"#)),
            (bytes(r#"["mirror",{"partition":0,"topic":"t"}]"#), bytes(r#"{"offset":1}"#)),
            (bytes(r#"["mirror",null]"#), None),
            (bytes(r#"["d",{"protocol":"1","table":"s.t"}]"#), bytes(r#"{"incrementing":"broken"}"#)),
            (bytes("x"), None),
            (None, None),
        ];
        let found = of_connector("c", &entries).unwrap();
        assert_eq!(found.offsets, BTreeMap::from([(SourcePartition::table("s.t"), own.clone())]));
        assert_eq!(found.without_offset, [SourcePartition::legacy_table("t"), SourcePartition::query()]);
        assert_eq!(found.malformed, [r#"["c",{"table":"t","protocol":"1"}]"#, r#"["c",{"filename":"f"}]"#, "x", ""]);
        assert_eq!(found.others, BTreeMap::from([("mirror".to_owned(), 2), ("d".to_owned(), 1)]));
        assert_eq!(of_connector("d", &entries).unwrap_err().context("field"), Some("incrementing"));

        let replaced = replace(entries, "c", &BTreeMap::from([(SourcePartition::query(), own)]));
        let keys: Vec<_> =
            replaced.iter().map(|(key, _)| String::from_utf8_lossy(key.as_deref().unwrap_or_default())).collect();
        let expected = [
            r#"["mirror",{"partition":0,"topic":"t"}]"#,
            r#"["mirror",null]"#,
            r#"["d",{"protocol":"1","table":"s.t"}]"#,
            "x",
            "",
            r#"["c",{"query":"query"}]"#,
        ];
        assert_eq!(keys, expected);
    }
}
