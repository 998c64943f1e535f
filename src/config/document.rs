//! One configuration text taken apart: JSON, YAML or `.properties`, told apart by how it begins, in any of the shapes people
//! have ([`shapes`]). Gives each key with its text and line; knows no key by name but those of the shapes, and resolves
//! nothing.

mod json;
mod node;
mod shapes;
mod yaml;

use self::node::{Malformed, Map, Member, Node};
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
    /// Takes a text apart that holds one connector, or the settings of a worker.
    ///
    /// # Errors
    /// A report with line and column if the text is in no syntax, or it holds several.
    pub fn parse(origin: &str, text: &str) -> Result<Self, Report> {
        let mut documents = Self::parse_all(origin, text)?;
        match (documents.pop(), documents.len()) {
            (Some(document), 0) => Ok(document),
            (None, _) => Ok(Self { origin: origin.to_owned(), ..Self::default() }),
            (Some(_), more) => {
                let message = format!("holds {} connectors, where one is meant", more + 1);
                Err(Report::of_one(origin, Problem::new("", message)))
            }
        }
    }

    /// Takes a text apart: as many connectors as it holds.
    ///
    /// # Errors
    /// A report with line and column if the text is in no syntax.
    pub fn parse_all(origin: &str, text: &str) -> Result<Vec<Self>, Report> {
        let body = text.trim_start_matches('\u{feff}');
        let malformed = |what: &str, wrong: Malformed| {
            let Malformed { message, line, column } = wrong;
            let place = Place { origin: origin.to_owned(), line: Some(line) };
            let message = format!("not valid {what}: {message} at line {line}, column {column}");
            Report::of_one(origin, Problem::new("", message).at(&place))
        };
        let opening = body.trim_start();
        if opening.starts_with(['{', '[']) || opening.starts_with("//") || opening.starts_with("/*") {
            let item = json::parse(body).map_err(|wrong| malformed("JSON", wrong))?;
            return shapes::connectors(origin, &[item]);
        }
        if yaml::is_yaml(origin, body) {
            let items = yaml::parse(body).map_err(|wrong| malformed("YAML", wrong))?;
            return shapes::connectors(origin, &items);
        }
        let mut document = Self { origin: origin.to_owned(), ..Self::default() };
        let pairs = properties::parse(body).map_err(|error| {
            let properties::Malformed { message, line, column } = error;
            malformed(".properties", Malformed { message: message.to_owned(), line, column })
        })?;
        for pair in pairs {
            document.put(pair.key, pair.value, Some(pair.line));
        }
        Ok(vec![document])
    }

    /// The document of a map that has been taken apart already (a request of REST).
    pub fn from_map(origin: &str, map: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut document = Self { origin: origin.to_owned(), ..Self::default() };
        for (key, value) in map {
            document.put(key, value, None);
        }
        document
    }

    /// Its name, as far as it is known before anything is judged.
    pub fn name(&self) -> Option<&str> {
        self.entries.get("name").map(|entry| entry.raw.trim())
    }

    fn place(&self, line: usize) -> Place {
        Place { origin: self.origin.clone(), line: Some(line) }
    }

    fn put(&mut self, key: String, value: String, line: Option<usize>) {
        let place = Place { origin: self.origin.clone(), line };
        let entry = Entry::new(value, place.clone());
        if let Some(former) = self.entries.insert(key.clone(), entry) {
            let message = format!("stands twice; the last one counts, not the one at {}", former.place);
            self.warnings.push(Problem::new(&key, message).at(&place));
        }
    }

    /// Takes the settings of a map.
    fn read(&mut self, map: &Map) {
        for Member { key, line, node } in &map.0 {
            let kind = match node {
                Node::Null => continue,
                Node::Scalar(text) => {
                    self.put(key.clone(), text.clone(), Some(*line));
                    continue;
                }
                Node::List(_) => "an array",
                Node::Map(_) => "an object",
            };
            let message = "must be text, a number, true or false; lists are text with commas";
            self.problems.push(Problem::new(key, message).found(kind).at(&self.place(*line)));
        }
    }

    /// Takes the settings of a map inside of what has been read: what stands outside, too, has to be the same.
    fn read_within(&mut self, map: Option<&Map>, outside: &str) {
        let Some(map) = map else { return };
        let mut own = Self { origin: self.origin.clone(), ..Self::default() };
        own.read(map);
        for (key, entry) in &self.entries {
            let Some(other) = own.entries.get(key) else { continue };
            if other.raw != entry.raw {
                let message = format!("differs from the one {outside}");
                self.problems.push(Problem::new(key, message).found(&other.raw).at(&other.place));
            }
        }
        self.problems.append(&mut own.problems);
        self.warnings.append(&mut own.warnings);
        self.entries.append(&mut own.entries);
    }
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
        ] {
            let report = Document::parse("f.json", text).unwrap_err().to_string();
            assert!(report.contains(expected) && report.contains("f.json"), "{report}");
        }
    }

    #[test]
    fn every_shape_that_people_have_gives_the_same_connector() {
        let flat = "{\"name\": \"n\", \"tasks.max\": 1, \"connector.class\": \"C\", \"a\": true}";
        let config = "{\"tasks.max\": \"1\", \"connector.class\": \"C\", \"a\": \"true\"}";
        let answer =
            format!("{{\"name\": \"n\", \"config\": {config}, \"tasks\": [{{\"task\": 0}}], \"type\": \"source\"}}");
        let yaml = "name: n\ntasks.max: 1\nconnector.class: C\na: true\n";
        let strimzi = "# orders\napiVersion: kafka.strimzi.io/v1\nkind: KafkaConnector\nmetadata:\n  name: n\n  labels: {strimzi.io/cluster: c}\n\
                       spec:\n  class: C\n  tasksMax: 1\n  config:\n    a: true\n";
        for (origin, text) in [
            ("c.json", flat.to_owned()),
            ("c.json", format!("\u{feff}{}", flat.replace(", ", ",\r\n"))),
            ("c.json", answer.clone()),
            ("c.json", format!("[{answer}]")),
            ("c.json", format!("{{\"n\": {{\"info\": {answer}, \"status\": {{}}}}}}")),
            ("c.properties", "\u{feff}name=n\r\ntasks.max=1\r\nconnector.class=C\r\na=true\r\n".to_owned()),
            ("c.yaml", yaml.to_owned()),
            ("c", format!("---\n{yaml}")),
            ("c.yml", format!("\u{feff}{}", yaml.replace('\n', "\r\n"))),
            ("c", "name: n\nconfig:\n  tasks.max: \"1\"\n  connector.class: 'C'\n  a: true\n".to_owned()),
            ("c", strimzi.to_owned()),
            ("c", format!("apiVersion: v1\nkind: List\nitems:\n- {}", strimzi[9..].replace('\n', "\n  "))),
        ] {
            let document = Document::parse(origin, &text).unwrap_or_else(|report| panic!("{text}: {report}"));
            let found: Vec<_> = texts(&document).into_iter().map(|(key, text, _)| (key, text)).collect();
            assert_eq!(found, [("a", "true"), ("connector.class", "C"), ("name", "n"), ("tasks.max", "1")], "{text}");
            assert!(document.problems.is_empty() && document.warnings.is_empty(), "{text}: {:?}", document.warnings);
            assert_eq!(document.name(), Some("n"));
        }
    }

    #[test]
    fn a_file_may_hold_several_connectors_each_with_its_lines() {
        let list = "[{\"name\": \"a\"},\n {\"name\": \"b\", \"config\": {\n  \"x\": 1}}]";
        let several = "kind: KafkaConnector\napiVersion: k/v1\nmetadata: {name: a}\nspec: {pause: true}\n---\nkind: Secret\n\
                       apiVersion: v1\n---\nkind: KafkaConnector\napiVersion: k/v1\nmetadata:\n  name: b\nspec:\n  config: {x: 1}\n";
        for (text, line) in [(list, 3), (several, 14)] {
            let documents = Document::parse_all("f", text).unwrap();
            let names: Vec<_> = documents.iter().filter_map(Document::name).collect();
            assert_eq!(names, ["a", "b"]);
            assert_eq!(documents[1].entries["x"].place.line, Some(line));
            let one = Document::parse("f", text).unwrap_err().to_string();
            assert!(one.contains("holds 2 connectors, where one is meant"), "{one}");
        }
        let warnings = &Document::parse_all("f", several).unwrap()[0].warnings;
        let warned: Vec<_> = warnings.iter().map(|warning| (warning.key.as_str(), warning.line)).collect();
        assert_eq!(warned, [("spec.pause", Some(4)), ("kind", Some(6))]);
    }

    #[test]
    fn what_holds_no_connector_is_said_with_its_line() {
        for (text, says) in [
            ("kind: KafkaConnect\napiVersion: kafka.strimzi.io/v1\n", "holds no KafkaConnector, but a KafkaConnect"),
            ("---\njust text\n", "a connector is a map of its settings"),
            ("[1]", "a connector is a map of its settings"),
            ("---\nname: n\n  mode: bulk\n", "not valid YAML"),
            (
                "{\n  // name\n  \"name\": \"n\"\n}",
                "JSON has no comments, and one begins here (`//`); take it out, or write YAML or \
              .properties at line 2, column 3",
            ),
        ] {
            let report = Document::parse("f", text).unwrap_err();
            assert!(report.to_string().contains(says) && report.problems[0].line.is_some(), "{report}");
        }
        let twice = Document::parse("f", "---\nname: n\nmode: bulk\nmode: timestamp\nconfig: {name: m}\n").unwrap();
        let problems: Vec<_> = twice.problems.iter().map(|problem| problem.to_string()).collect();
        assert!(
            problems[0].contains("name: differs from the one beside `config`") && problems[0].contains("f:5"),
            "{problems:?}"
        );
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
