//! Checkpoints: the text of a method's state that is stored with an offset, `word/tag/state`. The word tells method and
//! version, the tag the position and the server it belongs to: a state is of no use with another.

use std::fmt;

use super::column_clock::ColumnClock;
use super::method::{Method, State};
use super::{METHODS, MethodDefinition};
use crate::model::{GuardCheckpoint, Hash, Position};

/// A method's state at a position. Becomes text once it is stored.
#[derive(Debug)]
pub struct Checkpoint {
    word: &'static str,
    tag: String,
    state: State,
}

/// The outcome of reading a stored checkpoint.
#[derive(Debug)]
pub enum Resumed {
    /// The method resumes from it.
    From(Box<dyn Method>),
    /// A checkpoint of another method.
    OfAnotherMethod,
    /// A checkpoint of another position or server: the offset was moved.
    Moved,
    /// Unreadable text.
    Unreadable,
}

impl Checkpoint {
    /// The checkpoint of a method's present state; none if it has nothing to store.
    pub fn of(
        definition: &MethodDefinition,
        clock: ColumnClock,
        method: &dyn Method,
        at: &Position,
        identity: Option<&str>,
    ) -> Option<Self> {
        let (word, state) = (definition.word(clock)?, method.state()?);
        Some(Self { word, tag: tag_of(at, identity), state })
    }
}

impl GuardCheckpoint for Checkpoint {
    fn to_text(&self) -> String {
        format!("{}/{}/{}", self.word, self.tag, self.state.to_text())
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl MethodDefinition {
    /// The word its checkpoints begin with.
    pub fn word(&self, clock: ColumnClock) -> Option<&'static str> {
        self.words.map(|words| if clock.is_wall() { words.walls } else { words.instants })
    }

    /// True if a stored word is that of this version, or of one that can be read as it.
    fn is_word(&self, stored: &str, clock: ColumnClock) -> bool {
        let is_older = clock.is_instant() && self.words.is_some_and(|words| words.instants == stored);
        self.word(clock) == Some(stored) || is_older
    }
}

/// The state of a method as it was stored with a position.
pub fn resume(
    definition: &MethodDefinition,
    clock: ColumnClock,
    stored: &str,
    at: &Position,
    identity: Option<&str>,
) -> Resumed {
    let mut parts = stored.splitn(3, '/');
    let (Some(word), Some(tag), Some(state)) = (parts.next(), parts.next(), parts.next()) else {
        return Resumed::Unreadable;
    };
    if method_names(stored).is_empty() {
        return Resumed::Unreadable;
    }
    if !definition.is_word(word, clock) {
        return Resumed::OfAnotherMethod;
    }
    if tag != tag_of(at, identity) {
        return Resumed::Moved;
    }
    (definition.resume)(Some(state)).map_or(Resumed::Unreadable, Resumed::From)
}

/// The names of the methods that may have stored a checkpoint, best first; none if it is not one.
pub fn method_names(stored: &str) -> Vec<&'static str> {
    let word = stored.split('/').next().unwrap_or_default();
    let is_of =
        |method: &&&MethodDefinition| method.words.is_some_and(|words| words.instants == word || words.walls == word);
    METHODS.iter().filter(is_of).map(|method| method.name).collect()
}

/// Position and server that a state belongs to, in short.
fn tag_of(at: &Position, identity: Option<&str>) -> String {
    let hash = Hash::default().with(at.to_text().as_bytes()).with(b"|").with(identity.unwrap_or_default().as_bytes());
    format!("{:016x}", hash.whole())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CursorKind, CursorValue};

    /// Checkpoints that earlier releases have stored, to the byte.
    const STORED: &[(&str, &[&str])] = &[
        ("snapshot-1/2a3b1d1d4b8d6b0e/4294967290;20;1700000000000000;0,4-6;9", &["snapshot"]),
        ("snapshot-2/2a3b1d1d4b8d6b0e/4294967290;20;1700000000000000;0,4-6;9", &["snapshot"]),
        ("window-1/2a3b1d1d4b8d6b0e/1700000000000000;ff;AAAAAAAAAAEAAAAH", &["window", "hold", "rescan"]),
        ("window-2/2a3b1d1d4b8d6b0e/1700000000000000;ff;AAAAAAAAAAEAAAAH", &["window", "hold", "rescan"]),
        ("history-1/2a3b1d1d4b8d6b0e/1700000000000000;1699999999000000", &["snapshot"]),
        ("history-2/2a3b1d1d4b8d6b0e/1700000000000000;1699999999000000", &["snapshot"]),
        ("gaps-2/2a3b1d1d4b8d6b0e/1;10;1,2,2,1,1", &["gaps"]),
    ];

    #[test]
    fn every_word_that_was_ever_stored_is_read_and_written_as_it_is() {
        let position = Position(vec![CursorValue::Integer(7)]);
        let walls = ColumnClock::of(
            CursorKind::Timestamp { zoned: false, digits: 6 },
            "Europe/Berlin".parse().expect("a zone"),
        );
        for (text, names) in STORED {
            assert_eq!(method_names(text), *names);
            let text = text.replace("2a3b1d1d4b8d6b0e", &tag_of(&position, Some("s")));
            let clock = if text.contains("-2/") { walls } else { ColumnClock::instants() };
            let of_word = |method: &&&MethodDefinition| method.is_word(text.split('/').next().unwrap(), clock);
            let methods: Vec<_> = METHODS.iter().filter(of_word).collect();
            assert_eq!(methods.len(), names.len(), "{text}");
            for method in methods {
                let Resumed::From(state) = resume(method, clock, &text, &position, Some("s")) else {
                    panic!("{text} is not read");
                };
                let again = Checkpoint::of(method, clock, &*state, &position, Some("s")).unwrap();
                assert_eq!(again.to_text(), text);
                assert!(matches!(resume(method, clock, &text, &position, None), Resumed::Moved));
                let nonsense = format!("{};", &text[..text.len() - 1]);
                assert!(matches!(resume(method, clock, &nonsense, &position, Some("s")), Resumed::Unreadable));
            }
        }
        assert_eq!(tag_of(&position, Some("s")), "14c617790e700694");
        assert!(method_names("window-3/0/1").is_empty());
    }
}
