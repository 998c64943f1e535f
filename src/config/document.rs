//! One configuration text taken apart: `{"name":…, "config":{…}}`, a flat JSON map, or `.properties`,
//! told apart by the first character. Gives each key with its text and line; knows no key by name but the
//! two of the wrapping, and resolves nothing.

use std::collections::BTreeMap;

use serde_json::Value;

pub use super::entry::{Entries, Entry, Place};
use super::properties;
use super::report::{Problem, Report};

/// A configuration text taken apart.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The file's name, or what stands for it in messages.
    pub origin: String,
    /// The keys.
    pub entries: Entries,
    /// Problems of single entries.
    pub problems: Vec<Problem>,
    /// Warnings about them.
    pub warnings: Vec<Problem>,
}

impl Document {
    /// Takes a text apart.
    ///
    /// # Errors
    /// A report with line and column if the text is neither JSON nor `.properties`.
    pub fn parse(origin: &str, text: &str) -> Result<Self, Report> {
        let mut document = Self { origin: origin.to_owned(), ..Self::default() };
        let body = text.trim_start_matches('\u{feff}');
        if body.trim_start().starts_with(['{', '[']) {
            document.read_json(body)?;
        } else if let Some(line) = yaml(origin, body) {
            let place = Place { origin: origin.to_owned(), line: Some(line) };
            return Err(Report::of_one(origin, Problem::new("", YAML).at(&place)));
        } else {
            document.read_properties(body)?;
        }
        Ok(document)
    }

    /// The document of a map that has been taken apart already (a request of REST).
    pub fn from_map(origin: &str, map: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut document = Self { origin: origin.to_owned(), ..Self::default() };
        for (key, value) in map {
            document.put(key, value, None);
        }
        document
    }

    fn put(&mut self, key: String, value: String, line: Option<usize>) {
        let place = Place { origin: self.origin.clone(), line };
        let entry = Entry::new(value, place.clone());
        if let Some(former) = self.entries.insert(key.clone(), entry) {
            let message = format!("stands twice; the last one counts, not the one at {}", former.place);
            self.warnings.push(Problem::new(&key, message).at(&place));
        }
    }

    fn malformed(&self, what: &str, message: &str, line: usize, column: usize) -> Report {
        let place = Place { origin: self.origin.clone(), line: Some(line) };
        let problem = Problem::new("", format!("not valid {what}: {message} at line {line}, column {column}"));
        Report::of_one(&self.origin, problem.at(&place))
    }

    fn read_properties(&mut self, text: &str) -> Result<(), Report> {
        let pairs = properties::parse(text)
            .map_err(|error| self.malformed(".properties", error.message, error.line, error.column))?;
        for pair in pairs {
            self.put(pair.key, pair.value, Some(pair.line));
        }
        Ok(())
    }

    fn read_json(&mut self, text: &str) -> Result<(), Report> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
            self.malformed("JSON", reason, error.line(), error.column())
        })?;
        let Value::Object(mut map) = value else {
            return Err(self.malformed("configuration", "a JSON object is needed, not an array", 1, 1));
        };
        let positions = key_positions(text);
        let config = match map.get("config") {
            Some(Value::Object(_)) => map.remove("config"),
            _ => None,
        };
        let Some(Value::Object(config)) = config else {
            self.read_object(map, &positions, 1, None);
            return Ok(());
        };
        self.warn_of_twins(&positions, 2);
        let outer_name = map.get("name").and_then(Value::as_str).map(str::to_owned);
        for key in map.keys().filter(|key| *key != "name") {
            let message = "stands beside `config`, where only `name` counts";
            self.warnings.push(Problem::new(key, message).at(&self.place_of(key, &positions, 1)));
        }
        map.retain(|key, _| key == "name");
        self.read_object(map, &positions, 1, None);
        self.read_object(config, &positions, 2, outer_name.as_deref());
        Ok(())
    }

    fn place_of(&self, key: &str, positions: &[Position], depth: usize) -> Place {
        let line = positions.iter().rev().find(|at| at.depth == depth && at.key == key).map(|at| at.line);
        Place { origin: self.origin.clone(), line }
    }

    /// JSON takes the last of two equal keys without a word.
    fn warn_of_twins(&mut self, positions: &[Position], depth: usize) {
        let mut seen = BTreeMap::new();
        for at in positions.iter().filter(|at| at.depth == depth) {
            if let Some(former) = seen.insert(at.key.as_str(), at.line) {
                let place = Place { origin: self.origin.clone(), line: Some(at.line) };
                let message = format!("stands twice; the last one counts, not the one of line {former}");
                self.warnings.push(Problem::new(&at.key, message).at(&place));
            }
        }
    }

    fn read_object(
        &mut self,
        map: serde_json::Map<String, Value>,
        positions: &[Position],
        depth: usize,
        outer_name: Option<&str>,
    ) {
        if depth == 1 && map.len() > 1 {
            self.warn_of_twins(positions, depth);
        }
        for (key, value) in map {
            let place = self.place_of(&key, positions, depth);
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    let message = "must be text, a number, true or false; lists are text with commas";
                    let kind = if matches!(value, Value::Array(_)) { "an array" } else { "an object" };
                    self.problems.push(Problem::new(&key, message).found(kind).at(&place));
                    continue;
                }
            };
            if key == "name" && outer_name.is_some_and(|name| name != text) {
                let message = "differs from the `name` beside `config`";
                self.problems.push(Problem::new("name", message).found(&text).at(&place));
            }
            self.entries.insert(key, Entry::new(text, place));
        }
    }
}

const YAML: &str = "this is YAML; a configuration is JSON or .properties: write the keys of `config` (of a KafkaConnector \
     resource: those of `spec.config`, `spec.class` as connector.class, `metadata.name` as name) as JSON, or one a line as \
     key=value";

/// The line that shows that a text is YAML: as `.properties` it would be a lot of odd keys.
fn yaml(origin: &str, text: &str) -> Option<usize> {
    let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with(['#', '!']);
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !is_blank(line)).collect();
    let (first, opening) = *lines.first()?;
    let named = [".yaml", ".yml"].iter().any(|ending| origin.to_lowercase().ends_with(ending));
    if opening.trim_end() == "---" || opening.starts_with("apiVersion:") {
        return Some(first);
    }
    // A key without a value, and what belongs to it further in.
    let nested = lines.windows(2).find(|pair| {
        let [(_, outer), (_, inner)] = pair else { return false };
        let indent = |line: &str| line.len() - line.trim_start().len();
        outer.trim_end().ends_with(':')
            && !outer.contains('=')
            && indent(inner) > indent(outer)
            && (inner.contains(": ") || inner.trim_end().ends_with(':') || inner.trim_start().starts_with("- "))
    });
    if let Some(pair) = nested {
        return Some(pair[0].0);
    }
    let is_quoted =
        |text: &str| text.len() > 1 && ['"', '\''].iter().any(|q| text.starts_with(*q) && text.ends_with(*q));
    let flat = lines.iter().all(|(_, line)| yaml_value(line).is_some());
    let quoted = lines.iter().find(|(_, line)| yaml_value(line).is_some_and(is_quoted));
    match quoted {
        Some((line, _)) if flat => Some(*line),
        _ => (named && flat).then_some(first),
    }
}

/// The value of a line `key: value`.
fn yaml_value(line: &str) -> Option<&str> {
    line.split_once(": ").filter(|(key, _)| !key.contains(['=', ' '])).map(|(_, value)| value.trim())
}

/// A key of a JSON text: how deep, and on which line.
struct Position {
    depth: usize,
    key: String,
    line: usize,
}

/// The keys of a valid JSON text with their lines, which serde_json does not tell.
fn key_positions(text: &str) -> Vec<Position> {
    let mut positions = Vec::new();
    let bytes = text.as_bytes();
    let (mut at, mut line, mut depth) = (0, 1, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => line += 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let start = at;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let end = (at + 1).min(bytes.len());
                let is_key = text[end..].trim_start().starts_with(':');
                if let (true, Ok(key)) = (is_key, serde_json::from_str(&text[start..end])) {
                    positions.push(Position { depth, key, line });
                }
            }
            _ => {}
        }
        at += 1;
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &Document) -> Vec<(&str, &str, Option<usize>)> {
        document.entries.iter().map(|(key, entry)| (key.as_str(), entry.raw.as_str(), entry.place.line)).collect()
    }

    #[test]
    fn the_three_forms_give_the_same_entries() {
        let wrapped = "{\"name\": \"n\",\n \"config\": {\n  \"tasks.max\": 1,\n  \"a\\u0062\": true, \"gone\": null}}";
        let flat = "{\"name\": \"n\",\n\n  \"tasks.max\": \"1\",\n  \"ab\": \"true\"}";
        let properties = "name=n\n\ntasks.max=1\nab=true\n";
        let expected = [("ab", "true", Some(4)), ("name", "n", Some(1)), ("tasks.max", "1", Some(3))];
        for text in [wrapped, flat, properties] {
            let document = Document::parse("f", text).unwrap();
            assert_eq!(texts(&document), expected);
            assert!(document.problems.is_empty() && document.warnings.is_empty());
        }
    }

    #[test]
    fn malformed_texts_are_reported_with_line_and_column() {
        for (text, expected) in [
            ("{\"a\": 1,\n \"b\" 2}", "not valid JSON: expected `:` at line 2, column 6"),
            ("{\"a\": 1,\n", "not valid JSON: EOF while parsing"),
            (
                "a=1\nb=\\u00",
                "not valid .properties: `\\u` must be followed by four hexadecimal digits at line 2, column 3",
            ),
            ("[1]", "a JSON object is needed"),
        ] {
            let report = Document::parse("f.json", text).unwrap_err().to_string();
            assert!(report.contains(expected) && report.contains("f.json"), "{report}");
        }
    }

    #[test]
    fn yaml_is_called_yaml_once_and_properties_with_colons_are_not() {
        let strimzi = "# orders\napiVersion: kafka.strimzi.io/v1\nkind: KafkaConnector\nmetadata:\n  name: orders\nspec:\n  \
            config:\n    mode: bulk\n";
        for (file, text, line) in [
            ("c", strimzi, 2),
            ("c", "---\nname: orders\n", 1),
            ("c", "name: orders\nconfig:\n  mode: bulk\n", 2),
            ("c", "name: orders\nconnector.class: \"JdbcSource\"\nmode: bulk\n", 2),
            ("orders.YML", "name: orders\nmode: bulk\n", 1),
        ] {
            let report = Document::parse(file, text).unwrap_err();
            assert_eq!(report.problems.len(), 1, "{report}");
            assert!(report.to_string().contains("this is YAML"), "{report}");
            assert_eq!(report.problems[0].line, Some(line), "{text}");
        }
        for text in ["name: orders\nmode: bulk\n", "name=orders\nquery=select 'a: b'\n", "a:\nb: c\n", "a=x:\n  b=c\n"]
        {
            assert!(Document::parse("c.properties", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nested_values_twins_and_two_names_are_noticed() {
        let text =
            "{\"name\":\"n\",\"config\":{\"name\":\"m\",\n\"list\":[1],\n\"map\":{},\n\"a\":1,\n\"a\":2},\"extra\":1}";
        let document = Document::parse("f", text).unwrap();
        let mut keys: Vec<_> = document.problems.iter().map(|problem| (problem.key.as_str(), problem.line)).collect();
        keys.sort();
        assert_eq!(keys, [("list", Some(2)), ("map", Some(3)), ("name", Some(1))]);
        assert_eq!(document.entries["a"].raw, "2");
        assert_eq!(document.warnings.len(), 2);
    }
}
