//! Kafka Connect's own classes, out of the libraries that the broker came with.

use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::rest::Client;
use super::{PATIENCE, Stack, address, eventually, replication};

/// Runs `connect/ConnectOffsets.java`; its lines.
#[track_caller]
pub fn java(words: &[&str]) -> Vec<String> {
    run("ConnectOffsets", words, Stdio::null())
}

/// Runs `connect/ConnectKeys.java`; its lines, each as its words.
#[track_caller]
pub fn keys() -> Vec<Vec<String>> {
    let lines = run("ConnectKeys", &[], Stdio::null());
    lines.iter().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
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

/// Runs `connect/RegistryFormats.java` on lines of schemas and records; its lines.
#[track_caller]
pub fn registry_formats(what: &str, lines: &str) -> Vec<String> {
    fed_to("RegistryFormats", what, lines)
}

#[track_caller]
fn fed(what: &str, lines: &str) -> Vec<String> {
    fed_to("ConnectRecords", what, lines)
}

#[track_caller]
fn fed_to(class: &str, what: &str, lines: &str) -> Vec<String> {
    let mut input = tempfile::tempfile().expect("a file");
    input.write_all(lines.as_bytes()).expect("write");
    input.rewind().expect("rewind");
    let lines_out = run(class, &[what], Stdio::from(input));
    assert_eq!(lines_out.len(), lines.lines().count());
    lines_out
}

/// The libraries of JSON Schema and Protobuf that the registry came with, without those that Kafka brings too.
fn libraries_of_the_registry() -> String {
    const OURS: [&str; 9] = [
        "com.google.protobuf",
        "com.google.api.grpc",
        "com.google.code.gson",
        "com.google.guava",
        "com.google.re2j",
        "com.squareup",
        "com.github.erosb",
        "org.json",
        "org.jetbrains.kotlin",
    ];
    let folder = address("ROWTIDE_TEST_REGISTRY_LIBS");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let ours = names.filter(|name| OURS.iter().any(|group| name.starts_with(group)));
    ours.map(|name| format!(":{folder}/{name}")).collect()
}

#[track_caller]
fn run(class: &str, words: &[&str], input: Stdio) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/connect/{class}.java"));
    let mut classes = format!("{}/*", address("ROWTIDE_TEST_KAFKA_LIBS"));
    let mut command = Command::new(address("ROWTIDE_TEST_JAVA"));
    match class {
        "RegistryFormats" => classes.push_str(&libraries_of_the_registry()),
        "FlinkReaders" => {
            // Its Kafka client is another one.
            classes = format!("{}/*", address("ROWTIDE_TEST_FLINK_LIBS"));
            let opened = ["util", "lang", "time"].map(|package| format!("java.base/java.{package}=ALL-UNNAMED"));
            for package in opened {
                command.args(["--add-opens", &package]);
            }
        }
        _ => {}
    }
    // The first compiler alone starts twice as fast.
    command.args(["-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC", "-cp", &classes]).arg(source).args(words);
    let output = command.stdin(input).output().expect("start java");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    assert!(output.status.success(), "java {class} {words:?}: {}", text(output.stderr));
    text(output.stdout).lines().map(str::to_owned).collect()
}

/// Runs `connect/FlinkReaders.java` on statements; its lines.
#[track_caller]
pub fn flink(statements: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script.sql");
    std::fs::write(&script, statements).expect("write");
    run("FlinkReaders", &[&script.display().to_string()], Stdio::null())
}

/// Gives the user `limited` rights, or takes them: `kafka-acls` with these words.
#[track_caller]
pub fn acls(words: &[&str]) {
    tool("org.apache.kafka.tools.AclCommand", &[&["--force"], words].concat());
}

/// Makes the user `limited` one that can log in by a mechanism of SCRAM: `kafka-configs`.
#[track_caller]
pub fn scram_user(mechanism: &str, password: &str) {
    let login = format!("{mechanism}=[password={password}]");
    let user = ["--alter", "--add-config", &login, "--entity-type", "users", "--entity-name", "limited"];
    tool("kafka.admin.ConfigCommand", &user);
}

/// Runs a tool of Kafka's command line.
#[track_caller]
fn tool(class: &str, words: &[&str]) {
    let classes = format!("{}/*", address("ROWTIDE_TEST_KAFKA_LIBS"));
    let brokers = address("ROWTIDE_TEST_BOOTSTRAP");
    let mut command = Command::new(address("ROWTIDE_TEST_JAVA"));
    command.args(["-XX:TieredStopAtLevel=1", "-cp", &classes, class, "--bootstrap-server", &brokers]).args(words);
    let output = command.output().expect("start java");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Error while"), "{class} {words:?}: {said}");
}

/// A real worker in distributed mode, with a stand-in of the JDBC connector's name; killed with the test.
pub struct ConnectWorker {
    child: Child,
    client: Client,
    folder: tempfile::TempDir,
}

impl ConnectWorker {
    /// Starts one on the topics that a worker file of rowtide names.
    #[track_caller]
    pub fn start(worker: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let (libs, java) = (address("ROWTIDE_TEST_KAFKA_LIBS"), address("ROWTIDE_TEST_JAVA"));
        let classes = folder.path().join("classes");
        let services = classes.join("META-INF/services");
        std::fs::create_dir_all(&services).expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/connect/JdbcSourceConnector.java");
        let mut compiler = Command::new(&java);
        // The compiler takes no stars.
        let jars: Vec<String> = std::fs::read_dir(&libs)
            .expect("the libraries")
            .map(|jar| jar.expect("a file").path().display().to_string())
            .collect();
        compiler.args(["-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", &jars.join(":"), "-d"]);
        compiler.arg(&classes).arg(source);
        let compiled = compiler.output().expect("start the compiler");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let service = services.join("org.apache.kafka.connect.source.SourceConnector");
        std::fs::write(service, "io.confluent.connect.jdbc.JdbcSourceConnector").expect("write");
        let status = format!("{}-status", super::unique("connect"));
        let own = [
            ("listeners".to_owned(), format!("http://127.0.0.1:{port}")),
            ("status.storage.topic".to_owned(), status),
            ("status.storage.replication.factor".to_owned(), replication().to_string()),
            ("status.storage.partitions".to_owned(), "1".to_owned()),
            ("plugin.discovery".to_owned(), "service_load".to_owned()),
            ("exactly.once.source.support".to_owned(), "enabled".to_owned()),
            ("offset.flush.interval.ms".to_owned(), "500".to_owned()),
            ("bootstrap.servers".to_owned(), Stack::get().brokers),
        ];
        let mut text = std::fs::read_to_string(worker).expect("the worker's file");
        own.iter().for_each(|(key, value)| text.push_str(&format!("\n{key}={value}")));
        let file = folder.path().join("connect.properties");
        std::fs::write(&file, text).expect("write");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let paths = format!("{libs}/*:{}", classes.display());
        let mut command = Command::new(&java);
        command.args(["-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", &paths]);
        command.arg("org.apache.kafka.connect.cli.ConnectDistributed").arg(&file);
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let child = command.spawn().expect("start java");
        let worker = Self { child, client: Client::new(&format!("127.0.0.1:{port}")), folder };
        eventually("the worker is up", PATIENCE * 2, || {
            let answer = worker.client.try_call("GET", "/connectors", None)?;
            (answer.status == 200).then_some(())
        });
        worker
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Ends it in order, so that its group has no member any more.
    pub fn stop(mut self) {
        super::process::signal(self.child.id(), "TERM");
        eventually("the worker ends", PATIENCE, || self.child.try_wait().expect("wait"));
    }
}

impl Drop for ConnectWorker {
    fn drop(&mut self) {
        end(&mut self.child, self.folder.path());
    }
}

/// A real worker in standalone mode with Debezium's JDBC sink; killed with the test.
pub struct SinkWorker {
    child: Child,
    folder: tempfile::TempDir,
}

impl SinkWorker {
    /// Starts one with a sink for each group of keys: upserts by the record's key, deletes by tombstones, columns as they come.
    #[track_caller]
    pub fn start(sinks: &[Vec<(String, String)>]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let text =
            |keys: &[(&str, &str)]| keys.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>();
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let worker = text(&[
            ("bootstrap.servers", &Stack::get().brokers),
            ("key.converter", json),
            ("value.converter", json),
            ("offset.storage.file.filename", &path("offsets").display().to_string()),
            ("listeners", "http://127.0.0.1:0"),
            ("plugin.discovery", "service_load"),
            ("consumer.auto.offset.reset", "earliest"),
            ("consumer.isolation.level", "read_committed"),
        ]);
        std::fs::write(path("worker.properties"), worker).expect("write");
        let log = std::fs::File::create(path("log")).expect("a log");
        let paths = format!("{}/*:{}/*", address("ROWTIDE_TEST_KAFKA_LIBS"), address("ROWTIDE_TEST_SINK_LIBS"));
        let mut command = Command::new(address("ROWTIDE_TEST_JAVA"));
        command.args(["-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", &paths]);
        command.arg("org.apache.kafka.connect.cli.ConnectStandalone").arg(path("worker.properties"));
        for (index, keys) in sinks.iter().enumerate() {
            let mut sink = text(&[
                ("name", &super::unique("sink")),
                ("connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector"),
                ("connection.username", "postgres"),
                ("connection.password", "postgres"),
                ("insert.mode", "upsert"),
                ("delete.enabled", "true"),
                ("primary.key.mode", "record_key"),
                ("schema.evolution", "basic"),
            ]);
            keys.iter().for_each(|(key, value)| sink.push_str(&format!("{key}={value}\n")));
            let file = path(&format!("sink-{index}.properties"));
            std::fs::write(&file, sink).expect("write");
            command.arg(file);
        }
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        Self { child: command.spawn().expect("start java"), folder }
    }
}

impl Drop for SinkWorker {
    fn drop(&mut self) {
        end(&mut self.child, self.folder.path());
    }
}

/// Kills a worker, and shows what went wrong in it if the test has failed.
fn end(child: &mut Child, folder: &Path) {
    let _ = child.kill();
    let _ = child.wait();
    if std::thread::panicking() {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).take(20).collect();
        eprintln!("--- errors of Kafka Connect ---\n{}", errors.join("\n"));
    }
}
