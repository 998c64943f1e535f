//! Configurations of the kinds that people have: more than a hundred files, in the shapes and with the keys that are found in
//! public repositories and in the documentation of Confluent, Aiven, Strimzi and Debezium. `accepted.txt` and
//! `delivered.txt` hold those that are to be taken as they are, of which the second run on real services, and
//! `refused.txt` those that cannot be, with the words that say why. A line `=== FILE` begins each; behind it may stand
//! `run=DATABASE TOPIC=RECORDS ...`, `says=TEXT` or `refused=TEXT`. `@names@` are what a test fills in. `keys.txt` lists the keys of
//! Confluent's and Aiven's classes.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;

use regex::Regex;
use rowtide::config::keys::{self, Home};
use rowtide::transform::{ABSENT, PREDICATES, transform_of};

use crate::support::db::{MySqlFamily, Postgres, Sqlite};
use crate::support::kafka::read_topic;
use crate::support::process::{Finished, finish, rowtide};
use crate::support::{Stack, address, replication, unique};
use crate::support::{connect, golden};

const ACCEPTED: &str = include_str!("configurations/accepted.txt");
const DELIVERED: &str = include_str!("configurations/delivered.txt");
const REFUSED: &str = include_str!("configurations/refused.txt");

/// The keys of the classes that are no part of Kafka, by their documentation.
const KEYS: &str = include_str!("configurations/keys.txt");

struct Configuration {
    file: &'static str,
    /// The words behind the file's name.
    wanted: &'static str,
    text: &'static str,
}

fn all(text: &'static str) -> Vec<Configuration> {
    let each = format!("\n{text}");
    let each: &'static str = Box::leak(each.into_boxed_str());
    let parsed = each.split("\n=== ").skip(1).map(|one| {
        let (head, text) = one.split_once('\n').expect("a text");
        let (file, wanted) = head.split_once(' ').unwrap_or((head, ""));
        Configuration { file, wanted, text }
    });
    parsed.collect()
}

/// A folder with what the files name, and a worker's file.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(worker: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
        std::fs::create_dir(folder.path().join("mysql")).expect("a folder");
        write("mysql/user", "root");
        write("mysql/password", "");
        write("db.properties", "user=postgres\npassword=postgres\nregistry=key:secret\n");
        let ca = std::fs::read_to_string(format!("{}/ca.pem", address("ROWTIDE_TEST_KAFKA_TLS"))).expect("ca.pem");
        write("ca.pem", &ca);
        let providers = "config.providers=file,dir,env\n\
             config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n\
             config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider\n\
             config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n";
        write("worker.properties", &format!("{worker}{providers}"));
        Self(folder)
    }

    /// The command with the file, its names filled in.
    fn command(&self, words: &[&str], of: &Configuration, names: &BTreeMap<&str, String>) -> Command {
        let path = self.0.path();
        let mut text = of.text.replace("/opt/connect", &path.display().to_string());
        for (name, value) in names {
            text = text.replace(name, value);
        }
        let text = text.replace("@bom@", "\u{feff}").replace("@cr@", "\r");
        let file = path.join(of.file);
        std::fs::write(&file, text).expect("write");
        let mut command = rowtide();
        command.args(words).arg("--worker").arg(path.join("worker.properties")).arg(file).env("TEST_DB_USER", "root");
        command
    }
}

fn worker(brokers: &str, registry: &str) -> String {
    let converter = |side: &str| {
        format!(
            "{side}.converter=io.confluent.connect.avro.AvroConverter\n\
             {side}.converter.schema.registry.url={registry}\n"
        )
    };
    format!("bootstrap.servers={brokers}\n{}{}", converter("key"), converter("value"))
}

/// What the files of `check --offline` are filled in with.
fn offline(of: &Configuration) -> BTreeMap<&'static str, String> {
    let url = match of.wanted.split(' ').next().and_then(|word| word.strip_prefix("run=")) {
        Some("postgres") => "jdbc:postgresql://postgres:5432/shop",
        Some("mariadb") => "jdbc:mariadb://mariadb:3306/shop",
        Some("sqlite") => "jdbc:sqlite:/data/shop.db",
        _ => "jdbc:mysql://mysql:3306/shop",
    };
    [("@url@", url), ("@user@", "reader"), ("@password@", "secret"), ("@u@", "shop-"), ("@db@", "shop")]
        .into_iter()
        .chain([("@registry@", "http://localhost:8081")])
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// Runs a command per configuration, some at a time; what is wrong with each.
fn each(of: &[Configuration], work: impl Fn(&Configuration) -> Result<(), String> + Sync) {
    let (left, wrong) = (Mutex::new(of.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(one) = left.lock().expect("no panic").next() else { return };
                    if let Err(text) = work(one) {
                        wrong.lock().expect("no panic").push(format!("{}: {text}", one.file));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), of.len(), wrong.join("\n"));
}

fn expect(finished: Finished, code: i32, says: &[&str]) -> Result<(), String> {
    let all = format!("{}{}", finished.stdout, finished.stderr);
    let is_right = finished.code == Some(code) && says.iter().all(|text| all.contains(text));
    if is_right { Ok(()) } else { Err(format!("{:?}, not {code} and {says:?}:\n{all}", finished.code)) }
}

#[test]
fn a_hundred_files_of_the_wild_are_taken_as_they_are_and_others_refused_with_the_reason() {
    let folder = Folder::new(&worker("localhost:9092", "http://localhost:8081"));
    let taken: Vec<_> = all(ACCEPTED).into_iter().chain(all(DELIVERED)).collect();
    assert!(taken.len() >= 100, "{}", taken.len());
    let check = |one: &Configuration| finish(&mut folder.command(&["check", "--offline"], one, &offline(one)));
    each(&taken, |one| {
        let says = one.wanted.strip_prefix("says=").unwrap_or_default();
        expect(check(one), 0, &["no problems", says])
    });
    each(&all(REFUSED), |one| expect(check(one), 2, &[one.wanted.strip_prefix("refused=").expect("a reason")]));
}

#[test]
fn every_key_of_a_connector_stands_in_one_of_them() {
    let text = [ACCEPTED, DELIVERED, REFUSED].concat();
    let missing: Vec<_> = keys::all()
        .filter(|definition| definition.home != Home::Worker)
        .map(|definition| definition.name)
        .filter(|name| {
            let literal = |name: &str| regex::escape(name).replace("PATTERN", "[a-z.]+");
            let pattern = match name.strip_suffix('*') {
                Some(family) => format!("(?m)(\"|^ *){}", literal(family)),
                None => format!("(?m)(\"|^ *){}(\"| *[=:])", literal(name)),
            };
            !Regex::new(&pattern).expect("a pattern").is_match(&text)
        })
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// A key is in the table of keys, and `docs/migrating.md` says what becomes of it.
fn problem_of_key(page: &str, key: &str) -> Option<String> {
    match keys::find(key) {
        None => Some(format!("{key} is not known")),
        Some(known) if known.home == Home::Rowtide => Some(format!("{key} is taken for one of rowtide's own")),
        Some(known) => (!page.contains(&format!("\n| `{}` | ", known.name))).then(|| format!("{key} is in no row")),
    }
}

#[test]
fn every_key_of_kafka_connect_its_jdbc_sources_and_their_converters_is_known_and_said_to_be_the_same_or_not() {
    let page = std::fs::read_to_string(golden::path("docs/migrating.md")).expect("the page");
    let of_pages = KEYS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned);
    // What Kafka's own classes say they have.
    let of_classes = connect::keys();
    let words = |kind: &'static str| of_classes.iter().filter(move |words| words[0] == kind);
    assert!(words("key").count() > 200 && words("setting").count() > 50, "{}", of_classes.len());
    let all = of_pages.chain(words("key").map(|words| words[1].clone()));
    let mut wrong: Vec<String> = all.filter_map(|key| problem_of_key(&page, &key)).collect();
    for words in words("setting") {
        let (class, setting) = (words[1].as_str(), words[2].as_str());
        let of_predicate = PREDICATES.iter().find(|known| known.class == class).map(|known| known.settings);
        let known = of_predicate.or_else(|| transform_of(class).map(|(known, _)| known.settings));
        let is_absent = ABSENT.iter().any(|(absent, _)| *absent == class);
        if !is_absent && !known.is_some_and(|settings| settings.iter().any(|known| known.name == setting)) {
            wrong.push(format!("{class} has {setting}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

const TABLES: &str = "
    create table orders (id bigint primary key, customer_id int not null, amount numeric(10,2), status varchar(20),
        created_at timestamp not null default '2024-02-29 12:00:00', updated_at timestamp not null default '2024-02-29 12:00:00');
    create table customers (id bigint primary key, name varchar(40), email varchar(40),
        created_at timestamp not null default '2024-02-29 12:00:00', updated_at timestamp not null default '2024-02-29 12:00:00');
    create table cities (city_id int primary key, name varchar(40), state varchar(2));
    insert into orders (id, customer_id, amount, status) values (1, 1, 1.50, 'new'), (2, 1, 20, 'paid'), (3, 2, null, null);
    insert into customers (id, name, email) values (1, 'Ann', 'ann@example.com'), (2, 'Bob', 'bob@example.com'), (3, 'Eve', null);
    insert into cities values (1, 'Rome', 'IT'), (2, 'Oslo', 'NO'), (3, 'Bern', 'CH');";
const ACCOUNTS: &str = "
    create table accounts (id integer primary key, name varchar(40), balance double precision not null);
    insert into accounts values (1, 'one', 1.5), (2, 'two', 2.5), (3, null, 0);";

#[test]
fn twenty_of_them_deliver_what_their_tables_hold() {
    let (postgres, sqlite) = (Postgres::new(), Sqlite::new());
    postgres.run(&format!("{TABLES}{ACCOUNTS}"));
    sqlite.run(ACCOUNTS);
    let family = ["mysql", "mariadb", "tidb"].map(|kind| (kind, MySqlFamily::new(kind)));
    family.iter().for_each(|(_, database)| database.run(TABLES));
    let stack = Stack::get();
    let offsets = format!(
        "offset.storage.topic=rowtide-test-offsets\noffset.storage.partitions=5\noffset.storage.replication.factor={}\n\
         group.id={}\n",
        replication(),
        unique("group")
    );
    let folder = Folder::new(&format!("{}{offsets}", worker(&stack.brokers, &stack.registry)));
    let delivered = all(DELIVERED);
    assert!(delivered.len() >= 20, "{}", delivered.len());
    each(&delivered, |one| {
        let mut words = one.wanted.split(' ');
        let kind = words.next().and_then(|word| word.strip_prefix("run=")).expect("a database");
        let database = family.iter().find(|(of, _)| *of == kind).map(|(_, database)| database);
        let (url, user, password, name) = match (kind, database) {
            (_, Some(database)) => (database.jdbc_url(), "root", "", database.name.clone()),
            ("postgres", _) => (postgres.jdbc_url(), "postgres", "postgres", postgres.name.clone()),
            _ => (sqlite.jdbc_url(), "", "", String::new()),
        };
        let own = unique("wild");
        let names = [("@url@", url), ("@user@", user.to_owned()), ("@password@", password.to_owned()), ("@db@", name)];
        let more = [("@u@", own.clone()), ("@registry@", stack.registry.clone())];
        let names = names.into_iter().chain(more).collect();
        expect(finish(&mut folder.command(&["run", "--once"], one, &names)), 0, &[])?;
        for word in words {
            let (topic, records) = word.split_once('=').expect("a topic and how many records");
            let found = read_topic(&format!("{own}{topic}")).len();
            if records.parse() != Ok(found) {
                return Err(format!("{found} records in {topic}, not {records}"));
            }
        }
        Ok(())
    });
}
