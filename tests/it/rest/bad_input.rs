//! What clients get wrong, and what slow and hostile ones do: the right status, a clear body, nobody else disturbed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::support::db::{Postgres, Sqlite};
use crate::support::rest::{Client, Worker, settings};
use crate::support::{PATIENCE, eventually};

/// A request, and the status and a phrase of its answer.
type Mistake = (&'static str, &'static str, Option<String>, u16, &'static str);

fn of_paths_and_bodies(good: &Json) -> Vec<Mistake> {
    let validate = "/connector-plugins/JdbcSource/config/validate";
    let body = |text: &str| Some(text.to_owned());
    let json = |value: Json| Some(value.to_string());
    vec![
        ("GET", "/nothing", None, 404, "HTTP 404 Not Found"),
        ("PATCH", "/connectors", body("{}"), 405, "HTTP 405 Method Not Allowed"),
        ("GET", "/connectors/%ff", None, 400, "HTTP 400 Bad Request"),
        ("GET", "/connectors/..%2f..%2fetc", None, 404, "Connector ../../etc not found"),
        ("GET", "/connectors/../../etc/passwd", None, 404, "HTTP 404 Not Found"),
        ("GET", "/connectors//status", None, 404, "No status found for connector "),
        ("POST", "/connectors", body("{"), 400, "not valid JSON"),
        ("POST", "/connectors", body(""), 400, "has no body"),
        ("POST", "/connectors", body("[]"), 400, "must be an object"),
        ("POST", "/connectors", json(json!({"name": "d"})), 400, "`config` is missing"),
        ("PUT", "/connectors/d/config", body("[]"), 400, "must be an object"),
        ("PATCH", "/connectors/d/config", body("{}"), 404, "Connector d not found"),
        ("PUT", validate, body("{}"), 400, "contains no connector type"),
        ("PUT", "/connector-plugins/Nope/config/validate", json(good.clone()), 400, "does not match request type Nope"),
        ("PUT", "/admin/loggers/a%20b", json(json!({"level": "INFO"})), 400, "letters, digits and dots"),
        ("PUT", "/admin/loggers/root", json(json!({"level": "loud"})), 404, "invalid log level 'loud'."),
    ]
}

fn of_connectors(good: &Json) -> Vec<Mistake> {
    let post = |body: Json, status, phrase| ("POST", "/connectors", Some(body.to_string()), status, phrase);
    let with = |key: &str, value: Json, status, phrase| {
        let mut settings = good.clone();
        settings[key] = value;
        post(json!({"name": "d", "config": settings}), status, phrase)
    };
    let often = "following 1 error(s):\nInvalid value often for configuration mode";
    vec![
        post(json!({"name": "d", "config": good, "x": 1}), 400, "Unrecognized field \"x\""),
        post(json!({"name": "d", "config": good, "initial_state": "ASLEEP"}), 400, "RUNNING, PAUSED, STOPPED"),
        post(json!({"name": "a\nb", "config": good}), 400, "configuration name"),
        post(json!({"config": good}), 400, "configuration name"),
        with("a", json!({}), 400, "The value of a must be text"),
        with("a", Json::Null, 400, "Null value can not be supplied"),
        with("name", json!("e"), 400, "doesn't match connector name in the URL (d)"),
        with("mode", json!("often"), 400, often),
        with("connector.class", json!("a.B"), 400, "Invalid value a.B for configuration connector.class"),
    ]
}

#[test]
fn every_mistake_has_its_status_and_a_body_that_says_what_is_wrong() {
    let (database, worker) = (Sqlite::with_test_table(), Worker::new());
    let (mut running, curl) = worker.start(&[]);
    let good = settings(&database.jdbc_url(), "p_");
    for (method, path, body, status, phrase) in of_paths_and_bodies(&good).into_iter().chain(of_connectors(&good)) {
        let answer = curl.call(method, path, body.as_deref()).expect(status);
        assert!(answer.message().contains(phrase), "{method} {path}: {answer:?}");
    }
    // Larger than an argument of a command may be.
    let large = worker.folder().join("large.json");
    std::fs::write(&large, json!({"name": "d", "config": {"query": "x".repeat(2_000_000)}}).to_string())
        .expect("write");
    let refused = curl.call("POST", "/connectors", Some(&format!("@{}", large.display()))).expect(413);
    assert_eq!(refused.message(), "HTTP 413 Payload Too Large");
    let text = curl.with(&["-H", "Content-Type: text/plain"]);
    assert_eq!(text.send("POST", "/connectors", &json!({})).expect(415).message(), "HTTP 415 Unsupported Media Type");
    assert_eq!(curl.get("/connectors").json(), json!([]));
    assert!(running.is_alive());
}

/// Requests without a body, or with one, and the statuses of their answers, asked at once.
fn at_once(curl: &Client, requests: &[(&str, &str, Option<&Json>)]) -> Vec<u16> {
    std::thread::scope(|scope| {
        let ask = |(method, path, body): &(&str, &str, Option<&Json>)| {
            let (method, path, body) = ((*method).to_owned(), (*path).to_owned(), body.map(Json::to_string));
            scope.spawn(move || curl.call(&method, &path, body.as_deref()).status)
        };
        let asked: Vec<_> = requests.iter().map(ask).collect();
        let mut statuses: Vec<u16> = asked.into_iter().map(|answer| answer.join().expect("an answer")).collect();
        statuses.sort_unstable();
        statuses
    })
}

#[test]
fn of_twenty_who_make_or_delete_a_connector_at_once_one_does_and_other_changes_at_once_break_nothing() {
    let (database, worker) = (Sqlite::with_test_table(), Worker::new());
    let (mut running, curl) = worker.start(&[]);
    let config = settings(&database.jdbc_url(), "p_");
    let body = json!({"name": "one", "config": config});
    let made = at_once(&curl, &[("POST", "/connectors", Some(&body)); 20]);
    assert_eq!((made[0], &made[1..]), (201, &[409; 19][..]));
    let changes = [
        ("PUT", "/connectors/one/pause", None),
        ("PUT", "/connectors/one/resume", None),
        ("PUT", "/connectors/one/stop", None),
        ("POST", "/connectors/one/restart?includeTasks=true", None),
        ("PUT", "/connectors/one/config", Some(&config)),
        ("PATCH", "/connectors/one/config", Some(&json!({"poll.interval.ms": 70}))),
        ("GET", "/connectors/one/status", None),
    ];
    let changed = at_once(&curl, &changes.repeat(4));
    assert!(changed.iter().all(|status| [200, 202, 204, 409].contains(status)), "{changed:?}");
    curl.call("PUT", "/connectors/one/resume", None).expect(202);
    curl.wait_for("/connectors/one", "RUNNING", 1);
    let deleted = at_once(&curl, &[("DELETE", "/connectors/one", None); 20]);
    assert_eq!((deleted[0], &deleted[1..]), (204, &[404; 19][..]));
    assert_eq!(curl.get("/connectors").json(), json!([]));
    assert!(running.is_alive());
}

#[test]
fn slow_clients_and_a_thousand_connections_disturb_nobody() {
    let worker = Worker::new();
    let (running, curl) = worker.start(&[]);
    let log = running.log();
    let (_, address) = log.split_once("health and metrics address=").expect("an address");
    let address = address.split_whitespace().next().expect("an address").to_owned();
    let mut idle = Vec::new();
    for number in 0..1_000 {
        let mut stream = eventually("a connection", PATIENCE, || TcpStream::connect(&address).ok());
        // Nothing at all, half a head, half a body.
        let said = match number % 3 {
            0 => String::new(),
            1 => "GET /connectors HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_owned(),
            _ => {
                "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
                    .to_owned()
            }
        };
        stream.write_all(said.as_bytes()).expect("write");
        idle.push(stream);
    }
    let asked = Instant::now();
    curl.get("/connectors").expect(200);
    curl.get("/health").expect(200);
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    // Each is turned away after a while: the body that does not come, with its status.
    let mut slow = idle.swap_remove(2);
    slow.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = [0_u8; 64];
    let read = slow.read(&mut answer).expect("an answer");
    assert!(
        String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn no_password_stands_in_an_error_or_in_the_log_and_none_in_an_answer_that_hides_them() {
    let (database, worker) = (Postgres::with_test_table(), Worker::new());
    let (running, curl) = worker.start(&["--set", "rest.hide.secrets=true", "--log-level", "debug"]);
    let mut good = settings(&database.jdbc_url(), &format!("{}_", worker.name));
    good["connection.url"] = json!(format!("{}?user=postgres&password=canary-url", database.jdbc_url()));
    let mut answers = Vec::new();
    let mut send = |method: &str, path: &str, body: &Json| answers.push(curl.send(method, path, body));
    send("POST", "/connectors", &json!({"name": "a", "config": good}));
    let mut wrong = good.clone();
    wrong["mode"] = json!("often");
    wrong["connection.attempts"] = json!("canary-number");
    send("PUT", "/connectors/a/config", &wrong);
    send("PUT", "/connector-plugins/JdbcSource/config/validate", &good);
    wrong["connector.class"] = json!("");
    send("PUT", "/connector-plugins/JdbcSource/config/validate", &wrong);
    curl.wait_for("/connectors/a", "RUNNING", 1);
    for path in ["", "/config", "/tasks", "/tasks-config", "/status"] {
        answers.push(curl.get(&format!("/connectors/a{path}")).expect(200));
    }
    answers.push(curl.get("/connectors?expand=info&expand=status"));
    answers.push(curl.get("/status"));
    for answer in &answers {
        assert!(!answer.body.contains("canary-password") && !answer.body.contains("canary-url"), "{answer:?}");
    }
    // What a user interface shows, changes and sends again.
    let mut shown = curl.get("/connectors/a/config").json();
    assert_eq!(shown["connection.password"], "[hidden]");
    shown["poll.interval.ms"] = json!("70");
    curl.send("PUT", "/connectors/a/config", &shown).expect(200);
    curl.wait_for("/connectors/a", "RUNNING", 1);
    shown["name"] = json!("b");
    let fresh = curl.send("PUT", "/connectors/b/config", &shown).expect(400);
    assert!(fresh.message().contains("hides a secret"), "{fresh:?}");
    let log = running.log();
    assert!(!log.contains("canary-password") && !log.contains("canary-url"), "{log}");
    drop(running);
    let (_running, curl) = worker.start(&["--set", "rest.hide.secrets=false"]);
    let config = curl.get("/connectors/a/config").json();
    assert_eq!(
        (&config["connection.password"], &config["poll.interval.ms"]),
        (&json!("canary-password"), &json!("70"))
    );
}
