//! Settings of a transform or a predicate, read with errors that name them.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// A setting of a transform, for the reference page.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name, without `transforms.ALIAS.`.
    pub name: &'static str,
    /// Its default; none: there is none.
    pub default: Option<&'static str>,
    /// Its effect.
    pub doc: &'static str,
}

impl Setting {
    /// A setting without a default.
    pub const fn new(name: &'static str, doc: &'static str) -> Self {
        Self { name, default: None, doc }
    }

    /// The same with a default.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// Kafka Connect's `replace.null.with.default`, which every transform that copies has.
pub(super) const REPLACE_NULL: Setting = Setting::new(
    "replace.null.with.default",
    "Whether a null is replaced by the default; fields of a table have none.",
)
.or("true");

/// The settings that were given.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a>(pub &'a BTreeMap<String, String>);

impl<'a> Settings<'a> {
    /// A setting as it is; an empty one is none.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// A setting that must be there.
    ///
    /// # Errors
    /// `Config` if it is not.
    pub fn required(self, name: &str) -> Result<&'a str> {
        self.get(name).ok_or_else(|| Error::config(format!("{name}: is missing")))
    }

    /// A setting that must be there, with the blanks around it.
    ///
    /// # Errors
    /// `Config` if it is not.
    pub fn untrimmed(self, name: &str) -> Result<&'a str> {
        let text = self.0.get(name).filter(|text| !text.is_empty());
        text.map(String::as_str).ok_or_else(|| Error::config(format!("{name}: is missing")))
    }

    /// The elements of a list; none if it is not given.
    pub fn list(self, name: &str) -> Vec<String> {
        let elements = self.get(name).unwrap_or_default().split(',').map(str::trim);
        elements.filter(|element| !element.is_empty()).map(str::to_owned).collect()
    }

    /// A list of pairs, `a:b,c:d`.
    ///
    /// # Errors
    /// `Config` if an element is not a pair.
    pub fn pairs(self, name: &str) -> Result<Vec<(String, String)>> {
        let pair = |element: String| match element.split_once(':') {
            Some((one, other)) if !one.trim().is_empty() && !other.trim().is_empty() => {
                Ok((one.trim().to_owned(), other.trim().to_owned()))
            }
            _ => Err(Error::config(format!("{name}: `{element}` is not of the form a:b"))),
        };
        self.list(name).into_iter().map(pair).collect()
    }
}
