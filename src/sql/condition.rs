//! `table.PATTERN.where`: a condition that stands in parentheses behind WHERE in every statement that reads rows of a table.

use super::lexer::Kind;
use super::query::{cleaned, second_statement};
use super::suffix::unbalanced;
use super::tokens::Tokens;
use super::{Finding, Grammar};

/// Words of a statement that no condition has outside of parentheses, in any of the databases.
const CLAUSES: &[&str] = &["order", "group", "having", "limit", "union", "except", "intersect", "window", "into"];

/// Functions and words whose value is another one at another time.
const CLOCKS: &[&str] = &[
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "sysdate",
    "curdate",
    "curtime",
    "utc_timestamp",
    "utc_date",
    "utc_time",
    "unix_timestamp",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "age",
    "random",
    "rand",
];

/// A condition as the database takes it.
///
/// # Errors
/// All that cannot stand in it, with the places in `text`.
pub fn condition(text: &str, grammar: Grammar) -> Result<String, Vec<Finding>> {
    let tokens = Tokens::new(text, grammar);
    let mut findings: Vec<Finding> = tokens.open_findings().into_iter().collect();
    findings.extend(tokens.parameters(true));
    if tokens.len() == 0 {
        findings.push(Finding::of_all("has nothing but a comment", "write a condition, or nothing at all"));
    } else if tokens.is_word(0, &["where", "and", "or"]) {
        let word = tokens.get(0).map_or("", |word| tokens.str(word)).to_uppercase();
        findings.push(tokens.finding(
            0,
            format!("begins with {word}"),
            "write the condition alone; it is added by AND",
        ));
    } else if let Some(second) = second_statement(&tokens) {
        findings.push(tokens.finding(second, "begins another statement", "it is part of a statement of rowtide's"));
    } else if let Some(deep) = unbalanced(&tokens) {
        findings.push(tokens.finding(deep, "closes a parenthesis that is not open", "remove it"));
    } else if let Some(open) = unclosed(&tokens) {
        findings.push(tokens.finding(open, "opens a parenthesis that is not closed", "close it"));
    } else if let Some((at, word)) = clause(&tokens) {
        let remedy = "a condition says which rows are read; rowtide adds their order and limit";
        findings.push(tokens.finding(at, format!("has {}", word.to_uppercase()), remedy));
    }
    if findings.is_empty() { Ok(cleaned(&tokens, grammar)) } else { Err(findings) }
}

/// The word in a condition whose value changes with time, so that a row may meet it later: then its place has been passed.
pub fn changes_with_time(text: &str, grammar: Grammar) -> Option<String> {
    let tokens = Tokens::new(text, grammar);
    let is_function = |index: usize| {
        let stands_alone =
            tokens.get(index).is_some_and(|word| tokens.str(word).to_lowercase().starts_with("current_"));
        stands_alone || tokens.kind(index + 1) == Some(Kind::Open)
    };
    let found = (0..tokens.len()).find(|index| tokens.is_key(*index, CLOCKS) && is_function(*index))?;
    tokens.get(found).map(|word| tokens.str(word).to_owned())
}

fn unclosed(tokens: &Tokens<'_>) -> Option<usize> {
    let mut open = Vec::new();
    for index in 0..tokens.len() {
        match tokens.kind(index) {
            Some(Kind::Open) => open.push(index),
            Some(Kind::Close) => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

fn clause<'a>(tokens: &Tokens<'a>) -> Option<(usize, &'a str)> {
    let mut depth = 0_usize;
    (0..tokens.len()).find_map(|index| {
        match tokens.kind(index) {
            Some(Kind::Open) => depth += 1,
            Some(Kind::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_clause = depth == 0 && tokens.is_key(index, CLAUSES);
        tokens.get(index).filter(|_| is_clause).map(|token| (index, tokens.str(token)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_taken_as_it_is_but_for_what_is_none_of_it() {
        for (text, taken) in [
            (" status = 'paid; or (not)' ; ", "status = 'paid; or (not)'"),
            (
                "a in (select a from b order by a limit 3) -- the first",
                "a in (select a from b order by a limit 3) -- the first",
            ),
            (
                "extract(year from t.\"order\") > 2020 and t.limit is null",
                "extract(year from t.\"order\") > 2020 and t.limit is null",
            ),
        ] {
            assert_eq!(condition(text, Grammar::Postgres).unwrap(), taken);
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_place() {
        for (text, says) in [
            ("where a = 1", "begins with WHERE (line 1, column 1)"),
            ("and a = 1", "begins with AND"),
            ("a = 1; drop table x", "begins another statement (line 1, column 8)"),
            ("a = 1) or (b = 2", "closes a parenthesis that is not open (line 1, column 6)"),
            ("(a = 1 or b = 2", "opens a parenthesis that is not closed (line 1, column 1)"),
            ("a = 'x", "that is not closed"),
            ("a = ?", "has the parameter `?`"),
            ("a = 1\norder by a", "has ORDER (line 2, column 1)"),
            ("a = 1 limit 5", "has LIMIT"),
            ("/* nothing */", "nothing but a comment"),
        ] {
            let findings = condition(text, Grammar::MySql).unwrap_err();
            assert!(findings[0].to_string().contains(says), "{text}: {}", findings[0]);
        }
    }

    #[test]
    fn what_changes_with_time_is_seen_and_a_column_of_the_name_is_not_meant() {
        let of = |text: &str| changes_with_time(text, Grammar::Postgres);
        assert_eq!(of("at < now() - interval '1 day'").as_deref(), Some("now"));
        assert_eq!(of("day < current_date").as_deref(), Some("current_date"));
        assert_eq!(of("age > 18 and t.now = 'now()'"), None);
    }
}
