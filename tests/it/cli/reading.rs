//! Output of a running command: `consume`, the quick start, and the progress of a first load.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;

use super::{once, path, w1};
use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::process::{Running, finish, on_a_terminal, rowtide, run, signal};
use crate::support::{PATIENCE, Stack, eventually, web};

/// The worker settings that `consume` finds brokers and registry by.
fn worker() -> [String; 4] {
    let stack = Stack::get();
    let registry = format!("value.converter.schema.registry.url={}", stack.registry);
    ["--set".into(), format!("bootstrap.servers={}", stack.brokers), "--set".into(), registry]
}

#[test]
fn consume_prints_keys_and_values_up_to_a_number() {
    let (_database, connector, file) = w1(5);
    once(&file);
    let topic = connector.topic("test_table");
    let consume = |more: &[&str]| finish(rowtide().args(["consume", &topic]).args(worker()).args(more));
    let values = consume(&["--from-beginning", "--max", "3"]).expect_code(0).stdout;
    assert_eq!(values.lines().count(), 3);
    assert!(values.lines().all(|line| line.starts_with("{\"seq\":") && line.ends_with("}")), "{values}");
    let keyed = consume(&["--from-beginning", "--max", "5", "--with-key"]).expect_code(0).stdout;
    for (index, line) in keyed.lines().enumerate() {
        let (key, value) = line.split_once('\t').expect("key, tab, value");
        let number = index + 1;
        assert_eq!(key, format!("{{\"seq\":{number}}}"));
        assert!(value.contains(&format!("\"item {number}\"")), "{value}");
    }
    assert!(consume(&["--max", "0"]).expect_code(0).stdout.is_empty());
}

#[test]
fn consume_without_from_beginning_prints_what_comes() {
    let (database, connector, file) = w1(2);
    once(&file);
    let topic = connector.topic("test_table");
    let mut child =
        rowtide().args(["consume", &topic, "--max", "1"]).args(worker()).stdout(Stdio::piped()).spawn().expect("start");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let reading = std::thread::spawn(move || lines.next());
    // Each run sends one more row, so one of them comes after the consumer has its position.
    eventually("a line", PATIENCE, || {
        database.run("insert into test_table (item) values ('later')");
        once(&file);
        reading.is_finished().then_some(())
    });
    let text = reading.join().expect("the reader").expect("a line").expect("text");
    assert!(text.contains("later"), "{text}");
    assert_eq!(child.wait().expect("wait").code(), Some(0));
}

#[test]
fn consume_of_a_topic_that_is_not_there_says_so_and_makes_none() {
    let topic = crate::support::unique("nowhere");
    finish(rowtide().args(["consume", &topic]).args(worker())).expect_code(2).expect_says(&[
        "there is no such topic",
        &topic,
        "check the name",
    ]);
    assert!(!crate::support::kafka::topics().contains(&topic));
    run(&["consume", "x"]).expect_code(2).expect_says(&["bootstrap.servers: is missing", "schema.registry.url"]);
}

#[test]
fn a_pipe_closed_early_ends_quietly() {
    let (_database, connector, file) = w1(2_000);
    once(&file);
    let binary = env!("CARGO_BIN_EXE_rowtide");
    let topic = connector.topic("test_table");
    for line in [format!("consume {topic} --from-beginning {}", worker().join(" ")), "docs config".to_owned()] {
        let script = format!("{binary} {line} | head -n 1; echo code ${{PIPESTATUS[0]}}");
        let output = Command::new("timeout").args(["60", "bash", "-c", &script]).output().expect("bash");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(stdout.ends_with("code 0\n") && stderr.is_empty(), "{line}: {stdout}{stderr}");
    }
}

#[test]
fn an_interrupt_ends_consume_and_run_with_0() {
    let (_database, connector, file) = w1(1);
    once(&file);
    let topic = connector.topic("test_table");
    let mut child = rowtide()
        .args(["consume", &topic, "--from-beginning"])
        .args(worker())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    signal(child.id(), "INT");
    assert_eq!(child.wait().expect("wait").code(), Some(0));
    let mut running = Running::start(&connector.file(), &[]);
    running.wait_for_log("continuing");
    signal(running.pid(), "INT");
    running.wait_for_log("stopping");
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn the_quick_start_shows_the_whole_way() {
    let finished = run(&["quickstart"]).expect_code(0);
    let shown = &finished.stdout;
    assert!(finished.stderr.is_empty(), "clutter: {}", finished.stderr);
    let (walkthrough, later) = shown.split_once("six records of the walkthrough").expect("the sentence between");
    fn records(text: &str) -> Vec<&str> {
        text.lines().filter_map(|line| line.trim().strip_prefix("record> ")).collect()
    }
    let values = |records: &[&str]| -> Vec<(String, String)> {
        records
            .iter()
            .map(|line| {
                let (_, value) = line.split_once('\t').expect("key, tab, value");
                let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
                (value["seq"].to_string(), value["item"]["string"].as_str().expect("an item").to_owned())
            })
            .collect()
    };
    let expected = [("1", "apple"), ("2", "banana"), ("2", "orange"), ("3", "banana"), ("4", "pork"), ("5", "beef")];
    let expected: Vec<_> = expected.map(|(seq, item)| (seq.to_owned(), item.to_owned())).into();
    assert_eq!(values(&records(walkthrough)), expected);
    let later = records(later);
    assert_eq!(values(&later[..2]).len(), 2, "an update and an insert");
    let [deleted] = &later[2..] else { panic!("one record of a deleted row: {later:?}") };
    assert!(deleted.contains("\"seq\":2") && deleted.ends_with("\tnull"), "a tombstone of its key: {deleted}");
    for said in [
        "jdbc:sqlite:",
        "sql>    insert",
        "sql>    update",
        "Stored offset of test_table",
        "\"incrementing\":2",
        "From row commit to record: ",
        " ms",
        "rowtide explain connector.json",
        "rowtide quickstart --keep",
    ] {
        assert!(shown.contains(said), "`{said}` is not in\n{shown}");
    }
}

#[test]
fn a_kept_quick_start_serves_other_clients_until_an_interrupt() {
    let mut child =
        rowtide().args(["quickstart", "--keep"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let mut shown = String::new();
    while !shown.contains("curl ") {
        let line = lines.next().expect("it goes on").expect("text");
        shown.push_str(&line);
        shown.push('\n');
    }
    let after =
        |word: &str| shown.lines().find_map(|line| line.strip_prefix(word)).expect("an address").trim().to_owned();
    let (brokers, registry) = (after("brokers "), after("registry "));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", "somebody")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["db_test_table"]).expect("subscribe");
    let mut records = 0;
    eventually("eight records", PATIENCE, || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
            // The magic byte of the registry's format.
            assert_eq!(message.payload().and_then(|bytes| bytes.first()), Some(&0));
            records += 1;
        }
        (records == 8).then_some(())
    });
    let subjects = web::get(&format!("{registry}/subjects"));
    assert_eq!((subjects.status, subjects.body.contains("\"db_test_table-value\"")), (200, true), "{subjects:?}");
    let latest = web::get(&format!("{registry}/subjects/db_test_table-value/versions/latest"));
    assert!(latest.status == 200 && latest.body.contains("test_table"), "{latest:?}");
    // The line that is offered works as it stands.
    let offered = shown.lines().find(|line| line.trim().starts_with("rowtide consume")).expect("a line to type");
    let words: Vec<&str> = offered.split_whitespace().skip(1).collect();
    assert_eq!(finish(rowtide().args(&words).args(["--max", "8"])).expect_code(0).stdout.lines().count(), 8);
    assert!(child.try_wait().expect("wait").is_none(), "it still runs");
    signal(child.id(), "INT");
    let mut stderr = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("text");
    assert_eq!((child.wait().expect("wait").code(), stderr.as_str()), (Some(0), ""));
}

/// Rows that take a while each, so that a load can be watched.
const SLOW: &str = "create table big (id bigint primary key, filler text not null);
    insert into big select n, repeat('x', 50) from generate_series(1, 400000) n;
    analyze big";

fn slow_load(database: &Postgres) -> Connector {
    database.run(SLOW);
    Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "big")
        .set("batch.max.rows", "100")
}

#[test]
fn a_first_load_shows_its_progress_on_a_terminal() {
    let database = Postgres::new();
    let connector = slow_load(&database);
    let shown = on_a_terminal(&["run", "--once", &path(connector.file())], &[]);
    let line = format!("{} public.big [", connector.name);
    let drawn = shown
        .rsplit(&line)
        .next()
        .filter(|_| shown.contains(&line))
        .unwrap_or_else(|| panic!("no progress line in {shown}"));
    assert!(drawn.contains(" rows, ") && drawn.contains(" rows/s, ") && drawn.contains(" %"), "{drawn}");
    assert!(shown.contains("s left"), "{shown}");
    assert!(shown.contains("done") && shown.contains("400000"), "the summary: {shown}");
}

#[test]
fn a_first_load_logs_its_progress_every_ten_seconds_elsewhere() {
    let database = Postgres::new();
    // Each page waits, so the load lasts longer than the time between two lines.
    database.run(
        "create function slowly(n bigint) returns bigint language plpgsql volatile as
           $$ begin perform pg_sleep(0.05); return n; end $$;
         create table big (id bigint primary key);
         insert into big select n from generate_series(1, 600) n",
    );
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("query", "select id, slowly(id) as pause from big")
        .set("validate.non.null", "false")
        .set("batch.max.rows", "10");
    let mut running = Running::start(&connector.file(), &[]);
    running.wait_for_log("loading connector");
    let log = running.log();
    let line = log.lines().find(|line| line.contains("loading connector")).expect("the line");
    assert!(line.contains("rows=") && line.contains("rows_per_second="), "{line}");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn the_rows_to_expect_are_estimated_and_never_counted() {
    use rowtide::dialect::dialect_of;
    use rowtide::model::{Relation, TableId};

    let postgres = Postgres::new();
    postgres.run(
        "create table analyzed (id int); insert into analyzed select generate_series(1, 5000); analyze analyzed;
         create table fresh (id int); create table hollow (id int); analyze hollow; create view seen as select * from analyzed",
    );
    let sqlite = Sqlite::new();
    sqlite.run(
        "create table counted (id integer primary key); insert into counted values (1), (2), (77);
         create table hollow (id integer primary key); create view seen as select * from counted;
         create table keyed (id text primary key) without rowid; insert into keyed values ('a')",
    );
    for (url, schema, cases) in [
        (
            postgres.jdbc_url(),
            Some("public"),
            &[("analyzed", Some(5000)), ("fresh", None), ("hollow", None), ("seen", None)][..],
        ),
        (sqlite.jdbc_url(), None, &[("counted", Some(77)), ("hollow", None), ("seen", None), ("keyed", None)]),
    ] {
        let connector = Connector::new(&url).set("mode", "bulk");
        let file = path(connector.file());
        let loaded = rowtide::config::load(&file, None, &Default::default(), &[], false).expect("a good file");
        let source = loaded.spec.source;
        let found = crate::support::db::block(async move {
            let mut connection = dialect_of(&source).expect("a dialect").connect(&source).await.expect("connect");
            let mut found = Vec::new();
            for (table, _) in cases {
                let id = TableId { catalog: None, schema: schema.map(str::to_owned), name: (*table).to_owned() };
                found.push((*table, connection.estimate_rows(&Relation::Table(id)).await.expect("an estimate")));
            }
            found
        });
        assert_eq!(found, cases);
    }
}
