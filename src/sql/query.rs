//! Checks of `query`: one statement, which only reads, and with no parts that rowtide does not know of.

use super::lexer::Kind;
use super::tokens::{READS, Tokens};
use super::{Finding, Grammar, Reading};

const ONE_STATEMENT: &str = "a query is one statement that reads, as select, with, values and table do";

/// Words of MySQL between SELECT and its list that change the execution, not the rows; a server takes them in the
/// outermost statement alone.
const MODIFIERS: &[&str] = &[
    "high_priority",
    "sql_big_result",
    "sql_buffer_result",
    "sql_cache",
    "sql_calc_found_rows",
    "sql_no_cache",
    "sql_small_result",
];

/// A query as the database takes it: without a semicolon at its end and blanks that are none to it, JDBC's `??` as
/// `?`. `shows`: parts of it may be said.
///
/// # Errors
/// All that cannot stand in it, with the places in `text`.
pub fn query(text: &str, grammar: Grammar, reading: Reading, shows: bool) -> Result<String, Vec<Finding>> {
    let tokens = Tokens::new(text, grammar);
    let mut findings: Vec<Finding> = tokens.open_findings().into_iter().collect();
    findings.extend(statement(&tokens));
    findings.extend(tokens.parameters(shows));
    if reading == Reading::Paged {
        findings.extend(cuts(&tokens));
    }
    if findings.is_empty() { Ok(cleaned(&tokens, grammar)) } else { Err(findings) }
}

/// A query that can stand in another one's FROM.
pub fn without_modifiers(sql: &str, grammar: Grammar) -> String {
    if !grammar.is_mysql_family() {
        return sql.to_owned();
    }
    let tokens = Tokens::new(sql, grammar);
    let mut edits = Vec::new();
    let mut follows_select = false;
    for index in 0..tokens.len() {
        let is_modifier = follows_select && tokens.is_key(index, MODIFIERS);
        if let Some(token) = tokens.get(index).filter(|_| is_modifier) {
            edits.push((token.start, token.end, ""));
        }
        let goes_on = tokens.is_word(index, &["all", "distinct", "distinctrow", "straight_join"]);
        follows_select =
            tokens.is_top(index) && (tokens.is_key(index, &["select"]) || follows_select && (is_modifier || goes_on));
    }
    edited(sql, edits)
}

/// The user variables (`@x`) in a query of MySQL and its relatives, each once.
pub fn user_variables(sql: &str, grammar: Grammar) -> Vec<String> {
    let tokens = Tokens::new(sql, grammar);
    let mut variables = Vec::new();
    for index in (0..tokens.len()).filter(|index| tokens.kind(*index) == Some(Kind::Variable)) {
        let name = tokens.get(index).map_or("", |token| tokens.str(token)).to_owned();
        if !name.starts_with("@@") && !variables.contains(&name) {
            variables.push(name);
        }
    }
    variables
}

/// True if a query is better run in its own words than in another one's FROM, which in MySQL and its relatives makes
/// other types of some expressions. EXPLAIN takes no other statements.
pub fn runs_as_it_stands(sql: &str, grammar: Grammar) -> bool {
    grammar.is_mysql_family() && Tokens::new(sql, grammar).is_word(0, &["select", "with"])
}

/// The statement of a text: up to the semicolon, with plain blanks, and with PostgreSQL's `??` as `?`.
pub(super) fn cleaned(tokens: &Tokens<'_>, grammar: Grammar) -> String {
    let end = (0..tokens.len()).find(|index| tokens.kind(*index) == Some(Kind::Semicolon));
    let mut edits: Vec<(usize, usize, &str)> =
        tokens.lexed.odd_blanks.iter().map(|(start, end)| (*start, *end, " ")).collect();
    if grammar == Grammar::Postgres {
        for index in (0..tokens.len()).filter(|index| tokens.kind(*index) == Some(Kind::Sign)) {
            let Some(token) = tokens.get(index) else { continue };
            let doubled = tokens.str(token).match_indices("??");
            edits.extend(doubled.map(|(at, pair)| (token.start + at, token.start + at + pair.len(), "?")));
        }
    }
    let end = end.map_or(tokens.text.len(), |index| tokens.start(index));
    edits.retain(|(start, ..)| *start < end);
    edits.sort_unstable();
    edited(&tokens.text[..end], edits).trim().to_owned()
}

fn edited(text: &str, edits: Vec<(usize, usize, &str)>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end, instead) in edits {
        result.push_str(&text[at..start]);
        result.push_str(instead);
        at = end;
    }
    result.push_str(&text[at..]);
    result
}

/// The reason why it is not one statement that reads.
fn statement(tokens: &Tokens<'_>) -> Option<Finding> {
    let first = (0..tokens.len()).find(|index| tokens.kind(*index) != Some(Kind::Open));
    let Some(first) = first.filter(|index| tokens.kind(*index) != Some(Kind::Semicolon)) else {
        return Some(Finding::of_all("must be a statement that reads, and is not one", ONE_STATEMENT));
    };
    if let Some(second) = second_statement(tokens) {
        return Some(tokens.finding(second, "must be one statement that reads, and has a second one", ONE_STATEMENT));
    }
    if !tokens.is_word(first, READS) {
        let word = tokens.get(first).filter(|token| token.kind == Kind::Word).map(|token| tokens.str(token));
        let word = word.map_or_else(String::new, |word| format!(" {}", word.to_uppercase()));
        return Some(tokens.finding(
            first,
            format!("must be a statement that reads, and begins with{word}"),
            ONE_STATEMENT,
        ));
    }
    (first..tokens.len()).find_map(|index| writes(tokens, index, tokens.is_word(first, &["with"])))
}

/// The first token after a semicolon.
pub(super) fn second_statement(tokens: &Tokens<'_>) -> Option<usize> {
    let semicolon = (0..tokens.len()).find(|index| tokens.kind(*index) == Some(Kind::Semicolon))?;
    (semicolon..tokens.len()).find(|index| tokens.kind(*index) != Some(Kind::Semicolon))
}

/// A part that writes: INTO, and the statements of a WITH.
fn writes(tokens: &Tokens<'_>, index: usize, is_with: bool) -> Option<Finding> {
    let says =
        |what: &str| Some(tokens.finding(index, format!("must be a statement that reads, and {what}"), ONE_STATEMENT));
    if tokens.is_top(index) && tokens.is_key(index, &["into"]) {
        return says("writes its result with INTO");
    }
    let before = index.checked_sub(1)?;
    let opens = tokens.kind(before) == Some(Kind::Open)
        && before.checked_sub(1).is_some_and(|at| tokens.is_word(at, &["as", "materialized"]));
    let begins = opens || tokens.is_top(index) && tokens.kind(before) == Some(Kind::Close);
    let word =
        ["insert", "update", "delete", "merge", "replace"].into_iter().find(|word| tokens.is_word(index, &[word]))?;
    let has_object = matches!(tokens.kind(index + 1), Some(Kind::Word | Kind::Quoted));
    if is_with && begins && has_object { says(&format!("has {} in it", word.to_uppercase())) } else { None }
}

/// Clauses that leave rows out of a page, though the cursor goes past them.
fn cuts(tokens: &Tokens<'_>) -> Vec<Finding> {
    const REMEDY: &str = "rows beyond it would never be read; rowtide reads in pages by itself, whose size is \
                          batch.max.rows, or use mode=bulk";
    let mut findings = Vec::new();
    for index in 0..tokens.len() {
        if let Some(word) = cut(tokens, index).filter(|_| tokens.is_top(index)) {
            findings.push(tokens.finding(index, format!("has {word} in a mode with a cursor"), REMEDY));
        }
        if tokens.is_key(index, &["skip"]) && tokens.is_word(index + 1, &["locked"]) {
            let remedy = "rows that others have locked would never be read; remove it, or use mode=bulk";
            findings.push(tokens.finding(index, "has SKIP LOCKED in a mode with a cursor", remedy));
        }
    }
    // LIMIT and OFFSET are one mistake.
    findings.truncate(1);
    findings
}

/// The clause that cuts a result, if it begins here.
fn cut(tokens: &Tokens<'_>, index: usize) -> Option<&'static str> {
    let next = |words: &[&str]| tokens.is_word(index + 1, words);
    let has_value = matches!(
        tokens.kind(index + 1),
        Some(Kind::Number | Kind::Open | Kind::Parameter | Kind::Word | Kind::Variable)
    );
    let is_count = matches!(tokens.kind(index + 1), Some(Kind::Number | Kind::Open | Kind::Parameter));
    let follows = |words: &[&str]| index.checked_sub(1).is_some_and(|before| tokens.is_word(before, words));
    if tokens.is_key(index, &["limit"]) && has_value && !next(&["all", "null", "from"]) {
        return Some("LIMIT");
    }
    if tokens.is_key(index, &["fetch"]) && next(&["first", "next"]) {
        return Some("FETCH FIRST");
    }
    let is_number = matches!(tokens.kind(index + 1), Some(Kind::Number | Kind::Parameter));
    if tokens.is_key(index, &["offset"]) && is_number && !tokens.is_zero(index + 1) {
        return Some("OFFSET");
    }
    (tokens.is_key(index, &["top"]) && is_count && follows(&["select", "distinct", "all"])).then_some("TOP")
}

impl Tokens<'_> {
    /// The number 0.
    pub(super) fn is_zero(&self, index: usize) -> bool {
        self.get(index).is_some_and(|token| self.str(token) == "0")
    }
}
