//! REST as a person or a script asks it: every request is one run of `curl`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::kafka::read_topic;
use super::process::Running;
use super::{PATIENCE, Stack, eventually, replication, unique};

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    options: Vec<String>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// In lower case, line by line.
    pub head: String,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The message of an error.
    #[track_caller]
    pub fn message(&self) -> String {
        let body = self.json();
        assert_eq!(body["error_code"], self.status, "{self:?}");
        body["message"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Client {
    /// A client of `host:port`.
    pub fn new(address: &str) -> Self {
        let base = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        Self { base, options: Vec::new() }
    }

    /// The same with other words for `curl`.
    pub fn with(&self, options: &[&str]) -> Self {
        let options = self.options.iter().cloned().chain(options.iter().map(|option| (*option).to_owned()));
        Self { base: self.base.clone(), options: options.collect() }
    }

    /// The URL in front of every path.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// None if nobody answers.
    pub fn try_call(&self, method: &str, path: &str, body: Option<&str>) -> Option<Answer> {
        let mut command = Command::new("curl");
        command
            .args(["-s", "-i", "--path-as-is", "--max-time", "120", "-H", "Expect:", "-X", method])
            .args(&self.options);
        if let Some(body) = body {
            if !self.options.iter().any(|option| option.to_lowercase().starts_with("content-type")) {
                command.args(["-H", "Content-Type: application/json"]);
            }
            command.args(["--data-binary", body]);
        }
        let output = command.arg(format!("{}{path}", self.base)).output().expect("start curl");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok())?;
        let lower = |line: &str| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
            None => line.to_owned(),
        };
        let head = head.lines().map(lower).collect::<Vec<_>>().join("\n");
        Some(Answer { status, head, body: body.to_owned() })
    }

    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        self.try_call(method, path, body).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &Json) -> Answer {
        self.call(method, path, Some(&body.to_string()))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    /// Waits until a connector is in a state, with so many tasks in the same.
    #[track_caller]
    pub fn wait_for(&self, path: &str, state: &str, tasks: usize) -> Json {
        eventually(&format!("{path} is {state} with {tasks} tasks"), PATIENCE, || {
            let answer = self.try_call("GET", &format!("{path}/status"), None)?;
            let status: Json = serde_json::from_str(&answer.body).ok()?;
            let all = status["tasks"].as_array()?;
            let is_so = status["connector"]["state"] == state
                && all.len() == tasks
                && all.iter().all(|task| task["state"] == state);
            is_so.then_some(status)
        })
    }
}

/// A worker's file with topics and a group of its own, and the process on it.
pub struct Worker {
    folder: tempfile::TempDir,
    pub name: String,
}

impl Worker {
    pub fn new() -> Self {
        let (folder, name) = (tempfile::tempdir().expect("a folder"), unique("rest"));
        let text = [
            format!("bootstrap.servers={}", Stack::get().brokers),
            format!("group.id={name}"),
            format!("config.storage.topic={name}-configs"),
            format!("offset.storage.topic={name}-offsets"),
            format!("config.storage.replication.factor={}", replication()),
            format!("offset.storage.replication.factor={}", replication()),
            "offset.storage.partitions=1".to_owned(),
            "key.converter=org.apache.kafka.connect.json.JsonConverter".to_owned(),
            "value.converter=org.apache.kafka.connect.json.JsonConverter".to_owned(),
            "key.converter.schemas.enable=false".to_owned(),
            "value.converter.schemas.enable=false".to_owned(),
        ];
        std::fs::write(folder.path().join("worker.properties"), text.join("\n")).expect("write");
        Self { folder, name }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("worker.properties")
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts `rowtide worker` on a free port of this machine.
    #[track_caller]
    pub fn start(&self, more: &[&str]) -> (Running, Client) {
        let arguments: Vec<&str> = ["--listen", "127.0.0.1:0"].into_iter().chain(more.iter().copied()).collect();
        let mut running = Running::worker(&self.file(), &arguments);
        let client = Client::new(&running.address());
        eventually("the worker has started", PATIENCE, || {
            let answer = client.try_call("GET", "/health", None);
            assert!(answer.is_some() || running.is_alive(), "it has ended:\n{}", running.log());
            (answer?.status == 200).then_some(())
        });
        (running, client)
    }
}

/// Waits until a topic has so many records, whatever is in them.
#[track_caller]
pub fn wait_for_raw(topic: &str, count: usize) {
    eventually(&format!("{count} records in {topic}"), PATIENCE, || (read_topic(topic).len() >= count).then_some(()));
}

/// Settings that read the id of `test_table`.
pub fn settings(jdbc_url: &str, prefix: &str) -> Json {
    let mut settings = json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector",
        "connection.url": jdbc_url,
        "mode": "incrementing",
        "incrementing.column.name": "seq",
        "table.whitelist": "test_table",
        "topic.prefix": prefix,
        "poll.interval.ms": 50,
    });
    if jdbc_url.starts_with("jdbc:postgresql") {
        settings["connection.user"] = json!("postgres");
        settings["connection.password"] = json!("canary-password");
    }
    settings
}
