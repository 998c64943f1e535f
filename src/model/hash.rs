//! Hashes that are the same in every build, and need not resist attacks: FNV-1a of rows, and murmur2, by which Kafka's Java
//! clients choose partitions.

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

/// Murmur2 as `org.apache.kafka.common.utils.Utils.murmur2` computes it.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |hash: u32, block: u32| {
        let block = block.wrapping_mul(M);
        hash.wrapping_mul(M) ^ (block ^ (block >> 24)).wrapping_mul(M)
    };
    let (blocks, tail) = bytes.as_chunks::<4>();
    let seed = 0x9747_b28c ^ bytes.len() as u32;
    let mut hash = blocks.iter().fold(seed, |hash, block| mix(hash, u32::from_le_bytes(*block)));
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| (rest << 8) | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition among so many that Kafka's Java clients give a key of this [`murmur2`].
pub fn partition_of(hash: u32, partitions: i32) -> i32 {
    (hash & 0x7fff_ffff) as i32 % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_agrees_with_the_java_clients() {
        // From Kafka's own UtilsTest.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
        assert_eq!((partition_of(murmur2(b"21"), 25), partition_of(u32::MAX, 0)), (15, 0));
    }
}
