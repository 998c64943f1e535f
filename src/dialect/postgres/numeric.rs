//! PostgreSQL's binary `numeric`: groups of four decimal digits. Read from the wire, given as the
//! unscaled bytes, integer or double that the column was bound to.

use super::super::decimal::Magnitude;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const POSITIVE_INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// A value on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numeric<'a> {
    /// Big-endian 16 bit groups, most significant first.
    groups: &'a [u8],
    /// The power of 10,000 of the first group.
    weight: i32,
    sign: u16,
    /// Digits after the point that are shown.
    digits: u16,
}

impl<'a> Numeric<'a> {
    /// A numeric from its bytes; none if they are not one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, groups) = bytes.split_at_checked(8)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let numeric = Self { groups, weight: i32::from(word(2) as i16), sign: word(4), digits: word(6) };
        (groups.len() == usize::from(word(0)) * 2).then_some(numeric)
    }

    pub(super) fn is_finite(&self) -> bool {
        !matches!(self.sign, NAN | POSITIVE_INFINITY | NEGATIVE_INFINITY)
    }

    fn groups(&self) -> impl Iterator<Item = (i32, u32)> {
        let weight = self.weight;
        self.groups.chunks_exact(2).enumerate().map(move |(index, pair)| {
            let exponent = 4 * (weight - i32::try_from(index).unwrap_or(i32::MAX / 8));
            (exponent, u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        })
    }

    /// The magnitude at a scale; none if a digit other than zero lies beyond it, or it is not finite.
    fn magnitude(&self, scale: i32) -> Option<Magnitude> {
        if !self.is_finite() {
            return None;
        }
        let mut magnitude = Magnitude::ZERO;
        let mut shift = 0;
        for (exponent, group) in self.groups() {
            shift = exponent + scale;
            if shift >= 0 {
                magnitude = magnitude.times_plus(10_000, group);
                continue;
            }
            // Only the first `4 + shift` digits of this group are within the scale.
            let beyond = 10_u32.pow(shift.unsigned_abs().min(4));
            if group % beyond != 0 {
                return None;
            }
            if shift > -4 {
                magnitude = magnitude.times_plus(10_000 / beyond, group / beyond);
            }
        }
        Some(magnitude.times_power_of_ten(u32::try_from(shift.max(0)).ok()?))
    }

    /// The unscaled value as the bytes of Java's `BigInteger`.
    pub(super) fn unscaled(&self, scale: i32) -> Option<Vec<u8>> {
        Some(self.magnitude(scale)?.to_bytes(self.sign == NEGATIVE))
    }

    /// The integer, if it is one and fits.
    pub(super) fn integer(&self) -> Option<i64> {
        self.magnitude(0)?.to_i64(self.sign == NEGATIVE)
    }

    /// The text that the server prints: exact, never with an exponent.
    pub(super) fn text(&self) -> String {
        match self.sign {
            NAN => return "NaN".to_owned(),
            POSITIVE_INFINITY => return "Infinity".to_owned(),
            NEGATIVE_INFINITY => return "-Infinity".to_owned(),
            _ => {}
        }
        let group = |exponent: i32| {
            // Groups that are not there are zero.
            let index = usize::try_from(self.weight - exponent / 4).ok();
            index.and_then(|index| self.groups().nth(index)).map_or(0, |(_, group)| group)
        };
        let mut text = String::with_capacity(self.groups.len() * 2 + usize::from(self.digits) + 3);
        if self.sign == NEGATIVE {
            text.push('-');
        }
        let mut whole = String::new();
        for place in (0..=self.weight).rev() {
            whole.push_str(&format!("{:04}", group(4 * place)));
        }
        let trimmed = whole.trim_start_matches('0');
        text.push_str(if trimmed.is_empty() { "0" } else { trimmed });
        if self.digits > 0 {
            text.push('.');
            let end = text.len() + usize::from(self.digits);
            let mut place = -1;
            while text.len() < end {
                text.push_str(&format!("{:04}", group(4 * place)));
                place -= 1;
            }
            text.truncate(end);
        }
        text
    }

    /// The nearest double.
    pub(super) fn double(&self) -> Option<f64> {
        match self.sign {
            NAN => return Some(f64::NAN),
            POSITIVE_INFINITY => return Some(f64::INFINITY),
            NEGATIVE_INFINITY => return Some(f64::NEG_INFINITY),
            _ => {}
        }
        let mut text = String::with_capacity(self.groups.len() * 2 + 8);
        if self.sign == NEGATIVE {
            text.push('-');
        }
        text.push('0');
        let mut exponent = 0;
        for (at, group) in self.groups() {
            text.push_str(&format!("{group:04}"));
            exponent = at;
        }
        text.push('e');
        text.push_str(&exponent.to_string());
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weight: i16, sign: u16, dscale: u16, groups: &[u16]) -> Vec<u8> {
        let header = [groups.len() as u16, weight as u16, sign, dscale];
        header.iter().chain(groups).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn digits_come_out_at_the_scale_of_the_column() {
        let bytes = wire(0, 0, 2, &[12, 3400]);
        let value = Numeric::read(&bytes).unwrap();
        assert_eq!(value.unscaled(2).unwrap(), [0x04, 0xd2]);
        assert_eq!(value.unscaled(4).unwrap(), 123_400_i32.to_be_bytes()[1..]);
        assert_eq!(value.unscaled(1), None);
        assert_eq!(value.integer(), None);
        assert_eq!(value.double(), Some(12.34));
        assert_eq!(value.unscaled(127).unwrap().len(), 54);
    }

    #[test]
    fn the_text_is_the_server_s() {
        let text = |bytes: &[u8]| Numeric::read(bytes).unwrap().text();
        assert_eq!(text(&wire(0, 0, 2, &[12, 3400])), "12.34");
        assert_eq!(text(&wire(0, NEGATIVE, 4, &[12, 3400])), "-12.3400");
        assert_eq!(text(&wire(1, 0, 0, &[100])), "1000000");
        assert_eq!(text(&wire(1, 0, 2, &[100])), "1000000.00");
        assert_eq!(text(&wire(-2, NEGATIVE, 8, &[1])), "-0.00000001");
        assert_eq!(text(&wire(-1, 0, 6, &[12, 3400])), "0.001234");
        assert_eq!(text(&wire(0, 0, 0, &[])), "0");
        assert_eq!(text(&wire(0, 0, 3, &[])), "0.000");
        assert_eq!(text(&wire(0, NAN, 0, &[])), "NaN");
        assert_eq!(text(&wire(0, NEGATIVE_INFINITY, 0, &[])), "-Infinity");
    }

    #[test]
    fn large_small_negative_and_odd_values_are_exact() {
        let million = wire(1, 0, 0, &[100]);
        assert_eq!(Numeric::read(&million).unwrap().integer(), Some(1_000_000));
        let minimum = wire(4, NEGATIVE, 0, &[922, 3372, 368, 5477, 5808]);
        assert_eq!(Numeric::read(&minimum).unwrap().integer(), Some(i64::MIN));
        let tiny = wire(-2, NEGATIVE, 8, &[1]);
        assert_eq!(Numeric::read(&tiny).unwrap().unscaled(8).unwrap(), [0xff]);
        assert_eq!(Numeric::read(&tiny).unwrap().unscaled(7), None);
        assert_eq!(Numeric::read(&tiny).unwrap().double(), Some(-1e-8));
        let zero = wire(0, 0, 2, &[]);
        assert_eq!(Numeric::read(&zero).unwrap().unscaled(2).unwrap(), [0]);
        assert_eq!(Numeric::read(&zero).unwrap().double(), Some(0.0));
        let nan = wire(0, NAN, 0, &[]);
        assert!(Numeric::read(&nan).unwrap().unscaled(2).is_none());
        assert!(Numeric::read(&nan).unwrap().double().unwrap().is_nan());
        assert!(Numeric::read(&nan[..5]).is_none());
    }
}
