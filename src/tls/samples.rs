//! Certificates and keys for tests: a root, an authority below it, and a certificate that it has signed.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Name};

pub(crate) struct Signed {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

pub(crate) fn ec_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// A certificate signed by `issuer`, or by itself.
pub(crate) fn signed(name: &str, issuer: Option<&Signed>, key: PKey<Private>, is_authority: bool) -> Signed {
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, openssl::bn::MsbOption::ONE, false).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(issuer.map_or(&subject, |issuer| issuer.certificate.subject_name())).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    // The key identifier, by which authorities of one name are told apart.
    let context = builder.x509v3_context(issuer.map(|issuer| &*issuer.certificate), None);
    let own_id = SubjectKeyIdentifier::new().build(&context).unwrap();
    builder.append_extension(own_id).unwrap();
    if issuer.is_some() {
        let context = builder.x509v3_context(issuer.map(|issuer| &*issuer.certificate), None);
        let id = AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap();
        builder.append_extension(id).unwrap();
    }
    if is_authority {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    } else {
        let context = builder.x509v3_context(None, None);
        let names = SubjectAlternativeName::new().dns(name).build(&context).unwrap();
        builder.append_extension(names).unwrap();
    }
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    Signed { certificate: builder.build(), key }
}

/// A root, an authority below it, and a certificate signed by that.
pub(crate) fn chain_of(name: &str, key: PKey<Private>) -> [Signed; 3] {
    let root = signed("root", None, ec_key(), true);
    let between = signed("between", Some(&root), ec_key(), true);
    let own = signed(name, Some(&between), key, false);
    [root, between, own]
}

pub(crate) fn pem(of: &Signed) -> String {
    String::from_utf8(of.certificate.to_pem().unwrap()).unwrap()
}

/// A client's files.
pub(crate) struct Client {
    /// The authority between and the root.
    pub(crate) authorities: String,
    /// The client's certificate, then those.
    pub(crate) chain: String,
    /// PKCS8, not encrypted.
    pub(crate) key: String,
    signed: [Signed; 3],
}

pub(crate) fn client() -> Client {
    client_with(ec_key())
}

pub(crate) fn rsa_client() -> Client {
    client_with(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap())
}

fn client_with(key: PKey<Private>) -> Client {
    let signed = chain_of("client", key);
    let authorities = pem(&signed[1]) + &pem(&signed[0]);
    let key = String::from_utf8(signed[2].key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    Client { chain: pem(&signed[2]) + &authorities, authorities, key, signed }
}

impl Client {
    pub(crate) fn both(&self) -> String {
        self.key.clone() + &self.chain
    }

    pub(crate) fn encrypted(&self, password: &str) -> String {
        let key = &self.signed[2].key;
        let pem = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes());
        String::from_utf8(pem.unwrap()).unwrap()
    }

    pub(crate) fn pkcs12(&self, password: &str) -> Vec<u8> {
        let [root, between, own] = &self.signed;
        let mut above = Stack::new().unwrap();
        above.push(root.certificate.clone()).unwrap();
        above.push(between.certificate.clone()).unwrap();
        let mut builder = Pkcs12::builder();
        builder.pkey(&own.key).cert(&own.certificate).ca(above);
        builder.build2(password).unwrap().to_der().unwrap()
    }

    pub(crate) fn own(&self) -> &Signed {
        &self.signed[2]
    }
}
