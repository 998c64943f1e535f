//! Compatibility of JSON Schemas as Confluent's registry judges it: by types, properties, and whether an object takes other
//! properties than its own. Titles, descriptions and the `connect.*` attributes do not count.

use serde_json::Value;

/// The reason why data of one schema (`writer`) may not be valid under another (`reader`), with its place; none if it is.
pub(super) fn unreadable(writer: &Value, reader: &Value, place: &str) -> Option<String> {
    if takes_anything(reader) {
        return None;
    }
    match (branches(writer), branches(reader)) {
        (None, None) => one(writer, reader, place),
        // Each form that was written has to be read by one of those that are read.
        (of_writer, of_reader) => {
            let (of_writer, of_reader) =
                (of_writer.unwrap_or_else(|| vec![writer]), of_reader.unwrap_or_else(|| vec![reader]));
            let mut reasons = of_writer.into_iter().filter_map(|form| {
                let reasons: Option<Vec<String>> =
                    of_reader.iter().map(|reader| unreadable(form, reader, place)).collect();
                reasons.map(|reasons| reasons.into_iter().next().unwrap_or_else(|| format!("{place} takes nothing")))
            });
            reasons.next()
        }
    }
}

fn takes_anything(schema: &Value) -> bool {
    match schema {
        Value::Bool(takes) => *takes,
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The alternatives of a schema.
fn branches(schema: &Value) -> Option<Vec<&Value>> {
    let alternatives = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    Some(alternatives.iter().collect())
}

fn one(writer: &Value, reader: &Value, place: &str) -> Option<String> {
    let (of_writer, of_reader) = (types(writer), types(reader));
    let reads = |of: &&str| of_reader.contains(of) || **of == *"integer" && of_reader.contains(&"number");
    if !of_reader.is_empty() && (of_writer.is_empty() || !of_writer.iter().all(reads)) {
        return Some(format!("{place} is {} now, it was {}", of_reader.join(" or "), or_anything(&of_writer)));
    }
    objects(writer, reader, place).or_else(|| match (writer.get("items"), reader.get("items")) {
        (Some(writer), Some(reader)) => unreadable(writer, reader, &format!("{place}/items")),
        _ => None,
    })
}

fn or_anything(types: &[&str]) -> String {
    if types.is_empty() { "anything".to_owned() } else { types.join(" or ") }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// True if an object takes properties that it does not name.
fn is_open(schema: &Value) -> bool {
    schema.get("additionalProperties").is_none_or(|more| *more != Value::Bool(false))
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

fn objects(writer: &Value, reader: &Value, place: &str) -> Option<String> {
    let none = serde_json::Map::new();
    let properties = |schema: &'_ Value| schema.get("properties").and_then(Value::as_object).cloned();
    let (of_writer, of_reader) =
        (properties(writer).unwrap_or_else(|| none.clone()), properties(reader).unwrap_or(none));
    for (name, property) in &of_reader {
        let at = format!("{place}/properties/{name}");
        match of_writer.get(name) {
            Some(before) => {
                if let Some(reason) = unreadable(before, property, &at) {
                    return Some(reason);
                }
                if is_required(reader, name) && !is_required(writer, name) && property.get("default").is_none() {
                    return Some(format!("{at} is required now"));
                }
            }
            None if is_required(reader, name) && property.get("default").is_none() => {
                return Some(format!("{at} is new and required"));
            }
            None if is_open(writer) && !takes_anything(property) => {
                return Some(format!(
                    "{at} is new, and objects took any property of that name before (set object.additional.properties=false)"
                ));
            }
            None => {}
        }
    }
    let gone = of_writer.keys().find(|name| !of_reader.contains_key(*name));
    gone.filter(|_| !is_open(reader))
        .map(|name| format!("{place}/properties/{name} is gone, and no other property is taken"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(properties: Value, is_open: bool) -> Value {
        if is_open {
            json!({"type": "object", "title": "t", "properties": properties})
        } else {
            json!({"type": "object", "additionalProperties": false, "properties": properties})
        }
    }

    fn says(writer: &Value, reader: &Value) -> String {
        unreadable(writer, reader, "#").unwrap_or_default()
    }

    #[test]
    fn a_closed_object_may_get_properties_and_an_open_one_may_lose_them() {
        let int =
            json!({"connect.index": 0, "oneOf": [{"type": "null"}, {"type": "integer", "connect.type": "int32"}]});
        let (small, large) = (json!({"a": int}), json!({"a": int, "b": int}));
        assert_eq!(says(&object(small.clone(), false), &object(large.clone(), false)), "");
        assert!(says(&object(large.clone(), false), &object(small.clone(), false)).contains("b is gone"));
        assert_eq!(says(&object(large.clone(), true), &object(small.clone(), true)), "");
        assert!(says(&object(small, true), &object(large, true)).contains("object.additional.properties=false"));
    }

    #[test]
    fn a_type_may_widen_and_what_was_optional_may_not_become_required() {
        let number = |name: &str| object(json!({"a": {"type": name}}), false);
        assert_eq!(says(&number("integer"), &number("number")), "");
        assert_eq!(says(&number("number"), &number("integer")), "#/properties/a is integer now, it was number");
        let nullable = object(json!({"a": {"oneOf": [{"type": "null"}, {"type": "integer"}]}}), false);
        assert_eq!(says(&number("integer"), &nullable), "");
        assert!(says(&nullable, &number("integer")).contains("it was null"));
        let mut required = number("integer");
        required["required"] = json!(["a"]);
        assert_eq!(says(&required, &number("integer")), "");
        assert!(says(&number("integer"), &required).ends_with("is required now"));
        assert_eq!(says(&number("integer"), &json!({})), "");
    }
}
