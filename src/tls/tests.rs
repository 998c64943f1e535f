use std::sync::Arc;

use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::samples::{self, Client};
use super::*;
use crate::error::ErrorKind;

fn write(folder: &tempfile::TempDir, bytes: &[u8]) -> String {
    let path = folder.path().join(format!("{}.any", fastrand::u64(..)));
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn authorities(bytes: &[u8], password: Option<&str>) -> Result<Certificates> {
    let folder = tempfile::tempdir().unwrap();
    Certificates::read(&Input::file("ca.setting", &write(&folder, bytes))?.password("ca.password", password))
}

fn identity(chain: &[u8], key: &[u8], password: Option<&str>) -> Result<Identity> {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (write(&folder, chain), write(&folder, key));
    Identity::read(&[
        Input::file("cert.setting", &chain)?,
        Input::file("key.setting", &key)?.password("key.password", password),
    ])
}

fn der(of: &samples::Signed) -> Vec<u8> {
    of.certificate.to_der().unwrap()
}

#[test]
fn authorities_are_read_from_every_kind_of_file() {
    let [root, between, own] = samples::chain_of("server", samples::ec_key());
    let (first, second) = (samples::pem(&root), samples::pem(&between));
    let key = String::from_utf8(own.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let mut stack = openssl::stack::Stack::new().unwrap();
    stack.push(between.certificate.clone()).unwrap();
    let pkcs7 =
        openssl::pkcs7::Pkcs7::sign(&root.certificate, &root.key, &stack, b"", openssl::pkcs7::Pkcs7Flags::BINARY)
            .unwrap();
    let mut builder = openssl::pkcs12::Pkcs12::builder();
    builder.cert(&root.certificate).ca(stack);
    let pkcs12 = builder.build2("secret").unwrap().to_der().unwrap();
    for (what, bytes, password) in [
        ("a bundle", format!("{first}{second}").into_bytes(), None),
        ("a bundle with comments", format!("# root\n{first}\n\n# between\n{second}").into_bytes(), None),
        ("a bundle in a key's file", format!("{key}{first}{second}").into_bytes(), None),
        ("DER, one behind the other", [der(&root), der(&between)].concat(), None),
        ("PKCS7", pkcs7.to_der().unwrap(), None),
        ("PKCS7 in PEM", pkcs7.to_pem().unwrap(), None),
        ("PKCS12", pkcs12, Some("secret")),
    ] {
        let found = authorities(&bytes, password).unwrap();
        let mut names: Vec<_> = found.all.iter().map(|one| one.to_der().unwrap()).collect();
        names.sort();
        let mut expected = vec![der(&root), der(&between)];
        expected.sort();
        assert_eq!(names, expected, "{what}");
    }
    assert_eq!(authorities(&der(&root), None).unwrap().pem(), [first]);
}

#[test]
fn keys_are_read_in_every_form() {
    for client in [samples::client(), samples::rsa_client()] {
        let key = &client.own().key;
        let traditional = match key.rsa() {
            Ok(rsa) => rsa.private_key_to_pem().unwrap(),
            Err(_) => key.ec_key().unwrap().private_key_to_pem().unwrap(),
        };
        let locked = match key.rsa() {
            Ok(rsa) => rsa.private_key_to_pem_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap(),
            Err(_) => key.ec_key().unwrap().private_key_to_pem_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap(),
        };
        let bag = "Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n";
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let bytes = client.key.as_bytes();
        let pkcs8 = key.private_key_to_pkcs8().unwrap();
        let locked_der = key.private_key_to_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
        for (what, key, password) in [
            ("PKCS8", bytes.to_vec(), None),
            ("behind bag attributes", [bag.as_bytes(), bytes].concat(), None),
            ("behind a byte order mark", ["\u{feff}".as_bytes(), bytes].concat(), None),
            ("behind a blank line", [b"\n\n", bytes].concat(), None),
            ("PKCS1 or SEC1", traditional.clone(), None),
            ("behind the curve", [parameters.as_bytes(), &traditional].concat(), None),
            ("with a password that is not needed", bytes.to_vec(), Some("needless")),
            ("DER", pkcs8, None),
            ("DER of PKCS1 or SEC1", key.private_key_to_der().unwrap(), None),
            ("encrypted", client.encrypted("secret").into_bytes(), Some("secret")),
            ("encrypted in the old way", locked, Some("secret")),
            ("encrypted DER", locked_der, Some("secret")),
            ("PKCS12", client.pkcs12("secret"), Some("secret")),
        ] {
            let found =
                identity(client.chain.as_bytes(), &key, password).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert_eq!((found.chain_pem(), found.key_pem()), (client.chain.as_str(), client.key.as_str()), "{what}");
        }
        let mixed = format!("{}{}{}", client.authorities, client.key, samples::pem(client.own()));
        assert_eq!(identity(mixed.as_bytes(), mixed.as_bytes(), None).unwrap().chain_pem(), client.chain);
    }
}

/// As OpenSSL 1 and Java 8 write them: `openssl pkcs12 -export -legacy`.
#[test]
fn a_store_with_old_ciphers_is_read() {
    let client = samples::client();
    let mut builder = openssl::pkcs12::Pkcs12::builder();
    builder.pkey(&client.own().key).cert(&client.own().certificate);
    builder.cert_algorithm(openssl::nid::Nid::PBE_WITHSHA1AND40BITRC2_CBC);
    builder.key_algorithm(openssl::nid::Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC);
    builder.mac_md(openssl::hash::MessageDigest::sha1());
    let old = openssl::provider::Provider::try_load(None, "legacy", true).unwrap();
    let store = builder.build2("secret").unwrap().to_der().unwrap();
    drop(old);
    let found = Identity::read(&[stored(&store, Some("secret"))]).unwrap();
    assert_eq!(found.key_pem(), client.key);
}

fn stored<'a>(bytes: &[u8], password: Option<&'a str>) -> Input<'a> {
    let folder = tempfile::tempdir().unwrap();
    let path: &'static str = write(&folder, bytes).leak();
    Input::file("store.setting", path).unwrap().password("store.password", password)
}

#[test]
fn what_cannot_be_used_is_named_with_its_file_and_a_way_out() {
    let Client { chain, key, .. } = &samples::client();
    let other = samples::client();
    let cut = &chain[..chain.len() - 40];
    let bad = chain.replacen("MII", "XXX", 1);
    let no_certificate = [
        (b"".to_vec(), "is empty", ""),
        (b"neither".to_vec(), "neither PEM", "PEM, DER"),
        (key.clone().into_bytes(), "no certificate in it, only PRIVATE KEY", "PEM, DER"),
        (cut.as_bytes().to_vec(), "cut off", ""),
        (bad.into_bytes(), "block 1 of 3 (CERTIFICATE)", ""),
        (vec![0x30, 0x03, 1, 1, 0], "unknown kind", ""),
        (vec![0xfe, 0xed, 0xfe, 0xed, 0, 0], "only be read by Java", "keytool -importkeystore -srckeystore /"),
        (other.pkcs12("secret"), "no password", "set ca.password"),
    ];
    for (bytes, message, advice) in no_certificate {
        let error = authorities(&bytes, None).err().unwrap();
        let report = error.report();
        assert!(report.contains("ca.setting: ") && report.contains(message) && report.contains(".any"), "{report}");
        assert!(error.advice().contains(advice), "{}", error.advice());
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    for (chain, key, password, message, advice) in [
        (chain, &other.key, None, "does not belong to the certificate", ""),
        (chain, chain, None, "no private key in it", ""),
        (key, key, None, "no certificate beside the key", ""),
        (chain, &other.encrypted("secret"), None, "no password for it", "set key.password"),
        (chain, &other.encrypted("secret"), Some("wrong-one"), "does not open the key", "check key.password"),
        (
            chain,
            &"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----".to_owned(),
            None,
            "OpenSSH",
            "ssh-keygen",
        ),
    ] {
        let error = identity(chain.as_bytes(), key.as_bytes(), password).err().unwrap();
        let report = error.report();
        assert!(report.contains(message) && !report.contains("wrong-one"), "{report}");
        assert!(error.advice().contains(advice), "{}", error.advice());
    }
    assert!(Input::file("s", "/no/such/file").err().unwrap().report().contains("/no/such/file"));
    assert!(Input::file("s", "/dev/zero").err().unwrap().report().contains("too large"));
}

/// A server that sends these certificates with the first one's key.
async fn handshake(sent: &[&samples::Signed], host: &str, trust: Trust) -> Result<()> {
    let mut acceptor = openssl::ssl::SslAcceptor::mozilla_modern_v5(openssl::ssl::SslMethod::tls_server()).unwrap();
    acceptor.set_private_key(&sent[0].key).unwrap();
    acceptor.set_certificate(&sent[0].certificate).unwrap();
    for above in &sent[1..] {
        acceptor.add_extra_chain_cert(above.certificate.clone()).unwrap();
    }
    let acceptor = Arc::new(acceptor.build());
    let (near, far) = tokio::io::duplex(64 * 1024);
    let ssl = openssl::ssl::Ssl::new(acceptor.context()).unwrap();
    let mut server = Encrypted::new(ssl, far).unwrap();
    let serve = async {
        // A client that is not content hangs up.
        let _ = std::pin::Pin::new(&mut server).accept().await;
    };
    let (connected, ()) = tokio::join!(connect(host, near, &trust), serve);
    connected.map(|_| ())
}

#[tokio::test]
async fn any_certificate_of_a_file_is_trusted_and_no_other() {
    let [root, between, server] = &samples::chain_of("db.example", samples::ec_key());
    let strangers: Vec<_> = (0..3).map(|_| samples::signed("root", None, samples::ec_key(), true)).collect();
    let trust = |trusted: &[&samples::Signed]| {
        let pem: String = trusted.iter().map(|one| samples::pem(one)).collect();
        let authorities = Some(Certificates::read(&Input::text("ca.setting", &pem)).unwrap());
        Trust { authorities, name: true, identity: None }
    };
    let unrelated: Vec<_> = strangers.iter().collect();
    let with = |last: &[&'static str]| -> Vec<&samples::Signed> {
        let named = last.iter().map(|name| match *name {
            "root" => root,
            "between" => between,
            _ => server,
        });
        unrelated.iter().copied().chain(named).collect()
    };
    for (sent, trusted) in [
        (&[server, between][..], &["root"][..]),
        (&[server, between], &["between", "root"]),
        (&[server, between], &["root", "between"]),
        (&[server], &["between", "root"]),
        (&[server], &["between"]),
        (&[server], &["server"]),
        (&[server, between, root], &["root"]),
    ] {
        let found = handshake(sent, "db.example", trust(&with(trusted))).await;
        assert!(found.is_ok(), "{} sent, {trusted:?} trusted: {found:?}", sent.len());
    }
    for (sent, trusted, missing) in [
        (&[server, between][..], &[][..], "CN=root,"),
        (&[server], &["root"], "CN=between,"),
        (&[server, between, root], &[], "CN=root,"),
    ] {
        let error = handshake(sent, "db.example", trust(&with(trusted))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.advice().contains(missing) && error.advice().contains("ca.setting"), "{}", error.advice());
    }
    let error = handshake(&[server, between], "other.example", trust(&[root])).await.unwrap_err();
    assert!(error.advice().contains("it is for db.example, and was asked for other.example"), "{}", error.advice());
    let nameless = Trust { name: false, ..trust(&[root]) };
    handshake(&[server, between], "other.example", nameless).await.unwrap();
}

#[tokio::test]
async fn nobody_enters_a_loopback_without_its_key() {
    let (own, other) = (Loopback::new().unwrap(), Loopback::new().unwrap());
    for (of, may) in [(&own, true), (&other, false)] {
        let pem = String::from_utf8_lossy(of.certificate_pem()).into_owned() + &String::from_utf8_lossy(of.key_pem());
        let trust = Trust {
            authorities: Some(Certificates::read(&Input::text("", &pem)).unwrap()),
            name: true,
            identity: Some(Identity::read(&[Input::text("", &pem)]).unwrap()),
        };
        let (near, far) = tokio::io::duplex(64 * 1024);
        let acceptor = own.acceptor();
        let host = Loopback::HOST.to_string();
        let (client, server) = tokio::join!(connect(&host, near, &trust), acceptor.accept(far));
        assert_eq!((client.is_ok(), server.is_ok()), (may, may), "{:?}", client.err());
        if let (Ok(mut client), Ok(mut server)) = (client, server) {
            client.write_all(b"row").await.unwrap();
            let mut read = [0; 3];
            server.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"row");
        }
    }
}

#[test]
fn a_dsa_or_short_rsa_key_is_no_reason_to_panic() {
    let rsa = Rsa::generate(512).unwrap();
    let pem = rsa.private_key_to_pem().unwrap();
    assert!(Identity::read(&[Input::text("", String::from_utf8(pem).unwrap())]).is_err());
}
