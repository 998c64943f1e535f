//! "Did you mean": the names nearest to one that does not exist.

/// Advice naming up to three of `known` that are near `wanted`.
pub(super) fn advice(wanted: &str, known: impl Iterator<Item = String>) -> String {
    let lower = wanted.to_lowercase();
    let mut scored: Vec<(f64, String)> =
        known.map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name)).collect();
    scored.retain(|(score, _)| *score > 0.8);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<String> = scored.into_iter().take(3).map(|(_, name)| name).collect();
    if names.is_empty() {
        return "no table has a similar name; check schema, spelling and upper case".to_owned();
    }
    format!("did you mean {}?", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_others_are_not() {
        let known = ["public.orders", "public.users", "x"].map(str::to_owned);
        assert!(advice("public.order", known.clone().into_iter()).starts_with("did you mean public.orders"));
        assert!(advice("zzzzzz", known.into_iter()).starts_with("no table"));
    }
}
