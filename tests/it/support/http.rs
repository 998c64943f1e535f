//! Requests of an orchestrator or a person to a running process.

use serde_json::Value as Json;

use super::{PATIENCE, eventually, web};

/// `GET` of an address (`host:port`) and a path: status code and body.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let answer = web::get(&format!("http://{address}{path}"));
    (answer.status, answer.body)
}

/// The same, as JSON.
pub fn get_json(address: &str, path: &str) -> (u16, Json) {
    let (status, body) = get(address, path);
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// The status of a table of the only connector, if it is known.
pub fn table(address: &str, name: &str) -> Option<Json> {
    let (_, status) = get_json(address, "/status");
    let tables = status["connectors"][0]["tables"].as_array()?.clone();
    tables.into_iter().find(|table| table["table"] == name)
}

/// Waits until a table is in a state, and gives its status.
#[track_caller]
pub fn wait_for_state(address: &str, name: &str, state: &str) -> Json {
    eventually(&format!("{name} is {state}"), PATIENCE, || table(address, name).filter(|table| table["state"] == state))
}

/// The sum of a metric over the lines that hold all of the labels.
pub fn metric(address: &str, name: &str, labels: &[&str]) -> f64 {
    let (_, text) = get(address, "/metrics");
    let lines = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a value")).sum()
}
