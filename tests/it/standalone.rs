//! The file of a standalone worker, which Kafka Connect's own classes write and read here: taken over, given back, and
//! never passed over in silence.

use std::path::PathBuf;

use rowtide::offsets::standalone::{self, Entry};
use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::connect::java;
use crate::support::db::Postgres;
use crate::support::kafka::{records, topics};
use crate::support::oracle::stored_offset;
use crate::support::process::{Finished, finish, rowtide};

const V1: &str = r#"{"protocol":"1","table":"public.t"}"#;

/// A table of ten rows, a connector with an offsets topic of its own, and the place of a worker's file.
struct Scene {
    database: Postgres,
    connector: Connector,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let database = Postgres::new();
        database.run("create table t (id integer primary key); insert into t select generate_series(1, 10)");
        let connector = Connector::new(&database.jdbc_url()).alone().set("commit.guard", "off");
        let connector = connector.set("mode", "incrementing").set("incrementing.column.name", "id");
        Self {
            database,
            connector: connector.set("table.whitelist", "t"),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// The same with `offset.storage.file.filename`.
    fn that_names_the_file() -> Self {
        let mut scene = Self::new();
        let file = scene.file();
        scene.connector = scene.connector.set("offset.storage.file.filename", &file);
        scene
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("connect.offsets")
    }

    fn file(&self) -> String {
        self.path().display().to_string()
    }

    /// As the worker leaves it, with a connector beside this one.
    fn written_by_connect(self, offset: &str) -> Self {
        let (file, name) = (self.file(), &self.connector.name);
        java(&[
            "write",
            &file,
            name,
            V1,
            offset,
            "others",
            V1,
            r#"{"incrementing":1}"#,
            name,
            r#"{"table":"gone"}"#,
            "null",
            name,
            "null",
            r#"{"of":"nothing"}"#,
        ]);
        self
    }

    fn rowtide(&self, words: &[&str], more: &[&str]) -> Finished {
        finish(rowtide().args(words).arg(self.connector.file()).args(more))
    }

    fn once(&self) -> Finished {
        self.rowtide(&["run", "--once"], &[])
    }

    fn ids(&self) -> Vec<i64> {
        records(&self.connector.topic("t")).iter().map(|record| record.field("id").as_i64().expect("an id")).collect()
    }
}

fn entries_of(lines: &[String]) -> Vec<Entry> {
    let bytes = |text: &str| {
        let digits = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a digit"));
        (text != "null").then(|| digits.collect())
    };
    lines.iter().filter_map(|line| line.split_once('=')).map(|(key, value)| (bytes(key), bytes(value))).collect()
}

#[test]
fn a_map_of_java_is_read_whatever_the_number_and_size_of_its_entries() {
    let folder = tempfile::tempdir().expect("a folder");
    for count in [0, 13, 500] {
        let file = folder.path().join(count.to_string());
        let path = file.display().to_string();
        let entries = entries_of(&java(&["map", &path, &count.to_string(), "42"]));
        assert_eq!(entries.len(), count);
        let bytes = std::fs::read(&file).expect("the file");
        assert!(standalone::parse(&bytes).expect("the map") == entries, "{count} entries");
        // And back: Connect takes what is written here, and stores it again with one more.
        std::fs::write(&file, standalone::write(&entries)).expect("write");
        java(&["write", &path, "c", V1, r#"{"incrementing":7}"#]);
        let mut again = standalone::parse(&std::fs::read(&file).expect("the file")).expect("the map");
        let own = format!(r#"["c",{V1}]"#);
        let added = again.iter().position(|(key, _)| key.as_deref() == Some(own.as_bytes())).expect("the new entry");
        assert_eq!(again.remove(added).1.as_deref(), Some(&br#"{"incrementing":7}"#[..]));
        let (mut again, mut entries) = (again, entries);
        again.sort();
        entries.sort();
        assert!(again == entries, "{count} entries");
    }
}

#[test]
fn the_position_of_a_standalone_worker_is_taken_over_and_what_is_not_is_said() {
    let scene = Scene::new().written_by_connect(r#"{"incrementing":7}"#);
    let (file, name) = (scene.file(), scene.connector.name.clone());
    scene.rowtide(&["offsets", "import"], &["--from-file", &file]).expect_code(4).expect_says(&[
        "public.t\n  before  none\n  after   7",
        "skipped: gone has no offset in the file",
        &format!(r#"skipped: an entry that no JDBC source connector would look for: ["{name}",null]"#),
        "left: 1 offset of other connectors: others",
        "say --yes",
    ]);
    assert_eq!(stored_offset(&scene.connector, "public.t"), None);
    scene
        .rowtide(&["offsets", "import"], &["--from-file", &file, "--yes"])
        .expect_code(0)
        .expect_says(&[&format!("written: 1 offset of connector {name}")]);
    scene.once().expect_code(0);
    assert_eq!(scene.ids(), [8, 9, 10]);
}

#[test]
fn a_start_beside_positions_that_were_not_taken_over_is_refused_with_the_command() {
    let scene = Scene::that_names_the_file();
    // No file and an empty one are a worker that has stored nothing.
    scene.rowtide(&["check"], &[]).expect_code(0).expect_says(&["is not there"]);
    std::fs::write(scene.path(), "").expect("write");
    scene.rowtide(&["check"], &[]).expect_code(0);
    std::fs::remove_file(scene.path()).expect("remove");
    let scene = scene.written_by_connect(r#"{"incrementing":7}"#);
    let connector = scene.connector.file().display().to_string();
    let command = format!("rowtide offsets import {connector} --from-file {}", scene.file());
    for words in [&["run", "--once"][..], &["run", "--listen", "off"], &["check"]] {
        scene.rowtide(words, &[]).expect_code(4).expect_says(&["has read up to public.t at 7", &command]);
    }
    assert!(!topics().contains(&scene.connector.topic("t")), "something was read");
    scene.rowtide(&["offsets", "import"], &["--from-file", &scene.file(), "--yes"]).expect_code(0);
    scene.rowtide(&["check"], &[]).expect_code(0).expect_says(&["have been imported"]);
    scene.once().expect_code(0);
    assert_eq!(scene.ids(), [8, 9, 10]);
    // Another table beside it is no reason to stop what goes on; it is said.
    scene.database.run("create table s (id integer primary key); insert into s values (1), (2)");
    java(&[
        "write",
        &scene.file(),
        &scene.connector.name,
        r#"{"protocol":"1","table":"public.s"}"#,
        r#"{"incrementing":1}"#,
    ]);
    let scene = Scene { connector: scene.connector.set("table.whitelist", "s,t"), ..scene };
    scene.rowtide(&["check"], &[]).expect_code(0).expect_says(&["have not been taken over: public.s"]);
    scene.once().expect_code(0).expect_says(&["read as at a first run", "public.s"]);
    // Everything again is what a reset means, and it takes the file out of the way.
    scene.rowtide(&["offsets", "reset"], &["--yes"]).expect_code(0);
    scene.once().expect_code(4);
    let scene = Scene { connector: scene.connector.without("offset.storage.file.filename"), ..scene };
    scene.once().expect_code(0);
    assert_eq!(scene.ids(), [8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn only_a_file_that_can_be_read_and_has_a_position_of_the_connector_stops_a_start() {
    let scene = Scene::that_names_the_file();
    std::fs::write(scene.path(), "no map").expect("write");
    scene.once().expect_code(0).expect_says(&["offset.storage.file.filename is passed over", "byte 0"]);
    assert_eq!(scene.ids().len(), 10);
    let bulk = Scene::that_names_the_file().written_by_connect(r#"{"incrementing":7}"#);
    let bulk = Scene { connector: bulk.connector.set("mode", "bulk"), ..bulk };
    bulk.once().expect_code(0);
    assert_eq!(bulk.ids().len(), 10);
    let elsewhere = Scene::that_names_the_file();
    elsewhere.once().expect_code(0).expect_says(&["is not there"]);
    assert!(!elsewhere.once().expect_code(0).stderr.contains("is not there"), "it has positions of its own now");
    let broken = Scene::that_names_the_file().written_by_connect(r#"{"incrementing":"7"}"#);
    broken.once().expect_code(1).expect_says(&["not a 64-bit integer", "connect.offsets", "public.t"]);
}

#[test]
fn kafka_connect_goes_on_from_what_was_exported_and_keeps_what_others_have() {
    let scene = Scene::new().written_by_connect(r#"{"incrementing":3}"#);
    let (file, name) = (scene.file(), scene.connector.name.clone());
    scene.rowtide(&["offsets", "export"], &["--to-file", &file]).expect_code(2).expect_says(&["no offset is stored"]);
    scene.rowtide(&["offsets", "import"], &["--from-file", &file, "--yes"]).expect_code(0);
    scene.once().expect_code(0);
    let said = format!("written: 1 offset of connector {name}; 1 of others kept");
    scene.rowtide(&["offsets", "export"], &["--to-file", &file]).expect_code(0).expect_says(&[&said]);
    let read = || java(&["read", &file, &name, V1, "others", V1, &name, r#"{"table":"gone"}"#]);
    assert_eq!(read(), [r#"{"incrementing":10}"#, r#"{"incrementing":1}"#, "null"]);
    // There and back again changes nothing.
    scene.rowtide(&["offsets", "import"], &["--from-file", &file, "--yes"]).expect_code(0);
    scene.once().expect_code(0);
    assert_eq!(scene.ids(), (4..=10).collect::<Vec<_>>());
    // What is rowtide's own in an offset is no trouble to Connect, nor is an empty file.
    let document = json!({"offsets": [{"partition": {"protocol": "1", "table": "public.t"}, "offset": {
        "timestamp_nanos": 123_456_000, "incrementing": 5, "timestamp": 1_700_000_000_123_i64,
        "rowtide": 1, "rowtide_position": "[{\"us\":1700000000123456},{\"i\":5}]", "rowtide_accepted": true,
    }}]});
    let saved = scene.folder.path().join("offsets.json");
    std::fs::write(&saved, document.to_string()).expect("write");
    scene.rowtide(&["offsets", "import"], &[&saved.display().to_string(), "--yes"]).expect_code(0);
    std::fs::write(&file, "").expect("write");
    scene.rowtide(&["offsets", "export"], &["--to-file", &file]).expect_code(0).expect_says(&["; 0 of others kept"]);
    let offset: Json = serde_json::from_str(&read()[0]).expect("JSON");
    assert_eq!(offset, document["offsets"][0]["offset"]);
    assert_eq!(std::fs::read_dir(scene.folder.path()).expect("the folder").count(), 2, "nothing else is left there");
}

#[test]
fn a_file_that_cannot_be_taken_over_is_refused_with_the_reason() {
    let scene = Scene::new();
    let name = scene.connector.name.clone();
    let import = |file: &str| scene.rowtide(&["offsets", "import"], &["--from-file", file, "--yes"]).expect_code(2);
    import("/no/such/connect.offsets").expect_says(&["/no/such/connect.offsets", "No such file"]);
    let near = format!("{name}2");
    java(&["write", &scene.file(), "zz", V1, r#"{"incrementing":1}"#, &near, V1, r#"{"incrementing":1}"#]);
    import(&scene.file()).expect_says(&[&format!("no offsets of connector `{name}`"), &format!("those of {near}, zz")]);
    scene
        .rowtide(&["offsets", "import"], &[&scene.file(), "--yes"])
        .expect_code(2)
        .expect_says(&["give it with --from-file"]);
    let both = [&scene.file(), "--from-file", &scene.file(), "--yes"];
    scene.rowtide(&["offsets", "import"], &both).expect_code(2).expect_says(&["cannot be used with"]);
    scene.rowtide(&["offsets", "import"], &["--yes"]).expect_code(2).expect_says(&["--from-file"]);
    let bytes = std::fs::read(scene.path()).expect("the file");
    for (changed, says) in [
        (&b""[..], "the file is empty"),
        (&bytes[..bytes.len() - 9], "cut short"),
        (&b"{\"offsets\":[]}"[..], "goes without --from-file"),
    ] {
        std::fs::write(scene.path(), changed).expect("write");
        import(&scene.file()).expect_says(&["connect.offsets", says]);
        // Nor is it written over.
        if !changed.is_empty() {
            scene.rowtide(&["offsets", "set", "--incrementing", "1", "--yes"], &[]).expect_code(0);
            scene.rowtide(&["offsets", "export"], &["--to-file", &scene.file()]).expect_code(2).expect_says(&["byte "]);
            assert_eq!(std::fs::read(scene.path()).expect("the file"), changed);
        }
    }
    java(&["write", &format!("{}2", scene.file()), &name, V1, "null"]);
    import(&format!("{}2", scene.file())).expect_says(&["none of the entries", "public.t has no offset in the file"]);
}
