//! Kafka Connect's own classes, out of the libraries that the broker came with.

use std::path::Path;
use std::process::Command;

use super::address;

/// Runs `connect/ConnectOffsets.java`; its lines.
#[track_caller]
pub fn java(words: &[&str]) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/connect/ConnectOffsets.java");
    let classes = format!("{}/*", address("ROWTIDE_TEST_KAFKA_LIBS"));
    let mut command = Command::new(address("ROWTIDE_TEST_JAVA"));
    // The first compiler alone starts twice as fast.
    command.args(["-XX:TieredStopAtLevel=1", "-cp", &classes]).arg(source).args(words);
    let output = command.output().expect("start java");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    assert!(output.status.success(), "java {words:?}: {}", text(output.stderr));
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
