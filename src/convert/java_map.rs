//! Java's hash codes and the order in which its `HashMap` gives its keys: the reference writes some schemas in it, and on
//! older registries the order decides about schema ids.

/// `String.hashCode`.
fn hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The places of keys in the order in which a `HashMap` that they were put into one by one gives them. (Nine keys and more
/// whose hashes end alike would be a tree, which may give them in another order.)
pub(super) fn order(keys: &[&str]) -> Vec<usize> {
    const SMALLEST: usize = 16;
    let mut capacity = SMALLEST;
    while keys.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let bucket = |at: &usize| {
        let hash = hash(keys[*at]) as u32;
        (hash ^ (hash >> 16)) as usize & (capacity - 1)
    };
    let mut places: Vec<usize> = (0..keys.len()).collect();
    places.sort_by_key(bucket);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_orders_are_java_s() {
        assert_eq!((hash(""), hash("a"), hash("Aa"), hash("BB")), (0, 97, 2112, 2112));
        assert_eq!(hash("org.apache.kafka.connect.data.Timestamp"), 349_767_572);
        assert_eq!(hash("😀"), 1_772_899);
        let names: Vec<String> = (0..13).map(|at| format!("column_{at}")).collect();
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(order(&keys[..12]), [0, 9, 8, 7, 6, 5, 4, 10, 3, 11, 2, 1]);
        // Thirteen are more than three quarters of sixteen.
        assert_eq!(order(&keys), [9, 0, 8, 7, 6, 5, 4, 10, 3, 11, 2, 12, 1]);
        assert_eq!((order(&["Aa", "BB"]), order(&["BB", "Aa"])), (vec![0, 1], vec![0, 1]));
    }
}
