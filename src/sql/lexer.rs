//! Tokens of a statement by the rules of its database: the kind and the place of each, without comments and blanks. The
//! text of a comment `/*! ... */` is run by MySQL, so it is tokens.

use super::Grammar;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes.
    Quoted,
    /// A literal that is no number.
    Text,
    Number,
    /// `@x` and `@@x` of MySQL.
    Variable,
    /// A place for a value that is bound: `?`, `$1`, and SQLite's names. (`:name` is two tokens.)
    Parameter,
    Open,
    Close,
    Comma,
    Dot,
    Semicolon,
    /// An operator, or another sign.
    Sign,
}

/// One token: `text[start..end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    /// Characters that look like blanks and are none to the database, such as the no-break space.
    pub(super) odd_blanks: Vec<(usize, usize)>,
    /// The construct that is not closed, and its start.
    pub(super) open: Option<(usize, &'static str)>,
}

/// Splits a text into tokens. The rest of a text belongs to a construct that is not closed.
pub(super) fn lex(text: &str, grammar: Grammar) -> Lexed {
    let mut lexer = Lexer { text, at: 0, grammar, is_conditional: false, lexed: Lexed::default() };
    while lexer.at < text.len() {
        lexer.step();
    }
    lexer.lexed
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    grammar: Grammar,
    /// True inside `/*! ... */`.
    is_conditional: bool,
    lexed: Lexed,
}

const OPEN_COMMENT: &str = "comment";
const OPEN_LITERAL: &str = "literal";
const OPEN_NAME: &str = "quoted name";

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn starts(&self, prefix: &str) -> bool {
        self.rest().starts_with(prefix)
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        self.at += self.rest().find(|c| !wanted(c)).unwrap_or(self.rest().len());
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.lexed.tokens.push(Token { kind, start, end: self.at });
    }

    fn step(&mut self) {
        let start = self.at;
        let Some(c) = self.peek() else { return };
        if c.is_whitespace() || c == '\u{feff}' {
            self.at += c.len_utf8();
            if !c.is_ascii() {
                self.lexed.odd_blanks.push((start, self.at));
            }
            return;
        }
        if self.comment() {
            return;
        }
        let mysql = self.grammar.is_mysql_family();
        match c {
            '\'' => self.quoted('\'', mysql || self.is_escaped_literal(), Kind::Text),
            '"' if mysql => self.quoted('"', true, Kind::Text),
            '"' => self.quoted('"', false, Kind::Quoted),
            '`' if self.grammar != Grammar::Postgres => self.quoted('`', false, Kind::Quoted),
            '[' if self.grammar == Grammar::Sqlite => self.quoted(']', false, Kind::Quoted),
            '@' if mysql => self.variable(),
            '$' if !mysql => self.dollar(),
            '?' if self.grammar != Grammar::Postgres => {
                self.at += 1;
                self.skip_while(|c| c.is_ascii_digit());
                self.push(Kind::Parameter, start);
            }
            '@' if self.grammar == Grammar::Sqlite && self.rest().chars().nth(1).is_some_and(begins_name) => {
                self.at += 1;
                self.skip_while(in_name);
                self.push(Kind::Parameter, start);
            }
            '0'..='9' => self.number(),
            '.' if self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit) && !self.follows_name() => {
                self.number()
            }
            c if begins_name(c) || (mysql && c == '$') => {
                self.skip_while(in_name);
                self.push(Kind::Word, start);
            }
            _ => self.sign(c),
        }
    }

    /// Passes over a comment, or over the begin or end of one that is run.
    fn comment(&mut self) -> bool {
        let start = self.at;
        let mysql = self.grammar.is_mysql_family();
        let after = self.rest().chars().nth(2);
        let dashes = self.starts("--") && (!mysql || after.is_none_or(|c| c.is_whitespace() || c.is_control()));
        if dashes || (mysql && self.starts("#")) {
            let ends_with_return = self.grammar == Grammar::Postgres;
            self.skip_while(|c| c != '\n' && !(ends_with_return && c == '\r'));
            return true;
        }
        if self.is_conditional && self.starts("*/") {
            self.at += 2;
            self.is_conditional = false;
            return true;
        }
        if !self.starts("/*") {
            return false;
        }
        if let Some(length) = self.conditional_opening() {
            self.at += length;
            self.is_conditional = true;
            return true;
        }
        let mut depth = 0;
        while self.at < self.text.len() {
            if self.starts("/*") && (depth == 0 || self.grammar == Grammar::Postgres) {
                depth += 1;
                self.at += 2;
            } else if self.starts("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return true;
                }
            } else {
                self.at += self.peek().map_or(1, char::len_utf8);
            }
        }
        self.lexed.open = Some((start, OPEN_COMMENT));
        true
    }

    /// The length of `/*!50100`, `/*M!100100`, `/*T![feature]`, if this server runs what follows.
    fn conditional_opening(&self) -> Option<usize> {
        let openings: &[&str] = match self.grammar {
            Grammar::Postgres | Grammar::Sqlite => &[],
            Grammar::MySql => &["/*!"],
            Grammar::MariaDb => &["/*!", "/*M!"],
            Grammar::TiDb => &["/*!", "/*T!"],
        };
        let opening = openings.iter().find(|opening| self.starts(opening))?;
        let rest = &self.rest()[opening.len()..];
        let version = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let feature = rest.strip_prefix('[').and_then(|rest| rest.find(']')).map_or(0, |end| end + 2);
        Some(opening.len() + version.max(feature))
    }

    /// True if the quote at this place belongs to PostgreSQL's `E'...'`.
    fn is_escaped_literal(&self) -> bool {
        let before = self.lexed.tokens.last().filter(|token| token.kind == Kind::Word && token.end == self.at);
        self.grammar == Grammar::Postgres
            && before.is_some_and(|word| self.text[word.start..word.end].eq_ignore_ascii_case("e"))
    }

    /// A literal or a name up to its closing quote, which is doubled or escaped inside.
    fn quoted(&mut self, close: char, escapes: bool, kind: Kind) {
        let start = self.at;
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            if c == '\\' && escapes {
                self.at += self.peek().map_or(0, char::len_utf8);
            } else if c == close {
                if close == ']' || self.peek() != Some(close) {
                    self.push(kind, start);
                    return;
                }
                self.at += 1;
            }
        }
        self.lexed.open = Some((start, if kind == Kind::Text { OPEN_LITERAL } else { OPEN_NAME }));
    }

    /// `@x`, `@'x'`, `@@session.x`.
    fn variable(&mut self) {
        let start = self.at;
        self.skip_while(|c| c == '@');
        match self.peek() {
            Some(quote @ ('\'' | '"' | '`')) => {
                self.quoted(quote, quote != '`', Kind::Text);
                self.lexed.tokens.pop_if(|token| token.start > start);
            }
            _ => self.skip_while(|c| in_name(c) || c == '.'),
        }
        self.push(Kind::Variable, start);
    }

    /// `$1`, `$name`, and in PostgreSQL `$tag$ ... $tag$`.
    fn dollar(&mut self) {
        let start = self.at;
        self.at += 1;
        if self.grammar == Grammar::Sqlite {
            self.skip_while(|c| in_name(c) || c == ':');
            self.push(Kind::Parameter, start);
            return;
        }
        let is_number = self.peek().is_some_and(|c| c.is_ascii_digit());
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        if is_number || !self.starts("$") {
            self.push(Kind::Parameter, start);
            return;
        }
        self.at += 1;
        let tag = &self.text[start..self.at];
        match self.rest().find(tag) {
            Some(length) => {
                self.at += length + tag.len();
                self.push(Kind::Text, start);
            }
            None => {
                self.at = self.text.len();
                self.lexed.open = Some((start, OPEN_LITERAL));
            }
        }
    }

    /// True if the dot at this place stands behind a name.
    fn follows_name(&self) -> bool {
        self.lexed
            .tokens
            .last()
            .is_some_and(|token| token.end == self.at && matches!(token.kind, Kind::Word | Kind::Quoted))
    }

    fn number(&mut self) {
        let start = self.at;
        let has_prefix = ["0x", "0X", "0b", "0o"].iter().any(|prefix| self.starts(prefix));
        self.skip_while(|c| in_name(c) || c == '.');
        let has_exponent = self.text[start..self.at].ends_with(['e', 'E']) && !has_prefix;
        if has_exponent && self.rest().starts_with(['+', '-']) {
            self.at += 1;
            self.skip_while(in_name);
        }
        self.push(Kind::Number, start);
    }

    fn sign(&mut self, c: char) {
        let start = self.at;
        self.at += c.len_utf8();
        let kind = match c {
            '(' | '[' => Kind::Open,
            ')' | ']' => Kind::Close,
            ',' => Kind::Comma,
            '.' => Kind::Dot,
            ';' => Kind::Semicolon,
            _ => Kind::Sign,
        };
        if c == ':' && self.rest().starts_with([':', '=']) {
            self.at += 1;
        }
        if self.grammar == Grammar::Postgres && is_operator(c) {
            // A comment ends an operator.
            while self.peek().is_some_and(is_operator) && !self.starts("--") && !self.starts("/*") {
                self.at += 1;
            }
        }
        self.push(kind, start);
    }
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_' || (!c.is_ascii() && !c.is_whitespace() && c != '\u{feff}')
}

fn in_name(c: char) -> bool {
    begins_name(c) || c.is_ascii_digit() || c == '$'
}

/// A sign that PostgreSQL's operators are made of.
fn is_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?".contains(c)
}
