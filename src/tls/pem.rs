//! PEM as people have it: behind `Bag Attributes` or other text, with a byte order mark, in UTF-16, indented, with blank
//! lines, on one line, with `\n` written out. Pure.

/// One block between `-----BEGIN` and `-----END`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Its label: `CERTIFICATE`.
    pub(super) label: String,
    /// `Proc-Type` and `DEK-Info` of a key encrypted in the old way.
    headers: Vec<(String, String)>,
    /// The content, in base64.
    body: String,
    /// True if there is no `-----END`.
    pub(super) is_cut: bool,
}

impl Block {
    /// True if it is a key that a password opens.
    pub(super) fn is_encrypted(&self) -> bool {
        self.label.starts_with("ENCRYPTED") || self.headers.iter().any(|(_, value)| value.contains("ENCRYPTED"))
    }

    /// The block as the standard wants it.
    pub(super) fn pem(&self) -> String {
        let mut text = format!("-----BEGIN {}-----\n", self.label);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name} {value}\n"));
        }
        if !self.headers.is_empty() {
            text.push('\n');
        }
        let mut rest = self.body.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str(&format!("-----END {}-----\n", self.label));
        text
    }

    /// The content; none if it is not base64.
    pub(super) fn der(&self) -> Option<Vec<u8>> {
        openssl::base64::decode_block(&self.body).ok()
    }
}

/// The bytes as text, if they are text.
pub(super) fn text(bytes: &[u8]) -> String {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).skip(1).map(|pair| of([pair[0], pair[1]]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// All blocks; the text between them does not matter.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = after.split_once("-----") else { break };
        // The next block begins where this one has no end.
        let own = after.split_once("-----BEGIN ").map_or(after, |(own, _)| own);
        let (content, is_cut) = own.split_once("-----END ").map_or((own, true), |(content, _)| (content, false));
        found.push(block(label.trim(), content, is_cut));
        rest = &after[content.len()..];
    }
    found
}

fn block(label: &str, content: &str, is_cut: bool) -> Block {
    let (mut headers, mut body) = (Vec::new(), String::new());
    let mut words = content.split_whitespace();
    while let Some(word) = words.next() {
        match word.strip_suffix(':') {
            Some(_) => headers.push((word.to_owned(), words.next().unwrap_or_default().to_owned())),
            None => body.extend(word.chars().filter(char::is_ascii)),
        }
    }
    Block { label: label.to_owned(), headers, body, is_cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_in_any_wrapping() {
        let plain = "-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n";
        let expected =
            Block { label: "CERTIFICATE".to_owned(), headers: Vec::new(), body: "AAAABBBB".to_owned(), is_cut: false };
        let bag = "Bag Attributes\n    friendlyName: a\nsubject=CN = x\n\n";
        for text in [
            plain.to_owned(),
            format!("\u{feff}{plain}"),
            format!("\n\n{plain}"),
            format!("{bag}{plain}"),
            plain.replace('\n', " "),
            plain.replace('\n', "\r\n"),
            plain.replace('\n', "\\n"),
            plain.replace('\n', "\n    "),
            plain.replace('\n', "\n\n"),
        ] {
            assert_eq!(blocks(&text), std::slice::from_ref(&expected), "{text}");
        }
        assert_eq!(blocks(&plain.repeat(3)).len(), 3);
        assert_eq!(expected.pem(), plain.replace("AAAA\n", "AAAA"));
        let wide: Vec<u8> = [0xfeff].into_iter().chain(plain.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(blocks(&text(&wide)), [expected]);
    }

    #[test]
    fn the_headers_of_an_encrypted_key_are_kept() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00FF\n\nAAAA\n\
                   -----END RSA PRIVATE KEY-----\n";
        let [block] = &blocks(&pem.replace('\n', " "))[..] else { panic!("one block") };
        assert!(block.is_encrypted());
        assert_eq!(block.pem(), pem);
    }

    #[test]
    fn a_block_without_an_end_is_known_as_such_and_hides_no_other() {
        let found =
            blocks("-----BEGIN CERTIFICATE-----\nAA\n-----BEGIN PRIVATE KEY-----\nBB\n-----END PRIVATE KEY-----");
        let seen: Vec<_> = found.iter().map(|block| (block.label.as_str(), block.is_cut)).collect();
        assert_eq!(seen, [("CERTIFICATE", true), ("PRIVATE KEY", false)]);
        assert!(blocks("-----BEGIN -----BEGIN ").len() <= 1);
        assert!(blocks("-----BEGIN CERTIFICATE").is_empty());
    }
}
