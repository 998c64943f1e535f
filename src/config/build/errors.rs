//! `errors.*` and `row.too.large`: what becomes of rows that cannot be delivered.

use crate::config::judge::Judge;
use crate::config::spec::{DeadLetterSpec, OffsetsSpec, RowErrorSpec, TooLarge};

const TOLERANCE: &str = "errors.tolerance";
const TOO_LARGE: &str = "row.too.large";
const TOPIC: &str = "errors.deadletterqueue.topic.name";

pub(super) fn build(judge: &mut Judge, offsets: &OffsetsSpec) -> RowErrorSpec {
    let tolerated = judge.text(TOLERANCE).eq_ignore_ascii_case("all");
    let too_large = match judge.text(TOO_LARGE).to_ascii_lowercase().as_str() {
        "dlq" => TooLarge::DeadLetter,
        "omit-columns" => TooLarge::OmitColumns,
        _ => TooLarge::Fail,
    };
    let topic = judge.text(TOPIC).to_owned();
    if topic.is_empty() && too_large == TooLarge::DeadLetter {
        judge.problem(TOO_LARGE, format!("needs a topic for the rows that are too large; set {TOPIC}"), &[TOPIC]);
    }
    if !topic.is_empty() && !tolerated && too_large != TooLarge::DeadLetter {
        let message = format!(
            "would never get a record, because no row is left out; set {TOLERANCE}=all or {TOO_LARGE}=dlq, or remove it"
        );
        judge.problem(TOPIC, message, &[TOLERANCE, TOO_LARGE]);
    }
    // E7, also for the worker's topic, which is read when the connector has its own.
    if !topic.is_empty() && [Some(&offsets.topic), offsets.worker_topic.as_ref()].contains(&Some(&topic)) {
        judge.problem(TOPIC, "is the offsets topic; dead letters need one of their own", &[]);
    }
    let replication = i32::try_from(judge.number("errors.deadletterqueue.topic.replication.factor")).unwrap_or(-1);
    let headers = judge.flag("errors.deadletterqueue.context.headers.enable");
    RowErrorSpec {
        tolerated,
        logged: judge.flag("errors.log.enable"),
        values_logged: judge.flag("errors.log.include.messages"),
        too_large,
        dead_letters: (!topic.is_empty()).then_some(DeadLetterSpec { topic, replication, headers }),
    }
}
