//! Advice about a table that does not exist: the names most like it.

use crate::error::Error;
use crate::near::{likeness, may_be_meant};

/// Advice naming up to three of `known` that are near `wanted`; none if that is one of them, and something else is
/// wrong with it.
pub(super) fn advice(wanted: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let mut scored: Vec<(f64, String)> = known.map(|name| (likeness(wanted, &name), name)).collect();
    if scored.iter().any(|(_, name)| name == wanted) {
        return None;
    }
    scored.retain(|(score, _)| may_be_meant(*score));
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<String> = scored.into_iter().take(3).map(|(_, name)| name).collect();
    if names.is_empty() {
        return Some("no table has a similar name; check schema, spelling and upper case".to_owned());
    }
    Some(format!("did you mean {}?", names.join(" or ")))
}

/// The error with that advice.
pub(super) fn advised(error: Error, wanted: &str, known: impl Iterator<Item = String>) -> Error {
    match advice(wanted, known) {
        Some(advice) => error.advise(advice),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_others_are_not() {
        let known = ["public.orders", "public.users", "x"].map(str::to_owned);
        let advice = |wanted| advice(wanted, known.clone().into_iter());
        assert!(advice("public.order").unwrap().starts_with("did you mean public.orders"));
        assert!(advice("zzzzzz").unwrap().starts_with("no table"));
        assert_eq!(advice("public.orders"), None);
    }
}
