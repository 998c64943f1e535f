//! A reader of `.proto` texts, as far as records need it: messages with the numbers, names and types of their fields, and
//! enumerations. Options, services and extensions are passed over.

use std::collections::BTreeMap;
use std::fmt;

use super::schema::wrappers;
use crate::error::{Error, ErrorKind, Result};

/// The depth to which messages may stand in each other.
const DEEPEST: usize = 32;

/// The types that schemas refer to without bringing them along.
const KNOWN: [&str; 3] = [
    "package google.protobuf; message Timestamp { int64 seconds = 1; int32 nanos = 2; }",
    "package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }
     message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }",
    "package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }",
];

/// The label of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// None: it has no presence, unless it is a message.
    None,
    /// `optional`, or a field of a `oneof`.
    Optional,
    /// `repeated`.
    Repeated,
    /// `map<...>`, whose entries are messages.
    Map,
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProtoField {
    pub(super) name: String,
    /// A scalar's type, else the full name of a message or an enumeration.
    pub(super) of: String,
    pub(super) label: Label,
    /// The scope in which the type was named.
    scope: String,
}

impl ProtoField {
    /// True if a field that was written as another one can be read as this one.
    fn reads(&self, writer: &Self) -> bool {
        let is_many = |field: &Self| matches!(field.label, Label::Repeated | Label::Map);
        let is_packed = is_scalar(&self.of) && wire(&self.of) != Some(2);
        (is_many(self) == is_many(writer) || !is_packed && self.label != Label::Map && writer.label != Label::Map)
            && (self.of == writer.of || wire(&self.of).is_some() && wire(&self.of) == wire(&writer.of))
    }
}

impl fmt::Display for ProtoField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.label == Label::Repeated { "repeated " } else { "" };
        write!(f, "{label}{}", self.of)
    }
}

/// The group of scalars that are alike on the wire; none of those that stand alone.
fn wire(of: &str) -> Option<u8> {
    match of {
        "int32" | "uint32" | "int64" | "uint64" | "bool" => Some(0),
        "sint32" | "sint64" => Some(1),
        "string" | "bytes" => Some(2),
        "fixed32" | "sfixed32" => Some(3),
        "fixed64" | "sfixed64" => Some(4),
        _ => None,
    }
}

/// A named type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProtoType {
    /// A message's fields by number, and the messages in it by order.
    Message {
        /// The fields.
        fields: BTreeMap<u32, ProtoField>,
        /// The full names of the messages inside.
        nested: Vec<String>,
    },
    /// The names of an enumeration's numbers.
    Enum(BTreeMap<i32, String>),
}

/// A file, with the known types.
#[derive(Debug, Default)]
pub(super) struct ProtoFile {
    types: BTreeMap<String, ProtoType>,
    /// The full names of the messages at the top, by order.
    top: Vec<String>,
}

impl ProtoFile {
    /// Reads a file.
    ///
    /// # Errors
    /// `Value` if it is none.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut file = Self::default();
        for known in KNOWN.into_iter().map(str::to_owned).chain([wrappers()]) {
            Parser::new(&known)?.file(&mut file)?;
        }
        file.top.clear();
        Parser::new(text)?.file(&mut file)?;
        file.resolve();
        Ok(file)
    }

    /// The full name of the message that a list of indexes means.
    pub(super) fn message_at(&self, indexes: &[usize]) -> Option<&str> {
        let (first, rest) = indexes.split_first()?;
        let mut name = self.top.get(*first)?;
        for index in rest {
            match self.types.get(name)? {
                ProtoType::Message { nested, .. } => name = nested.get(*index)?,
                ProtoType::Enum(_) => return None,
            }
        }
        Some(name)
    }

    /// A named type.
    pub(super) fn find(&self, full_name: &str) -> Option<&ProtoType> {
        self.types.get(full_name)
    }

    /// The reason why data of another file cannot be read by this one, as Confluent's registry judges: a message is gone, or
    /// the type of a field of some number is another one on the wire. None if it can be read.
    pub(super) fn cannot_read(&self, writer: &Self) -> Option<String> {
        writer.types.iter().find_map(|(name, of_writer)| match (of_writer, self.types.get(name)) {
            (_, None) => Some(format!("`{name}` is gone")),
            (ProtoType::Message { fields: old, .. }, Some(ProtoType::Message { fields: new, .. })) => {
                old.iter().find_map(|(number, old)| {
                    let new = new.get(number).filter(|new| !new.reads(old))?;
                    Some(format!("field {number} of `{name}` is {new} now, it was {old}"))
                })
            }
            (ProtoType::Enum(_), Some(ProtoType::Enum(_))) => None,
            (_, Some(_)) => Some(format!("`{name}` is of another kind now")),
        })
    }

    /// True if messages and fields are the same, whatever the spelling.
    pub(super) fn has_same_messages(&self, other: &Self) -> bool {
        let plain = |file: &Self| {
            let mut types = file.types.clone();
            for named in types.values_mut() {
                if let ProtoType::Message { fields, .. } = named {
                    fields.values_mut().for_each(|field| field.scope.clear());
                }
            }
            types
        };
        self.top == other.top && plain(self) == plain(other)
    }

    /// Gives each field the full name of its type: the innermost that there is, as Protobuf looks names up.
    fn resolve(&mut self) {
        let names: Vec<String> = self.types.keys().cloned().collect();
        let found = |name: &str, scope: &str| {
            if let Some(absolute) = name.strip_prefix('.') {
                return Some(absolute.to_owned());
            }
            let mut scope = scope;
            loop {
                let candidate = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
                if names.binary_search(&candidate).is_ok() {
                    return Some(candidate);
                }
                if scope.is_empty() {
                    return None;
                }
                scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
            }
        };
        for named in self.types.values_mut() {
            if let ProtoType::Message { fields, .. } = named {
                for field in fields.values_mut().filter(|field| !is_scalar(&field.of)) {
                    if let Some(full) = found(&field.of, &field.scope) {
                        field.of = full;
                    }
                }
            }
        }
    }
}

/// True if a type is one of Protobuf's own.
pub(super) fn is_scalar(name: &str) -> bool {
    matches!(
        name,
        "double"
            | "float"
            | "int32"
            | "int64"
            | "uint32"
            | "uint64"
            | "sint32"
            | "sint64"
            | "fixed32"
            | "fixed64"
            | "sfixed32"
            | "sfixed64"
            | "bool"
            | "string"
            | "bytes"
    )
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Value, format!("the protobuf schema cannot be read at `{what}`"))
        .advise("read the topic with a tool of Protobuf's")
}

/// Words, numbers, texts (with their quote in front) and single signs.
struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    package: String,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").ok_or_else(|| unreadable("/*"))? + 2,
                '"' | '\'' => text_length(rest, first).ok_or_else(|| unreadable("a text without end"))?,
                _ if is_of_word(first) => rest.find(|other| !is_of_word(other)).unwrap_or(rest.len()),
                sign => sign.len_utf8(),
            };
            let (token, behind) = rest.split_at(length);
            if !token.starts_with("//") && !token.starts_with("/*") {
                tokens.push(token);
            }
            rest = behind.trim_start();
        }
        Ok(Self { tokens, at: 0, package: String::new() })
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        match self.next() {
            token if token == sign => Ok(()),
            token => Err(unreadable(token)),
        }
    }

    fn word(&mut self) -> Result<&'a str> {
        let token = self.next();
        if token.chars().next().is_some_and(is_of_word) { Ok(token) } else { Err(unreadable(token)) }
    }

    fn file(&mut self, file: &mut ProtoFile) -> Result<()> {
        while self.at < self.tokens.len() {
            match self.peek() {
                "package" => {
                    self.at += 1;
                    self.package = self.word()?.to_owned();
                    self.expect(";")?;
                }
                "message" => {
                    let package = self.package.clone();
                    let name = self.message(&package, file, 0)?;
                    file.top.push(name);
                }
                "enum" => {
                    let package = self.package.clone();
                    self.enumeration(&package, file)?;
                }
                _ => self.skip_statement()?,
            }
        }
        Ok(())
    }

    /// Up to the end of a statement: a semicolon, or a block.
    fn skip_statement(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        loop {
            match self.next() {
                "" => return Err(unreadable("the end")),
                "{" | "[" => depth += 1,
                "}" | "]" => {
                    depth = depth.checked_sub(1).ok_or_else(|| unreadable("}"))?;
                    // A block in brackets or of an option is followed by a semicolon.
                    if depth == 0 && self.tokens[self.at - 1] == "}" && self.peek() != ";" {
                        return Ok(());
                    }
                }
                ";" if depth == 0 => return Ok(()),
                _ => {}
            }
        }
    }

    fn message(&mut self, scope: &str, file: &mut ProtoFile, depth: usize) -> Result<String> {
        self.expect("message")?;
        let name = full_name(scope, self.word()?);
        if depth > DEEPEST {
            return Err(unreadable(&name));
        }
        self.expect("{")?;
        let (mut fields, mut nested) = (BTreeMap::new(), Vec::new());
        loop {
            match self.peek() {
                "}" => break,
                "message" if self.tokens.get(self.at + 2) == Some(&"{") => {
                    nested.push(self.message(&name, file, depth + 1)?);
                }
                "enum" if self.tokens.get(self.at + 2) == Some(&"{") => self.enumeration(&name, file)?,
                "oneof" if self.tokens.get(self.at + 2) == Some(&"{") => self.one_of(&name, &mut fields)?,
                "option" | "reserved" | "extensions" | "extend" | ";" => self.skip_statement()?,
                "" => return Err(unreadable("the end")),
                _ => self.field(&name, Label::None, &mut fields, file)?,
            }
        }
        self.expect("}")?;
        file.types.insert(name.clone(), ProtoType::Message { fields, nested });
        Ok(name)
    }

    fn one_of(&mut self, message: &str, fields: &mut BTreeMap<u32, ProtoField>) -> Result<()> {
        self.at += 2;
        self.expect("{")?;
        while self.peek() != "}" {
            match self.peek() {
                "option" => self.skip_statement()?,
                "" => return Err(unreadable("the end")),
                _ => {
                    let of = self.word()?.to_owned();
                    self.rest_of_field(message, of, Label::Optional, fields)?;
                }
            }
        }
        self.expect("}")
    }

    fn field(
        &mut self,
        message: &str,
        mut label: Label,
        fields: &mut BTreeMap<u32, ProtoField>,
        file: &mut ProtoFile,
    ) -> Result<()> {
        let mut of = self.word()?.to_owned();
        if matches!(of.as_str(), "optional" | "required" | "repeated") {
            label = if of == "repeated" { Label::Repeated } else { Label::Optional };
            of = self.word()?.to_owned();
        }
        if of == "map" && self.peek() == "<" {
            of = self.map_entry(message, file)?;
            label = Label::Map;
        }
        self.rest_of_field(message, of, label, fields)
    }

    /// The message of a map's entries, by the name that the field's gets.
    fn map_entry(&mut self, message: &str, file: &mut ProtoFile) -> Result<String> {
        self.expect("<")?;
        let key = self.word()?.to_owned();
        self.expect(",")?;
        let value = self.word()?.to_owned();
        self.expect(">")?;
        let name = full_name(message, &format!("{}<entry>", self.peek()));
        let member =
            |name: &str, of| ProtoField { name: name.to_owned(), of, label: Label::None, scope: message.to_owned() };
        let fields = BTreeMap::from([(1, member("key", key)), (2, member("value", value))]);
        file.types.insert(name.clone(), ProtoType::Message { fields, nested: Vec::new() });
        Ok(format!(".{name}"))
    }

    /// Name, number and options.
    fn rest_of_field(
        &mut self,
        message: &str,
        of: String,
        label: Label,
        fields: &mut BTreeMap<u32, ProtoField>,
    ) -> Result<()> {
        let name = self.word()?.to_owned();
        self.expect("=")?;
        let number = self.next();
        let number = integer(number).and_then(|number| u32::try_from(number).ok()).ok_or_else(|| unreadable(number))?;
        self.skip_statement()?;
        fields.insert(number, ProtoField { name, of, label, scope: message.to_owned() });
        Ok(())
    }

    fn enumeration(&mut self, scope: &str, file: &mut ProtoFile) -> Result<()> {
        self.expect("enum")?;
        let name = full_name(scope, self.word()?);
        self.expect("{")?;
        let mut values = BTreeMap::new();
        while self.peek() != "}" {
            match self.peek() {
                "option" | "reserved" | ";" => self.skip_statement()?,
                _ => {
                    let value = self.word()?.to_owned();
                    self.expect("=")?;
                    let sign = if self.peek() == "-" { -1 } else { 1 };
                    self.at += usize::from(sign < 0);
                    let number = self.next();
                    let number = integer(number).and_then(|number| i32::try_from(sign * number).ok());
                    values.entry(number.ok_or_else(|| unreadable(&value))?).or_insert(value);
                    self.skip_statement()?;
                }
            }
        }
        self.expect("}")?;
        file.types.insert(name, ProtoType::Enum(values));
        Ok(())
    }
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
}

/// The length of a text with both of its quotes.
fn text_length(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            other if other == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// A number in one of C's spellings.
fn integer(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(hexadecimal), _) => i64::from_str_radix(hexadecimal, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok(),
        _ => lower.parse().ok().filter(|number: &i64| *number >= 0),
    }
}
