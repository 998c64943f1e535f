//! Output in general: no secret anywhere, rows never in the log, JSON where asked for, colours for terminals only.

use serde_json::Value as Json;

use super::{closed_port, once, path, w1};
use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::wait_for_records;
use crate::support::process::{Running, finish, on_a_terminal, rowtide, run};
use crate::support::{unique, web};

/// In the password, in credentials of brokers and registry, and in nothing that is ever written.
const CANARY: &str = "canary-hush-4711";

#[track_caller]
fn without_canary(what: &str, text: &str) {
    assert!(!text.contains(CANARY), "{what} shows the secret:\n{text}");
}

#[test]
fn secrets_are_in_no_output_at_any_level_whatever_fails() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) values ('a')");
    let user = unique("scram");
    database.run(&format!(
        "create role {user} login password '{CANARY}' in role scram_users; grant select on test_table to {user}"
    ));
    let good = || {
        Connector::of_test_table(&database.jdbc_url())
            .set("connection.user", &user)
            .set("connection.password", CANARY)
            .set("value.converter.basic.auth.credentials.source", "USER_INFO")
            .set("value.converter.basic.auth.user.info", &format!("somebody:{CANARY}"))
            .set("key.converter.basic.auth.credentials.source", "USER_INFO")
            .set("key.converter.basic.auth.user.info", &format!("somebody:{CANARY}"))
    };
    let jaas = format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"{CANARY}\";"
    );
    let port = closed_port();
    let connectors = [
        good(),
        good().set("connection.password", &format!("{CANARY}-wrong")),
        good()
            .set("connection.url", &format!("jdbc:postgresql://{user}:{CANARY}@127.0.0.1:{port}/x?password={CANARY}")),
        good()
            .set("connection.url", &format!("jdbc:postgresql://127.0.0.1:{port}/x?user=u&password={CANARY}"))
            .without("connection.password")
            .without("connection.user"),
        good().set("connection.url", &format!("jdbc:oracle://u:{CANARY}@h/x")),
        good().set("mode", "sideways"),
        good()
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "SCRAM-SHA-256")
            .set("sasl.jaas.config", &jaas),
        good().set("value.converter.schema.registry.url", &format!("http://u:{CANARY}@127.0.0.1:{port}")),
        good().set("value.converter.schema.registry.url", &format!("ftp://u:{CANARY}@127.0.0.1:{port}")),
    ];
    for connector in &connectors {
        let file = path(connector.file());
        for line in [
            &["check"][..],
            &["explain", "--sample", "1"],
            &["explain", "--json"],
            &["run", "--once"],
            &["offsets", "list"],
            &["offsets", "set", "--timestamp", "0", "--incrementing", "0"],
        ] {
            for format in ["text", "json"] {
                let finished = finish(rowtide().args(line).arg(&file).args([
                    "--log-level",
                    "trace",
                    "--log-format",
                    format,
                    "--timeout",
                    "1.5",
                ]));
                without_canary(&format!("{line:?}"), &format!("{}{}", finished.stdout, finished.stderr));
            }
        }
    }
    let listen = format!("127.0.0.1:{}", closed_port());
    let connector = good();
    let running = Running::start(&connector.file(), &["--log-level", "trace", "--listen", &listen]);
    wait_for_records(&connector.topic("test_table"), 1);
    for page in ["metrics", "status", "health/live", "health/ready", ""] {
        without_canary(page, &web::get(&format!("http://{listen}/{page}")).body);
    }
    without_canary("the log", &running.log());
    assert_eq!(running.terminate(), Some(0));
    drop(connectors);
    database.run(&format!("drop owned by {user}; drop role {user}"));
}

#[test]
fn row_values_are_never_logged() {
    let (database, connector, _) = w1(0);
    database.run("insert into test_table (item, price) values ('canary-row-0815', 40711)");
    let mut running = Running::start(&connector.file(), &["--log-level", "debug"]);
    wait_for_records(&connector.topic("test_table"), 1);
    database.run("alter table test_table alter column price type bigint; update test_table set price = 5000000000");
    running.wait_for_log("no stored offset");
    let log = running.log();
    assert!(!log.contains("canary-row-0815") && !log.contains("40711") && !log.contains("5000000000"), "{log}");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn json_on_stderr_is_one_object_a_line_also_for_errors() {
    let (_database, connector, file) = w1(2);
    let wrong = Connector::of_test_table("jdbc:postgresql://localhost/x")
        .set("mode", "sideways")
        .set("tasks.max", "x")
        .set("odd.key", "1");
    let missing = Connector::of_test_table(&connector.keys["connection.url"]).set("table.whitelist", "nowhere");
    let objects = |line: &[&str], code: i32| -> Vec<Json> {
        let stderr = finish(rowtide().args(line).args(["--log-format", "json"])).expect_code(code).stderr;
        stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    };
    let problems = objects(&["check", &path(wrong.file())], 2);
    assert_eq!(problems.iter().filter(|object| object["level"] == "ERROR").count(), 2, "{problems:?}");
    let mode = problems.iter().find(|object| object["key"] == "mode").expect("the mode");
    assert_eq!((mode["found"].as_str(), mode["line"].is_number()), (Some("sideways"), true));
    let failed = objects(&["run", "--once", &path(missing.file())], 2);
    let last = failed.last().expect("a line");
    assert_eq!((last["level"].as_str(), last["connector"].as_str()), (Some("ERROR"), Some(missing.name.as_str())));
    assert!(
        last["advice"].is_string() && last["message"].as_str().is_some_and(|text| text.contains("nowhere")),
        "{last}"
    );
    let ran = objects(&["run", "--once", &file], 0);
    assert!(
        ran.iter().all(|object| object["timestamp"].is_string()
            && object["level"].is_string()
            && object["message"].is_string()),
        "{ran:?}"
    );
    assert_eq!(ran.last().map(|object| object["rows"].clone()), Some(Json::from(2)));
    objects(&["offsets", "reset", &file], 4);
    objects(&["offsets", "reset", &file, "--yes"], 0);
}

#[test]
fn colours_are_for_terminals_without_no_color() {
    let (_database, _connector, file) = w1(1);
    let escape = "\u{1b}[";
    let piped = run(&["run", "--once", &file]).expect_code(0);
    assert!(!format!("{}{}", piped.stdout, piped.stderr).contains(escape), "{}", piped.stderr);
    // 32 is the green of INFO.
    assert!(on_a_terminal(&["run", "--once", &file], &[]).contains("\u{1b}[32m"));
    assert!(!on_a_terminal(&["run", "--once", &file], &[("NO_COLOR", "1")]).contains("\u{1b}[32m"));
    once(&file);
}

#[test]
fn a_change_on_a_terminal_asks_first() {
    let (_database, _connector, file) = w1(1);
    once(&file);
    let asked = on_a_terminal(&["offsets", "reset", &file], &[("ANSWER", "n")]);
    assert!(asked.contains("write this? [y/N]") && asked.contains("nothing was changed"), "{asked}");
    run(&["offsets", "list", &file]).expect_code(0).expect_says(&["public.test_table"]);
    let asked = on_a_terminal(&["offsets", "reset", &file], &[("ANSWER", "y")]);
    assert!(asked.contains("written: 1 offset"), "{asked}");
    run(&["offsets", "list", &file]).expect_code(0).expect_says(&["no offsets stored"]);
}

#[test]
fn an_address_in_use_is_said_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (_database, _connector, file) = w1(1);
    let address = taken.local_addr().expect("an address").to_string();
    run(&["run", &file, "--listen", &address]).expect_code(2).expect_says(&[&address, "--listen"]);
    run(&["run", &file, "--listen", "nonsense"]).expect_code(2).expect_says(&["nonsense", "--listen"]);
}

#[test]
fn two_connectors_of_one_name_are_refused() {
    let (_database, connector, file) = w1(1);
    run(&["run", "--once", &file, &file]).expect_code(2).expect_says(&["two connectors are named", &connector.name]);
}
