//! Listeners with TLS, users and tokens; what is said of one that everybody can reach; what a stranger learns.

use serde_json::json;

use crate::support::db::Sqlite;
use crate::support::process::Running;
use crate::support::rest::{Client, Worker, settings};
use crate::support::tls_files::{authorities, pkcs12};
use crate::support::{PATIENCE, eventually};

#[test]
fn users_and_tokens_are_let_in_and_nobody_else() {
    let (database, worker) = (Sqlite::with_test_table(), Worker::new());
    let sets = ["rest.auth.basic.alice=wonder:land", "rest.auth.bearer.ci=t0ken"];
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let (running, stranger) = worker.start(&arguments);
    for path in ["/", "/connectors", "/status", "/metrics", "/admin/loggers", "/nothing"] {
        let refused = stranger.get(path).expect(401);
        assert_eq!(refused.message(), "User cannot access the resource.");
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"rowtide\""));
    }
    stranger.with(&["-u", "alice:wonder"]).get("/connectors").expect(401);
    stranger.with(&["-H", "Authorization: Bearer t0ke"]).get("/connectors").expect(401);
    let (alice, ci) =
        (stranger.with(&["-u", "alice:wonder:land"]), stranger.with(&["-H", "Authorization: Bearer t0ken"]));
    let mut missing = settings(&database.jdbc_url(), "p_");
    missing["table.whitelist"] = json!("secret_table");
    alice.send("POST", "/connectors", &json!({"name": "a", "config": missing})).expect(201);
    ci.wait_for("/connectors/a", "FAILED", 0);
    // A probe learns that something is wrong, and not what.
    assert_eq!(stranger.get("/health/ready").expect(503).json(), json!({"ready": false}));
    assert!(alice.get("/health/ready").expect(503).body.contains("secret_table"));
    stranger.get("/health/live").expect(200);
    let log = running.log();
    assert!(!log.contains("wonder") && !log.contains("t0ken"), "{log}");
}

#[test]
fn https_is_served_with_the_certificate_of_a_java_store_and_can_demand_one() {
    let worker = Worker::new();
    let folder = std::env::var("ROWTIDE_TEST_POSTGRES_TLS").expect("the certificates");
    let (_, chain) = authorities(&folder);
    let key = std::fs::read_to_string(format!("{folder}/server.key")).expect("a key");
    let store = worker.folder().join("keystore.p12");
    std::fs::write(&store, pkcs12(&chain, &key, "changeit")).expect("write");
    let start = |more: &[&str]| {
        let mut arguments = vec![
            "--set".to_owned(),
            "listeners=https://127.0.0.1:0".to_owned(),
            "--set".to_owned(),
            format!("listeners.https.ssl.keystore.location={}", store.display()),
            "--set".to_owned(),
            "listeners.https.ssl.keystore.password=changeit".to_owned(),
        ];
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut running = Running::worker(&worker.file(), &arguments);
        let address = running.address();
        (running, Client::new(&format!("https://{address}")))
    };
    let (running, client) = start(&[]);
    let trusting = client.with(&["-k"]);
    eventually("it is served", PATIENCE, || {
        trusting.try_call("GET", "/connectors", None).filter(|answer| answer.status == 200)
    });
    assert!(client.try_call("GET", "/", None).is_none(), "an authority of this machine's");
    let plain = Client::new(running.log().split_once("address=").expect("it").1.split_whitespace().next().expect("it"));
    assert!(plain.try_call("GET", "/", None).is_none());
    drop(running);
    let trust = format!("listeners.https.ssl.truststore.location={folder}/ca.pem");
    let (_running, client) = start(&["--set", "listeners.https.ssl.client.auth=required", "--set", &trust]);
    let trusting = client.with(&["-k"]);
    assert!(trusting.try_call("GET", "/health", None).is_none());
    let own = (format!("{folder}/client.pem"), format!("{folder}/client.key"));
    let known = trusting.with(&["--cert", &own.0, "--key", &own.1]);
    known.get("/health/live").expect(200);
}

#[test]
fn a_listener_that_everybody_can_reach_without_saying_who_they_are_is_said_at_start_and_hides_passwords() {
    let (database, worker) = (Sqlite::with_test_table(), Worker::new());
    let mut running = Running::worker(
        &worker.file(),
        &["--listen", "0.0.0.0:0", "--set", "rest.advertised.host.name=connect.example"],
    );
    let address = running.address().replace("0.0.0.0", "127.0.0.1");
    running.wait_for_log("whoever can reach this listener can change connectors");
    let client = Client::new(&address);
    eventually("it has started", PATIENCE, || {
        client.try_call("GET", "/connectors", None).filter(|answer| answer.status == 200)
    });
    let mut given = settings(&database.jdbc_url(), "p_");
    given["connection.password"] = json!("hush");
    let made = client
        .send("POST", "/connectors", &json!({"name": "a", "config": given, "initial_state": "STOPPED"}))
        .expect(201);
    assert_eq!(made.json()["config"]["connection.password"], "[hidden]");
    assert!(made.header("location").is_some_and(|at| at.starts_with("http://connect.example:")), "{made:?}");
    drop(running);
    let mut running = Running::worker(&worker.file(), &["--listen", "0.0.0.0:0", "--set", "rest.auth.basic.a=b"]);
    let _ = running.address();
    assert!(!running.log().contains("whoever can reach"), "{}", running.log());
}

#[test]
fn a_name_that_is_made_to_lead_to_this_machine_is_not_answered_where_everybody_on_it_is_let_in() {
    let worker = Worker::new();
    let (running, curl) = worker.start(&["--set", "rest.advertised.host.name=rowtide.internal"]);
    let by_name = |name: &str| curl.with(&["-H", &format!("Host: {name}:8083")]);
    for name in ["evil.example", "localhost.evil.example"] {
        let answer = by_name(name).get("/connectors").expect(403);
        assert!(answer.message().contains("rest.advertised.host.name"), "{answer:?}");
        by_name(name).send("POST", "/connectors", &json!({"name": "x", "config": {}})).expect(403);
    }
    for name in ["localhost", "rowtide.internal", "127.0.0.1"] {
        by_name(name).get("/connectors").expect(200);
    }
    assert_eq!(running.terminate(), Some(0));
    let (running, curl) = worker.start(&["--set", "rest.auth.basic.u=p"]);
    curl.with(&["-u", "u:p", "-H", "Host: proxy.example"]).get("/connectors").expect(200);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn settings_of_listeners_that_cannot_be_are_named() {
    let worker = Worker::new();
    for (set, phrase) in [
        ("listeners=127.0.0.1:8083", "listeners"),
        ("listeners=https://127.0.0.1:0", "needs a certificate"),
        ("admin.listeners=127.0.0.1:1", "admin.listeners"),
        (
            "rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
            "rest.auth.basic.USER",
        ),
    ] {
        let file = worker.file().display().to_string();
        let finished = crate::support::process::run(&["worker", "--worker", &file, "--set", set]);
        let _ = finished.expect_code(2).expect_says(&[phrase]);
    }
}

#[test]
fn pages_of_other_origins_may_ask_where_they_are_named_and_nowhere_else() {
    let worker = Worker::new();
    let origin = |client: &Client, origin: &str| client.with(&["-H", &format!("Origin: {origin}")]);
    let (running, client) = worker.start(&[]);
    assert_eq!(origin(&client, "https://ui.example").get("/connectors").header("access-control-allow-origin"), None);
    drop(running);
    let sets = [
        "access.control.allow.origin=https://ui.example,https://*.b.example",
        "access.control.allow.methods=GET,PUT",
        "rest.auth.basic.a=b",
    ];
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let (_running, client) = worker.start(&arguments);
    let ui = origin(&client, "https://ui.example");
    let answer = ui.with(&["-u", "a:b"]).get("/connectors").expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://ui.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    // The question of a browser has no credentials.
    let asks = |client: &Client, method: &str| {
        client.with(&["-H", &format!("Access-Control-Request-Method: {method}")]).call("OPTIONS", "/connectors", None)
    };
    let asked = asks(&ui, "PUT").expect(200);
    assert_eq!(asked.header("access-control-allow-methods"), Some("GET,PUT"));
    assert_eq!(asks(&ui, "DELETE").header("access-control-allow-origin"), None);
    let below = asks(&origin(&client, "https://x.b.example"), "GET").expect(200);
    assert_eq!(below.header("access-control-allow-origin"), Some("https://x.b.example"));
    let other = asks(&origin(&client, "https://evil.example"), "GET").expect(401);
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[test]
fn admin_has_listeners_of_its_own_where_they_are_named() {
    let worker = Worker::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let set = format!("admin.listeners=http://127.0.0.1:{port}");
    let (running, client) = worker.start(&["--set", &set]);
    let admin = Client::new(&format!("127.0.0.1:{port}"));
    admin.get("/admin/loggers").expect(200);
    admin.get("/connectors").expect(404);
    client.get("/admin/loggers").expect(404);
    client.get("/connectors").expect(200);
    drop(running);
    let (_running, client) = worker.start(&["--set", "admin.listeners="]);
    client.get("/admin/loggers").expect(404);
}
