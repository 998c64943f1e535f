//! The shapes in which people have connectors: a flat map, `{"name": ..., "config": {...}}` as it is sent to Kafka Connect and
//! as it comes back, `GET /connectors?expand=info`, a list of any of these, and the resources of Kubernetes of Strimzi's operator.

use super::node::{Item, Map, Node};
use super::{Document, Report};
use crate::config::report::Problem;

/// The keys beside `config` in an answer of Kafka Connect that say nothing about the connector's settings.
const ANSWERED: &[&str] = &["name", "config", "tasks", "type"];
const RESOURCE: &str = "KafkaConnector";

/// The connectors of a file, and what else was found in it.
pub(super) struct Found<'o> {
    origin: &'o str,
    pub(super) documents: Vec<Document>,
    /// The kinds of other resources of Kubernetes.
    others: Vec<(String, usize)>,
}

/// The connectors of the documents of a file.
///
/// # Errors
/// A report if there is none of any of the shapes.
pub(super) fn connectors(origin: &str, items: &[Item]) -> Result<Vec<Document>, Report> {
    let mut found = Found { origin, documents: Vec::new(), others: Vec::new() };
    for item in items {
        found.add(item)?;
    }
    let Found { mut documents, others, .. } = found;
    if let Some((kind, line)) = others.first() {
        let Some(document) = documents.first_mut() else {
            let message = format!("holds no {RESOURCE}, but a {kind}");
            return Err(report(origin, &message, *line));
        };
        let message = format!("passed over: only {RESOURCE} resources are connectors");
        document.warnings.push(Problem::new("kind", message).found(kind).at(&document.place(*line)));
    }
    Ok(documents)
}

fn report(origin: &str, message: &str, line: usize) -> Report {
    let place = super::Place { origin: origin.to_owned(), line: Some(line) };
    Report::of_one(origin, Problem::new("", message).at(&place))
}

impl Found<'_> {
    fn add(&mut self, item: &Item) -> Result<(), Report> {
        let map = match &item.node {
            Node::Map(map) => map,
            Node::List(items) => return items.iter().try_for_each(|item| self.add(item)),
            Node::Null | Node::Scalar(_) => {
                return Err(report(
                    self.origin,
                    "a connector is a map of its settings, and here is a single value",
                    item.line,
                ));
            }
        };
        if map.get("apiVersion").is_some() {
            let kind = map.scalar("kind").unwrap_or("resource without a kind");
            return self.resource(kind, map, item.line);
        }
        if let Some(answers) = expanded(map) {
            answers.into_iter().for_each(|answer| self.wrapped(answer));
        } else if map.map("config").is_some() {
            self.wrapped(map);
        } else {
            let mut document = self.document();
            document.read(map);
            self.documents.push(document);
        }
        Ok(())
    }

    fn document(&self) -> Document {
        Document { origin: self.origin.to_owned(), ..Document::default() }
    }

    /// `{"name": ..., "config": {...}}`.
    fn wrapped(&mut self, map: &Map) {
        let mut document = self.document();
        for member in map.0.iter().filter(|member| !ANSWERED.contains(&member.key.as_str())) {
            let message = "stands beside `config`, where only `name` counts";
            document.warnings.push(Problem::new(&member.key, message).at(&document.place(member.line)));
        }
        document.read(&Map(map.0.iter().filter(|member| member.key == "name").cloned().collect()));
        document.read_within(map.map("config"), "beside `config`");
        self.documents.push(document);
    }

    /// A resource of Kubernetes.
    fn resource(&mut self, kind: &str, map: &Map, line: usize) -> Result<(), Report> {
        if let (true, Some(Node::List(items))) = (kind.ends_with("List"), map.get("items").map(|items| &items.node)) {
            return items.iter().try_for_each(|item| self.add(item));
        }
        if kind != RESOURCE {
            self.others.push((kind.to_owned(), line));
            return Ok(());
        }
        let nothing = Map::default();
        let spec = map.map("spec").unwrap_or(&nothing);
        let mut document = self.document();
        let named = |key: &str, from: &Map, as_key: &str| {
            from.get(key).map(|member| super::node::Member { key: as_key.to_owned(), ..member.clone() })
        };
        let fields = [
            map.map("metadata").and_then(|metadata| named("name", metadata, "name")),
            named("class", spec, "connector.class"),
            named("tasksMax", spec, "tasks.max"),
        ];
        document.read(&Map(fields.into_iter().flatten().collect()));
        document.read_within(spec.map("config"), "of the resource");
        for member in spec.0.iter().filter(|member| !["class", "tasksMax", "config"].contains(&member.key.as_str())) {
            let message = "is for the operator and without effect here";
            document
                .warnings
                .push(Problem::new(&format!("spec.{}", member.key), message).at(&document.place(member.line)));
        }
        self.documents.push(document);
        Ok(())
    }
}

/// The answers in `GET /connectors?expand=info`: each connector's under its name.
fn expanded(map: &Map) -> Option<Vec<&Map>> {
    let infos = map.0.iter().map(|member| match &member.node {
        Node::Map(of_name) => of_name.map("info").filter(|info| info.map("config").is_some()),
        _ => None,
    });
    infos.collect::<Option<Vec<_>>>().filter(|infos| !infos.is_empty())
}
