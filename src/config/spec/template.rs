//! Templates of names (`topic.name.format`): text with `${...}` in it, taken apart once. Pure.

use crate::near::nearest;

/// A text with names in `${}` that stand for parts of a table's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(&'static str),
}

impl Template {
    /// A template without placeholders.
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![Part::Text(text.to_owned())] }
    }

    /// Takes a text apart. `is_text` tells whether what stands between the names may stand in the result, `text_rule` that
    /// rule in words.
    ///
    /// # Errors
    /// A sentence about a name that is not known, with those that are, or about text that cannot stand there.
    pub fn parse(
        text: &str,
        known: &[&'static str],
        (text_rule, is_text): (&str, fn(&str) -> bool),
    ) -> Result<Self, String> {
        let names = || known.iter().map(|name| format!("${{{name}}}")).collect::<Vec<_>>().join(", ");
        let (mut parts, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (before, placeholder) = match rest.find("${") {
                Some(at) => (&rest[..at], Some(&rest[at + 2..])),
                None => (rest, None),
            };
            if !is_text(before) {
                return Err(format!("has text between its placeholders that a name cannot have: {text_rule}"));
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let Some(placeholder) = placeholder else { break };
            let Some((name, after)) = placeholder.split_once('}') else {
                return Err(format!("has a `${{` that no `}}` closes; it can hold {}", names()));
            };
            let Some(found) = known.iter().find(|known| **known == name) else {
                let meant = nearest(name, known.iter().copied()).map(|near| format!("did you mean `${{{near}}}`? "));
                return Err(format!(
                    "has an unknown placeholder `${{{name}}}`; {}it can hold {}",
                    meant.unwrap_or_default(),
                    names()
                ));
            };
            parts.push(Part::Name(found));
            rest = after;
        }
        Ok(Self { parts })
    }

    /// True if a name stands in it.
    pub fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Name(known) if *known == name))
    }

    /// The text with what the names stand for.
    ///
    /// # Errors
    /// The first name without a value.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Result<String, &'static str> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Name(name) => filled.push_str(value(name).ok_or(*name)?),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["schema", "table"];

    fn parse(text: &str) -> Result<Template, String> {
        let is_text = |text: &str| !text.contains([' ', '$', '}']);
        Template::parse(text, KNOWN, ("no blanks", is_text))
    }

    #[test]
    fn names_are_filled_in_and_text_stays() {
        let fill = |text: &str| parse(text).unwrap().fill(|name| if name == "table" { Some("orders") } else { None });
        assert_eq!(fill("tidb_${table}-${table}.v1").unwrap(), "tidb_orders-orders.v1");
        assert_eq!(fill("plain").unwrap(), "plain");
        assert_eq!(fill("${table}_${schema}"), Err("schema"));
        assert!(parse("a${schema}").unwrap().has("schema") && !parse("a").unwrap().has("schema"));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        for (text, says) in [
            ("x_${tabel}", "unknown placeholder `${tabel}`; did you mean `${table}`? it can hold ${schema}, ${table}"),
            ("${}", "unknown placeholder `${}`; it can hold ${schema}, ${table}"),
            ("a_${table", "a `${` that no `}` closes"),
            ("a b${table}", "a name cannot have: no blanks"),
            ("$table", "a name cannot have"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(says), "{message}");
        }
    }
}
