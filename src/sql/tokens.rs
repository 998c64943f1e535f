//! The tokens of a text with their surroundings: words that are no names, and the depth in parentheses.

use super::lexer::{Kind, Lexed, Token, lex};
use super::{Finding, Grammar};

/// Words between two statements that are joined into one.
const SET_OPERATORS: &[&str] = &["union", "except", "intersect", "minus"];
/// Words a statement begins with that can be read from.
pub(super) const READS: &[&str] = &["select", "with", "values", "table"];

/// A text, its tokens, and whether each is of the outermost statement.
pub(super) struct Tokens<'a> {
    pub(super) text: &'a str,
    grammar: Grammar,
    pub(super) lexed: Lexed,
    is_top: Vec<bool>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, grammar: Grammar) -> Self {
        let lexed = lex(text, grammar);
        let mut tokens = Self { text, grammar, lexed, is_top: Vec::new() };
        tokens.find_top();
        tokens
    }

    pub(super) fn len(&self) -> usize {
        self.lexed.tokens.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<Token> {
        self.lexed.tokens.get(index).copied()
    }

    pub(super) fn kind(&self, index: usize) -> Option<Kind> {
        self.get(index).map(|token| token.kind)
    }

    pub(super) fn before(&self, index: usize) -> Option<Token> {
        index.checked_sub(1).and_then(|index| self.get(index))
    }

    pub(super) fn str(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    pub(super) fn start(&self, index: usize) -> usize {
        self.get(index).map_or(self.text.len(), |token| token.start)
    }

    /// True if the token is of the outermost statement, or of a branch of it in parentheses.
    pub(super) fn is_top(&self, index: usize) -> bool {
        self.is_top.get(index).copied().unwrap_or(false)
    }

    /// The token is one of these words, whether or not it is a name.
    pub(super) fn is_word(&self, index: usize, words: &[&str]) -> bool {
        self.get(index).is_some_and(|token| {
            token.kind == Kind::Word && words.iter().any(|word| word.eq_ignore_ascii_case(self.str(token)))
        })
    }

    /// The token is one of these words, and no name: neither behind a dot nor an alias.
    pub(super) fn is_key(&self, index: usize, words: &[&str]) -> bool {
        let is_name = index
            .checked_sub(1)
            .is_some_and(|before| self.kind(before) == Some(Kind::Dot) || self.is_word(before, &["as"]));
        !is_name && self.is_word(index, words)
    }

    /// True if another statement follows, after ALL or DISTINCT.
    fn leads_to_statement(&self, index: usize) -> bool {
        let index = index + usize::from(self.is_word(index, &["all", "distinct"]));
        self.kind(index) == Some(Kind::Open) || self.is_word(index, READS)
    }

    pub(super) fn finding(&self, index: usize, what: impl Into<String>, remedy: &'static str) -> Finding {
        Finding::new(self.text, self.start(index), what, remedy)
    }

    fn find_top(&mut self) {
        // One entry an open parenthesis: it only groups a whole statement.
        let mut groups: Vec<bool> = Vec::new();
        for index in 0..self.len() {
            let is_top = groups.iter().all(|group| *group);
            match self.kind(index) {
                Some(Kind::Open) => {
                    self.is_top.push(is_top);
                    groups.push(is_top && self.groups_statement(index, groups.last() == Some(&true)));
                }
                Some(Kind::Close) => {
                    groups.pop();
                    self.is_top.push(groups.iter().all(|group| *group));
                }
                _ => self.is_top.push(is_top),
            }
        }
    }

    /// True if a parenthesis stands where a statement may begin.
    fn groups_statement(&self, index: usize, in_group: bool) -> bool {
        let Some(before) = index.checked_sub(1) else { return true };
        let second = before.checked_sub(1);
        match self.kind(before) {
            Some(Kind::Open) => in_group,
            Some(Kind::Close) => self.is_word(0, &["with"]) && self.leads_to_statement(index + 1),
            _ if self.is_key(before, SET_OPERATORS) => true,
            _ => self.is_word(before, &["all", "distinct"]) && second.is_some_and(|at| self.is_key(at, SET_OPERATORS)),
        }
    }

    /// The finding of a construct that is not closed.
    pub(super) fn open_findings(&self) -> Option<Finding> {
        let (at, what) = self.lexed.open?;
        Some(Finding::new(self.text, at, format!("has a {what} that is not closed"), "close it"))
    }

    /// Parameters that nobody binds. `shows`: their names may be said.
    pub(super) fn parameters(&self, shows: bool) -> Vec<Finding> {
        let mut found = Vec::new();
        for index in 0..self.len() {
            let Some(token) = self.get(index) else { continue };
            let name = match token.kind {
                Kind::Parameter => self.str(token).to_owned(),
                Kind::Sign if self.str(token) == ":" && self.is_named(index) => {
                    format!(":{}", self.get(index + 1).map_or("", |name| self.str(name)))
                }
                Kind::Sign if self.is_question(index) => "?".to_owned(),
                _ => continue,
            };
            let what = if shows { format!("has the parameter `{name}`") } else { "has a parameter".to_owned() };
            found.push(self.finding(
                index,
                format!("{what}, to which rowtide binds nothing"),
                "write a value; the condition on the cursor column is added by rowtide itself",
            ));
        }
        found
    }

    /// A colon that begins the name of a parameter, not a slice `[1:n]` nor `key : value`.
    fn is_named(&self, index: usize) -> bool {
        let (Some(colon), Some(name)) = (self.get(index), self.get(index + 1)) else { return false };
        let adjoins = name.start == colon.end && matches!(name.kind, Kind::Word | Kind::Number);
        let is_slice = index.checked_sub(1).is_some_and(|before| {
            self.ends_operand(before) || self.before(index).is_some_and(|open| self.str(open) == "[")
        });
        adjoins && !(self.grammar == Grammar::Postgres && is_slice)
    }

    /// A question mark of PostgreSQL that is no operator between two operands.
    fn is_question(&self, index: usize) -> bool {
        let Some(token) = self.get(index).filter(|token| self.str(*token).ends_with('?')) else { return false };
        if self.grammar != Grammar::Postgres || self.str(token).ends_with("??") {
            return false;
        }
        let alone = token.end - token.start == 1;
        let has_left = !alone || index.checked_sub(1).is_some_and(|before| self.ends_operand(before));
        !(has_left && self.begins_operand(index + 1))
    }

    fn ends_operand(&self, index: usize) -> bool {
        match self.kind(index) {
            Some(Kind::Word) => !self.is_key(index, NO_OPERANDS),
            Some(Kind::Quoted | Kind::Text | Kind::Number | Kind::Variable | Kind::Parameter | Kind::Close) => true,
            _ => false,
        }
    }

    fn begins_operand(&self, index: usize) -> bool {
        match self.kind(index) {
            Some(Kind::Word) => {
                let is_function =
                    || self.is_word(index, &["left", "right"]) && self.kind(index + 1) == Some(Kind::Open);
                !self.is_word(index, NO_OPERANDS)
                    || self.is_word(index, &["not", "case", "any", "all"])
                    || is_function()
            }
            Some(Kind::Quoted | Kind::Text | Kind::Number | Kind::Variable | Kind::Parameter | Kind::Open) => true,
            Some(Kind::Sign) => {
                self.get(index).is_some_and(|token| self.str(token).starts_with(['-', '+', '@', '~', ':', '?', '!']))
                    && !self.get(index).is_some_and(|token| self.str(token).starts_with("::"))
            }
            _ => false,
        }
    }
}

/// Words of PostgreSQL that are no value, whatever stands before or after them.
const NO_OPERANDS: &[&str] = &[
    "all",
    "and",
    "any",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "collate",
    "cross",
    "desc",
    "distinct",
    "else",
    "except",
    "fetch",
    "for",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "notnull",
    "offset",
    "on",
    "or",
    "order",
    "over",
    "right",
    "select",
    "similar",
    "some",
    "then",
    "union",
    "using",
    "when",
    "where",
    "window",
    "with",
];
