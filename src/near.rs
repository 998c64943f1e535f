//! "Did you mean": the names most like one that is not known. One measure for keys, values, tables and connectors.

/// The likeness from which on a name may be the one that was meant.
const MEANT: f64 = 0.72;

/// The likeness of two names, from 0 to 1; upper and lower case are one.
pub fn likeness(one: &str, other: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(&one.to_lowercase(), &other.to_lowercase())
}

/// True if a name so alike may be the one that was meant.
pub fn may_be_meant(likeness: f64) -> bool {
    likeness >= MEANT
}

/// The name most like a word, if one may be meant.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|name| (likeness(word, name), name))
        .filter(|(likeness, _)| may_be_meant(*likeness))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_found_and_another_word_is_not() {
        assert_eq!(nearest("ORDRES", ["items", "orders"]), Some("orders"));
        assert_eq!(nearest("customers", ["items", "orders"]), None);
    }
}
