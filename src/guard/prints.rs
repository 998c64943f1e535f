//! What rows are known by once they have been seen: a hash of their place in the order, and one of what they hold.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

pub use crate::model::Hash;

/// What a row is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// Its place in the order of the cursor.
    pub place: u64,
    /// All that it holds; the same for every row where that does not matter.
    pub content: u32,
}

/// Rows that have been seen; of rows that nothing tells apart it is known how many there were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prints {
    counts: HashMap<Print, u32, BuildHasherDefault<Hashed>>,
    len: usize,
}

impl std::hash::Hash for Print {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.place ^ (u64::from(self.content) << 32));
    }
}

/// Hashes what is a hash already.
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

impl Print {
    /// The same as if all rows held the same.
    #[must_use]
    pub fn by_place(self) -> Self {
        Self { content: 0, ..self }
    }
}

impl Prints {
    /// A row was seen.
    pub fn add(&mut self, print: Print) {
        *self.counts.entry(print).or_default() += 1;
        self.len += 1;
    }

    /// Takes a row out; false if there is none like it.
    pub fn take(&mut self, print: Print) -> bool {
        let Some(count) = self.counts.get_mut(&print) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&print);
        }
        self.len -= 1;
        true
    }

    /// The rows as if all held the same.
    #[must_use]
    pub fn by_place(self) -> Self {
        let mut places = Self::default();
        self.each().for_each(|(print, _)| places.add(print.by_place()));
        places
    }

    /// All rows; with each which one it is of those that nothing tells apart.
    pub fn each(&self) -> impl Iterator<Item = (Print, u32)> {
        self.counts.iter().flat_map(|(print, count)| (0..*count).map(|nth| (*print, nth)))
    }

    /// Adds the rows of another.
    pub fn extend(&mut self, mut other: Self) {
        if other.len > self.len {
            std::mem::swap(self, &mut other);
        }
        other.counts.into_iter().for_each(|(print, count)| *self.counts.entry(print).or_default() += count);
        self.len += other.len;
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Base64, 16 characters a row.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(self.len * 12);
        for (print, _) in self.each() {
            bytes.extend(print.place.to_be_bytes());
            bytes.extend(print.content.to_be_bytes());
        }
        BASE64_STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads [`Prints::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
        let (rows, rest) = bytes.as_chunks::<12>();
        let mut prints = Self::default();
        for row in rows {
            let (place, content) = row.split_first_chunk()?;
            let content = content.first_chunk()?;
            prints.add(Print { place: u64::from_be_bytes(*place), content: u32::from_be_bytes(*content) });
        }
        rest.is_empty().then_some(prints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(place: u64, content: u32) -> Print {
        Print { place, content }
    }

    #[test]
    fn rows_that_nothing_tells_apart_are_counted() {
        let mut prints = Prints::default();
        [print(1, 5), print(1, 5), print(u64::MAX, 0)].into_iter().for_each(|one| prints.add(one));
        assert_eq!(Prints::from_text(&prints.to_text()), Some(prints.clone()));
        assert_eq!(prints.to_text().len(), 48);
        let taken: Vec<bool> = (0..3).map(|_| prints.take(print(1, 5))).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(!prints.take(print(u64::MAX, 7)));
        let mut places = prints.by_place();
        assert!(places.take(print(u64::MAX, 7).by_place()) && places.is_empty());
        for text in ["x", "AAAA", "AAAAAAAAAAAAAAA=", "\u{e9}"] {
            assert_eq!(Prints::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn hashes_are_those_of_the_books() {
        assert_eq!(Hash::default().with(b"foobar").whole(), 0x85944171f73967e8);
    }
}
