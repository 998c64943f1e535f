//! A text of JSON or YAML as it stands there: maps with their keys in order, repeated ones included, lines, and scalars as
//! they are written. What any of it means is not known here.

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// `null`, or nothing.
    Null,
    /// A text, a number, true or false, as written.
    Scalar(String),
    /// A list.
    List(Vec<Item>),
    /// A map.
    Map(Map),
}

/// A value of a list, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) line: usize,
    pub(super) node: Node,
}

/// A key of a map with its value, and the line of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

/// The members of a map, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Map(pub(super) Vec<Member>);

/// The reason why a text is not in its syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) message: String,
    pub(super) line: usize,
    /// From 1.
    pub(super) column: usize,
}

impl Map {
    /// The last member of this key.
    pub(super) fn get(&self, key: &str) -> Option<&Member> {
        self.0.iter().rev().find(|member| member.key == key)
    }

    /// The map under a key.
    pub(super) fn map(&self, key: &str) -> Option<&Map> {
        match &self.get(key)?.node {
            Node::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The scalar under a key.
    pub(super) fn scalar(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.node {
            Node::Scalar(text) => Some(text),
            _ => None,
        }
    }
}
