//! Settings as a client gives them, in a body of JSON.

use serde_json::Value;

use super::answer::{Answer, Refused};
use super::sentences::invalid;
use super::view::Settings;

/// The origin of settings, in messages about them.
pub(super) const ORIGIN: &str = "REST";
const NULL: &str = "Null value can not be supplied as the configuration value.";

/// Settings out of a body: text, and numbers and truth values as text.
pub(super) fn parse(body: Value) -> Answer<Settings> {
    let (given, gone) = parse_with_nulls(body)?;
    if gone.is_empty() { Ok(given) } else { Err(Refused::bad(invalid(&vec![NULL.to_owned(); gone.len()]))) }
}

/// The same, and the keys that have no value.
pub(super) fn parse_with_nulls(body: Value) -> Answer<(Settings, Vec<String>)> {
    let Value::Object(body) = body else {
        return Err(Refused::bad("Settings must be an object with a text for each key"));
    };
    let (mut given, mut gone) = (Settings::new(), Vec::new());
    for (key, value) in body {
        match value {
            Value::Null => gone.push(key),
            Value::String(text) => drop(given.insert(key, text)),
            Value::Number(number) => drop(given.insert(key, number.to_string())),
            Value::Bool(yes) => drop(given.insert(key, yes.to_string())),
            Value::Array(_) | Value::Object(_) => {
                let message =
                    format!("The value of {key} must be text, a number, true or false; lists are text with commas");
                return Err(Refused::bad(message));
            }
        }
    }
    Ok((given, gone))
}

/// The name belongs to the settings, and must be that of the request.
pub(super) fn set_name(given: &mut Settings, name: &str) -> Answer<()> {
    match given.get("name") {
        Some(other) if other != name => Err(Refused::bad(format!(
            "Connector name configuration ({other}) doesn't match connector name in the URL ({name})"
        ))),
        _ => {
            given.insert("name".to_owned(), name.to_owned());
            Ok(())
        }
    }
}
