//! The registry and the brokers take the same files as the databases (`dialects/tls.rs`): bundles, DER, stores, keys with
//! a password.

use std::collections::BTreeMap;
use std::time::Duration;

use rowtide::config::spec::KafkaSpec;
use rowtide::convert::registry::{Registry, SchemaKind};
use rowtide::error::{Error, ErrorKind};
use rowtide::kafka::admin::probe_brokers;

use crate::support::tls_proxy::{Before, serve};
use crate::support::{address, tls_files as files};

/// Settings of `ssl.*` that all work, each with a name, and those that do not.
struct Cases {
    folder: tempfile::TempDir,
    of: String,
}

type Settings = Vec<(&'static str, String)>;

impl Cases {
    fn new(of: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), of: of.to_owned() }
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    fn strangers() -> String {
        (0..3).map(|_| files::stranger("rowtide tests").0).collect()
    }

    fn good(&self) -> Vec<(&'static str, Settings)> {
        let read = |name: &str| std::fs::read_to_string(format!("{}/{name}", self.of)).unwrap();
        let (chain, key) = (read("chained-client.pem"), read("chained-client.key"));
        let (authorities, _) = files::authorities(&self.of);
        let root = read("ca.pem");
        let trust = ("ssl.truststore.location", self.file("ca.pem", &root));
        let client = vec![
            ("ssl.keystore.location", self.file("client.p12", files::pkcs12(&chain, &key, "opens"))),
            ("ssl.keystore.password", "opens".to_owned()),
        ];
        let with_client = |mut settings: Settings| {
            settings.extend(client.clone());
            settings
        };
        let with_trust = |mut settings: Settings| {
            settings.push(trust.clone());
            settings
        };
        let trusted_store = self.file("trust.p12", files::trusted_pkcs12(&root, "opens"));
        let bundle = self.file("bundle.pem", Self::strangers() + &root);
        vec![
            ("a bundle", with_client(vec![("ssl.truststore.location", bundle)])),
            ("authorities", with_client(vec![("ssl.truststore.location", self.file("authorities.pem", authorities))])),
            ("DER", with_client(vec![("ssl.truststore.location", self.file("root.der", files::der(&root)))])),
            (
                "a trust store",
                with_client(vec![
                    ("ssl.truststore.location", trusted_store),
                    ("ssl.truststore.password", "opens".to_owned()),
                ]),
            ),
            ("on one line", with_client(vec![("ssl.truststore.certificates", root.replace('\n', " "))])),
            (
                "a key that is locked",
                with_trust(vec![
                    ("ssl.keystore.certificate.chain", chain.clone()),
                    ("ssl.keystore.key", String::from_utf8(files::locked(&key, "opens")).unwrap()),
                    ("ssl.key.password", "opens".to_owned()),
                ]),
            ),
            (
                "key and certificate in one file",
                with_trust(vec![(
                    "ssl.keystore.location",
                    self.file("both.pem", [&b"\n"[..], &files::sec1(&key), chain.as_bytes()].concat()),
                )]),
            ),
        ]
    }

    /// The settings of a client that nobody has signed, and of one that trusts nobody that has signed.
    fn bad(&self) -> Vec<(&'static str, Settings)> {
        let trust = ("ssl.truststore.location", format!("{}/ca.pem", self.of));
        let strangers = self.file("strangers.pem", Self::strangers());
        let client = ("ssl.keystore.location", {
            let read = |name: &str| std::fs::read_to_string(format!("{}/{name}", self.of)).unwrap();
            self.file("client-both.pem", read("client.key") + &read("client.pem"))
        });
        vec![
            ("no client certificate", vec![trust]),
            ("strangers", vec![("ssl.truststore.location", strangers), client]),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_takes_every_kind_of_file() {
    let cases = Cases::new(&address("ROWTIDE_TEST_POSTGRES_TLS"));
    let upstream = address("ROWTIDE_TEST_REGISTRY_URL");
    let upstream = upstream.strip_prefix("http://").unwrap().trim_end_matches('/');
    let (host, path) = upstream.split_once('/').unwrap_or((upstream, ""));
    let port = serve(&cases.of, host, Before::Nothing, true, true).await;
    let ask = async |settings: Settings| -> Result<(), Error> {
        let mut converter: BTreeMap<String, String> =
            settings.into_iter().map(|(key, value)| (format!("schema.registry.{key}"), value)).collect();
        converter.insert("schema.registry.url".to_owned(), format!("https://localhost:{port}/{path}"));
        converter.insert("max.retries".to_owned(), "0".to_owned());
        Registry::create(&converter, SchemaKind::Avro)?
            .latest("no-such-subject-of-tls")
            .await
            .map(|found| assert!(found.is_none()))
    };
    for (name, settings) in cases.good() {
        ask(settings).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    for (name, settings) in cases.bad() {
        assert!(ask(settings).await.is_err(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brokers_take_every_kind_of_file() {
    let cases = Cases::new(&address("ROWTIDE_TEST_KAFKA_TLS"));
    let ask = async |settings: Settings| {
        let mut common: BTreeMap<String, String> =
            settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        common.insert("security.protocol".to_owned(), "SSL".to_owned());
        let spec = KafkaSpec {
            bootstrap_servers: address("ROWTIDE_TEST_BOOTSTRAP_TLS"),
            group_id: "rowtide-it".to_owned(),
            common,
            producer: BTreeMap::new(),
            consumer: BTreeMap::new(),
            admin: BTreeMap::new(),
        };
        probe_brokers(&spec, Duration::from_secs(10)).await
    };
    for (name, settings) in cases.good() {
        let found = ask(settings).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(found.brokers, 1, "{name}");
    }
    for (name, settings) in cases.bad() {
        assert!(ask(settings).await.is_err(), "{name}");
    }
    let (_, key) = files::stranger("tls_user");
    let locked = cases.file("locked.pem", files::locked(&key, "opens"));
    let error = ask(vec![("ssl.keystore.location", locked)]).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Config, "set ssl.key.password"), "{error:?}");
}
