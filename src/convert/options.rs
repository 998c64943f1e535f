//! The settings of a converter, read one by one. Each counts with and without the prefix `schema.registry.`; with it
//! wins.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::setting::{Home, KeyDefinition, Kind, key};

/// The definition of a setting of a converter.
pub(super) const fn setting(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    key(name, kind, doc).home(Home::Both).low()
}

/// The settings that every converter has.
pub(super) static OF_ALL: &[KeyDefinition] = &[
    setting("value.converter.plugin.version", Kind::Text, "The version of the converter's plugin.")
        .ignored("rowtide has one version"),
    setting("value.converter.converter.type", Kind::Text, "`key`, `value` or `header`.")
        .ignored("the beginning of the key says it"),
];

/// The settings of a converter.
#[derive(Clone, Copy)]
pub(super) struct Options<'a>(pub(super) &'a BTreeMap<String, String>);

impl<'a> Options<'a> {
    /// An option by either spelling; an empty value is none.
    pub(super) fn get(self, name: &str) -> Option<&'a str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The same, empty values included.
    pub(super) fn raw(self, name: &str) -> Option<&'a str> {
        let value = self.0.get(&format!("schema.registry.{name}")).or_else(|| self.0.get(name));
        value.map(String::as_str)
    }

    pub(super) fn flag(self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(Error::config(format!("{name}: `{text}` is neither true nor false"))),
        }
    }

    pub(super) fn number(self, name: &str, default: u64) -> Result<u64> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.parse().map_err(|_| Error::config(format!("{name}: `{text}` is not a number")))
    }
}
