//! Refusals of brokers: `check` tells them before, with the setting or the grant; a run tells them of the one table
//! whose topic it is, and the others go on.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failures::{Broken, connector, tables};
use crate::support::config::Connector;
use crate::support::connect::acls;
use crate::support::db::Postgres;
use crate::support::http::get_json;
use crate::support::kafka::{alter_policy, delete_topic, make_topic, read_topic, wait_for_records};
use crate::support::oracle::assert_exactly_once;
use crate::support::process::{Finished, Running, run};
use crate::support::{PATIENCE, address, eventually, unique};

fn check(connector: &Connector) -> Finished {
    run(&["check", "--timeout", "20", connector.file().to_str().expect("a path")])
}

fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", connector.file().to_str().expect("a path")])
}

/// The same connector as a user who may do what ACLs say.
fn limited(connector: Connector) -> Connector {
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"limited\" \
                password=\"limited-secret\";";
    connector
        .set("bootstrap.servers", &address("ROWTIDE_TEST_BOOTSTRAP_SASL"))
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.jaas.config", jaas)
        .set("group.id", &unique("group"))
}

fn allow(words: &[&str]) {
    acls(&[&["--add", "--allow-principal", "User:limited"], words].concat());
}

fn take_back(words: &[&str]) {
    acls(&[&["--remove", "--allow-principal", "User:limited"], words].concat());
}

#[test]
fn a_filter_that_selects_no_table_names_what_there_is_and_is_not_ready() {
    let database = Postgres::new();
    database.run("create table orders (seq serial primary key, item text); insert into orders (item) values ('one')");
    let connector = Connector::new(&database.jdbc_url()).set("mode", "bulk").set("table.include.list", "later|orders");
    for finished in [check(&connector), once(&connector)] {
        finished.expect_code(2).expect_says(&[
            "no table is selected: table.include.list does not match the one table there is",
            "did you mean `public.orders`? a pattern must match the whole dotted name",
        ]);
    }
    let connector = connector.set("table.include.list", "public.later");
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    let ready = eventually("it says why", PATIENCE, || {
        let (code, ready) = get_json(&address, "/health/ready");
        (code == 503 && ready.to_string().contains("no table is selected")).then_some(ready)
    });
    assert!(ready.to_string().contains("there are public.orders"), "{ready}");
    let (_, status) = get_json(&address, "/status");
    assert!(status["connectors"][0]["nothing_selected"]["reason"].is_string(), "{status}");
    database.run("create table later (seq serial primary key, item text)");
    eventually("ready", PATIENCE, || (get_json(&address, "/health/ready").0 == 200).then_some(()));
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn check_names_the_address_that_a_broker_advertises_and_nobody_reaches() {
    let database = tables();
    let connector = connector(&database).set("bootstrap.servers", &address("ROWTIDE_TEST_BOOTSTRAP_NOWHERE"));
    let checked = check(&connector).expect_code(3).expect_says(&["advertised.listeners"]);
    // By the answer of the brokers, or by the connection that failed, whichever comes first.
    let named = ["127.0.0.1:1 (", "127.0.0.1:1/"].iter().any(|address| checked.stdout.contains(address));
    assert!(named, "{}", checked.stdout);
    once(&connector).expect_code(3).expect_says(&["127.0.0.1:1", "advertised.listeners"]);
}

#[test]
fn check_says_which_topics_cannot_be_made_or_would_lose_or_refuse_records() {
    let database = tables();
    let prefix = unique("prefix");
    let connector = connector(&database)
        .set("topic.prefix", &format!("{prefix}."))
        .set("key.mode", "none")
        .set("errors.tolerance", "all")
        .set("errors.deadletterqueue.topic.name", &format!("{prefix}.letters"))
        .set("errors.deadletterqueue.topic.replication.factor", "3")
        .set("offset.storage.replication.factor", "3")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.replication.factor", "2");
    make_topic(&format!("{prefix}_good"), 1, "delete");
    check(&connector).expect_code(2).expect_says(&[
        "errors.deadletterqueue.topic.replication.factor: the replication factor 3 needs more brokers than the 1 there are",
        "offset.storage.replication.factor: the replication factor 3 needs",
        "topic.creation.default.replication.factor: the replication factor 2 needs",
        &format!("the topic cannot be created beside `{prefix}_good`"),
        "4 problems",
    ]);

    let connector = connector
        .set("topic.creation.default.replication.factor", "1")
        .set("topic.creation.default.cleanup.policy", "compact")
        .set("errors.deadletterqueue.topic.replication.factor", "1")
        .set("offset.storage.topic", &format!("{prefix}.offsets"))
        .set("topic.prefix", &format!("{prefix}-"));
    make_topic(&format!("{prefix}.offsets"), 1, "delete");
    make_topic(&format!("{prefix}-bad"), 1, "compact");
    let said = check(&connector).expect_code(2).expect_says(&[
        "the offsets topic has cleanup.policy=delete, it must be compact",
        "key.mode=primary_key, or cleanup.policy=delete on the topic",
        "3 problems",
    ]);
    assert_eq!(said.stdout.matches("takes no records without keys").count(), 2, "one is there, one to be made");
    let topics = crate::support::kafka::topics();
    assert!(!topics.contains(&format!("{prefix}-good")), "check makes nothing");
    assert!(read_topic(&format!("{prefix}-bad")).is_empty() && read_topic(&format!("{prefix}.offsets")).is_empty());
}

#[test]
fn check_says_what_acls_deny_and_which_grant_is_missing() {
    let database = tables();
    let connector = limited(connector(&database));
    let (group, prefix) = (connector.keys["group.id"].clone(), connector.keys["topic.prefix"].clone());
    let (good, offsets) = (connector.topic("good"), connector.keys["offset.storage.topic"].clone());
    make_topic(&good, 1, "delete");
    make_topic(&offsets, 1, "compact");
    check(&connector).expect_code(2).expect_says(&[
        "--transactional-id PREFIX",
        &format!("topic {good}: the topic may not be described"),
        &format!("--operation Write --operation Describe --topic {good}"),
        &format!("topic {offsets}: the topic may not be described"),
    ]);
    allow(&["--operation", "Describe", "--transactional-id", &group, "--resource-pattern-type", "prefixed"]);
    allow(&["--operation", "Describe", "--topic", &prefix, "--resource-pattern-type", "prefixed"]);
    allow(&["--operation", "Write", "--topic", &offsets]);
    check(&connector).expect_code(2).expect_says(&[
        &format!("PROBLEM  transactional id {group}-"),
        &format!("topic {good}: writing to the topic is not allowed"),
        "the topic does not exist and may not be created",
        &format!("topic {offsets}: the topic may not be read"),
    ]);
    once(&connector).expect_code(1).expect_says(&["Write and Describe on the transactional id"]);
    allow(&["--operation", "Write", "--transactional-id", &group, "--resource-pattern-type", "prefixed"]);
    allow(&[
        "--operation",
        "Create",
        "--operation",
        "Write",
        "--topic",
        &prefix,
        "--resource-pattern-type",
        "prefixed",
    ]);
    allow(&["--operation", "Read", "--topic", &offsets]);
    check(&connector).expect_code(0).expect_says(&["no problems"]);
    assert!(read_topic(&good).is_empty() && read_topic(&offsets).is_empty(), "check writes nothing");
    once(&connector).expect_code(0);
    check(&connector).expect_code(0);
    assert_eq!(read_topic(&good).len(), 3);
}

#[test]
fn check_leaves_a_connector_that_runs_alone() {
    let database = tables();
    let connector = connector(&database);
    let mut broken = Broken::after_the_first_rows(database, connector);
    // It may take a moment until the brokers know who runs; a look before that must not disturb either.
    eventually("it is seen to run", PATIENCE, || {
        check(&broken.connector).expect_code(0).stdout.contains("in use by").then_some(())
    });
    broken.database.run("insert into good (item) values ('after')");
    wait_for_records(&broken.connector.topic("good"), 4);
    assert!(broken.running.is_alive() && !broken.running.log().contains("starting again"), "{}", broken.running.log());
}

#[test]
fn a_table_whose_topic_is_denied_sits_out_until_it_is_granted() {
    for tasks in ["1", "2"] {
        let database = tables();
        let connector = limited(connector(&database)).set("tasks.max", tasks);
        let (group, bad) = (connector.keys["group.id"].clone(), connector.topic("bad"));
        let prefix = connector.keys["topic.prefix"].clone();
        let write = ["--operation", "Write", "--transactional-id", &group, "--resource-pattern-type", "prefixed"];
        allow(&write);
        let all = ["--operation", "Create", "--operation", "Describe", "--operation", "Read", "--topic", &prefix];
        allow(&[&all[..], &["--resource-pattern-type", "prefixed"]].concat());
        allow(&["--operation", "Write", "--topic", &connector.topic("good")]);
        allow(&["--operation", "Write", "--topic", &connector.keys["offset.storage.topic"]]);
        allow(&["--operation", "Write", "--topic", &bad]);
        let mut broken = Broken::after_the_first_rows(database, connector);
        take_back(&["--operation", "Write", "--topic", &bad]);
        broken.database.run("insert into bad (item) values ('denied'); insert into good (item) values ('meanwhile')");
        broken.fails("not allowed", "Write and Describe");
        allow(&["--operation", "Write", "--topic", &bad]);
        broken.recovers("select 1");
    }
}

#[test]
fn a_compacted_topic_and_records_without_keys_stop_one_table() {
    for tasks in ["1", "2"] {
        let database = tables();
        let connector = connector(&database).set("tasks.max", tasks).set("key.mode", "none");
        let mut broken = Broken::after_the_first_rows(database, connector);
        alter_policy(&broken.connector.topic("bad"), "compact");
        broken.database.run("insert into bad (item) values ('refused'); insert into good (item) values ('meanwhile')");
        broken.fails("", "key.mode=primary_key");
        alter_policy(&broken.connector.topic("bad"), "delete");
        broken.recovers("select 1");
    }
}

#[test]
fn a_topic_that_is_deleted_is_over_in_seconds_and_what_follows_is_delivered() {
    let database = tables();
    let connector = connector(&database);
    let mut broken = Broken::after_the_first_rows(database, connector);
    let topic = broken.connector.topic("bad");
    delete_topic(&topic);
    let began = Instant::now();
    broken.database.run("insert into bad (item) values ('after'); insert into good (item) values ('after')");
    let found = wait_for_records(&topic, 1);
    assert_eq!(found[0].field("item"), "after");
    wait_for_records(&broken.connector.topic("good"), 4);
    // A transaction times out after a minute.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    broken.running.wait_for_log("the topic does not exist any more");
    assert!(broken.running.is_alive());
    assert_eq!(broken.running.terminate(), Some(0));
}

#[test]
fn an_offsets_topic_that_is_deleted_ends_the_connector_and_the_next_start_says_what_it_does() {
    let database = tables();
    let connector = connector(&database);
    let mut broken = Broken::after_the_first_rows(database, connector);
    delete_topic(&broken.connector.keys["offset.storage.topic"]);
    broken.database.run("insert into good (item) values ('after')");
    assert_eq!(broken.running.ended(), Some(1));
    let log = broken.running.log();
    assert!(log.contains("the offsets topic was deleted") && log.contains("offsets set"), "{log}");
    check(&broken.connector).expect_code(0).expect_says(&["no offset at all is stored for this connector"]);
    once(&broken.connector).expect_code(0).expect_says(&["no offset at all is stored", "rows come again"]);
    assert_eq!(read_topic(&broken.connector.topic("good")).len(), 3 + 4);
    // The first start of a connector, whose topics are empty, has nothing to say.
    let first = self::connector(&broken.database);
    assert!(!once(&first).expect_code(0).stderr.contains("no offset at all"));
    assert_exactly_once(&broken.database, &first, "good", true);
}

/// A broker of its own, with these lines in its `server.properties`.
struct Broker {
    folder: tempfile::TempDir,
    bootstrap: String,
}

impl Broker {
    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut broker = Self { folder, bootstrap: String::new() };
        let started = broker.services("start").arg("kafka").env("ROWTIDE_KAFKA_SETTINGS", settings).output();
        let started = started.expect("scripts/services");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let exports = broker.services("env").output().expect("scripts/services env").stdout;
        let exports = String::from_utf8(exports).expect("UTF-8");
        let found = exports.lines().find_map(|line| line.strip_prefix("export ROWTIDE_TEST_BOOTSTRAP="));
        found.expect("an address").clone_into(&mut broker.bootstrap);
        broker
    }

    fn services(&self, command: &str) -> Command {
        let mut services = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services"));
        services.arg(command).env("ROWTIDE_RUN", self.folder.path()).env_remove("ROWTIDE_TEST_SERVICES");
        services.stdin(Stdio::null());
        services
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.services("stop").output();
    }
}

#[test]
fn brokers_that_cannot_make_the_topic_of_their_transactions_are_told_from_brokers_that_are_down() {
    let broker = Broker::with("transaction.state.log.replication.factor=3");
    let database = tables();
    let connector = connector(&database).set("bootstrap.servers", &broker.bootstrap);
    let words = ["transaction.state.log.replication.factor is 3, there are 1 brokers", "transaction.state.log.min.isr"];
    check(&connector).expect_code(2).expect_says(&words);
    once(&connector).expect_code(2).expect_says(&words);
}
