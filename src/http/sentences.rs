//! Error messages about settings, in Kafka Connect's sentences.

use crate::config::{Problem, Report};

/// Keys without which no connector is.
pub(super) const REQUIRED: &[&str] = &["name", "connector.class", "connection.url"];

/// The message of a 400 about settings.
pub(super) fn refusal(report: &Report) -> String {
    let sentences: Vec<String> = report.problems.iter().map(sentence).collect();
    invalid(&sentences)
}

/// The same, of sentences.
pub(super) fn invalid(sentences: &[String]) -> String {
    format!(
        "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find the above list of \
         errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
        sentences.len(),
        sentences.join("\n")
    )
}

/// A problem in Kafka Connect's words, with what was probably meant.
pub(super) fn sentence(problem: &Problem) -> String {
    let Problem { key, found, message, also, .. } = problem;
    let meant = problem.nearest.as_ref().map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    let with = if also.is_empty() { String::new() } else { format!(" (with {})", also.join(", ")) };
    match found {
        _ if key.is_empty() => message.clone(),
        None if REQUIRED.contains(&key.as_str()) => {
            format!("Missing required configuration \"{key}\" which has no default value.")
        }
        None => format!("Configuration {key}{with}: {message}{meant}"),
        Some(found) => format!("Invalid value {found} for configuration {key}{with}: {message}{meant}"),
    }
}
