//! JSON, judged by serde_json and then read again for what that does not tell: lines, keys that stand twice, and numbers as
//! they are written.

use serde_json::Value;

use super::node::{Item, Malformed, Map, Member, Node};

/// Reads a text.
///
/// # Errors
/// The error in a text, and its place.
pub(super) fn parse(text: &str) -> Result<Item, Malformed> {
    if let Err(error) = serde_json::from_str::<Value>(text) {
        let message = error.to_string();
        let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
        let (line, column) = (error.line(), error.column());
        let comment = comment_at(text, line, column).map(|sign| {
            format!("JSON has no comments, and one begins here (`{sign}`); take it out, or write YAML or .properties")
        });
        return Err(Malformed { message: comment.unwrap_or_else(|| reason.to_owned()), line, column });
    }
    let mut reading = Reading { rest: text, line: 1 };
    reading.skip_blanks();
    Ok(reading.item())
}

/// The sign of the comment that stands where JSON goes no further.
fn comment_at(text: &str, line: usize, column: usize) -> Option<&'static str> {
    let line = text.split('\n').nth(line.checked_sub(1)?)?;
    // The column is that of the byte at fault, or of the one before it.
    let near = [column.checked_sub(1)?, column].into_iter().chain(column.checked_sub(2));
    let signs = ["//", "/*", "#"];
    near.filter_map(|at| line.get(at..)).find_map(|rest| signs.into_iter().find(|sign| rest.starts_with(sign)))
}

/// A text that is known to be JSON.
struct Reading<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reading<'t> {
    /// Takes so many bytes.
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        let blanks = self.rest.len() - self.rest.trim_start().len();
        self.take(blanks);
    }

    /// Takes a sign if it is the next one, and the blanks around it.
    fn takes(&mut self, sign: char) -> bool {
        self.skip_blanks();
        let is_next = self.rest.starts_with(sign);
        if is_next {
            self.take(sign.len_utf8());
            self.skip_blanks();
        }
        is_next
    }

    fn string(&mut self) -> String {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let quoted = self.take(end + 1);
        serde_json::from_str(quoted).unwrap_or_default()
    }

    fn item(&mut self) -> Item {
        let line = self.line;
        Item { line, node: self.node() }
    }

    fn node(&mut self) -> Node {
        match self.rest.as_bytes().first() {
            Some(b'{') => Node::Map(self.map()),
            Some(b'[') => Node::List(self.list()),
            Some(b'"') => Node::Scalar(self.string()),
            _ => {
                let end = self.rest.find(|sign: char| sign.is_whitespace() || ",]}".contains(sign));
                match self.take(end.unwrap_or(self.rest.len())) {
                    "null" => Node::Null,
                    text => Node::Scalar(text.to_owned()),
                }
            }
        }
    }

    fn map(&mut self) -> Map {
        let mut members = Vec::new();
        self.takes('{');
        while !self.rest.is_empty() && !self.takes('}') {
            let (line, key) = (self.line, self.string());
            self.takes(':');
            members.push(Member { key, line, node: self.node() });
            self.takes(',');
        }
        Map(members)
    }

    fn list(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        self.takes('[');
        while !self.rest.is_empty() && !self.takes(']') {
            items.push(self.item());
            self.takes(',');
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_are_written_and_keys_that_stand_twice_are_kept() {
        let Node::Map(map) =
            parse("{\"a\" : 1e3,\r\n \"b\":[1.0, -12345678901234567890],\n\"a\": \"x\\u0079\\\"\"}").unwrap().node
        else {
            panic!("a map")
        };
        let keys: Vec<_> = map.0.iter().map(|member| (member.key.as_str(), member.line)).collect();
        assert_eq!(keys, [("a", 1), ("b", 2), ("a", 3)]);
        assert_eq!(map.0[0].node, Node::Scalar("1e3".to_owned()));
        assert_eq!(map.scalar("a"), Some("xy\""));
        let Node::List(items) = &map.0[1].node else { panic!("a list") };
        assert_eq!(items[1], Item { line: 2, node: Node::Scalar("-12345678901234567890".to_owned()) });
    }

    #[test]
    fn a_comment_is_called_one_with_its_place() {
        for (text, sign, place) in [
            ("{\n  // the name\n  \"name\": \"n\"}", "//", (2, 3)),
            ("{\"name\": \"n\", /* all */\n \"a\": 1}", "/*", (1, 15)),
            ("{\"name\": \"n\" // it\n}", "//", (1, 14)),
            ("{\n# no\n}", "#", (2, 1)),
            ("// first\n{}", "//", (1, 1)),
        ] {
            let malformed = parse(text).unwrap_err();
            assert!(malformed.message.contains(&format!("one begins here (`{sign}`)")), "{text}: {malformed:?}");
            assert_eq!((malformed.line, malformed.column), place, "{text}");
        }
        assert!(!parse("{\"a\": http://x}").unwrap_err().message.contains("comment"));
    }
}
