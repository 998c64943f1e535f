//! `commit.guard`: what is done about rows that commit late.

use std::time::Duration;

use super::selection::has_query;
use crate::config::judge::Judge;
use crate::config::spec::{GuardChoice, GuardSpec, ModeName, ModeSpec};

/// The dialects whose rows tell their transaction.
const WITH_ROW_IDS: &str = "postgresql";

pub(super) fn build(judge: &mut Judge, dialect: Option<&str>, mode: Option<&ModeSpec>) -> GuardSpec {
    let mode = mode.map(|mode| mode.mode);
    let is_timed = matches!(mode, None | Some(ModeName::Timestamp | ModeName::TimestampIncrementing));
    let word = judge.text("commit.guard").to_ascii_lowercase();
    let way = match word.as_str() {
        "snapshot" => {
            let mut refuse = |message: String, other: &str| judge.problem("commit.guard", message, &[other]);
            match dialect {
                Some(other) if other != WITH_ROW_IDS => {
                    refuse(
                        format!("snapshot is not possible on {other}, whose rows do not tell their transaction"),
                        "connection.url",
                    );
                }
                _ if !is_timed => {
                    refuse("snapshot needs a timestamp: mode timestamp or timestamp+incrementing".to_owned(), "mode");
                }
                _ => {}
            }
            if has_query(judge) {
                judge.problem(
                    "commit.guard",
                    "snapshot needs tables: the rows of a query do not tell their transaction",
                    &["query"],
                );
            }
            if judge.is_given("query.suffix") {
                judge.problem(
                    "commit.guard",
                    "snapshot is not possible with query.suffix, which may leave rows out",
                    &["query.suffix"],
                );
            }
            GuardChoice::Snapshot
        }
        "delay" => {
            if !is_timed {
                judge.problem(
                    "commit.guard",
                    "delay needs a timestamp: mode timestamp or timestamp+incrementing",
                    &["mode"],
                );
            } else if judge.number("timestamp.delay.interval.ms") <= 0 {
                judge.problem(
                    "commit.guard",
                    "delay needs timestamp.delay.interval.ms",
                    &["timestamp.delay.interval.ms"],
                );
            }
            GuardChoice::Delay
        }
        "off" => GuardChoice::Off,
        _ => GuardChoice::Auto,
    };
    let window = u64::try_from(judge.number("commit.guard.window.ms")).unwrap_or(0);
    GuardSpec { way, window: Duration::from_millis(window) }
}
