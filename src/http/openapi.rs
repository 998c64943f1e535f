//! The OpenAPI description of REST, and the table of paths in `docs/rest.md`: both are made of the table of routes.

mod schemas;

use axum::Json;
use serde_json::{Map, Value, json};

use super::routes::{self, Kind, Operation, Parameter, Route};

/// The description, in OpenAPI 3.1.
pub(super) async fn document() -> Json<Value> {
    Json(description())
}

fn description() -> Value {
    let paths = routes::all().iter().map(|route| (route.path.to_owned(), path(route))).collect::<Map<_, _>>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rowtide",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The REST of Kafka Connect 3.9, and rowtide's own below /rowtide/v1.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        // Whether credentials are wanted is a matter of the worker's settings.
        "security": [{}, {"basic": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

fn path(route: &Route) -> Value {
    let mut path: Map<String, Value> = route
        .operations
        .iter()
        .map(|(method, operation)| ((*method).to_owned(), shown(route, method, operation)))
        .collect();
    let parameters: Vec<Value> = names(route.path).map(path_parameter).collect();
    if !parameters.is_empty() {
        path.insert("parameters".to_owned(), Value::Array(parameters));
    }
    Value::Object(path)
}

/// The names in a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Value {
    let (about, schema) = match name {
        "name" => ("The name of a connector, percent-encoded", json!({"type": "string"})),
        "table" => ("The name of a table as `/status` shows it, percent-encoded", json!({"type": "string"})),
        "task" => ("The number of a task", json!({"type": "integer", "minimum": 0})),
        "plugin" => ("The class of a connector, or its simple name", json!({"type": "string"})),
        _ => ("The name of a logger", json!({"type": "string"})),
    };
    json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
}

fn shown(route: &Route, method: &str, operation: &Operation) -> Value {
    let mut responses: Map<String, Value> =
        operation.answers.iter().map(|(status, schema)| (status.to_string(), answer(*schema))).collect();
    responses.insert("default".to_owned(), json!({"description": "An error", "content": content("Error")}));
    let mut shown = json!({
        "operationId": id(route.path, method),
        "summary": operation.summary,
        "responses": responses,
    });
    if !operation.query.is_empty() {
        shown["parameters"] = operation.query.iter().map(query_parameter).collect();
    }
    if let Some(schema) = operation.body {
        shown["requestBody"] = json!({"required": true, "content": content(schema)});
    }
    if route.is_admin {
        shown["description"] =
            json!("Served by `admin.listeners` where there are some, and not at all where that is empty.");
    }
    shown
}

/// A name for programs that are made of the description: the method and the words of the path.
fn id(path: &str, method: &str) -> String {
    let mut id = method.to_owned();
    for word in path.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

fn answer(schema: Option<&str>) -> Value {
    match schema {
        None => json!({"description": "Done"}),
        Some("Metrics") => json!({
            "description": "OpenMetrics text",
            "content": {"application/openmetrics-text": {"schema": {"type": "string"}}},
        }),
        Some(schema) => json!({"description": "Done", "content": content(schema)}),
    }
}

fn content(schema: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

fn query_parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Number => json!({"type": "integer", "minimum": 0}),
        Kind::Words(words) => json!({"type": "array", "items": {"type": "string", "enum": words}}),
    };
    json!({"name": parameter.name, "in": "query", "description": parameter.about, "schema": schema})
}

/// The table of paths in the documentation.
pub fn markdown() -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for route in routes::all() {
        for (method, operation) in &route.operations {
            let path = route.path.replace("{name}", "NAME").replace("{table}", "TABLE").replace("{task}", "N");
            let path = path.replace("{plugin}", "CLASS").replace("{logger}", "LOGGER");
            let query: Vec<String> = operation
                .query
                .iter()
                .map(|parameter| format!("`{}`: {}", parameter.name, lower(parameter.about)))
                .collect();
            let query = if query.is_empty() { String::new() } else { format!(". {}", query.join("; ")) };
            text.push_str(&format!("| `{} {path}` | {}{query} |\n", method.to_uppercase(), operation.summary));
        }
    }
    text
}

fn lower(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_documentation_has_the_table_of_the_routes() {
        let documentation = include_str!("../../docs/rest.md");
        assert!(documentation.contains(&markdown()), "docs/rest.md: put this in its place\n{}", markdown());
    }

    #[test]
    fn every_schema_that_is_named_is_there_and_every_operation_has_its_own_id() {
        let description = description();
        let known: BTreeSet<String> = description["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| format!("#/components/schemas/{name}"))
            .collect();
        let (mut named, mut ids) = (BTreeSet::new(), Vec::new());
        gather(&description, &mut named, &mut ids);
        assert_eq!(named.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(known.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "nobody needs them");
        let operations = routes::all().iter().map(|route| route.operations.len()).sum::<usize>();
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (operations, operations));
    }

    fn gather(value: &Value, named: &mut BTreeSet<String>, ids: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value.as_str()) {
                        ("$ref", Some(name)) => drop(named.insert(name.to_owned())),
                        ("operationId", Some(id)) => ids.push(id.to_owned()),
                        _ => gather(value, named, ids),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| gather(value, named, ids)),
            _ => {}
        }
    }
}
