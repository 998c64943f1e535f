//! The house is held by a test (CONTRIBUTING.md, "Who may import whom"): imports run strictly downward, inside a room
//! they run in no circle, each driver crate is known in one module only, doc comments begin with a noun, and what
//! CONTRIBUTING points at is there. No service is needed, and nothing of the crate: the source is read as text.

#![allow(clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::{ModulePath, Source, circles};

/// Modules in order of their level; a module may import those of lower levels, and those named beside it.
const LEVELS: &[(&str, u8, &[&str])] = &[
    ("error", 0, &[]),
    ("lock", 0, &[]),
    ("near", 0, &[]),
    ("zone", 0, &[]),
    ("sql", 0, &[]),
    ("model", 0, &["error", "zone"]),
    ("retry", 1, &[]),
    ("setting", 1, &[]),
    ("tls", 1, &[]),
    ("convert", 1, &["retry", "setting", "tls"]),
    ("transform", 1, &["convert"]),
    ("guard", 1, &[]),
    ("config", 1, &["convert", "guard", "retry", "setting", "transform"]),
    ("status", 1, &[]),
    ("telemetry", 1, &["guard", "setting", "status"]),
    ("herder", 2, &[]),
    ("dialect", 2, &[]),
    ("kafka", 2, &[]),
    ("plan", 3, &[]),
    ("reader", 3, &[]),
    ("offsets", 3, &[]),
    ("task", 4, &[]),
    ("connector", 5, &[]),
    ("http", 6, &[]),
    ("embedded", 6, &[]),
    ("cli", 6, &["http", "embedded"]),
    ("fuzz", 6, &[]),
    ("main", 7, &[]),
];

/// Imports that are forbidden although they go to a lower level.
const FORBIDDEN: &[(&str, &str)] = &[
    ("plan", "kafka"),
    ("plan", "convert"),
    ("plan", "config"),
    ("guard", "config"),
    ("guard", "dialect"),
    ("guard", "kafka"),
    ("reader", "kafka"),
    ("reader", "convert"),
    ("offsets", "dialect"),
    ("http", "connector"),
    ("http", "task"),
];

/// Crates and the rooms that may name them.
const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["dialect", "embedded"]),
    ("rdkafka", &["kafka", "embedded"]),
    ("openssl", &["tls"]),
    ("apache_avro", &["convert", "embedded"]),
    ("schema_registry_converter", &["convert"]),
    ("reqwest", &["convert", "http"]),
    ("saphyr_parser", &["config"]),
    ("axum", &["http", "embedded"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
];

/// Circles of modules inside a room that are there: each is one to be untied, none is to be added. A circle may shrink; the
/// modules of one are named by their last part. That a module puts together those inside it, which use what it defines, is
/// none.
const CIRCLES: &[(&str, &[&str])] = &[
    // The specification of a table, whose topic and schema name have files of their own.
    ("config", &["schema_name", "table", "topic"]),
    ("kafka", &["admin", "probe"]),
    ("kafka", &["transactions", "verdict"]),
    ("task", &["binding", "continuity", "facts", "guard", "odd", "polled", "skipped", "step", "stream"]),
];

/// The files that every dialect has; what else it needs stands beside them. CONTRIBUTING, "A dialect", says what is in each.
const DIALECT_FILES: &[&str] = &[
    "beside",
    "bind",
    "catalog",
    "classify",
    "clock",
    "connect",
    "cursor",
    "decode",
    "explain",
    "facts",
    "fetch",
    "identity",
    "incarnation",
    "keys",
    "session",
    "syntax",
    "text",
    "transactions",
    "types",
];

/// Rust without a runtime: what starts threads or tasks, and why it needs no supervision by the connector.
const STARTS: &[(&str, &str)] = &[
    ("convert/avro/decode.rs", "a thread with a stack for one deep value, waited for"),
    ("dialect/tunnel.rs", "it carries the bytes of one connection, and ends with it"),
    ("dialect/vigil/farewell.rs", "it cancels a statement that nobody waits for any more, within a deadline"),
    ("kafka/ask.rs", "questions of librdkafka block; each has a deadline"),
    ("kafka/consumer.rs", "librdkafka is polled on a thread, which ends with its consumer"),
    ("kafka/lease.rs", "the same"),
    ("kafka/producer.rs", "transaction calls block; the thread ends with its producer"),
    ("kafka/tail.rs", "closing a client blocks"),
    ("kafka/topic_settings.rs", "closing a client blocks"),
    ("tls/session.rs", "reading keys blocks, and is waited for"),
];

/// Calls that start a task or a thread.
const START: &[&str] =
    &["tokio::spawn(", "runtime.spawn(", "JoinSet::new()", "spawn_blocking(", "thread::Builder", "thread::spawn("];

fn room(module: &ModulePath) -> &str {
    module.first().map_or("lib", String::as_str)
}

#[test]
fn imports_run_strictly_downward() {
    let level: BTreeMap<&str, (u8, &[&str])> =
        LEVELS.iter().map(|(name, level, peers)| (*name, (*level, *peers))).collect();
    let source = Source::read();
    let mut wrong = Vec::new();
    for module in source.modules.keys().filter(|module| room(module) != "lib") {
        let own_room = room(module);
        let (own, peers) = level.get(own_room).unwrap_or_else(|| panic!("module {own_room} has no level"));
        for path in source.named(module) {
            let Some(used) = path.first().map(String::as_str) else { continue };
            let Some((other, _)) = level.get(used) else { continue };
            let downward = other < own || used == own_room || peers.contains(&used);
            if !downward || FORBIDDEN.contains(&(own_room, used)) {
                wrong.push(format!("{} names {}", source.modules[module].file.display(), path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_circle_of_imports_is_added_inside_a_room() {
    let source = Source::read();
    let mut edges: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
    for module in source.modules.keys() {
        let needs = source.needs(module).into_iter();
        let needs = needs.filter(|other| room(other) == room(module) && !other.starts_with(module));
        edges.insert(module.clone(), needs.collect());
    }
    let mut wrong = Vec::new();
    for circle in circles(&edges) {
        let names: Vec<&str> = circle.iter().filter_map(|module| module.last()).map(String::as_str).collect();
        let at = circle.first().map(room).unwrap_or_default();
        let is_known =
            CIRCLES.iter().any(|(known, modules)| *known == at && names.iter().all(|name| modules.contains(name)));
        if !is_known {
            wrong.push(format!("(\"{at}\", &{names:?}),"));
        }
    }
    assert!(wrong.is_empty(), "circles that are not known:\n{}", wrong.join("\n"));
}

#[test]
fn a_driver_crate_is_named_in_its_module_only() {
    let mut wrong = Vec::new();
    for (module, found) in Source::read().modules {
        for (name, homes) in CRATES {
            let named = found.code.contains(&format!("{name}::")) || found.code.contains(&format!("use {name};"));
            if named && !homes.contains(&room(&module)) {
                wrong.push(format!("{} names {name}", found.file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_connector_and_the_commands_start_tasks_and_threads() {
    let mut wrong = Vec::new();
    for (module, found) in Source::read().modules {
        let starts = START.iter().any(|call| found.code.contains(call));
        let is_known = STARTS.iter().any(|(file, _)| found.file.ends_with(file));
        if starts != is_known && !["connector", "cli", "embedded", "http", "fuzz"].contains(&room(&module)) {
            let what = if starts { "starts a task or a thread" } else { "starts none any more" };
            wrong.push(format!("{} {what}", found.file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dialect_has_the_files_of_its_siblings_and_contributing_names_them() {
    let (mut dialects, mut missing) = (0, Vec::new());
    let source = Source::read();
    for (module, found) in &source.modules {
        if room(module) != "dialect" || !found.code.contains("impl Dialect for") {
            continue;
        }
        dialects += 1;
        let files = DIALECT_FILES.iter().map(|name| [module.as_slice(), &[(*name).to_owned()]].concat());
        missing.extend(files.filter(|file| !source.modules.contains_key(file)).map(|file| file.join("::")));
    }
    assert!(dialects >= 3 && missing.is_empty(), "{dialects} dialects, without {}", missing.join(", "));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let (_, section) = text.split_once("## A dialect").expect("its section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let named: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(named, DIALECT_FILES, "the table of files in CONTRIBUTING.md");
}

#[test]
fn a_task_sees_the_configuration_of_its_tables_and_not_the_connector_s() {
    let modules = Source::read().modules;
    let sees = modules.iter().filter(|(module, found)| room(module) == "task" && found.code.contains("ConnectorSpec"));
    let files: Vec<String> = sees.map(|(_, found)| found.file.display().to_string()).collect();
    assert_eq!(files, <[String; 0]>::default(), "TaskSpec and TableSpec are what a task sees");
}

#[test]
fn text_becomes_a_statement_in_one_file_of_the_dialects() {
    let modules = Source::read().modules;
    let makes =
        modules.iter().filter(|(module, found)| room(module) == "dialect" && found.code.contains("AssertSqlSafe"));
    let files: Vec<String> = makes.map(|(_, found)| found.file.display().to_string()).collect();
    assert_eq!(files, ["dialect/statement.rs"]);
}

/// Words that begin a clause where the field has a noun: "What is stored" is "The stored offset".
const CLAUSES: &[&str] = &["What", "Who", "Whom", "Whose", "Whether", "How", "Where", "Which", "Why", "When"];

#[test]
fn doc_comments_name_the_thing_in_their_first_line() {
    let mut wrong = Vec::new();
    for found in Source::read().modules.values() {
        for (line, text) in &found.headlines {
            let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
            if CLAUSES.contains(&first) {
                wrong.push(format!("src/{}:{line}: {text}", found.file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these begin with a clause and not with a noun:\n{}", wrong.join("\n"));
}

/// The files of CONTRIBUTING's table are there.
#[test]
fn what_contributing_points_at_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let (_, table) = text.split_once("## Where is").expect("the table");
    let table = table.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(rows.len() >= 20, "{} questions", rows.len());
    for row in rows {
        let files: Vec<&str> = row.split('`').skip(1).step_by(2).filter(|word| word.contains('/')).collect();
        assert!(!files.is_empty(), "no file in: {row}");
        for file in files {
            assert!(root.join(file).exists(), "{file} is not there: {row}");
        }
    }
}
