//! Row fingerprints: a hash of a row's place in the order of the cursor, and one of its content. Rows that were read
//! are known by them afterwards.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use crate::model::{CursorValue, Hash, RowText, Value};

/// The fingerprint of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowFingerprint {
    /// Its place in the order of the cursor.
    pub place: u64,
    /// All that it holds; the same for every row where that does not matter.
    pub content: u32,
}

/// A row as it goes by.
#[derive(Clone, Copy)]
pub struct SeenRow<'a> {
    /// Its cursor.
    pub cursor: &'a [CursorValue<'a>],
    /// The low half of its transaction's id, if it was asked for.
    pub xid: Option<u32>,
    /// Its content.
    pub content: Content<'a>,
}

/// The content of a row, as far as it could be read.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// Its values.
    Values(&'a [Value<'a>]),
    /// Its values as text, of a row that cannot be decoded.
    Text(&'a dyn Fn() -> RowText),
}

/// A multiset of row fingerprints: rows that nothing tells apart are counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FingerprintBag {
    counts: HashMap<RowFingerprint, u32, BuildHasherDefault<Hashed>>,
    len: usize,
}

impl std::hash::Hash for RowFingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.place ^ (u64::from(self.content) << 32));
    }
}

/// A hasher for values that are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = Hash::default().with(&self.0.to_le_bytes()).with(bytes).whole();
    }

    fn write_u64(&mut self, number: u64) {
        // Both ends of it are used.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number >> 32);
    }
}

impl RowFingerprint {
    /// The same as if all rows held the same.
    #[must_use]
    pub fn by_place(self) -> Self {
        Self { content: 0, ..self }
    }
}

impl SeenRow<'_> {
    /// Its fingerprint; rows of one place are the same unless they are told apart by their content.
    pub fn fingerprint(&self, by_content: bool) -> RowFingerprint {
        let content = if by_content { self.content.hash() } else { 0 };
        RowFingerprint { place: place_of(self.cursor), content }
    }
}

impl Content<'_> {
    fn hash(self) -> u32 {
        let long = |tag: u8, hash: Hash, bytes: &[u8]| hash.with(&[tag]).with(&bytes.len().to_le_bytes()).with(bytes);
        let all = match self {
            Content::Values(values) => values.iter().fold(Hash::default(), |all, value| match value {
                Value::Null => all.with(&[0]),
                Value::Boolean(is) => all.with(&[1, u8::from(*is)]),
                Value::Integer(number) => all.with(&[2]).with(&number.to_le_bytes()),
                Value::Float32(number) => all.with(&[3]).with(&number.to_bits().to_le_bytes()),
                Value::Float64(number) => all.with(&[4]).with(&number.to_bits().to_le_bytes()),
                Value::Text(text) => long(5, all, text.as_bytes()),
                Value::Bytes(bytes) => long(6, all, bytes),
                Value::Decimal(bytes) => long(7, all, bytes),
            }),
            Content::Text(text) => text().iter().fold(Hash::default(), |all, (_, text)| match text {
                Some(text) => long(5, all, text.as_bytes()),
                None => all.with(&[0]),
            }),
        };
        all.half()
    }
}

fn place_of(cursor: &[CursorValue<'_>]) -> u64 {
    let place = cursor.iter().fold(Hash::default(), |hash, value| match value {
        CursorValue::Integer(number) | CursorValue::Timestamp(number) => hash.with(&number.to_le_bytes()),
        CursorValue::Unsigned(number) => hash.with(&number.to_le_bytes()),
        CursorValue::Real(number) => hash.with(&number.to_bits().to_le_bytes()),
        CursorValue::Text(text) => hash.with(text.as_bytes()).with(&[0xff]),
        CursorValue::Null => hash.with(&[0xfe]),
    });
    place.whole()
}

impl FromIterator<RowFingerprint> for FingerprintBag {
    fn from_iter<I: IntoIterator<Item = RowFingerprint>>(rows: I) -> Self {
        let mut bag = Self::default();
        rows.into_iter().for_each(|row| bag.add(row));
        bag
    }
}

impl FingerprintBag {
    /// A row was seen.
    pub fn add(&mut self, fingerprint: RowFingerprint) {
        *self.counts.entry(fingerprint).or_default() += 1;
        self.len += 1;
    }

    /// The number of rows with a fingerprint.
    pub fn count(&self, fingerprint: RowFingerprint) -> u32 {
        self.counts.get(&fingerprint).copied().unwrap_or_default()
    }

    /// Takes a row out; false if there is none like it.
    pub fn take(&mut self, fingerprint: RowFingerprint) -> bool {
        let Some(count) = self.counts.get_mut(&fingerprint) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&fingerprint);
        }
        self.len -= 1;
        true
    }

    /// The rows as if all held the same.
    #[must_use]
    pub fn by_place(self) -> Self {
        let mut places = Self::default();
        self.each().for_each(|(fingerprint, _)| places.add(fingerprint.by_place()));
        places
    }

    /// All rows; with each which one it is of those that nothing tells apart.
    pub fn each(&self) -> impl Iterator<Item = (RowFingerprint, u32)> {
        self.counts.iter().flat_map(|(fingerprint, count)| (0..*count).map(|nth| (*fingerprint, nth)))
    }

    /// Adds the rows of another.
    pub fn extend(&mut self, mut other: Self) {
        if other.len > self.len {
            std::mem::swap(self, &mut other);
        }
        other.counts.into_iter().for_each(|(fingerprint, count)| *self.counts.entry(fingerprint).or_default() += count);
        self.len += other.len;
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Base64, 16 characters a row.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(self.len * 12);
        for (fingerprint, _) in self.each() {
            bytes.extend(fingerprint.place.to_be_bytes());
            bytes.extend(fingerprint.content.to_be_bytes());
        }
        BASE64_STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads [`FingerprintBag::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
        let (rows, rest) = bytes.as_chunks::<12>();
        let mut fingerprints = Self::default();
        for row in rows {
            let (place, content) = row.split_first_chunk()?;
            let content = content.first_chunk()?;
            fingerprints
                .add(RowFingerprint { place: u64::from_be_bytes(*place), content: u32::from_be_bytes(*content) });
        }
        rest.is_empty().then_some(fingerprints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(place: u64, content: u32) -> RowFingerprint {
        RowFingerprint { place, content }
    }

    #[test]
    fn rows_that_nothing_tells_apart_are_counted() {
        let mut fingerprints = FingerprintBag::default();
        [fingerprint(1, 5), fingerprint(1, 5), fingerprint(u64::MAX, 0)]
            .into_iter()
            .for_each(|one| fingerprints.add(one));
        assert_eq!(FingerprintBag::from_text(&fingerprints.to_text()), Some(fingerprints.clone()));
        assert_eq!(fingerprints.to_text().len(), 48);
        let taken: Vec<bool> = (0..3).map(|_| fingerprints.take(fingerprint(1, 5))).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(!fingerprints.take(fingerprint(u64::MAX, 7)));
        let mut places = fingerprints.by_place();
        assert!(places.take(fingerprint(u64::MAX, 7).by_place()) && places.is_empty());
        for text in ["x", "AAAA", "AAAAAAAAAAAAAAA=", "\u{e9}"] {
            assert_eq!(FingerprintBag::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn hashes_are_those_of_the_books() {
        assert_eq!(Hash::default().with(b"foobar").whole(), 0x85944171f73967e8);
    }
}
