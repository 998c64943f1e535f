//! Certificates and keys in the forms that users have them in, made from those of `scripts/services`.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Name};

/// The certificates above a server's, the root last, and the server's chain itself.
pub fn authorities(folder: &str) -> (String, String) {
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let (chain, root) = (read("server.pem"), read("ca.pem"));
    let own_end = chain.find("-----END CERTIFICATE-----\n").unwrap() + "-----END CERTIFICATE-----\n".len();
    (format!("{}{root}", &chain[own_end..]), chain)
}

/// An authority that has signed nobody but itself: its certificate and key.
pub fn stranger(name: &str) -> (String, String) {
    let key = PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap());
    let key = key.unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(fastrand::u32(1..)).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    // By which authorities of one name are told apart.
    let id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(id).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (text(builder.build().to_pem().unwrap()), text(key.private_key_to_pem_pkcs8().unwrap()))
}

pub fn der(pem: &str) -> Vec<u8> {
    X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap()
}

/// `EC PRIVATE KEY`.
pub fn sec1(key: &str) -> Vec<u8> {
    private(key).ec_key().unwrap().private_key_to_pem().unwrap()
}

/// The form of a key that pgjdbc wants.
pub fn pkcs8_der(key: &str) -> Vec<u8> {
    private(key).private_key_to_pkcs8().unwrap()
}

pub fn locked(key: &str, password: &str) -> Vec<u8> {
    private(key).private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes()).unwrap()
}

pub fn locked_der(key: &str, password: &str) -> Vec<u8> {
    private(key).private_key_to_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes()).unwrap()
}

/// A key store.
pub fn pkcs12(chain: &str, key: &str, password: &str) -> Vec<u8> {
    let mut certificates = X509::stack_from_pem(chain.as_bytes()).unwrap().into_iter();
    let own = certificates.next().unwrap();
    let mut builder = Pkcs12::builder();
    let key = private(key);
    builder.pkey(&key).cert(&own).ca(stack(certificates));
    builder.build2(password).unwrap().to_der().unwrap()
}

/// A trust store.
pub fn trusted_pkcs12(certificates: &str, password: &str) -> Vec<u8> {
    let mut builder = Pkcs12::builder();
    builder.ca(stack(X509::stack_from_pem(certificates.as_bytes()).unwrap().into_iter()));
    builder.build2(password).unwrap().to_der().unwrap()
}

fn stack(certificates: impl Iterator<Item = X509>) -> Stack<X509> {
    let mut stack = Stack::new().unwrap();
    certificates.for_each(|certificate| stack.push(certificate).unwrap());
    stack
}

fn private(key: &str) -> PKey<Private> {
    PKey::private_key_from_pem(key.as_bytes()).unwrap()
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).unwrap()
}
