//! Single tables of a running connector: they rest, go on, start anew and are moved by `curl` and by the command line, while
//! the other tables and connectors do not notice.

use serde_json::{Value as Json, json};

use crate::support::db::Postgres;
use crate::support::kafka::read_topic;
use crate::support::process::{finish, rowtide, run};
use crate::support::rest::{Client, Worker, settings, wait_for_raw};
use crate::support::{PATIENCE, eventually};

const TABLE: &str = "(seq serial primary key, item text, ts timestamp not null default now())";

fn insert(database: &Postgres, table: &str, rows: usize) {
    database.run(&format!("insert into {table} (item) select 'row ' || n from generate_series(1, {rows}) n"));
}

/// A database with these tables, and a connector of all of them that runs.
struct House {
    database: Postgres,
    worker: Worker,
    name: String,
    /// What a path of the connector begins with.
    path: String,
    prefix: String,
}

impl House {
    fn new(tables: &[&str]) -> Self {
        let (database, worker) = (Postgres::new(), Worker::new());
        for table in tables {
            database.run(&format!("create table \"{table}\" {TABLE}"));
        }
        let name = format!("{}-c", worker.name);
        let (path, prefix) = (format!("/rowtide/v1/connectors/{name}"), format!("{}_", worker.name));
        Self { database, worker, name, path, prefix }
    }

    fn settings(&self) -> Json {
        let mut settings = settings(&self.database.jdbc_url(), &self.prefix);
        settings.as_object_mut().expect("an object").remove("table.whitelist");
        settings["table.poll.interval.ms"] = json!(3_600_000);
        settings
    }

    #[track_caller]
    fn create(&self, client: &Client, settings: &Json) {
        client.send("POST", "/connectors", &json!({"name": self.name, "config": settings})).expect(201);
        client.wait_for(&format!("/connectors/{}", self.name), "RUNNING", 1);
    }

    fn topic(&self, table: &str) -> String {
        format!("{}{table}", self.prefix)
    }

    /// A path below that of a table.
    fn table(&self, table: &str, rest: &str) -> String {
        format!("{}/tables/public.{table}{rest}", self.path)
    }

    /// Waits until a table is in one of these states.
    #[track_caller]
    fn wait_for(&self, client: &Client, table: &str, states: &[&str]) -> Json {
        eventually(&format!("{table} is {states:?}"), PATIENCE, || {
            let answer = client.get(&self.table(table, ""));
            let status = (answer.status == 200).then(|| answer.json())?;
            states.iter().any(|state| status["state"] == *state).then_some(status)
        })
    }

    /// The texts of the events of the connector, with their tables.
    fn events(&self, client: &Client) -> Vec<String> {
        let events = client.get(&format!("/rowtide/v1/events?connector={}", self.name)).expect(200).json();
        let text = |event: &Json| {
            let table = event["table"].as_str().map_or(String::new(), |table| format!("{table} "));
            format!("{table}{}", event["text"].as_str().expect("a text"))
        };
        events["events"].as_array().expect("events").iter().map(text).collect()
    }

    /// The number of times that the connector was started.
    fn starts(&self, client: &Client) -> usize {
        self.events(client).iter().filter(|event| *event == "running").count()
    }

    /// The server's number for the one session of the task: those that only look at the catalog are closed by and by.
    #[track_caller]
    fn session(&self) -> String {
        let sql = "select pid::text from pg_stat_activity where datname = current_database() and application_name = 'rowtide'";
        eventually("one session", PATIENCE, || {
            let mut found = self.database.texts(sql);
            (found.len() == 1).then(|| found.remove(0))
        })
    }
}

const MOVING: &[&str] = &["live", "idle", "loading", "waiting"];

#[test]
fn one_table_rests_and_goes_on_while_the_other_is_read_in_the_same_session() {
    let house = House::new(&["calm", "busy"]);
    let (_running, client) = house.worker.start(&[]);
    house.create(&client, &house.settings());
    insert(&house.database, "calm", 3);
    insert(&house.database, "busy", 3);
    wait_for_raw(&house.topic("calm"), 3);
    wait_for_raw(&house.topic("busy"), 3);
    let session = house.session();
    let answer = client.call("PUT", &house.table("calm", "/pause"), None).expect(202).json();
    assert!(
        answer["message"].as_str().is_some_and(|text| text.contains("until the connector or the process starts anew"))
    );
    house.wait_for(&client, "calm", &["paused"]);
    insert(&house.database, "calm", 2);
    for round in 1..=10 {
        insert(&house.database, "busy", 1);
        wait_for_raw(&house.topic("busy"), 3 + round);
    }
    assert_eq!(read_topic(&house.topic("calm")).len(), 3, "it rests");
    assert_eq!(client.get("/health/ready").expect(200).json()["ready"], json!(true));
    client.call("PUT", &house.table("calm", "/resume"), None).expect(202);
    wait_for_raw(&house.topic("calm"), 5);
    house.wait_for(&client, "calm", MOVING);
    assert_eq!(house.session(), session, "nothing was connected anew");
    let events = house.events(&client);
    for text in [
        "public.calm pause was asked for",
        "public.calm paused",
        "public.calm resume was asked for",
        "public.calm going on",
    ] {
        assert!(events.iter().any(|event| event == text), "{text}: {events:?}");
    }
    assert_eq!(house.starts(&client), 1, "{events:?}");
    assert_eq!(client.get(&format!("/connectors/{}/status", house.name)).json()["connector"]["state"], "RUNNING");
}

#[test]
fn a_table_that_has_failed_is_bound_anew_by_a_restart_of_its_own() {
    let house = House::new(&["fine", "broken"]);
    house.database.run("alter table broken drop column seq");
    let (_running, client) = house.worker.start(&[]);
    // By itself it would be looked at again in an hour.
    house.create(&client, &house.settings());
    let status = house.wait_for(&client, "broken", &["failed"]);
    assert!(status["reason"].as_str().is_some_and(|reason| reason.contains("seq")), "{status}");
    house.database.run("alter table broken add column seq serial primary key");
    insert(&house.database, "broken", 2);
    insert(&house.database, "fine", 1);
    wait_for_raw(&house.topic("fine"), 1);
    let session = house.session();
    client.call("POST", &house.table("broken", "/restart"), None).expect(202);
    wait_for_raw(&house.topic("broken"), 2);
    house.wait_for(&client, "broken", MOVING);
    assert_eq!(house.session(), session);
}

#[test]
fn an_offset_is_moved_while_the_connector_runs_and_is_stored_in_its_own_transaction() {
    let house = House::new(&["moved", "other"]);
    let (running, client) = house.worker.start(&[]);
    house.create(&client, &house.settings());
    insert(&house.database, "moved", 5);
    insert(&house.database, "other", 5);
    wait_for_raw(&house.topic("moved"), 5);
    wait_for_raw(&house.topic("other"), 5);
    let path = house.table("moved", "/offset");
    let moved = client.send("PUT", &path, &json!({"incrementing": 3})).expect(200).json();
    assert_eq!((&moved["offset"]["incrementing"], &moved["position"]), (&json!(3), &json!("3")));
    wait_for_raw(&house.topic("moved"), 7);
    let reset = client.call("DELETE", &path, None).expect(200).json();
    assert_eq!((&reset["offset"], &reset["position"]), (&Json::Null, &json!("the beginning")));
    wait_for_raw(&house.topic("moved"), 12);
    eventually("the offset is that of the last row", PATIENCE, || {
        let table = client.get(&house.table("moved", "")).expect(200).json();
        (table["offset"]["incrementing"] == 5).then_some(())
    });
    assert_eq!(read_topic(&house.topic("other")).len(), 5);
    // Kafka Connect's own path still wants a stopped connector.
    let body = json!({"offsets": [{"partition": {"protocol": "1", "table": "public.moved"}, "offset": null}]});
    client.send("PATCH", &format!("/connectors/{}/offsets", house.name), &body).expect(400);
    assert_eq!(house.starts(&client), 1);
    // The next start finds what was said last.
    client.send("PUT", &path, &json!({"incrementing": 4})).expect(200);
    wait_for_raw(&house.topic("moved"), 13);
    assert_eq!(running.terminate(), Some(0));
    insert(&house.database, "moved", 1);
    let (_running, _) = house.worker.start(&[]);
    wait_for_raw(&house.topic("moved"), 14);
}

#[test]
fn the_command_line_moves_an_offset_through_the_instance_that_runs() {
    let house = House::new(&["moved", "other"]);
    let (mut running, client) = house.worker.start(&[]);
    house.create(&client, &house.settings());
    insert(&house.database, "moved", 5);
    insert(&house.database, "other", 1);
    wait_for_raw(&house.topic("moved"), 5);
    wait_for_raw(&house.topic("other"), 1);
    let file = house.worker.folder().join("connector.json");
    let document = json!({"name": house.name, "config": house.settings()});
    std::fs::write(&file, document.to_string()).expect("write");
    let offsets = |line: &[&str]| {
        let mut command = rowtide();
        command.arg("offsets").arg(line[0]).arg(&file).arg("--worker").arg(house.worker.file()).args(&line[1..]);
        finish(&mut command)
    };
    // Found by its sign of life, which the brokers show a moment after the start.
    eventually("the instance is seen", PATIENCE, || {
        let finished = offsets(&["set", "--table", "moved", "--incrementing", "3", "--yes"]);
        finished.expect_code(0).stderr.contains("changed by the running instance (http://127.0.0.1:").then_some(())
    });
    wait_for_raw(&house.topic("moved"), 7);
    offsets(&["reset", "--table", "public.moved", "--yes"]).expect_code(0).expect_says(&["goes on from the beginning"]);
    wait_for_raw(&house.topic("moved"), 12);
    offsets(&["reset", "--yes"]).expect_code(4).expect_says(&["is running", "name it with --table"]);
    offsets(&["set", "--table", "moved", "--incrementing", "1", "--yes", "--url", "http://127.0.0.1:9"])
        .expect_code(3)
        .expect_says(&["does not answer at http://127.0.0.1:9/", "--url"]);
    assert!(running.is_alive());
    assert_eq!(house.starts(&client), 1);
}

#[test]
fn another_poll_interval_and_settings_of_one_table_are_taken_without_a_restart() {
    let house = House::new(&["changed", "other"]);
    let (_running, client) = house.worker.start(&[]);
    let mut settings = house.settings();
    house.create(&client, &settings);
    for table in ["changed", "other"] {
        insert(&house.database, table, 2);
        wait_for_raw(&house.topic(table), 2);
    }
    let session = house.session();
    let config = format!("/connectors/{}/config", house.name);
    settings["poll.interval.ms"] = json!(70);
    client.send("PUT", &config, &settings).expect(200);
    let interval = || client.get(&house.table("other", "")).expect(200).json()["settings"]["poll.interval.ms"].clone();
    assert_eq!(interval(), json!(70));
    let patch = client.send("PATCH", &house.path, &json!({"poll.interval.ms": 90})).expect(200).json();
    assert!(patch["message"].as_str().is_some_and(|text| text.contains("not kept")), "{patch}");
    assert_eq!((interval(), &client.get(&config).json()["poll.interval.ms"]), (json!(90), &json!("70")));
    insert(&house.database, "other", 1);
    wait_for_raw(&house.topic("other"), 3);
    assert_eq!(house.session(), session, "nothing was connected anew");
    client.send("PATCH", &config, &json!({"table.changed.where": "item = 'wanted'"})).expect(200);
    // Only the session is another one, when the table is bound anew.
    eventually("the table is bound anew", PATIENCE, || (house.session() != session).then_some(()));
    let explained = client.get(&house.table("changed", "/explain")).expect(200).json();
    assert!(explained["sql"].as_str().is_some_and(|sql| sql.contains("item = 'wanted'")), "{explained}");
    house.database.run("insert into changed (item) values ('not'), ('wanted')");
    insert(&house.database, "other", 1);
    wait_for_raw(&house.topic("changed"), 3);
    wait_for_raw(&house.topic("other"), 4);
    let last = read_topic(&house.topic("changed")).remove(2);
    assert!(String::from_utf8_lossy(last.value.as_deref().unwrap_or_default()).contains("wanted"), "{last:?}");
    assert_eq!(house.starts(&client), 1, "{:?}", house.events(&client));
}

#[test]
fn a_setting_that_restarts_a_connector_is_not_noticed_by_another_one() {
    let (house, beside) = (House::new(&["changed"]), House::new(&["beside"]));
    let (_running, client) = house.worker.start(&[]);
    let mut settings = house.settings();
    house.create(&client, &settings);
    beside.create(&client, &beside.settings());
    insert(&house.database, "changed", 2);
    insert(&beside.database, "beside", 2);
    wait_for_raw(&house.topic("changed"), 2);
    wait_for_raw(&beside.topic("beside"), 2);
    let session = beside.session();
    for round in 1..=3 {
        settings["topic.prefix"] = json!(format!("{}{round}_", house.prefix));
        client.send("PUT", &format!("/connectors/{}/config", house.name), &settings).expect(200);
        insert(&beside.database, "beside", 1);
        wait_for_raw(&beside.topic("beside"), 2 + round);
        insert(&house.database, "changed", 1);
        wait_for_raw(&format!("{}{round}_changed", house.prefix), 1);
    }
    assert_eq!(house.starts(&client), 4, "{:?}", house.events(&client));
    assert_eq!((beside.starts(&client), beside.session()), (1, session));
}

#[test]
fn names_with_slashes_and_blanks_are_found_and_mistakes_are_answered_with_what_is_wrong() {
    let house = House::new(&["odd / näme", "plain"]);
    let (_running, client) = house.worker.start(&[]);
    house.create(&client, &house.settings());
    house.database.run("insert into \"odd / näme\" (item) values ('x')");
    let odd = "odd%20%2F%20n%C3%A4me";
    let status = house.wait_for(&client, odd, MOVING);
    assert_eq!(status["table"], "public.odd / näme");
    client.call("PUT", &house.table(odd, "/pause"), None).expect(202);
    house.wait_for(&client, odd, &["paused"]);
    assert_eq!(client.get(&house.table(odd, "/explain")).expect(200).json()["table"], "public.odd / näme");
    let offset = house.table("plain", "/offset");
    let nobody = "/rowtide/v1/connectors/nobody";
    for (method, path, body, status, phrase) in [
        ("GET", house.table("none", ""), None, 404, "has no table public.none"),
        ("PUT", house.table("none", "/pause"), None, 404, "has no table public.none"),
        ("GET", format!("{nobody}/tables/t"), None, 404, "Connector nobody not found"),
        ("PUT", format!("{nobody}/tables/t/pause"), None, 404, "Connector nobody not found"),
        ("PATCH", nobody.to_owned(), Some(r#"{"poll.interval.ms": 1}"#), 404, "Connector nobody not found"),
        ("POST", house.table("plain", "/pause"), None, 405, "HTTP 405"),
        ("PUT", offset.clone(), Some(r#"{"incrementing": "3"}"#), 400, "`incrementing` must be a whole number"),
        ("PUT", offset.clone(), Some(r#"{"incrementing": 3.5}"#), 400, "`incrementing` must be a whole number"),
        ("PUT", offset.clone(), Some(r#"{"timestamp": "yesterday"}"#), 400, "`timestamp` must be RFC 3339"),
        ("PUT", offset.clone(), Some(r#"{"timestamp": 9223372036854775807}"#), 400, "`timestamp` must be"),
        ("PUT", offset.clone(), Some(r#"{"timestamp": 0}"#), 400, "mode=incrementing has no timestamp"),
        ("PUT", offset.clone(), Some("{}"), 400, "nothing to set"),
        ("PUT", offset.clone(), Some(r#"{"offset": 1}"#), 400, "Unrecognized field \"offset\""),
        ("PATCH", house.path.clone(), Some(r#"{"poll.interval.ms": -1}"#), 400, "must be a whole number from 0"),
        ("PATCH", house.path.clone(), Some(r#"{"mode": "bulk"}"#), 400, "Unrecognized field \"mode\""),
        ("GET", "/rowtide/v1/events?after=x".to_owned(), None, 400, "`after` must be a whole number"),
        ("GET", house.table("plain", "/samples"), None, 403, "ui.samples"),
    ] {
        let answer = client.call(method, &path, body).expect(status);
        assert!(answer.message().contains(phrase), "{method} {path}: {answer:?}");
    }
    client.call("PUT", &format!("/connectors/{}/stop", house.name), None).expect(204);
    for (method, path) in [("PUT", house.table("plain", "/pause")), ("DELETE", offset)] {
        let answer = client.call(method, &path, None).expect(409);
        assert!(answer.message().contains("is STOPPED"), "{answer:?}");
    }
}

#[test]
fn an_error_of_a_kind_names_the_entry_that_explains_it_as_elsewhere() {
    let house = House::new(&["moved"]);
    let (_running, client) = house.worker.start(&[]);
    house.create(&client, &house.settings());
    house.wait_for(&client, "moved", MOVING);
    let wrong = client.call("PUT", &house.table("moved", "/offset"), Some(r#"{"timestamp": 0}"#)).expect(400);
    let message = wrong.message();
    let [what, to_do, more] = message.lines().collect::<Vec<_>>()[..] else { panic!("{message}") };
    assert!(what.contains("mode=incrementing has no timestamp") && to_do.starts_with("what to do: "), "{message}");
    let command: Vec<&str> = more.strip_prefix("more: rowtide ").expect("a command").split(' ').collect();
    let entry = run(&command).expect_code(0).stdout;
    assert!(entry.starts_with("## config\n") && entry.contains("What to do:"), "{entry}");
}

#[test]
fn a_table_is_described_with_its_settings_and_samples_and_all_paths_are() {
    let house = House::new(&["seen"]);
    let (_running, client) = house.worker.start(&["--set", "ui.samples=true"]);
    let mut settings = house.settings();
    settings["table.seen.poll.interval.ms"] = json!(60);
    house.create(&client, &settings);
    insert(&house.database, "seen", 30);
    wait_for_raw(&house.topic("seen"), 30);
    let table = eventually("the offset", PATIENCE, || {
        let table = client.get(&house.table("seen", "")).expect(200).json();
        (table["offset"]["incrementing"] == 30).then_some(table)
    });
    assert_eq!((&table["rows"], &table["partition"]["table"]), (&json!(30), &json!("public.seen")));
    let of_table = &table["settings"];
    assert_eq!(
        (&of_table["mode"], &of_table["incrementing.column.name"], &of_table["poll.interval.ms"], &of_table["topic"]),
        (&json!("incrementing"), &json!("seq"), &json!(60), &json!(house.topic("seen")))
    );
    let samples = client.get(&house.table("seen", "/samples?limit=2")).expect(200).json();
    let ids: Vec<&Json> =
        samples["samples"].as_array().expect("samples").iter().map(|sample| &sample["value"]["seq"]).collect();
    assert_eq!(ids, [&json!(29), &json!(30)], "{samples}");
    let explained = client.get(&house.table("seen", "/explain")).expect(200).json();
    assert_eq!((&explained["mode"], &explained["index_serves"]), (&json!("incrementing"), &json!(true)));
    assert_eq!(client.get(&house.path).expect(200).json()["name"], json!(house.name));
    let all = client.get("/rowtide/v1/status").expect(200).json();
    assert_eq!(all["connectors"][0]["tables"][0]["table"], "public.seen");
    let last = client.get("/rowtide/v1/events").expect(200).json()["last"].as_u64().expect("an id");
    let behind = client.get(&format!("/rowtide/v1/events?after={last}")).expect(200).json();
    assert_eq!(behind, json!({"events": [], "last": last}));
    let described = client.get("/rowtide/v1/openapi.json").expect(200).json();
    assert_eq!(described["openapi"], "3.1.0");
    for path in ["/connectors/{name}/offsets", "/rowtide/v1/connectors/{name}/tables/{table}/offset"] {
        assert!(described["paths"][path]["get"].is_object() || described["paths"][path]["put"].is_object(), "{path}");
    }
}
