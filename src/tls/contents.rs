//! Contents of a file: certificates, keys, and other kinds that it may be instead, for the message.

use std::io::Read as _;
use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::pkcs7::Pkcs7;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::provider::Provider;
use openssl::x509::{X509, X509VerifyResult};

use super::pem::{self, Block};
use crate::error::{Error, Result};

/// A bundle of all authorities there are is a twentieth of this.
const LARGEST: u64 = 8 * 1024 * 1024;

/// A file, or PEM in the setting itself, and the password that may be needed for it.
pub struct Input<'a> {
    setting: &'a str,
    path: Option<&'a str>,
    bytes: Vec<u8>,
    password: Option<&'a str>,
    password_setting: &'a str,
}

impl<'a> Input<'a> {
    /// The file that a setting names.
    ///
    /// # Errors
    /// `Config` if it cannot be read.
    pub fn file(setting: &'a str, path: &'a str) -> Result<Self> {
        let refused = |what: &str| Error::config(format!("{setting}: {what}")).with("file", path);
        let unreadable = |error| refused("the file cannot be read").caused_by(error as std::io::Error);
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(refused("the file is too large for one with certificates"));
        }
        Ok(Self { setting, path: Some(path), bytes, password: None, password_setting: "" })
    }

    /// PEM that a setting holds.
    pub fn text(setting: &'a str, text: impl AsRef<[u8]>) -> Self {
        Self { setting, path: None, bytes: text.as_ref().to_vec(), password: None, password_setting: "" }
    }

    /// The setting of the password, and its value.
    #[must_use]
    pub fn password(mut self, setting: &'a str, password: Option<&'a str>) -> Self {
        self.password = password;
        self.password_setting = setting;
        self
    }

    /// The passwords of a store and of the key in it, as Kafka has them: PEM knows the second only, and of PKCS12 it is
    /// the same as the first.
    #[must_use]
    pub fn passwords(self, store: (&'a str, Option<&'a str>), key: (&'a str, Option<&'a str>)) -> Self {
        let is_pem = !pem::blocks(&pem::text(&self.bytes)).is_empty();
        let (first, second) = if is_pem { (key, store) } else { (store, key) };
        self.password(first.0, first.1.or(second.1))
    }

    /// The file or setting, for messages.
    pub(super) fn origin(&self) -> String {
        self.path.unwrap_or(self.setting).to_owned()
    }

    pub(super) fn unusable(&self, what: &str) -> Error {
        let error = Error::config(format!("{}: {what}", self.setting));
        match self.path {
            Some(path) => error.with("file", path),
            None => error,
        }
        .advise("PEM, DER, PKCS7 and PKCS12 can be read, a key also as PKCS1 or SEC1; check which file is meant")
    }

    pub(super) fn unreadable(&self, what: &str, cause: ErrorStack) -> Error {
        self.unusable(&format!("the {what} in it cannot be read")).caused_by(cause)
    }

    fn wants_password(&self, what: &str) -> Error {
        self.unusable(&format!("{what} is encrypted, and there is no password for it"))
            .advise(format!("set {}", self.password_setting))
    }

    fn wrong_password(&self, what: &str, cause: ErrorStack) -> Error {
        self.unusable(&format!("the password does not open {what}"))
            .caused_by(cause)
            .advise(format!("check {}", self.password_setting))
    }

    /// Java's own format.
    fn jks(&self) -> Error {
        let path = self.path.unwrap_or("STORE");
        self.unusable("a JKS store can only be read by Java").advise(format!(
            "convert it once: keytool -importkeystore -srckeystore {path} -destkeystore {path}.p12 -deststoretype PKCS12"
        ))
    }
}

/// The contents found.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) certificates: Vec<X509>,
    pub(super) keys: Vec<PKey<Private>>,
    /// Kinds of PEM blocks that were of no use.
    others: Vec<String>,
}

impl Contents {
    /// Reads a file; keys only if they are wanted, because only then is their password known.
    pub(super) fn of(input: &Input<'_>, wants_keys: bool) -> Result<Self> {
        let bytes = input.bytes.as_slice();
        match bytes {
            [] => return Err(input.unusable("the file is empty")),
            [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => return Err(input.jks()),
            _ => {}
        }
        let blocks = pem::blocks(&pem::text(bytes));
        if !blocks.is_empty() {
            return Self::of_blocks(input, &blocks, wants_keys);
        }
        if bytes.first() != Some(&0x30) {
            return Err(input.unusable("neither PEM, DER nor PKCS12"));
        }
        Self::of_der(input, bytes, wants_keys)
    }

    fn of_blocks(input: &Input<'_>, blocks: &[Block], wants_keys: bool) -> Result<Self> {
        let mut contents = Self::default();
        for (index, block) in blocks.iter().enumerate() {
            let nth = format!("block {} of {} ({})", index + 1, blocks.len(), block.label);
            if block.is_cut {
                return Err(input.unusable(&format!("{nth} has no end: the file is cut off")));
            }
            match block.label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                    let der = block.der().unwrap_or_default();
                    contents.certificates.push(X509::from_der(&der).map_err(|error| input.unreadable(&nth, error))?);
                }
                "PKCS7" | "CMS" => contents.certificates.extend(of_pkcs7(&block.der().unwrap_or_default())),
                "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY"
                    if wants_keys =>
                {
                    contents.keys.push(key_of_block(input, block, &nth)?);
                }
                "OPENSSH PRIVATE KEY" if wants_keys => {
                    return Err(input
                        .unusable("an OpenSSH key, which TLS does not take")
                        .advise("make a copy of it in PEM: cp KEY key.pem && ssh-keygen -p -m PEM -f key.pem"));
                }
                // Of an EC key; the key itself names its curve as well.
                "EC PARAMETERS" => {}
                other => contents.others.push(other.to_owned()),
            }
        }
        Ok(contents)
    }

    fn of_der(input: &Input<'_>, bytes: &[u8], wants_keys: bool) -> Result<Self> {
        if let Ok(store) = Pkcs12::from_der(bytes) {
            return Self::of_pkcs12(input, &store, wants_keys);
        }
        let certificates: Vec<X509> = match X509::from_der(bytes) {
            Ok(_) => elements(bytes).map_while(|element| X509::from_der(element).ok()).collect(),
            Err(_) => of_pkcs7(bytes),
        };
        let mut contents = Self { certificates, ..Self::default() };
        if !contents.certificates.is_empty() {
            return Ok(contents);
        }
        if let Ok(key) = PKey::private_key_from_der(bytes) {
            contents.keys.push(key);
            return Ok(contents);
        }
        // The rest may be an encrypted PKCS8 key: SEQUENCE { SEQUENCE { OBJECT IDENTIFIER ... } ... }.
        let content = elements(bytes).next().map(content);
        let is_key = content.and_then(|inner| elements(inner).next()).is_some_and(|inner| content_starts(inner, 6));
        if !is_key {
            return Err(input.unusable("DER of an unknown kind"));
        }
        match input.password.filter(|_| wants_keys) {
            None if wants_keys => Err(input.wants_password("the key")),
            None => {
                contents.others.push("ENCRYPTED PRIVATE KEY".to_owned());
                Ok(contents)
            }
            Some(password) => {
                let read = || PKey::private_key_from_pkcs8_passphrase(bytes, password.as_bytes());
                contents.keys.push(with_old_ciphers(read).map_err(|error| input.wrong_password("the key", error))?);
                Ok(contents)
            }
        }
    }

    fn of_pkcs12(input: &Input<'_>, store: &Pkcs12, wants_keys: bool) -> Result<Self> {
        let password = input.password.unwrap_or_default();
        let parsed = with_old_ciphers(|| store.parse2(password)).map_err(|error| match input.password {
            None => input.wants_password("the PKCS12 store").caused_by(error),
            Some(_) => input.wrong_password("the PKCS12 store", error),
        })?;
        let certificates = parsed.cert.into_iter().chain(parsed.ca.into_iter().flatten()).collect();
        let keys = parsed.pkey.filter(|_| wants_keys).into_iter().collect();
        Ok(Self { certificates, keys, others: Vec::new() })
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.certificates.extend(other.certificates);
        self.keys.extend(other.keys);
        self.others.extend(other.others);
    }

    /// The contents found in place of those looked for: `, only a PRIVATE KEY`.
    pub(super) fn instead(&self) -> String {
        let mut found = self.others.clone();
        if !self.keys.is_empty() {
            found.push("PRIVATE KEY".to_owned());
        }
        if !self.certificates.is_empty() {
            found.push("CERTIFICATE".to_owned());
        }
        found.dedup();
        if found.is_empty() { String::new() } else { format!(", only {}", found.join(", ")) }
    }

    /// A key and the place of its certificate.
    pub(super) fn pair(&self) -> Option<(PKey<Private>, usize)> {
        self.keys.iter().find_map(|key| {
            let owns = |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(key));
            Some((key.clone(), self.certificates.iter().position(owns)?))
        })
    }

    /// The certificate at a place and those that have signed it, one after the other.
    pub(super) fn chain(&self, own: usize) -> Vec<X509> {
        let mut rest = self.certificates.clone();
        let mut chain = vec![rest.swap_remove(own)];
        while let Some(last) = chain.last().filter(|last| last.issued(last) != X509VerifyResult::OK) {
            let signed = |issuer: &X509| issuer.issued(last) == X509VerifyResult::OK;
            let Some(next) = rest.iter().position(signed) else { break };
            chain.push(rest.swap_remove(next));
        }
        chain
    }
}

fn key_of_block(input: &Input<'_>, block: &Block, nth: &str) -> Result<PKey<Private>> {
    let pem = block.pem();
    if !block.is_encrypted() {
        // Without a callback OpenSSL would ask at the terminal.
        let read = PKey::private_key_from_pem_callback(pem.as_bytes(), |_| Ok(0));
        return read.map_err(|error| input.unreadable(nth, error));
    }
    let Some(password) = input.password else { return Err(input.wants_password("the key")) };
    let read = || PKey::private_key_from_pem_passphrase(pem.as_bytes(), password.as_bytes());
    with_old_ciphers(read).map_err(|error| input.wrong_password("the key", error))
}

fn of_pkcs7(der: &[u8]) -> Vec<X509> {
    let parsed = Pkcs7::from_der(der).ok();
    let certificates = parsed.as_ref().and_then(|store| store.signed()).and_then(|signed| signed.certificates());
    certificates.map(|all| all.iter().map(ToOwned::to_owned).collect()).unwrap_or_default()
}

/// Stores and keys written by Java 8 or OpenSSL 1 are encrypted with RC2 or DES, which OpenSSL 3 knows on demand.
fn with_old_ciphers<T>(read: impl Fn() -> std::result::Result<T, ErrorStack>) -> std::result::Result<T, ErrorStack> {
    static OLD: OnceLock<Option<Provider>> = OnceLock::new();
    read().or_else(|error| {
        let unknown = error.errors().iter().any(|error| error.reason().is_some_and(|why| why.contains("unsupported")));
        if unknown && OLD.get_or_init(|| Provider::try_load(None, "legacy", true).ok()).is_some() {
            return read();
        }
        Err(error)
    })
}

/// DER values one after the other, as far as they are whole.
fn elements(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = header(rest).and_then(|(header, length)| header.checked_add(length))?;
        let (element, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(element)
    })
}

/// The lengths of a DER value's header and content.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*bytes.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let digits = first & 0x7f;
    if digits == 0 || digits > 4 {
        return None;
    }
    let length = bytes.get(2..2 + digits)?.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    Some((2 + digits, length))
}

fn content(element: &[u8]) -> &[u8] {
    header(element).and_then(|(header, _)| element.get(header..)).unwrap_or_default()
}

fn content_starts(element: &[u8], tag: u8) -> bool {
    element.first() == Some(&0x30) && content(element).first() == Some(&tag)
}
