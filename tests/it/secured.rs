//! Brokers and a registry that ask who it is: every way to log in, the rights of the user by ACLs, and what is said where one
//! is missing.

use std::process::Command;

use crate::support::config::Connector;
use crate::support::connect::{acls, scram_user};
use crate::support::db::Postgres;
use crate::support::https::{Server, basic};
use crate::support::kafka::{read_topic, records};
use crate::support::process::{Finished, Running, finish, once, rowtide, run};
use crate::support::rest::Client;
use crate::support::{PATIENCE, Stack, address, eventually, tls_files, unique};

const JAAS: &str = "org.apache.kafka.common.security";
const AVRO: &str = "io.confluent.connect.avro.AvroConverter";

fn check(connector: &Connector) -> Finished {
    run(&["check", "--timeout", "20", connector.file().to_str().expect("a path")])
}

/// A connector of a table of one row whose topics, offsets and transactional ids all begin with `prefix`.
fn connector(database: &Postgres, prefix: &str, of: &str) -> Connector {
    Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .set("key.mode", "primary_key")
        .set("topic.prefix", &format!("{prefix}.{of}."))
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "1")
        .set("offset.storage.topic", &format!("{prefix}.offsets"))
        .set("offset.storage.partitions", "1")
        .set("group.id", prefix)
}

fn database() -> Postgres {
    let database = Postgres::new();
    database.run("create table t (id bigint primary key, item text); insert into t values (7, 'seven')");
    database
}

/// The listener with TLS for users of SASL.
pub fn over_tls(connector: Connector, mechanism: &str, jaas: &str) -> Connector {
    connector
        .set("bootstrap.servers", &address("ROWTIDE_TEST_BOOTSTRAP_SECURED"))
        .set("security.protocol", "SASL_SSL")
        .set("ssl.truststore.location", &format!("{}/ca.pem", address("ROWTIDE_TEST_KAFKA_TLS")))
        .set("sasl.mechanism", mechanism)
        .set("sasl.jaas.config", jaas)
}

pub fn login(module: &str, password: &str) -> String {
    format!("{JAAS}.{module} required username=\"limited\" password=\"{password}\";")
}

/// All that the user needs for the connectors of one prefix, and nothing else.
pub fn grant(prefix: &str) {
    let to = ["--add", "--allow-principal", "User:limited", "--resource-pattern-type", "prefixed"];
    let rights = ["--operation", "Describe", "--operation", "Write", "--operation", "Create", "--operation", "Read"];
    acls(&[&to[..], &rights, &["--topic", prefix]].concat());
    acls(&[&to[..], &rights[..4], &["--transactional-id", prefix]].concat());
}

#[track_caller]
fn delivers(connector: &Connector) {
    check(connector).expect_code(0).expect_says(&["no problems"]);
    once(connector).expect_code(0);
    let records = records(&connector.topic("t"));
    assert_eq!((records.len(), records[0].field("item").as_str()), (1, Some("seven")), "{}", connector.name);
}

#[test]
fn plain_and_scram_over_tls_deliver_with_what_acls_allow_and_check_names_each_missing_grant() {
    let (database, prefix) = (database(), unique("secured"));
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        scram_user(mechanism, "limited-secret");
    }
    let plain = |password: &str| {
        over_tls(connector(&database, &prefix, "plain"), "PLAIN", &login("plain.PlainLoginModule", password))
    };
    // Nothing is granted yet: each thing that the run would be refused is a problem, with the grant.
    check(&plain("limited-secret")).expect_code(2).expect_says(&[
        "PROBLEM  transactional id",
        "--operation Write --operation Describe --transactional-id PREFIX",
        &format!("PROBLEM  topic {prefix}.plain.t: the topic may not be described"),
        &format!("--operation Write --operation Describe --topic {prefix}.plain.t"),
        &format!("PROBLEM  topic {prefix}.offsets: the topic may not be described"),
    ]);
    grant(&prefix);
    delivers(&plain("limited-secret"));
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let scram = |password: &str| {
            let connector = connector(&database, &prefix, &mechanism.to_lowercase());
            over_tls(connector, mechanism, &login("scram.ScramLoginModule", password))
        };
        delivers(&scram("limited-secret"));
        let refused = check(&scram("wrong")).expect_code(2);
        let refused = refused.expect_says(&["the brokers refused the credentials", "the SASL settings of the brokers"]);
        assert!(!refused.stdout.contains("wrong") && !refused.stderr.contains("wrong"), "{refused:?}");
    }
    once(&plain("wrong")).expect_code(2).expect_says(&["the brokers refused the credentials"]);
}

/// Settings of a worker, not of a connector.
const OF_WORKER: [&str; 6] = ["bootstrap.", "security.", "ssl.", "sasl.", "offset.storage.", "group.id"];

#[test]
fn a_worker_keeps_connectors_in_its_topic_with_the_rights_of_one_and_two_more() {
    let (database, prefix, folder) = (database(), unique("worker"), tempfile::tempdir().expect("a folder"));
    let plain = login("plain.PlainLoginModule", "limited-secret");
    let connector = over_tls(connector(&database, &prefix, "rest"), "PLAIN", &plain);
    let (of_worker, config): (Vec<_>, Vec<_>) =
        connector.keys.iter().partition(|(key, _)| OF_WORKER.iter().any(|beginning| key.starts_with(beginning)));
    let lines: Vec<String> = of_worker.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let own = format!("config.storage.topic={prefix}.configs\nconfig.storage.replication.factor=1");
    let file = folder.path().join("worker.properties");
    std::fs::write(&file, format!("{}\n{own}\n", lines.join("\n"))).expect("write");
    let start = || Running::worker(&file, &["--listen", "127.0.0.1:0"]);
    grant(&prefix);
    let mut refused = start();
    let code = refused.ended();
    assert!(code != Some(0) && refused.log().contains("transactional"), "{code:?}: {}", refused.log());
    let to = ["--add", "--allow-principal", "User:limited", "--operation", "Describe"];
    acls(&[&to[..], &["--group", &prefix]].concat());
    acls(&[&to[..], &["--operation", "Write", "--transactional-id", &format!("connect-cluster-{prefix}")]].concat());
    let mut running = start();
    let client = Client::new(&running.address());
    let config: serde_json::Value = config.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let body = serde_json::json!({"name": "kept", "config": config});
    eventually("it is taken", PATIENCE, || {
        client.try_call("POST", "/connectors", Some(&body.to_string())).filter(|answer| answer.status == 201)
    });
    client.wait_for("/connectors/kept", "RUNNING", 1);
    running.kill();
    let mut again = start();
    Client::new(&again.address()).wait_for("/connectors/kept", "RUNNING", 1);
}

#[test]
fn oauthbearer_delivers_with_a_token_of_the_clients_credentials_in_both_forms_that_java_takes() {
    let (database, prefix) = (database(), unique("oauth"));
    grant(&prefix);
    let folder = address("ROWTIDE_TEST_KAFKA_TLS");
    let endpoint = Server::tokens(&folder, "rowtide", "client-secret", "limited");
    let oauth = |options: &str| {
        let trust = format!("ssl.truststore.location=\"{folder}/ca.pem\"");
        let jaas = format!("{JAAS}.oauthbearer.OAuthBearerLoginModule required {options} {trust};");
        let handler = format!("{JAAS}.oauthbearer.secured.OAuthBearerLoginCallbackHandler");
        over_tls(connector(&database, &prefix, "oauth"), "OAUTHBEARER", &jaas)
            .set("sasl.login.callback.handler.class", &handler)
            .set("sasl.oauthbearer.token.endpoint.url", &format!("https://localhost:{}/token", endpoint.port))
    };
    let of_jaas = oauth("clientId=\"rowtide\" clientSecret=\"client-secret\" scope=\"topics\"");
    delivers(&of_jaas);
    assert!(endpoint.answered() > 0);
    let of_keys = |secret: &str| {
        oauth("")
            .set("sasl.oauthbearer.client.credentials.client.id", "rowtide")
            .set("sasl.oauthbearer.client.credentials.client.secret", secret)
    };
    check(&of_keys("client-secret")).expect_code(0).expect_says(&["no problems"]);
    let refused = check(&of_keys("not-it")).expect_code(2);
    let refused =
        refused.expect_says(&["there is no token to log in to the brokers with", "client id, secret and scope"]);
    assert!(!refused.stdout.contains("not-it"), "{refused:?}");
}

#[test]
fn a_client_certificate_logs_in_and_a_store_of_java_alone_is_refused_with_the_command_that_converts_it() {
    let (database, prefix) = (database(), unique("mtls"));
    let (folder, own) = (address("ROWTIDE_TEST_KAFKA_TLS"), tempfile::tempdir().expect("a folder"));
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).expect("a file");
    let path = |name: &str| own.path().join(name).display().to_string();
    let client = tls_files::pkcs12(&read("chained-client.pem"), &read("chained-client.key"), "opens-it");
    std::fs::write(path("client.p12"), client).expect("write");
    let trusting = |store: &str| {
        connector(&database, &prefix, "mtls")
            .set("bootstrap.servers", &address("ROWTIDE_TEST_BOOTSTRAP_TLS"))
            .set("security.protocol", "SSL")
            .set("ssl.truststore.location", &path(store))
            .set("ssl.truststore.password", "opens-it")
            .set("ssl.keystore.location", &path("client.p12"))
            .set("ssl.keystore.password", "opens-it")
    };
    let java = address("ROWTIDE_TEST_JAVA");
    let keytool = format!("{}keytool", java.strip_suffix("java").expect("a path"));
    let made = Command::new(&keytool)
        .args(["-importcert", "-noprompt", "-alias", "ca", "-storetype", "JKS", "-storepass", "opens-it"])
        .args(["-file", &format!("{folder}/ca.pem"), "-keystore", &path("trust.jks")])
        .output()
        .expect("keytool");
    assert!(made.status.success(), "{made:?}");
    let said = check(&trusting("trust.jks")).expect_code(2).expect_says(&["can only be read by Java"]).stdout;
    let (_, command) = said.split_once("convert it once: keytool ").expect("the command");
    let command = command.lines().next().expect("a line");
    let converted = Command::new(&keytool)
        .args(command.split_whitespace())
        .args(["-srcstorepass", "opens-it", "-deststorepass", "opens-it"])
        .output()
        .expect("keytool");
    assert!(converted.status.success(), "{command}: {converted:?}");
    delivers(&trusting("trust.jks.p12"));
}

#[test]
fn a_registry_behind_https_takes_a_user_a_token_and_a_certificate_also_as_the_second_of_two() {
    let database = database();
    let folder = address("ROWTIDE_TEST_KAFKA_TLS");
    let own = tempfile::tempdir().expect("a folder");
    let store = own.path().join("client.pem").display().to_string();
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).expect("a file");
    std::fs::write(&store, read("chained-client.key") + &read("chained-client.pem")).expect("write");
    let upstream = Stack::get().registry;
    let (_, path) = upstream.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap_or_default();
    let user = [("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "key:secret:more")];
    let token = [("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "secret-token")];
    let certificate =
        [("schema.registry.ssl.keystore.location", store.as_str()), ("schema.registry.ssl.key.password", "")];
    for (of, settings, asks, wanted) in [
        ("basic", user, false, basic("key", "secret:more")),
        ("bearer", token, false, "Bearer secret-token".to_owned()),
        ("mtls", certificate, true, String::new()),
    ] {
        let server = Server::registry(&folder, asks, &wanted);
        // Nobody listens on the first.
        let urls = format!("https://127.0.0.1:9,https://localhost:{}/{path}", server.port);
        let registry = |connector: Connector| {
            ["key", "value"].iter().fold(connector, |connector, side| {
                connector
                    .set(&format!("{side}.converter"), AVRO)
                    .set(&format!("{side}.converter.schema.registry.url"), &urls)
                    .set(&format!("{side}.converter.max.retries"), "0")
                    .set(
                        &format!("{side}.converter.schema.registry.ssl.truststore.location"),
                        &format!("{folder}/ca.pem"),
                    )
            })
        };
        let prefix = unique("registry");
        let nobody = registry(connector(&database, &prefix, of));
        let refused = check(&nobody);
        assert!(refused.code != Some(0) && !refused.stdout.contains("no problems"), "{of}: {refused:?}");
        let known = ["key", "value"].iter().fold(nobody, |connector, side| {
            let set = |connector: Connector, (key, value): &(&str, &str)| {
                connector.set(&format!("{side}.converter.{key}"), value)
            };
            settings.iter().filter(|(_, value)| !value.is_empty()).fold(connector, set)
        });
        delivers(&known);
        assert!(server.answered() > 0, "{of}");
        assert_eq!(read_topic(&known.topic("t")).len(), 1);
    }
}

#[test]
fn a_registry_behind_https_takes_the_tokens_of_an_endpoint_that_the_client_gets_for_id_and_secret() {
    let (database, prefix) = (database(), unique("registry"));
    let folder = address("ROWTIDE_TEST_KAFKA_TLS");
    let endpoint = Server::tokens(&folder, "rowtide", "client-secret", "writer");
    let registry = Server::registry_by_tokens(&folder, "writer", "lsrc-1");
    let upstream = Stack::get().registry;
    let (_, path) = upstream.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap_or_default();
    let (url, issuer) =
        (format!("https://localhost:{}/{path}", registry.port), format!("https://localhost:{}/token", endpoint.port));
    let authority = format!("{folder}/ca.pem");
    let connector_with = |settings: &[(&str, &str)]| {
        let fixed = [
            ("schema.registry.url", url.as_str()),
            ("schema.registry.ssl.truststore.location", &authority),
            ("max.retries", "0"),
            ("bearer.auth.credentials.source", "OAUTHBEARER"),
            ("bearer.auth.issuer.endpoint.url", &issuer),
            ("bearer.auth.client.id", "rowtide"),
            ("bearer.auth.logical.cluster", "lsrc-1"),
        ];
        ["key", "value"].iter().fold(connector(&database, &prefix, "oauth"), |connector, side| {
            let connector = connector.set(&format!("{side}.converter"), AVRO);
            fixed
                .iter()
                .chain(settings)
                .fold(connector, |connector, (key, value)| connector.set(&format!("{side}.converter.{key}"), value))
        })
    };
    // The endpoint's certificate is looked up without the registry's prefix, as by Confluent's client.
    let secret = ("bearer.auth.client.secret", "client-secret");
    check(&connector_with(&[secret])).expect_code(3).expect_says(&["ssl.truststore.location", &issuer]);
    let trusting = ("ssl.truststore.location", authority.as_str());
    let refused = check(&connector_with(&[trusting, ("bearer.auth.client.secret", "not-it")])).expect_code(2);
    let refused = refused.expect_says(&["gives out no token", "invalid_client", "bearer.auth.client.secret"]);
    assert!(!refused.stdout.contains("not-it") && !refused.stderr.contains("not-it"), "{refused:?}");
    assert_eq!(registry.answered(), 0);
    let known = connector_with(&[trusting, secret, ("bearer.auth.scope", "schemas")]);
    delivers(&known);
    assert!(endpoint.answered() > 0 && registry.answered() > 0);
    // Schemas are also read by their ids.
    let of_values =
        known.keys.iter().filter(|(key, _)| key.starts_with("value.converter") || *key == "bootstrap.servers");
    let settings = of_values.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
    let (topic, settings) = (known.topic("t"), settings.collect::<Vec<_>>());
    let read = finish(rowtide().args(["consume", &topic, "--from-beginning", "--max", "1"]).args(settings));
    assert!(read.expect_code(0).stdout.contains("seven"));
}
