//! Java's `.properties` syntax, read as UTF-8: comments, continuation lines, escapes, and the three kinds
//! of separators. Done here because positions are needed, because connector files hold what Java's own
//! Latin-1 cannot, and because a comment may contain a backslash.

/// One pair and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) line: usize,
}

/// The reason why a text is not in this syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: &'static str,
}

/// The pairs of a text, in order.
pub(crate) fn parse(text: &str) -> Result<Vec<Pair>, Malformed> {
    let mut pairs = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').enumerate();
    while let Some((index, natural)) = lines.next() {
        let mut logical = without_indent(natural).to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(without_indent(next));
        }
        if logical.is_empty() {
            continue;
        }
        let indent = natural.chars().count() - without_indent(natural).chars().count();
        pairs.push(pair(&logical, index + 1, indent)?);
    }
    Ok(pairs)
}

fn without_indent(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '\x0c'])
}

fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn pair(logical: &str, line: usize, indent: usize) -> Result<Pair, Malformed> {
    let mut escaped = false;
    let end = logical.char_indices().find(|(_, c)| {
        let ends = !escaped && matches!(c, '=' | ':' | ' ' | '\t' | '\x0c');
        escaped = !escaped && *c == '\\';
        ends
    });
    let (key, rest) = logical.split_at(end.map_or(logical.len(), |(at, _)| at));
    let separated = without_indent(rest);
    let value = without_indent(separated.strip_prefix(['=', ':']).unwrap_or(separated));
    let value_at = indent + logical.chars().count() - value.chars().count();
    Ok(Pair { key: unescape(key, line, indent)?, value: unescape(value, line, value_at)?, line })
}

fn unescape(text: &str, line: usize, start: usize) -> Result<String, Malformed> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars().enumerate();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        let escaped = match chars.next() {
            Some((_, 'u')) => {
                let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                let whole = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| whole);
                let message = "`\\u` must be followed by four hexadecimal digits";
                units.push(unit.ok_or(Malformed { line, column: start + at + 1, message })?);
                continue;
            }
            Some((_, 't')) => '\t',
            Some((_, 'n')) => '\n',
            Some((_, 'r')) => '\r',
            Some((_, 'f')) => '\x0c',
            Some((_, other)) => other,
            None => continue,
        };
        units.extend(escaped.encode_utf16(&mut [0; 2]).iter());
    }
    let message = "half of a surrogate pair";
    String::from_utf16(&units).map_err(|_| Malformed { line, column: start + 1, message })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_separators_continuations_and_escapes_are_javas() {
        let text = "# comment with C:\\users \\\n! another\n\n  a=1\nb : 2\nc 3\nd\\ e=\\\n   f \\\n  g\nh=\\u00e9\\uD83D\\uDE00é\r\n\
                    path=c\\:\\\\x\ti\nempty=\nbare\n";
        let pairs: Vec<_> = parse(text).unwrap().into_iter().map(|pair| (pair.key, pair.value, pair.line)).collect();
        let expected = [
            ("a", "1", 4),
            ("b", "2", 5),
            ("c", "3", 6),
            ("d e", "f g", 7),
            ("h", "é😀é", 10),
            ("path", "c:\\x\ti", 11),
            ("empty", "", 12),
            ("bare", "", 13),
        ];
        assert_eq!(pairs, expected.map(|(key, value, line)| (key.to_owned(), value.to_owned(), line)));
    }

    #[test]
    fn a_malformed_escape_is_named_with_line_and_column() {
        let malformed = parse("a=1\n  key = x\\u12g4\n").unwrap_err();
        assert_eq!((malformed.line, malformed.column), (2, 10));
        assert!(parse("a=\\uD83D").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The crate knows Java's rules too; where it reads a text, the pairs are the same.
        #[test]
        fn pairs_are_those_of_another_reader(text in "([ a-c=:\\\\#!]|\\\\?\n|\\\\[tnu]|0041){0,40}") {
            let ours: Option<Vec<_>> = parse(&text).ok().map(|pairs| pairs.into_iter().map(|p| (p.key, p.value)).collect());
            let mut theirs = Vec::new();
            let read = java_properties::PropertiesIter::new(text.as_bytes())
                .read_into(|key, value| theirs.push((key, value)));
            // A backslash at the very end of the text is undefined; the crate makes it a NUL.
            // A line that begins behind a lone backslash cannot be a comment; the crate thinks it can.
            let lone = text.lines().any(|line| line.trim() == "\\");
            let comparable = read.is_ok() && !ends_in_continuation(&text) && !lone;
            if comparable {
                prop_assert_eq!(ours, Some(theirs));
            }
        }
    }
}
