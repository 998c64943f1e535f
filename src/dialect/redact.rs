//! Messages of servers, without the values that they quote.

/// The message with everything in quotes cut out.
pub(super) fn without_quoted(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut inside = None;
    for character in message.chars() {
        match inside {
            None => {
                text.push(character);
                if matches!(character, '"' | '\'') {
                    inside = Some(character);
                    text.push('…');
                }
            }
            Some(quote) if quote == character => {
                text.push(character);
                inside = None;
            }
            Some(_) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_cut_out() {
        assert_eq!(without_quoted("bad value: 'a \"b\" c' at \"x\""), "bad value: '…' at \"…\"");
        assert_eq!(without_quoted("an open 'quote"), "an open '…");
    }
}
