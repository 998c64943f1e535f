//! YAML: its documents as they stand there, and how it is told from `.properties`. Scalars stay as they are written: what a
//! number is, or a boolean, is said by the key it stands under.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::node::{Item, Malformed, Map, Member, Node};

/// More maps and lists are not inside each other.
const DEEPEST: usize = 64;
/// More values are not in a text, those that aliases repeat included.
const MOST: usize = 100_000;

/// The documents of a text; those without anything in them are none.
///
/// # Errors
/// The error in a text, and its place.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, Malformed> {
    let mut reading = Reading { parser: Parser::new_from_str(text), anchors: HashMap::new(), values: 0 };
    let mut documents = Vec::new();
    loop {
        let (event, span) = reading.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => {
                let item = reading.item(event, span, 0)?;
                if item.node != Node::Null {
                    documents.push(item);
                }
            }
        }
    }
}

struct Reading<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// The values of anchors, for their aliases.
    anchors: HashMap<usize, Node>,
    values: usize,
}

fn malformed(message: impl Into<String>, span: Span) -> Malformed {
    Malformed { message: message.into(), line: span.start.line(), column: span.start.col() + 1 }
}

fn size(node: &Node) -> usize {
    match node {
        Node::Null | Node::Scalar(_) => 1,
        Node::List(items) => 1 + items.iter().map(|item| size(&item.node)).sum::<usize>(),
        Node::Map(map) => 1 + map.0.iter().map(|member| size(&member.node)).sum::<usize>(),
    }
}

impl<'t> Reading<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Malformed> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, Span::default())),
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Malformed {
                message: error.info().to_owned(),
                line: error.marker().line(),
                column: error.marker().col() + 1,
            }),
        }
    }

    fn item(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Item, Malformed> {
        self.values += 1;
        if depth > DEEPEST || self.values > MOST {
            return Err(malformed("more than a configuration holds", span));
        }
        let line = span.start.line();
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == ScalarStyle::Plain && ["", "~", "null", "Null", "NULL"].contains(&&*text);
                (if is_null { Node::Null } else { Node::Scalar(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(anchor, _) => (Node::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Node::Map(self.map(depth)?), anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| malformed("an alias inside of what it stands for", span))?;
                self.values += size(&node);
                (node, 0)
            }
            _ => return Err(malformed("a value is missing", span)),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(Item { line, node })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Item>, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.item(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map, Malformed> {
        let mut members = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Map(members));
            }
            let Item { line, node } = self.item(event, span, depth + 1)?;
            let Node::Scalar(key) = node else { return Err(malformed("a key must be a text", span)) };
            let (event, of_value) = self.next()?;
            let node = self.item(event, of_value, depth + 1)?.node;
            match (key.as_str(), node) {
                ("<<", Node::Map(merged)) => members.splice(0..0, merged.0).for_each(drop),
                ("<<", _) => return Err(malformed("`<<` takes in a map", span)),
                (_, node) => members.push(Member { key, line, node }),
            }
        }
    }
}

/// True if a text is YAML: as `.properties` it would be a lot of odd keys.
pub(super) fn is_yaml(origin: &str, text: &str) -> bool {
    let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with(['#', '!']);
    let lines: Vec<&str> = text.lines().filter(|line| !is_blank(line)).collect();
    let Some(opening) = lines.first() else { return false };
    let named = [".yaml", ".yml"].iter().any(|ending| origin.to_lowercase().ends_with(ending));
    let begins = opening.trim_end() == "---" || opening.starts_with("- ");
    let is_resource = || lines.iter().any(|line| line.starts_with("apiVersion:"));
    // A key without a value, and what belongs to it further in.
    let is_nested = || {
        lines.windows(2).any(|pair| {
            let [outer, inner] = pair else { return false };
            let indent = |line: &str| line.len() - line.trim_start().len();
            outer.trim_end().ends_with(':')
                && !outer.contains('=')
                && indent(inner) > indent(outer)
                && (inner.contains(": ") || inner.trim_end().ends_with(':') || inner.trim_start().starts_with("- "))
        })
    };
    let is_quoted =
        |text: &str| text.len() > 1 && ['"', '\''].iter().any(|q| text.starts_with(*q) && text.ends_with(*q));
    let is_flat = || lines.iter().all(|line| value_of(line).is_some());
    let has_quoted = || lines.iter().any(|line| value_of(line).is_some_and(is_quoted));
    named || begins || is_resource() || is_nested() || has_quoted() && is_flat()
}

/// The value of a line `key: value`.
fn value_of(line: &str) -> Option<&str> {
    line.split_once(": ").filter(|(key, _)| !key.contains(['=', ' '])).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Node {
        Node::Scalar(text.to_owned())
    }

    #[test]
    fn scalars_stay_as_they_are_written_and_documents_have_lines() {
        let documents = parse("a: 1e3\nb: yes\nc: ~\r\nd: \"null\"\n---\n---\n- |\n  x\n  y\n").unwrap();
        assert_eq!((documents.len(), documents[1].line), (2, 7));
        let Node::Map(map) = &documents[0].node else { panic!("a map") };
        let found: Vec<_> = map.0.iter().map(|member| (member.line, member.node.clone())).collect();
        assert_eq!(found, [(1, scalar("1e3")), (2, scalar("yes")), (3, Node::Null), (4, scalar("null"))]);
        assert_eq!(documents[1].node, Node::List(vec![Item { line: 8, node: scalar("x\ny\n") }]));
    }

    #[test]
    fn aliases_stand_for_what_they_name_within_measure() {
        let documents = parse("base: &base {x: 1}\none:\n  <<: *base\n  y: 2\n").unwrap();
        let Node::Map(map) = &documents[0].node else { panic!("a map") };
        let one = map.map("one").unwrap();
        assert_eq!((one.scalar("x"), one.scalar("y")), (Some("1"), Some("2")));
        let laughs: String = (1..20)
            .fold("a0: &a0 [x, x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1));
        assert!(parse(&laughs).unwrap_err().message.contains("more than a configuration holds"));
        assert!(parse(&"[".repeat(1000)).is_err() && parse("a: *b").is_err() && parse("? {a: b}\n: c").is_err());
    }

    #[test]
    fn properties_with_colons_are_no_yaml() {
        for text in ["name: orders\nmode: bulk\n", "name=orders\nquery=select 'a: b'\n", "a:\nb: c\n", "a=x:\n  b=c\n"]
        {
            assert!(!is_yaml("c.properties", text), "{text}");
        }
        for text in [
            "# orders\napiVersion: kafka.strimzi.io/v1\n",
            "---\nname: orders\n",
            "- name: orders\n",
            "name: orders\nconfig:\n  mode: bulk\n",
            "name: orders\nconnector.class: \"JdbcSource\"\nmode: bulk\n",
        ] {
            assert!(is_yaml("c", text), "{text}");
        }
        assert!(is_yaml("orders.YML", "name: orders\nmode: bulk\n"));
    }
}
