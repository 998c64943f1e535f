//! `commit.guard`: what is done about rows that commit late.

use std::time::Duration;

use super::selection::has_query;
use crate::config::judge::Judge;
use crate::config::spec::{GuardChoice, GuardSpec, ModeName, ModeSpec, OnTimeout};

/// The dialects whose rows tell their transaction, and the one that can be read as of a time.
const WITH_SNAPSHOT: [&str; 2] = ["postgresql", "tidb"];

pub(super) fn build(judge: &mut Judge, dialect: Option<&str>, mode: Option<&ModeSpec>) -> GuardSpec {
    let mode = mode.map(|mode| mode.mode);
    let (timed, counted) = (
        matches!(mode, None | Some(ModeName::Timestamp | ModeName::TimestampIncrementing)),
        matches!(mode, None | Some(ModeName::Incrementing)),
    );
    let word = judge.text("commit.guard").to_ascii_lowercase();
    let way = match word.as_str() {
        "snapshot" => {
            let mut refuse = |message: String, other: &str| judge.problem("commit.guard", message, &[other]);
            match dialect {
                Some(other) if !WITH_SNAPSHOT.contains(&other) => {
                    refuse(
                        format!("snapshot is not possible on {other}, whose rows do not tell their transaction"),
                        "connection.url",
                    );
                }
                Some("tidb") => {}
                _ if !timed => {
                    refuse(
                        "snapshot needs a timestamp: mode timestamp or timestamp+incrementing; ids have gaps"
                            .to_owned(),
                        "mode",
                    );
                }
                _ if has_query(judge) => judge.problem(
                    "commit.guard",
                    "snapshot needs tables: the rows of a query do not tell their transaction",
                    &["query"],
                ),
                _ => {}
            }
            GuardChoice::Snapshot
        }
        "window" => GuardChoice::Window,
        "hold" => GuardChoice::Hold,
        "rescan" => GuardChoice::Rescan,
        "gaps" => GuardChoice::Gaps,
        "delay" => GuardChoice::Delay,
        "off" => GuardChoice::Off,
        _ => GuardChoice::Auto,
    };
    if !timed && matches!(way, GuardChoice::Window | GuardChoice::Hold | GuardChoice::Rescan | GuardChoice::Delay) {
        let message = format!("{word} needs a timestamp: mode timestamp or timestamp+incrementing");
        judge.problem("commit.guard", message, &["mode"]);
    } else if way == GuardChoice::Gaps && !counted {
        judge.problem("commit.guard", "gaps are those of ids: it needs mode=incrementing", &["mode"]);
    } else if way == GuardChoice::Delay && judge.number("timestamp.delay.interval.ms") <= 0 {
        let other = "timestamp.delay.interval.ms";
        judge.problem("commit.guard", "delay needs timestamp.delay.interval.ms above 0", &[other]);
    }
    let other = "timestamp.delay.interval.ms";
    if !matches!(way, GuardChoice::Auto | GuardChoice::Delay | GuardChoice::Off) && judge.number(other) < 0 {
        let message = format!("{word} is not possible with a negative {other}, which reads beyond the clock");
        judge.problem("commit.guard", message, &[other]);
    }
    if !matches!(way, GuardChoice::Auto | GuardChoice::Delay | GuardChoice::Off) && judge.is_given("query.suffix") {
        let message = format!("{word} is not possible with query.suffix, which may leave rows out");
        judge.problem("commit.guard", message, &["query.suffix"]);
    }
    let millis = |key| Duration::from_millis(u64::try_from(judge.number(key)).unwrap_or(0));
    let (window, max_wait) = (millis("commit.guard.window.ms"), millis("commit.guard.max.wait.ms"));
    let on_timeout = match judge.text("commit.guard.on.timeout").to_ascii_lowercase().as_str() {
        "hold" => OnTimeout::Hold,
        "fail" => OnTimeout::Fail,
        _ => OnTimeout::Rescan,
    };
    GuardSpec { way, window, max_wait, on_timeout }
}
