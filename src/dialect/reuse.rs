//! Row buffers: the vectors of values that are filled for each row keep their allocation although the
//! values of two rows borrow from different places.

/// An empty vector with the allocation of `used`. The element types differ in lifetime only, so the
/// standard library collects in place.
pub(super) fn recycle<A, B>(mut used: Vec<A>) -> Vec<B> {
    used.clear();
    used.into_iter().filter_map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn a_row_buffer_keeps_its_allocation() {
        let first: Vec<Value<'static>> = Vec::with_capacity(32);
        let place = first.as_ptr() as usize;
        let text = String::from("borrowed");
        let mut second: Vec<Value<'_>> = recycle(first);
        second.push(Value::Text(text.as_str().into()));
        assert_eq!((second.capacity(), second.as_ptr() as usize), (32, place));
    }
}
