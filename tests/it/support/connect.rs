//! Kafka Connect's own classes, out of the libraries that the broker came with.

use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::address;

/// Runs `connect/ConnectOffsets.java`; its lines.
#[track_caller]
pub fn java(words: &[&str]) -> Vec<String> {
    run("ConnectOffsets", words, Stdio::null())
}

/// Moves the leaders of all replicated partitions to other brokers; how many.
#[track_caller]
pub fn move_leaders() -> usize {
    let lines = run("MoveLeaders", &[&address("ROWTIDE_TEST_BOOTSTRAP")], Stdio::null());
    lines.first().and_then(|count| count.parse().ok()).expect("a number")
}

/// Runs `connect/ConnectRecords.java` on lines of converters and records; its lines.
#[track_caller]
pub fn converters(lines: &str) -> Vec<String> {
    fed("converters", lines)
}

/// Runs `connect/ConnectRecords.java` on lines of chains and records; its lines.
#[track_caller]
pub fn transforms(lines: &str) -> Vec<String> {
    fed("transforms", lines)
}

/// Runs `connect/StreamsTables.java` on a topic of so many rows, with clicks on these keys; its lines.
#[track_caller]
pub fn streams_tables(topic: &str, rows: usize, keys: &[String]) -> Vec<String> {
    let (brokers, rows) = (address("ROWTIDE_TEST_BOOTSTRAP"), rows.to_string());
    let words: Vec<&str> = [&*brokers, topic, &rows].into_iter().chain(keys.iter().map(String::as_str)).collect();
    run("StreamsTables", &words, Stdio::null())
}

#[track_caller]
fn fed(what: &str, lines: &str) -> Vec<String> {
    let mut input = tempfile::tempfile().expect("a file");
    input.write_all(lines.as_bytes()).expect("write");
    input.rewind().expect("rewind");
    let lines_out = run("ConnectRecords", &[what], Stdio::from(input));
    assert_eq!(lines_out.len(), lines.lines().count());
    lines_out
}

#[track_caller]
fn run(class: &str, words: &[&str], input: Stdio) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/connect/{class}.java"));
    let classes = format!("{}/*", address("ROWTIDE_TEST_KAFKA_LIBS"));
    let mut command = Command::new(address("ROWTIDE_TEST_JAVA"));
    // The first compiler alone starts twice as fast.
    command.args(["-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC", "-cp", &classes]).arg(source).args(words);
    let output = command.stdin(input).output().expect("start java");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    assert!(output.status.success(), "java {class} {words:?}: {}", text(output.stderr));
    text(output.stdout).lines().map(str::to_owned).collect()
}

/// Gives the user `limited` rights, or takes them: `kafka-acls` with these words.
#[track_caller]
pub fn acls(words: &[&str]) {
    let classes = format!("{}/*", address("ROWTIDE_TEST_KAFKA_LIBS"));
    let brokers = address("ROWTIDE_TEST_BOOTSTRAP");
    let mut command = Command::new(address("ROWTIDE_TEST_JAVA"));
    command.args(["-XX:TieredStopAtLevel=1", "-cp", &classes, "org.apache.kafka.tools.AclCommand"]);
    command.args(["--bootstrap-server", &brokers, "--force"]).args(words);
    let output = command.output().expect("start java");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Error while"), "acls {words:?}: {said}");
}
