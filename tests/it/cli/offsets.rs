//! `offsets`: what is stored can be seen, moved, taken elsewhere and brought back, and never by accident.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value as Json, json};

use super::{offsets, once, path, text_file, w1};
use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{records, wait_for_records};
use crate::support::oracle::stored_offset;
use crate::support::process::{Running, finish, rowtide, run};

fn stored(file: &str) -> Json {
    let text = offsets("list", file, &["--json"]).expect_code(0).stdout;
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn what_is_stored_is_listed_for_people_and_machines() {
    let (_database, connector, file) = w1(3);
    offsets("list", &file, &[]).expect_code(0).expect_says(&[&connector.name, "no offsets stored"]);
    once(&file);
    let text = offsets("list", &file, &[]).expect_code(0).stdout;
    for said in ["public.test_table", "Z, 3", "guard snapshot", "rowtide-test-offsets", "s ago"] {
        assert!(text.contains(said), "`{said}` is not in\n{text}");
    }
    let listed = stored(&file);
    let entry = &listed[0];
    assert_eq!(entry["partition"], json!({"protocol": "1", "table": "public.test_table"}));
    assert_eq!(Some(&entry["offset"]), stored_offset(&connector, "public.test_table").as_ref());
    assert_eq!((&entry["connector"], &entry["selected"]), (&json!(connector.name), &json!(true)));
    assert_eq!(entry["guard"], "snapshot");
    assert!(entry["age_seconds"].as_i64().is_some_and(|age| (0..600).contains(&age)), "{entry}");
}

#[test]
fn tables_no_longer_selected_are_listed_and_marked() {
    let (_database, mut connector, file) = w1(1);
    once(&file);
    connector.keys.insert("table.whitelist".into(), "other".into());
    let file = path(connector.file());
    offsets("list", &file, &[]).expect_code(0).expect_says(&["public.test_table", "(no longer selected)"]);
    assert_eq!(stored(&file)[0]["selected"], json!(false));
}

#[test]
fn a_change_off_a_terminal_needs_yes_and_else_nothing_changes() {
    let (_database, connector, file) = w1(2);
    once(&file);
    let before = stored_offset(&connector, "public.test_table");
    for line in [&["set", "--incrementing", "1"][..], &["reset"], &["reset", "--table", "test_table"]] {
        offsets(line[0], &file, &line[1..]).expect_code(4).expect_says(&["before", "after", "say --yes"]);
        assert_eq!(stored_offset(&connector, "public.test_table"), before);
    }
}

#[test]
fn a_set_position_is_where_the_next_run_reads_on() {
    let database = Postgres::with_test_table();
    for day in 1..=5 {
        database.run(&format!("insert into test_table (ts, item) values ('2024-01-0{day} 00:00:00', 'day {day}')"));
    }
    let connector = Connector::of_test_table(&database.jdbc_url());
    let file = path(connector.file());
    // Never polled: the bare name finds the table in the database.
    offsets(
        "set",
        &file,
        &["--table", "test_table", "--timestamp", "2024-01-03T00:00:00Z", "--incrementing", "3", "--yes"],
    )
    .expect_code(0)
    .expect_says(&["public.test_table", "before  none", "after   2024-01-03T00:00:00Z, 3", "written: 1 offset"]);
    once(&file);
    let items = |records: &[crate::support::kafka::Record]| {
        records.iter().map(|record| record.field("item")).collect::<Vec<_>>()
    };
    assert_eq!(items(&records(&connector.topic("test_table"))), [json!("day 4"), json!("day 5")]);
    // By its full name, as milliseconds; what is not given stays.
    offsets("set", &file, &["--table", "public.test_table", "--timestamp", "1704412800000", "--yes"])
        .expect_code(0)
        .expect_says(&["after   2024-01-05T00:00:00Z, 5"]);
    offsets("set", &file, &["--incrementing", "4", "--yes"])
        .expect_code(0)
        .expect_says(&["after   2024-01-05T00:00:00Z, 4"]);
    once(&file);
    assert_eq!(items(&records(&connector.topic("test_table"))), [json!("day 4"), json!("day 5"), json!("day 5")]);
    offsets("reset", &file, &["--table", "test_table", "--yes"]).expect_code(0).expect_says(&["after   none"]);
    assert_eq!(stored(&file), json!([]));
    once(&file);
    assert_eq!(records(&connector.topic("test_table")).len(), 3 + 5);
}

#[test]
fn a_set_that_makes_no_sense_is_refused_with_the_reason() {
    let (database, connector, file) = w1(1);
    database.run("create table second (seq int primary key, ts timestamp not null)");
    for (line, says) in [
        (&["--yes"][..], &["nothing to set", "--timestamp, --incrementing"][..]),
        (
            &["--table", "tset_table", "--incrementing", "1", "--timestamp", "0", "--yes"],
            &["does not select a table `tset_table`", "public.test_table"],
        ),
        (&["--incrementing", "1", "--yes"], &["an id alone", "--timestamp too"]),
    ] {
        offsets("set", &file, line).expect_code(2).expect_says(says);
    }
    offsets("get", &file, &["--table", "nix"]).expect_code(2).expect_says(&["no offset is stored for `nix`"]);
    once(&file);
    offsets("reset", &file, &["--table", "nix", "--yes"])
        .expect_code(2)
        .expect_says(&["no offset is stored for `nix`", "public.test_table"]);
    let several = connector.set("table.whitelist", "test_table,second");
    let file = path(several.file());
    once(&file);
    database.run("insert into second values (1, '2024-01-01')");
    once(&file);
    offsets("set", &file, &["--incrementing", "1", "--yes"]).expect_code(2).expect_says(&[
        "would change 2 offsets",
        "public.second",
        "public.test_table",
    ]);
    for (mode, flag, says) in [
        ("bulk", "--incrementing", "mode=bulk has no offsets"),
        ("incrementing", "--timestamp", "has no timestamp"),
        ("timestamp", "--incrementing", "has no id"),
    ] {
        let other = Connector::of_test_table(&database.jdbc_url()).set("mode", mode);
        offsets("set", &path(other.file()), &[flag, "1", "--yes"]).expect_code(2).expect_says(&[says]);
    }
}

#[test]
fn a_living_instance_is_not_moved_under_and_force_fences_it() {
    let (_database, connector, file) = w1(2);
    let mut running = Running::start(&connector.file(), &[]);
    wait_for_records(&connector.topic("test_table"), 2);
    let before = stored_offset(&connector, "public.test_table");
    let line = ["--timestamp", "0", "--incrementing", "0", "--yes"];
    crate::support::eventually("the instance is seen", crate::support::PATIENCE, || {
        let finished = offsets("set", &file, &line);
        (finished.code == Some(4)).then(|| finished.expect_says(&["is running", "--force"]))
    });
    assert!(running.is_alive());
    assert_eq!(stored_offset(&connector, "public.test_table"), before);
    offsets("set", &file, &[&line[..], &["--force"]].concat())
        .expect_code(0)
        .expect_says(&["after   1970-01-01T00:00:00Z, 0"]);
    // It learns that it was fenced when it writes.
    _database.run("insert into test_table (item) values ('after the fence')");
    running.wait_for_log("fenced");
    assert_eq!(running.exit_code(), Some(4));
    once(&file);
    wait_for_records(&connector.topic("test_table"), 2 + 3);
}

#[test]
fn what_export_wrote_can_be_imported() {
    let (_database, connector, file) = w1(4);
    once(&file);
    let (_folder, saved) = text_file("offsets.json", "");
    offsets("export", &file, &[&saved]).expect_code(0);
    let before = stored_offset(&connector, "public.test_table").expect("an offset");
    let document: Json = serde_json::from_str(&std::fs::read_to_string(&saved).expect("the file")).expect("JSON");
    assert_eq!(
        document,
        json!({"offsets": [{"partition": {"protocol": "1", "table": "public.test_table"}, "offset": before}]})
    );
    assert_eq!(
        offsets("export", &file, &["-"]).expect_code(0).stdout,
        std::fs::read_to_string(&saved).expect("the file")
    );
    assert_eq!(offsets("get", &file, &[]).expect_code(0).stdout, std::fs::read_to_string(&saved).expect("the file"));
    let (_other, to) = text_file("one.json", "");
    offsets("get", &file, &["--table", "test_table", "--to", &to]).expect_code(0);
    assert_eq!(std::fs::read_to_string(&to).expect("the file"), std::fs::read_to_string(&saved).expect("the file"));
    offsets("reset", &file, &["--yes"]).expect_code(0);
    offsets("import", &file, &[&saved]).expect_code(4).expect_says(&["before  none", "say --yes"]);
    offsets("import", &file, &[&saved, "--yes"]).expect_code(0);
    assert_eq!(stored_offset(&connector, "public.test_table"), Some(before));
    once(&file);
    assert_eq!(records(&connector.topic("test_table")).len(), 4);
}

#[test]
fn a_file_in_the_form_of_connects_rest_interface_is_imported_from_a_pipe() {
    let (_database, connector, file) = w1(4);
    let document = json!({"offsets": [{
        "partition": {"protocol": "1", "table": "public.test_table"},
        "offset": {"timestamp_nanos": 0, "incrementing": 2, "timestamp": 4_102_444_800_000_i64},
    }]});
    let mut child = rowtide()
        .args(["offsets", "import", &file, "-", "--yes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    child.stdin.take().expect("stdin").write_all(document.to_string().as_bytes()).expect("write");
    let finished = crate::support::process::Finished::from(child.wait_with_output().expect("wait"));
    finished.expect_code(0).expect_says(&["after   2100-01-01T00:00:00Z, 2"]);
    once(&file);
    assert_eq!(records(&connector.topic("test_table")).len(), 0, "nothing is newer than the year 2100");
}

#[test]
fn a_file_that_is_no_offsets_is_refused_with_the_reason() {
    let (_database, _connector, file) = w1(1);
    for text in [
        "",
        "{",
        "[]",
        "{\"offsets\": []}",
        "{\"offsets\": [{\"partition\": {}}]}",
        "{\"offsets\": [{\"partition\": {\"protocol\":\"1\",\"table\":\"t\"}, \"offset\": {\"incrementing\": \"x\"}}]}",
    ] {
        let (_folder, wrong) = text_file("wrong.json", text);
        offsets("import", &file, &[&wrong, "--yes"]).expect_code(2).expect_says(&["wrong.json", "what to do"]);
    }
    offsets("import", &file, &["/no/such/offsets.json", "--yes"])
        .expect_code(2)
        .expect_says(&["/no/such/offsets.json"]);
    run(&["offsets", "list", &file]).expect_code(0).expect_says(&["no offsets stored"]);
    finish(rowtide().args(["offsets", "export", &file, "/no/such/folder/x.json"]))
        .expect_code(2)
        .expect_says(&["/no/such/folder/x.json"]);
}
