//! Schemas in the registry, by subject.

use serde_json::{Value as Json, json};

use super::{Stack, web};

fn url(subject: &str, rest: &str) -> String {
    format!("{}/subjects/{subject}/versions{rest}", Stack::get().registry)
}

/// The numbers of the versions of a subject; none if there is no such subject.
pub fn versions(subject: &str) -> Vec<u64> {
    let answer: Json = serde_json::from_str(&web::get(&url(subject, "")).body).expect("JSON");
    answer.as_array().map_or_else(Vec::new, |versions| versions.iter().filter_map(Json::as_u64).collect())
}

/// Registers a schema.
#[track_caller]
pub fn register(subject: &str, schema: &str) {
    let body = json!({ "schemaType": "AVRO", "schema": schema }).to_string();
    let posted = web::post(&url(subject, ""), &body);
    assert_eq!(posted.status, 200, "{subject}: {}", posted.body);
}

/// The fields of a subject's newest schema: name and type in the words of Kafka Connect, `int8`, `Decimal(4,2)?`, where
/// `?` is a field that may be null.
#[track_caller]
pub fn fields(subject: &str) -> Vec<(String, String)> {
    let answer: Json = serde_json::from_str(&web::get(&url(subject, "/latest")).body).expect("JSON");
    let schema = answer["schema"].as_str().unwrap_or_else(|| panic!("no schema under {subject}: {answer}"));
    let schema: Json = serde_json::from_str(schema).expect("JSON");
    let fields = schema["fields"].as_array().expect("fields").iter();
    fields
        .map(|field| {
            let of = match field["type"].as_array() {
                Some(union) => format!("{}?", word(&union[1])),
                None => word(&field["type"]),
            };
            (field["name"].as_str().expect("a name").to_owned(), of)
        })
        .collect()
}

fn word(of: &Json) -> String {
    let name = of["connect.name"].as_str().or(of["connect.type"].as_str()).or(of["type"].as_str()).or(of.as_str());
    let name = name.unwrap_or("?").rsplit('.').next().unwrap_or_default();
    match name {
        "Decimal" => format!("Decimal({},{})", of["precision"], of["scale"]),
        name => name.to_owned(),
    }
}
