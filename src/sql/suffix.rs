//! Checks of `query.suffix`: the text behind a statement of rowtide's. Behind `order by x asc` that is a clause that
//! keeps the order and the position: a limit, locks, hints to the database.

use super::lexer::Kind;
use super::query::{cleaned, second_statement};
use super::tokens::Tokens;
use super::{Finding, Grammar, Reading};

/// Words that begin a clause behind ORDER BY that neither orders nor joins.
const CLAUSES: &[&str] = &["fetch", "for", "limit", "lock", "offset", "optimize", "option", "with"];
const SETS: &[&str] = &["except", "intersect", "minus", "union"];
const ORDERS: &[&str] = &["asc", "collate", "desc", "nulls", "using"];
const KEEPS_ORDER: &str =
    "rows are read in the ascending order of the cursor, by which rowtide knows how far it has come";

/// A suffix as the database takes it.
///
/// # Errors
/// All that cannot stand in it, with the places in `text`.
pub fn suffix(text: &str, grammar: Grammar, reading: Reading) -> Result<String, Vec<Finding>> {
    let tokens = Tokens::new(text, grammar);
    let mut findings: Vec<Finding> = tokens.open_findings().into_iter().collect();
    findings.extend(tokens.parameters(true));
    if let Some(second) = second_statement(&tokens) {
        findings.push(tokens.finding(second, "begins another statement", "it is appended to a statement of rowtide's"));
    } else if let Some(deep) = unbalanced(&tokens) {
        findings.push(tokens.finding(deep, "closes a parenthesis that is not open", "remove it"));
    } else if let Some(into) = (0..tokens.len()).find(|index| tokens.is_key(*index, &["into"])) {
        findings.push(tokens.finding(into, "writes the result with INTO", "remove it"));
    } else if reading == Reading::Paged {
        findings.extend(first(&tokens).into_iter().chain(within(&tokens)).take(1));
    }
    if findings.is_empty() { Ok(cleaned(&tokens, grammar)) } else { Err(findings) }
}

/// True if it may cut a result, so that rows of one cursor value may be parted.
pub fn cuts(text: &str, grammar: Grammar) -> bool {
    let tokens = Tokens::new(text, grammar);
    (0..tokens.len()).any(|index| tokens.is_key(index, &["limit", "fetch"]))
}

pub(super) fn unbalanced(tokens: &Tokens<'_>) -> Option<usize> {
    let mut depth = 0_usize;
    for index in 0..tokens.len() {
        match tokens.kind(index) {
            Some(Kind::Open) => depth += 1,
            Some(Kind::Close) if depth == 0 => return Some(index),
            Some(Kind::Close) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The fault of a suffix that does not begin with a clause.
fn first(tokens: &Tokens<'_>) -> Option<Finding> {
    let token = tokens.get(0).filter(|token| token.kind != Kind::Semicolon)?;
    if tokens.is_word(0, CLAUSES) {
        return None;
    }
    let word = tokens.str(token).to_uppercase();
    Some(if tokens.is_word(0, SETS) {
        tokens.finding(0, format!("joins another statement with {word}"), "write a query instead")
    } else if tokens.is_word(0, ORDERS) || token.kind != Kind::Word {
        let what = if token.kind == Kind::Word {
            format!("changes the order with {word}")
        } else {
            "changes the order".to_owned()
        };
        tokens.finding(0, what, KEEPS_ORDER)
    } else {
        let remedy = "it stands behind ORDER BY, where LIMIT, FETCH FIRST, FOR, LOCK, OPTION and WITH can; write a query \
                      for anything else, or use mode=bulk";
        tokens.finding(0, format!("begins with {word}"), remedy)
    })
}

/// Clauses further on that would leave rows out or bring others.
fn within(tokens: &Tokens<'_>) -> Option<Finding> {
    const SKIPS: &str = "rows it leaves out would never be read; remove it";
    (0..tokens.len()).filter(|index| tokens.is_top(*index)).find_map(|index| {
        let after = index + 1;
        let finding = |what: &str, remedy| Some(tokens.finding(index, what, remedy));
        let second_of_limit = || tokens.is_key(0, &["limit"]) && tokens.kind(index) == Some(Kind::Comma);
        if tokens.is_key(index, &["offset"]) && !tokens.is_zero(after) || second_of_limit() {
            return finding("skips rows with OFFSET", SKIPS);
        }
        if tokens.is_key(index, &["limit"]) && tokens.is_zero(after) {
            return finding("reads no row at all", SKIPS);
        }
        if tokens.is_key(index, &["skip"]) && tokens.is_word(after, &["locked"]) {
            return finding("skips rows that others have locked", SKIPS);
        }
        if tokens.is_key(index, &["rows"]) && tokens.is_word(after, &["examined"]) {
            return finding("stops in the middle of a page with ROWS EXAMINED", SKIPS);
        }
        if tokens.is_key(index, SETS) {
            return finding("joins another statement", "write a query instead");
        }
        (tokens.is_key(index, ORDERS) || tokens.is_key(index, &["order"]))
            .then(|| tokens.finding(index, "changes the order", KEEPS_ORDER))
    })
}
