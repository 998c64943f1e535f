//! Regular expressions as Java writes them: matched as a whole, and replaced with Java's `$1` and `${name}`.

use fancy_regex::{Captures, Regex};

use crate::error::{Error, Result};

/// A Java pattern.
pub(super) struct JavaRegex(Regex);

impl JavaRegex {
    /// Reads the pattern of a setting.
    ///
    /// # Errors
    /// `Config` if it is not one, or uses what Java has and rowtide has not.
    pub(super) fn new(setting: &str, pattern: &str) -> Result<Self> {
        let refused = |what: String| Error::config(format!("{setting}: `{pattern}` {what}"));
        let translated = translated(pattern).map_err(|construct| {
            refused(format!("uses {construct}, which rowtide does not know"))
                .advise("write it out with brackets and backslashes")
        })?;
        Regex::new(&format!(r"\A(?:{translated})\z")).map(Self).map_err(|error| {
            refused(format!("is no regular expression that rowtide can read: {error}"))
                .advise("check its brackets; what Java alone knows must be written in another way")
        })
    }

    /// True if the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text).unwrap_or(false)
    }

    /// The replacement if the whole text matches.
    pub(super) fn replace(&self, text: &str, replacement: &Replacement) -> Option<String> {
        let captures = self.0.captures(text).ok().flatten()?;
        Some(replacement.expand(&captures))
    }

    /// Reads a replacement for this pattern.
    ///
    /// # Errors
    /// `Config` if it refers to a group that is not there, or ends in the middle.
    pub(super) fn replacement(&self, text: &str) -> Result<Replacement> {
        let wrong = |what: String| Error::config(format!("replacement: `{text}` {what}"));
        let groups = self.0.captures_len() - 1;
        let mut pieces = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => {
                    let literal = characters.next().ok_or_else(|| wrong("ends with a backslash".to_owned()))?;
                    pieces.push(Piece::Text(literal.to_string()));
                }
                '$' if characters.peek() == Some(&'{') => {
                    characters.next();
                    let name: String = characters.by_ref().take_while(|character| *character != '}').collect();
                    let is_known = self.0.capture_names().flatten().any(|known| known == name);
                    if !is_known {
                        return Err(wrong(format!("refers to group {name}, which the regex does not have")));
                    }
                    pieces.push(Piece::Named(name));
                }
                '$' => {
                    let first = characters.next().and_then(|digit| digit.to_digit(10));
                    let mut group =
                        first.ok_or_else(|| wrong("has a $ without a group behind it".to_owned()))? as usize;
                    if group > groups {
                        return Err(wrong(format!("refers to group {group}, and the regex has {groups}")));
                    }
                    // As many digits as make a group that is there.
                    while let Some(digit) = characters.peek().and_then(|digit| digit.to_digit(10)) {
                        let longer = group * 10 + digit as usize;
                        if longer > groups {
                            break;
                        }
                        group = longer;
                        characters.next();
                    }
                    pieces.push(Piece::Group(group));
                }
                other => pieces.push(Piece::Text(other.to_string())),
            }
        }
        Ok(Replacement(pieces))
    }
}

/// A replacement in pieces.
pub(super) struct Replacement(Vec<Piece>);

enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

impl Replacement {
    fn expand(&self, captures: &Captures<'_>) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Group(group) => captures.get(*group).map_or_else(String::new, |found| found.as_str().to_owned()),
            Piece::Named(name) => captures.name(name).map_or_else(String::new, |found| found.as_str().to_owned()),
        };
        self.0.iter().map(piece).collect()
    }
}

/// Constructs that Java alone knows, or that mean something else here: quotes, its own classes, horizontal and vertical blanks.
const UNKNOWN: [&str; 14] = ["Q", "E", "p{java", "P{java", "p{In", "P{In", "N{", "X", "h", "H", "v", "V", "R", "c"];

/// The pattern with Java's classes of letters, digits and blanks, which are those of ASCII.
///
/// # Errors
/// The construct that has no translation.
fn translated(pattern: &str) -> Result<String, String> {
    let (mut text, mut rest) = (String::new(), pattern);
    while let Some((before, escaped)) = rest.split_once('\\') {
        text.push_str(before);
        if let Some(construct) = UNKNOWN.iter().find(|construct| escaped.starts_with(**construct)) {
            return Err(format!("\\{construct}"));
        }
        let Some(letter) = escaped.chars().next() else {
            // A backslash at the end is wrong everywhere.
            text.push('\\');
            return Ok(text);
        };
        match letter {
            'd' => text.push_str("[0-9]"),
            'D' => text.push_str("[^0-9]"),
            'w' => text.push_str("[a-zA-Z0-9_]"),
            'W' => text.push_str("[^a-zA-Z0-9_]"),
            's' => text.push_str(r"[ \t\n\x0B\f\r]"),
            'S' => text.push_str(r"[^ \t\n\x0B\f\r]"),
            letter => text.extend(['\\', letter]),
        }
        rest = &escaped[letter.len_utf8()..];
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, replacement: &str, text: &str) -> Option<String> {
        let pattern = JavaRegex::new("regex", pattern).unwrap();
        let replacement = pattern.replacement(replacement).unwrap();
        pattern.replace(text, &replacement)
    }

    #[test]
    fn replacements_are_read_as_java_reads_them() {
        assert_eq!(replaced("(.*)_(.*)", "$1_v", "a_b").as_deref(), Some("a_v"));
        assert_eq!(replaced("(.*)", "$12", "x").as_deref(), Some("x2"), "there is no group 12");
        assert_eq!(replaced("(?<name>.*)", "p-${name}", "x").as_deref(), Some("p-x"));
        assert_eq!(replaced("(a)|(b)", "<$2>", "a").as_deref(), Some("<>"));
        assert_eq!(replaced("a", r"\$1", "a").as_deref(), Some("$1"));
        assert_eq!(replaced("b", "c", "ab"), None, "the whole text has to match");
        assert_eq!(replaced("(?!x)(.*)", "y$1", "ab").as_deref(), Some("yab"));
        assert_eq!(replaced(r"(\w)\1", "$1", "aa").as_deref(), Some("a"));
    }

    #[test]
    fn classes_are_those_of_ascii_as_in_java() {
        let matches = |pattern: &str, text: &str| JavaRegex::new("pattern", pattern).unwrap().matches(text);
        for (pattern, yes, no) in [
            (r"\w+", "a_Z9", "é"),
            (r"\W", "é", "_"),
            (r"[\w.-]+", "a.b-c", "a é"),
            (r"[^\d]", "a", "7"),
            (r"\d+", "09", "٣"),
            (r"\s\S", " é", "\u{a0}x"),
            (r"a\\dx", r"a\dx", "a7x"),
            (r"shop\.public\..*", "shop.public.é", "shop_public_t"),
        ] {
            assert!(matches(pattern, yes) && !matches(pattern, no), "{pattern}");
        }
    }

    #[test]
    fn what_java_would_refuse_is_refused() {
        let pattern = JavaRegex::new("regex", "(a)").unwrap();
        for replacement in ["$2", "${b}", "$", "$x", "\\"] {
            assert!(pattern.replacement(replacement).is_err(), "{replacement}");
        }
        assert!(JavaRegex::new("regex", "(").is_err() && JavaRegex::new("regex", "a\\").is_err());
        for pattern in [r"\Qa\E", r"\p{javaLowerCase}", r"a\h+b", r"\R", r"\cA", r"\v"] {
            let error = JavaRegex::new("regex", pattern).err().unwrap();
            assert!(error.to_string().contains("which rowtide does not know"), "{error}");
        }
        assert!(JavaRegex::new("regex", r"a\\h").is_ok(), "a backslash, and a letter");
    }
}
