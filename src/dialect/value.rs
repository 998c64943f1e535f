//! Why a value could not be read as its field wants it.

use crate::error::{Error, ErrorKind};

/// What is wrong with a value, and what would allow it. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Problem {
    what: &'static str,
    advice: Option<&'static str>,
}

impl Problem {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, advice: None }
    }

    /// With the setting that would allow it.
    pub(super) const fn advise(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// As an error; the caller adds table and column.
    pub(super) fn into_error(self, kind: ErrorKind) -> Error {
        let error = Error::new(kind, self.what);
        match self.advice {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }
}
