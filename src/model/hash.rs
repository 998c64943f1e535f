//! A hash of rows that is the same in every build, and need not resist attacks: FNV-1a.

use super::Value;

/// The number of bytes of a long value that count.
const COUNTED: usize = 4_096;

/// A hash that goes on.
#[derive(Debug, Clone, Copy)]
pub struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// The hash with these bytes added.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }

    /// All of it.
    pub fn whole(self) -> u64 {
        self.0
    }

    /// Half of the hash.
    pub fn half(self) -> u32 {
        (self.0 ^ (self.0 >> 32)) as u32
    }

    /// One value by itself, of a long one its length and its beginning.
    pub fn of_value(value: &Value<'_>) -> u32 {
        let long = |tag: u8, bytes: &[u8]| {
            let counted = bytes.get(..COUNTED).unwrap_or(bytes);
            Self::default().with(&[tag]).with(&(bytes.len() as u64).to_le_bytes()).with(counted)
        };
        match value {
            Value::Null => Self::default().with(&[0]),
            Value::Boolean(is) => Self::default().with(&[1, u8::from(*is)]),
            Value::Integer(number) => Self::default().with(&[2]).with(&number.to_le_bytes()),
            Value::Float32(number) => Self::default().with(&[3]).with(&number.to_bits().to_le_bytes()),
            Value::Float64(number) => Self::default().with(&[4]).with(&number.to_bits().to_le_bytes()),
            Value::Text(text) => long(5, text.as_bytes()),
            Value::Bytes(bytes) => long(6, bytes),
            Value::Decimal(bytes) => long(7, bytes),
        }
        .half()
    }
}
