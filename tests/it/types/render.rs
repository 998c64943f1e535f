//! Decoded values as text that any database reads: dates by the calendar the connector was told, decimals of
//! any size. Arithmetic of its own, so that a mistake in rowtide's is not made twice.

/// Days from 1970-01-01 as the label a reader shows. `hybrid`: Java's default calendar, Julian before 1582-10-15.
pub fn label(days: i64, hybrid: bool) -> (i64, i64, i64) {
    let julian_day = days + 2_440_588;
    let (c, b) = if hybrid && days < -141_427 {
        (julian_day + 32_082, 0)
    } else {
        let a = julian_day + 32_044;
        let b = (4 * a + 3).div_euclid(146_097);
        (a - (146_097 * b).div_euclid(4), b)
    };
    let d = (4 * c + 3).div_euclid(1_461);
    let e = c - (1_461 * d).div_euclid(4);
    let m = (5 * e + 2).div_euclid(153);
    (100 * b + d - 4_800 + m.div_euclid(10), m + 3 - 12 * m.div_euclid(10), e - (153 * m + 2).div_euclid(5) + 1)
}

/// `HH:MM:SS.ffffff`, with 24:00 and beyond.
pub fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", seconds / 3_600, seconds / 60 % 60, seconds % 60, micros % 1_000_000)
}

/// Big-endian two's complement with a scale, as plain decimal text.
pub fn decimal(unscaled: &[u8], scale: i32) -> String {
    assert!(!unscaled.is_empty(), "a decimal has at least one byte");
    let negative = unscaled[0] & 0x80 != 0;
    // Least significant group of nine digits first.
    let mut groups = vec![0_u64];
    for byte in unscaled {
        let mut carry = u64::from(if negative { !byte } else { *byte });
        for group in &mut groups {
            let sum = *group * 256 + carry;
            (*group, carry) = (sum % 1_000_000_000, sum / 1_000_000_000);
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    if negative {
        // What was read is one short of the magnitude.
        let mut carry = 1;
        for group in &mut groups {
            (*group, carry) = ((*group + carry) % 1_000_000_000, (*group + carry) / 1_000_000_000);
        }
        groups.push(carry);
    }
    let mut digits: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
    let scale = usize::try_from(scale).expect("a scale that is not negative");
    digits = format!("{:0>width$}", digits.trim_start_matches('0'), width = scale + 1);
    digits.insert(digits.len() - scale, '.');
    format!("{}{}", if negative { "-" } else { "" }, digits.trim_end_matches('.'))
}

#[test]
fn the_oracle_s_own_arithmetic_is_right() {
    assert_eq!(label(0, false), (1970, 1, 1));
    assert_eq!(label(-141_427, true), (1582, 10, 15));
    assert_eq!(label(-141_428, true), (1582, 10, 4));
    assert_eq!(label(-141_428, false), (1582, 10, 14));
    assert_eq!(label(-719_164, true), (1, 1, 1));
    assert_eq!(label(-719_162, false), (1, 1, 1));
    assert_eq!(label(-719_163, false), (0, 12, 31));
    assert_eq!(time(86_400_000_000), "24:00:00.000000");
    for (bytes, text) in [(&[0_u8][..], "0.00"), (&[0x80], "-1.28"), (&[0xff, 0x7f], "-1.29"), (&[0x04, 0xd2], "12.34")]
    {
        assert_eq!(decimal(bytes, 2), text);
    }
    assert_eq!(decimal(&[0xff], 0), "-1");
    assert_eq!(decimal(&[0xc4, 0x65, 0x36, 0], 0), "-1000000000");
}
