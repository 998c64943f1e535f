//! Decimals: `numeric.mapping` (`querying.md`, 7), and unscaled values of any size as the bytes of
//! Java's `BigInteger`. Pure; the dialects bring their digits.

use crate::config::spec::{DecimalHandling, NumericMapping, TypeSpec};
use crate::model::FieldType;

/// The scale that Kafka Connect's connector gives PostgreSQL's unconstrained numeric.
pub(super) const UNCONSTRAINED_SCALE: i32 = 127;

/// The field type of a decimal column, whatever `numeric.mapping` says.
pub(super) fn decimal_type(precision: i32, scale: i32, types: &TypeSpec) -> FieldType {
    match types.decimal {
        DecimalHandling::AvroDecimal => {
            FieldType::Decimal { precision: types.decimal_precision.then_some(precision), scale }
        }
        DecimalHandling::Text => FieldType::String,
        DecimalHandling::Double => FieldType::Float64,
    }
}

/// The field type of a numeric column of declared precision and scale, scale not negative: `numeric.mapping`,
/// then `decimal.handling`.
pub(super) fn numeric_type(precision: i32, scale: i32, types: &TypeSpec) -> FieldType {
    let decimal = decimal_type(precision, scale, types);
    let fits = precision <= 18;
    match types.numeric {
        NumericMapping::None => decimal,
        _ if scale == 0 && fits => integer_type(precision),
        NumericMapping::BestFit if scale > 0 && fits => FieldType::Float64,
        NumericMapping::BestFitEagerDouble if scale > 0 => FieldType::Float64,
        _ => decimal,
    }
}

fn integer_type(precision: i32) -> FieldType {
    match precision {
        ..=2 => FieldType::Int8,
        3..=4 => FieldType::Int16,
        5..=9 => FieldType::Int32,
        _ => FieldType::Int64,
    }
}

/// The field type of numeric without declared precision: `none` is the reference's scale 127 (Aiven: 0);
/// where the reference truncates to INT8 (W44) integers keep the decimal and the best fit is a double.
pub(super) fn unconstrained_type(types: &TypeSpec) -> FieldType {
    match types.numeric {
        NumericMapping::None | NumericMapping::PrecisionOnly => {
            decimal_type(0, if types.decimal_precision { UNCONSTRAINED_SCALE } else { 0 }, types)
        }
        NumericMapping::BestFit | NumericMapping::BestFitEagerDouble => FieldType::Float64,
    }
}

/// The magnitude of a number while its digits are read, of any size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Magnitude {
    Small(u128),
    /// Least significant limb first.
    Large(Vec<u32>),
}

impl Magnitude {
    pub(super) const ZERO: Self = Magnitude::Small(0);

    /// `self * factor + addend`.
    #[must_use]
    pub(super) fn times_plus(self, factor: u32, addend: u32) -> Self {
        let limbs = match self {
            Magnitude::Small(value) => {
                let product = value.checked_mul(u128::from(factor)).and_then(|v| v.checked_add(u128::from(addend)));
                match product {
                    Some(product) => return Magnitude::Small(product),
                    None => (0..4).map(|limb| (value >> (32 * limb)) as u32).collect(),
                }
            }
            Magnitude::Large(limbs) => limbs,
        };
        Magnitude::Large(multiply(limbs, factor, addend))
    }

    /// `self * 10^exponent`.
    #[must_use]
    pub(super) fn times_power_of_ten(self, exponent: u32) -> Self {
        let mut result = self;
        let mut left = exponent;
        while left > 0 {
            let step = left.min(9);
            result = result.times_plus(10_u32.pow(step), 0);
            left -= step;
        }
        result
    }

    /// As a signed integer, if it fits.
    pub(super) fn to_i64(&self, negative: bool) -> Option<i64> {
        let Magnitude::Small(value) = self else { return None };
        let value = i128::try_from(*value).ok()?;
        i64::try_from(if negative { -value } else { value }).ok()
    }

    /// Big-endian two's complement, as short as possible.
    pub(super) fn to_bytes(&self, negative: bool) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self {
            Magnitude::Small(value) => value.to_be_bytes().to_vec(),
            Magnitude::Large(limbs) => limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect(),
        };
        bytes.insert(0, 0);
        if negative {
            negate(&mut bytes);
        }
        let filler = if bytes[0] & 0x80 == 0 { 0x00 } else { 0xff };
        let redundant =
            bytes.windows(2).take_while(|pair| pair[0] == filler && (pair[1] & 0x80) == (filler & 0x80)).count();
        bytes.drain(..redundant);
        bytes
    }
}

fn multiply(mut limbs: Vec<u32>, factor: u32, addend: u32) -> Vec<u32> {
    let mut carry = u64::from(addend);
    for limb in &mut limbs {
        let product = u64::from(*limb) * u64::from(factor) + carry;
        *limb = product as u32;
        carry = product >> 32;
    }
    if carry > 0 {
        limbs.push(carry as u32);
    }
    limbs
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
        *byte = sum;
        carry = overflow;
    }
}

/// Reads plain or scientific decimal text at a scale: sign and unscaled magnitude. None if it is not a
/// number, or has a digit other than zero beyond the scale.
pub(super) fn parse_at_scale(text: &str, scale: i32) -> Option<(bool, Magnitude)> {
    let text = text.trim();
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], body[at + 1..].parse::<i32>().ok()?),
        None => (body, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || exponent.abs() > 400 || scale.abs() > 4_096 {
        return None;
    }
    let mut shift = scale.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let mut digits = [whole, fraction].concat();
    while shift < 0 {
        match digits.pop() {
            Some('0') | None => shift += 1,
            Some(_) => return None,
        }
    }
    let mut magnitude = Magnitude::ZERO;
    for digit in digits.chars() {
        magnitude = magnitude.times_plus(10, digit.to_digit(10)?);
    }
    Some((negative, magnitude.times_power_of_ten(u32::try_from(shift).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(numeric: NumericMapping) -> TypeSpec {
        TypeSpec { numeric, ..TypeSpec::default() }
    }

    #[test]
    fn the_mapping_table_is_the_reference_s() {
        use NumericMapping::*;
        let decimal = |precision, scale| FieldType::Decimal { precision: Some(precision), scale };
        let rows = [
            (None, decimal(5, 0), decimal(20, 0), decimal(10, 2), decimal(20, 2)),
            (PrecisionOnly, FieldType::Int32, decimal(20, 0), decimal(10, 2), decimal(20, 2)),
            (BestFit, FieldType::Int32, decimal(20, 0), FieldType::Float64, decimal(20, 2)),
            (BestFitEagerDouble, FieldType::Int32, decimal(20, 0), FieldType::Float64, FieldType::Float64),
        ];
        for (mapping, a, b, c, d) in rows {
            let types = types(mapping);
            assert_eq!(numeric_type(5, 0, &types), a);
            assert_eq!(numeric_type(20, 0, &types), b);
            assert_eq!(numeric_type(10, 2, &types), c);
            assert_eq!(numeric_type(20, 2, &types), d);
        }
        assert_eq!(numeric_type(2, 0, &types(BestFit)), FieldType::Int8);
        assert_eq!(numeric_type(18, 0, &types(BestFit)), FieldType::Int64);
        assert_eq!(unconstrained_type(&types(None)), decimal(0, 127));
    }

    #[test]
    fn decimals_become_what_decimal_handling_says_and_other_numbers_stay() {
        let types = |numeric, decimal| TypeSpec { numeric, decimal, ..TypeSpec::default() };
        let text = types(NumericMapping::None, DecimalHandling::Text);
        assert_eq!(numeric_type(10, 2, &text), FieldType::String);
        assert_eq!(unconstrained_type(&text), FieldType::String);
        let best = types(NumericMapping::BestFit, DecimalHandling::Text);
        assert_eq!((numeric_type(10, 2, &best), numeric_type(5, 0, &best)), (FieldType::Float64, FieldType::Int32));
        assert_eq!((numeric_type(20, 2, &best), unconstrained_type(&best)), (FieldType::String, FieldType::Float64));
        let double = types(NumericMapping::PrecisionOnly, DecimalHandling::Double);
        assert_eq!((numeric_type(20, 2, &double), numeric_type(5, 0, &double)), (FieldType::Float64, FieldType::Int32));
    }

    #[test]
    fn unscaled_bytes_are_those_of_a_java_big_integer() {
        let bytes = |text, scale| {
            let (negative, magnitude) = parse_at_scale(text, scale).unwrap();
            magnitude.to_bytes(negative)
        };
        assert_eq!(bytes("0", 2), [0]);
        assert_eq!(bytes("1.27", 2), [127]);
        assert_eq!(bytes("1.28", 2), [0, 128]);
        assert_eq!(bytes("-1.28", 2), [0x80]);
        assert_eq!(bytes("-1.29", 2), [0xff, 0x7f]);
        assert_eq!(bytes("1.5e3", 0), [0x05, 0xdc]);
        assert_eq!(bytes("-1", 127).len(), 53);
        assert_eq!(bytes("12.12", 127).len(), 54);
        assert_eq!(bytes("340282366920938463463374607431768211456", 0), [&[1_u8][..], &[0; 16]].concat());
        assert_eq!(parse_at_scale("12.345", 2), Option::None);
        assert!(parse_at_scale("12.340", 2).is_some());
        assert_eq!(parse_at_scale("abc", 2), Option::None);
    }
}
