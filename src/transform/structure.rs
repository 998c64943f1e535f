//! Lists and maps of a literal as Kafka Connect's `Values.parseString` reads them and `Values.convertToString` writes them
//! again: `[1, 2.5]` becomes `[1.0,2.5]`.

use super::literal::{next_token, number, time, trim};
use crate::convert::values_text;
use crate::model::{FieldType, Value};

/// The text of a literal that is a list or a map; none for what Kafka Connect takes for a text.
pub(super) fn text_of(literal: &str) -> Option<String> {
    let mut tokens = Tokens { rest: literal, next: None };
    let element = if tokens.takes("[") {
        list(&mut tokens)?
    } else if tokens.takes("{") {
        map(&mut tokens)?
    } else {
        return None;
    };
    let mut text = String::new();
    element.push(&mut text)?;
    Some(text)
}

enum Element {
    Scalar(FieldType, Value<'static>),
    List(Vec<Element>),
    Map(Vec<(Element, Element)>),
}

impl Element {
    fn push(&self, text: &mut String) -> Option<()> {
        match self {
            Element::Scalar(FieldType::String, Value::Text(content)) => {
                let escaped = content.replace('\\', "\\\\").replace('"', "\\\"");
                text.push_str(&format!("\"{escaped}\""));
            }
            Element::Scalar(field_type, value) => text.push_str(&values_text(field_type, value)?),
            Element::List(elements) => {
                text.push('[');
                for (at, element) in elements.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { "," });
                    element.push(text)?;
                }
                text.push(']');
            }
            Element::Map(entries) => {
                text.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { "," });
                    key.push(text)?;
                    text.push(':');
                    value.push(text)?;
                }
                text.push('}');
            }
        }
        Some(())
    }
}

/// Tokens, of which the next may have been looked at already.
struct Tokens<'t> {
    rest: &'t str,
    next: Option<&'t str>,
}

impl<'t> Tokens<'t> {
    fn consume(&mut self) -> &'t str {
        let (token, rest) = next_token(self.rest);
        self.rest = rest;
        token
    }

    fn has_next(&self) -> bool {
        self.next.is_some() || !self.rest.is_empty()
    }

    fn next(&mut self) -> &'t str {
        self.next.take().unwrap_or_else(|| self.consume())
    }

    /// True if the next token is this one, blanks aside; it is taken then.
    fn takes(&mut self, expected: &str) -> bool {
        if !self.has_next() {
            return false;
        }
        let mut token = self.next();
        while trim(token).is_empty() && !self.rest.is_empty() {
            token = self.consume();
        }
        let is_expected = trim(token) == expected;
        self.next = (!is_expected).then_some(token);
        is_expected
    }
}

/// The elements up to the bracket that closes the list.
fn list(tokens: &mut Tokens<'_>) -> Option<Element> {
    let mut elements = Vec::new();
    while tokens.has_next() {
        if tokens.takes("]") {
            return Some(Element::List(aligned(elements)));
        }
        if tokens.takes(",") {
            return None;
        }
        elements.push(element(tokens)?);
        if tokens.takes("]") {
            return Some(Element::List(aligned(elements)));
        }
        if !tokens.takes(",") {
            return None;
        }
    }
    None
}

/// The entries up to the brace that closes the map. A key that comes again has the place of the first and the last value.
fn map(tokens: &mut Tokens<'_>) -> Option<Element> {
    let (mut keys, mut values): (Vec<Element>, Vec<Element>) = (Vec::new(), Vec::new());
    while tokens.has_next() {
        if tokens.takes("}") {
            let entries = aligned(keys).into_iter().zip(aligned(values));
            return Some(Element::Map(entries.collect()));
        }
        if tokens.takes(",") {
            return None;
        }
        let key = element(tokens)?;
        if !tokens.takes(":") {
            return None;
        }
        let value = element(tokens)?;
        match keys.iter().position(|known| is_same(known, &key)) {
            Some(at) => values[at] = value,
            None => {
                keys.push(key);
                values.push(value);
            }
        }
        tokens.takes(",");
    }
    None
}

fn is_same(one: &Element, other: &Element) -> bool {
    match (one, other) {
        (Element::Scalar(of, one), Element::Scalar(other_of, other)) => of == other_of && one == other,
        _ => false,
    }
}

/// An element: texts stand in quotes. With a null among them the whole is a text.
fn element(tokens: &mut Tokens<'_>) -> Option<Element> {
    if !tokens.has_next() || tokens.takes("null") {
        return None;
    }
    if tokens.takes("\"") {
        return Some(quoted(tokens));
    }
    for (word, value) in [("true", true), ("false", false)] {
        if tokens.takes(word) {
            return Some(Element::Scalar(FieldType::Boolean, Value::Boolean(value)));
        }
    }
    if tokens.takes("[") {
        return list(tokens);
    }
    if tokens.takes("{") {
        return map(tokens);
    }
    let token = tokens.next();
    if trim(token).is_empty() {
        return Some(Element::Scalar(FieldType::String, Value::Text(token.to_owned().into())));
    }
    let token = trim(token);
    let starts_with_digit = token.starts_with(|first: char| first.is_ascii_digit());
    let scalar = |(of, value)| Element::Scalar(of, value);
    if starts_with_digit && let Some(time) = time(token) {
        return Some(scalar(time));
    }
    (starts_with_digit || token.starts_with(['+', '-'])).then(|| number(token)).flatten().map(scalar)
}

fn quoted(tokens: &mut Tokens<'_>) -> Element {
    let mut content = String::new();
    while tokens.has_next() && !tokens.takes("\"") {
        content.push_str(tokens.next());
    }
    match time(&content) {
        Some((of, value)) => Element::Scalar(of, value),
        None => Element::Scalar(FieldType::String, Value::Text(content.into())),
    }
}

/// Numbers of several types as the widest of them: with a float among them, all are floats.
fn aligned(elements: Vec<Element>) -> Vec<Element> {
    let rank = |element: &Element| match element {
        Element::Scalar(FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64, _) => Some(0),
        Element::Scalar(FieldType::Float32, _) => Some(1),
        Element::Scalar(FieldType::Float64, _) => Some(2),
        _ => None,
    };
    let ranks = elements.iter().map(rank).collect::<Option<Vec<_>>>();
    let Some(widest) = ranks.and_then(|ranks| ranks.into_iter().max()) else {
        return elements;
    };
    let widened = |element| match (widest, element) {
        (1, Element::Scalar(_, Value::Integer(integer))) => {
            Element::Scalar(FieldType::Float32, Value::Float32(integer as f32))
        }
        (2, Element::Scalar(_, Value::Integer(integer))) => {
            Element::Scalar(FieldType::Float64, Value::Float64(integer as f64))
        }
        (2, Element::Scalar(_, Value::Float32(float))) => {
            Element::Scalar(FieldType::Float64, Value::Float64(f64::from(float)))
        }
        (_, element) => element,
    };
    elements.into_iter().map(widened).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each literal with what Kafka Connect's own classes make of it.
    #[test]
    fn lists_and_maps_are_read_and_written_as_kafka_connect_does() {
        for (literal, expected) in [
            ("[1, 2.5]", "[1.0,2.5]"),
            (" [ 1.5 , 1000000000000, 300 ] x", "[1.5,1.0E12,300.0]"),
            ("[0.1, 1e300]", "[0.10000000149011612,1.0E300]"),
            ("[1,]", "[1]"),
            ("[ ]", "[]"),
            (r#"["2019-08-23", "x"]"#, r#"[2019-08-23,"x"]"#),
            (r#"["a", "b \" c"]"#, r#"["a","b \\\" c"]"#),
            (r#"[1, "x"]"#, r#"[1,"x"]"#),
            ("[[1], [2, 3]]", "[[1],[2,3]]"),
            (r#"{"a":1 "b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a": 1, "a": 3}"#, r#"{"a":3}"#),
            ("{1: [true], 2: []}", "{1:[true],2:[]}"),
        ] {
            assert_eq!(text_of(literal).as_deref(), Some(expected), "{literal}");
        }
        for literal in ["[null, true]", "[a, b]", "[1,,2]", "[1, 2", "{a: 1}", r#"{"a":null}"#, "{,}", "x", ""] {
            assert_eq!(text_of(literal), None, "{literal}");
        }
    }
}
