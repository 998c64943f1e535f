//! The characters of a database's own encoding in UTF-8, as far as the server has been asked for them. Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::problem::Problem;

const NO_EQUIVALENT: Problem = Problem::new("the text has a character that has no equivalent in UTF-8");
/// A character that came after the look at the page.
pub(super) const UNSEEN: Problem = Problem::new("the text has a character that was not there before");

/// The characters of the database in UTF-8, as far as they were met.
#[derive(Debug, Default, Clone)]
pub(super) struct Charset {
    pub(super) known: HashMap<Box<[u8]>, Option<Box<str>>>,
    pub(super) encoding: String,
}

impl Charset {
    /// The characters of a database's encoding.
    pub(super) fn new(encoding: &str) -> Self {
        Self { encoding: encoding.to_owned(), known: HashMap::new() }
    }

    /// A stored text in UTF-8.
    pub(super) fn text<'b>(&self, stored: &'b [u8]) -> Result<Cow<'b, str>, Problem> {
        if let (true, Ok(text)) = (stored.is_ascii(), std::str::from_utf8(stored)) {
            return Ok(Cow::Borrowed(text));
        }
        let mut text = String::with_capacity(stored.len() * 2);
        for character in self.characters(stored) {
            match character {
                [ascii] if ascii.is_ascii() => text.push(char::from(*ascii)),
                _ => text.push_str(self.known.get(character).ok_or(UNSEEN)?.as_deref().ok_or(NO_EQUIVALENT)?),
            }
        }
        Ok(Cow::Owned(text))
    }

    /// A stored text in UTF-8, in which a question mark stands for a character without an equivalent.
    pub(super) fn shown(&self, stored: &[u8]) -> String {
        let shown = self.characters(stored).map(|character| match self.text(character) {
            Ok(text) => text,
            Err(_) => Cow::Borrowed("\u{fffd}"),
        });
        shown.collect()
    }

    pub(super) fn characters<'b>(&self, mut rest: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        std::iter::from_fn(move || {
            let length = self.length(*rest.first()?);
            let (character, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            Some(character)
        })
    }

    /// The number of bytes of a character, by its first one. Every encoding of a database has ASCII as it is.
    fn length(&self, first: u8) -> usize {
        match (self.encoding.as_str(), first) {
            (_, 0..=0x7f) => 1,
            ("EUC_TW", 0x8e) => 4,
            ("EUC_TW" | "EUC_JP" | "EUC_KR" | "EUC_JIS_2004", 0x8f) => 3,
            ("MULE_INTERNAL", 0x90..=0x9b) => 3,
            ("MULE_INTERNAL", 0x9c..=0x9d) => 4,
            ("EUC_TW" | "EUC_JP" | "EUC_KR" | "EUC_JIS_2004" | "EUC_CN" | "MULE_INTERNAL", _) => 2,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charset(encoding: &str, known: &[(&[u8], Option<&str>)]) -> Charset {
        let known = known.iter().map(|(bytes, text)| (Box::from(*bytes), text.map(Box::from))).collect();
        Charset { known, ..Charset::new(encoding) }
    }

    #[test]
    fn stored_text_is_converted_by_the_answers_of_the_server() {
        let western = charset("WIN1252", &[(&[0xe9], Some("é")), (&[0x80], Some("€")), (&[0x81], None)]);
        assert_eq!(western.text(b"plain").as_deref(), Ok("plain"));
        assert_eq!(western.text(b"caf\xe9 5\x80").as_deref(), Ok("café 5€"));
        assert_eq!(western.text(b"a\x81"), Err(NO_EQUIVALENT));
        assert_eq!(western.text(b"a\xff"), Err(UNSEEN));
    }

    #[test]
    fn characters_have_the_length_of_their_encoding() {
        for (encoding, stored, expected) in [
            ("LATIN1", &b"a\xe9\xe9"[..], &[1, 1, 1][..]),
            ("EUC_JP", b"a\xa4\xa2\x8e\xb1\x8f\xb0\xa1b", &[1, 2, 2, 3, 1]),
            ("EUC_TW", b"\x8e\xa2\xa1\xa1\xc4\xa1", &[4, 2]),
            ("EUC_CN", b"\xb0\xa1\xb0", &[2, 1]),
            ("MULE_INTERNAL", b"\x81\xe9\x92\xb0\xa1", &[2, 3]),
        ] {
            let charset = Charset::new(encoding);
            let lengths: Vec<usize> = charset.characters(stored).map(<[u8]>::len).collect();
            assert_eq!(lengths, expected, "{encoding}");
        }
    }
}
