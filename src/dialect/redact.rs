//! Messages of servers, without the values that they quote.

/// Characters that open or close a quotation in some language of some server.
const QUOTES: &[char] =
    &['"', '\'', '`', '«', '»', '‹', '›', '„', '“', '”', '‚', '‘', '’', '「', '」', '『', '』', '《', '》'];

/// The message with everything between its first and its last quote cut out: a value may hold quotes, too.
pub(super) fn without_quoted(message: &str) -> String {
    let Some((first, opening)) = message.char_indices().find(|(_, character)| QUOTES.contains(character)) else {
        return message.to_owned();
    };
    let inside = first + opening.len_utf8();
    let last = message[inside..].char_indices().rev().find(|(_, character)| QUOTES.contains(character));
    let rest = last.map_or("", |(last, _)| &message[inside + last..]);
    format!("{}…{rest}", &message[..inside])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_cut_out() {
        assert_eq!(without_quoted("bad value: 'a \"b\" c' at \"x\" of 3"), "bad value: '…\" of 3");
        assert_eq!(without_quoted("an open 'quote"), "an open '…");
        assert_eq!(without_quoted("ungültige Syntax für Typ: »a\"b« "), "ungültige Syntax für Typ: »…« ");
        assert_eq!(without_quoted("valor \u{201c}x\u{201d}"), "valor \u{201c}…\u{201d}");
        assert_eq!(without_quoted("nothing"), "nothing");
    }
}
