//! Comparison of cursor values outside of the database, as far as it is possible: which rows share a cursor, and
//! whether rows came in the order they were asked for in. A collation's order is the database's own; of such values it
//! is only known that the same ones are equal.

use std::cmp::Ordering;

use super::cursor::CursorValue;

/// The comparison of two values of one cursor column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnOrder {
    /// Values compare as they are: numbers, times, texts by their bytes.
    Values,
    /// Texts compare as the numbers they write, which may be written in several ways (`1.0`, `1.00`).
    Numbers,
    /// Values have an order that only the database knows.
    Unknown,
    /// Values do not compare: a wall clock that stands for an instant, and comes twice when daylight saving time ends.
    Hidden,
}

/// The comparison of two tuples of one cursor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TupleOrder(pub Vec<ColumnOrder>);

impl TupleOrder {
    /// True if two rows are to be read together, because the database may hold their cursors for equal: never false for
    /// two that it does, perhaps true for two that it does not.
    pub fn is_tie(&self, one: &[CursorValue<'_>], other: &[CursorValue<'_>]) -> bool {
        one.len() == other.len()
            && one.iter().zip(other).enumerate().all(|(place, (one, other))| match (one, other) {
                (CursorValue::Text(one), CursorValue::Text(other)) => {
                    let is_number = self.0.get(place) == Some(&ColumnOrder::Numbers);
                    // Some collations pad with spaces.
                    one.trim_end_matches(' ') == other.trim_end_matches(' ')
                        || is_number && compare_numbers(one, other) == Some(Ordering::Equal)
                }
                (one, other) => one == other,
            })
    }

    /// The order of two tuples, of which only the first values may be comparable; none where only the database knows.
    pub fn compare(&self, one: &[CursorValue<'_>], other: &[CursorValue<'_>]) -> Option<Ordering> {
        for ((one, other), order) in one.iter().zip(other).zip(&self.0) {
            let ordering = match order {
                ColumnOrder::Hidden => None,
                ColumnOrder::Unknown => (one == other).then_some(Ordering::Equal),
                ColumnOrder::Values => one.partial_cmp(other),
                ColumnOrder::Numbers => match (one, other) {
                    (CursorValue::Text(one), CursorValue::Text(other)) => compare_numbers(one, other),
                    _ => one.partial_cmp(other),
                },
            };
            if ordering != Some(Ordering::Equal) {
                return ordering;
            }
        }
        Some(Ordering::Equal)
    }
}

/// Sign, digits before the point without leading zeros, digits after it without trailing ones.
type Parts<'a> = (bool, &'a str, &'a str);

fn parts(text: &str) -> Option<Parts<'_>> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !(whole.is_empty() && fraction.is_empty())
        && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    is_number.then_some((is_negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction))
}

/// The order of two decimal numbers of any length; none if one is not written as digits.
fn compare_numbers(one: &str, other: &str) -> Option<Ordering> {
    let ((one_negative, one_whole, one_fraction), (other_negative, other_whole, other_fraction)) =
        (parts(one)?, parts(other)?);
    let size = || {
        let whole = one_whole.len().cmp(&other_whole.len()).then_with(|| one_whole.cmp(other_whole));
        whole.then_with(|| one_fraction.cmp(other_fraction))
    };
    Some(match (one_negative, other_negative) {
        (false, false) => size(),
        (true, true) => size().reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> CursorValue<'_> {
        CursorValue::Text(text.into())
    }

    #[test]
    fn numbers_of_any_length_compare_as_numbers_however_they_are_written() {
        let ascending =
            ["-100000000000000000000", "-10", "-9.5", "-0.01", "0", "0.001", "9.9", "10", "100000000000000000000"];
        for (place, one) in ascending.iter().enumerate() {
            for (other_place, other) in ascending.iter().enumerate() {
                assert_eq!(compare_numbers(one, other), Some(place.cmp(&other_place)), "{one} {other}");
            }
        }
        for (one, other) in [("1.0", "1.00"), ("-0", "0"), ("007", "7"), (".5", "0.50")] {
            assert_eq!(compare_numbers(one, other), Some(Ordering::Equal), "{one} {other}");
        }
        for text in ["NaN", "Infinity", "", "-", ".", "1e5", "1.2.3"] {
            assert_eq!(compare_numbers(text, "1"), None, "{text}");
        }
    }

    #[test]
    fn what_the_database_may_hold_for_equal_is_a_tie() {
        let order = |order| TupleOrder(vec![ColumnOrder::Values, order]);
        let row = |id: CursorValue<'static>| [CursorValue::Timestamp(5), id];
        assert!(order(ColumnOrder::Numbers).is_tie(&row(text("1.0")), &row(text("1.00"))));
        assert!(!order(ColumnOrder::Unknown).is_tie(&row(text("1.0")), &row(text("1.00"))));
        assert!(order(ColumnOrder::Unknown).is_tie(&row(text("a")), &row(text("a  "))), "padded with spaces");
        assert!(!order(ColumnOrder::Values).is_tie(&row(CursorValue::Integer(1)), &row(CursorValue::Integer(2))));
    }

    #[test]
    fn only_what_is_certain_is_said_of_an_order() {
        let compare = |order, one: CursorValue<'_>, other: CursorValue<'_>| {
            TupleOrder(vec![order, ColumnOrder::Values])
                .compare(&[one, CursorValue::Integer(1)], &[other, CursorValue::Integer(2)])
        };
        let (less, greater) = (Some(Ordering::Less), Some(Ordering::Greater));
        assert_eq!(compare(ColumnOrder::Values, text("b"), text("a")), greater);
        assert_eq!(compare(ColumnOrder::Values, text("a"), text("a")), less, "the next column decides");
        assert_eq!(compare(ColumnOrder::Numbers, text("9"), text("10")), less);
        assert_eq!(compare(ColumnOrder::Unknown, text("b"), text("a")), None);
        assert_eq!(compare(ColumnOrder::Unknown, text("a"), text("a")), less);
        assert_eq!(compare(ColumnOrder::Hidden, CursorValue::Timestamp(2), CursorValue::Timestamp(1)), None);
        let beyond = CursorValue::Unsigned(u64::MAX);
        assert_eq!(compare(ColumnOrder::Values, beyond, CursorValue::Integer(i64::MAX)), greater);
        let (position, row) = ([CursorValue::Integer(5)], [CursorValue::Integer(5), CursorValue::Integer(9)]);
        assert_eq!(TupleOrder(vec![ColumnOrder::Values; 2]).compare(&row, &position), Some(Ordering::Equal));
    }
}
