//! `commit.guard`: what is done about rows that commit late. What is possible the table of methods says.

use std::time::Duration;

use super::selection::has_query;
use crate::config::judge::Judge;
use crate::config::spec::{GuardSpec, ModeName, OnTimeout};
use crate::guard::{Configured, Wanted, refusals};

pub(super) fn build(judge: &mut Judge, dialect: Option<&str>, mode: Option<ModeName>) -> GuardSpec {
    let wanted = Wanted::from_word(&judge.text("commit.guard").to_ascii_lowercase()).unwrap_or(Wanted::Auto);
    let configured = Configured {
        database: dialect,
        is_timed: mode.map(|mode| matches!(mode, ModeName::Timestamp | ModeName::TimestampIncrementing)),
        is_bulk: mode == Some(ModeName::Bulk),
        has_query: has_query(judge),
        has_suffix: judge.is_given("query.suffix"),
        delay: judge.number("timestamp.delay.interval.ms"),
    };
    for refusal in refusals(wanted, &configured) {
        judge.problem("commit.guard", refusal.message, &[refusal.key]);
    }
    let millis = |key| Duration::from_millis(u64::try_from(judge.number(key)).unwrap_or(0));
    let (window, max_wait) = (millis("commit.guard.window.ms"), millis("commit.guard.max.wait.ms"));
    let on_timeout = match judge.text("commit.guard.on.timeout").to_ascii_lowercase().as_str() {
        "hold" => OnTimeout::Hold,
        "fail" => OnTimeout::Fail,
        _ => OnTimeout::Rescan,
    };
    GuardSpec { wanted, window, max_wait, on_timeout }
}

#[cfg(test)]
mod tests {
    use crate::config::keys;
    use crate::guard::{CursorNeed, METHODS, Wanted};
    use crate::setting::Allowed;

    #[test]
    fn the_words_of_the_key_are_the_names_of_the_methods() {
        let Some(Allowed::AnyCase(words)) = keys::find("commit.guard").map(|key| &key.allowed) else {
            panic!("no words")
        };
        assert!(words.iter().all(|word| Wanted::from_word(word).is_some()), "{words:?}");
        let mut methods = METHODS.iter().filter(|method| method.cursor != CursorNeed::Bulk);
        assert!(methods.all(|method| words.contains(&method.name)), "{words:?}");
    }
}
