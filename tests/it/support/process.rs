//! Runs of the real binary, as a user or an orchestrator would.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::config::Connector;
use super::{PATIENCE, eventually};

/// The binary with no environment of its own that could steer it.
pub fn rowtide() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rowtide"));
    for (name, _) in std::env::vars() {
        if name.starts_with("CONNECT_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Finished {
    finish(rowtide().args(arguments))
}

/// `rowtide run --once` of a connector.
#[track_caller]
pub fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", connector.file().to_str().expect("a path")])
}

/// `rowtide check` of a connector.
#[track_caller]
pub fn checked(connector: &Connector) -> Finished {
    run(&["check", connector.file().to_str().expect("a path")])
}

/// Runs a command to its end, within the patience.
pub fn finish(command: &mut Command) -> Finished {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start rowtide");
    let pid = child.id();
    let waiting = std::thread::spawn(move || child.wait_with_output().expect("wait"));
    let deadline = Instant::now() + PATIENCE * 2;
    while !waiting.is_finished() {
        if Instant::now() > deadline {
            signal(pid, "KILL");
            let output = waiting.join().expect("wait");
            panic!("rowtide did not end; stderr: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Finished::from(waiting.join().expect("wait"))
}

/// The output of a finished command.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The error output holds each of the texts.
    #[track_caller]
    pub fn expect_says(self, texts: &[&str]) -> Self {
        for text in texts {
            let all = format!("{}{}", self.stdout, self.stderr);
            assert!(all.contains(text), "`{text}` is not said in:\n{all}");
        }
        self
    }
}

/// A running `rowtide run`; killed with the test.
pub struct Running {
    child: Child,
    log: std::path::PathBuf,
    out: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts `rowtide run FILE`, logging to a file of its own. REST is off unless asked for.
    pub fn start(file: &Path, more: &[&str]) -> Self {
        let mut command = rowtide();
        command.arg("run").arg(file).args(more);
        if !more.contains(&"--listen") && !more.contains(&"--once") {
            command.args(["--listen", "off"]);
        }
        Self::spawn(command)
    }

    /// Starts `rowtide worker --worker FILE`.
    pub fn worker(file: &Path, more: &[&str]) -> Self {
        let mut command = rowtide();
        command.arg("worker").arg("--worker").arg(file).args(more);
        Self::spawn(command)
    }

    /// Starts a command of the binary, which runs until it is ended.
    pub fn spawn(mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, out) = (folder.path().join("log"), folder.path().join("out"));
        let file = |path| std::fs::File::create(path).expect("a file");
        let child = command.stdout(file(&out)).stderr(file(&log)).spawn().expect("start rowtide");
        Self { child, log, out, _folder: folder }
    }

    /// Standard output until now.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True if it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM, and its exit code.
    pub fn terminate(self) -> Option<i32> {
        signal(self.pid(), "TERM");
        self.exit_code()
    }

    /// Waits for its end.
    pub fn exit_code(mut self) -> Option<i32> {
        self.ended()
    }

    /// The same; the log can be read afterwards.
    pub fn ended(&mut self) -> Option<i32> {
        eventually("rowtide ends", PATIENCE, || self.child.try_wait().expect("wait")).code()
    }

    /// The address of health, status and metrics; started with `--listen 127.0.0.1:0`.
    pub fn address(&mut self) -> String {
        self.wait_for_log("health and metrics address=");
        let log = self.log();
        let (_, after) = log.split_once("health and metrics address=").expect("an address");
        after.split_whitespace().next().expect("an address").to_owned()
    }

    /// Waits until the log holds a text.
    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_for_log_in_order(&[text]);
    }

    /// Waits until the log holds texts one behind the other.
    pub fn wait_for_log_in_order(&mut self, texts: &[&str]) {
        let holds = |log: &str| {
            let rest = texts.iter().try_fold(log, |rest, text| rest.split_once(text).map(|(_, rest)| rest));
            rest.is_some()
        };
        let alive = eventually(&format!("the log says {texts:?}"), PATIENCE, || {
            if holds(&self.log()) {
                Some(true)
            } else if self.is_alive() {
                None
            } else {
                Some(false)
            }
        });
        assert!(alive || holds(&self.log()), "rowtide ended without saying {texts:?}:\n{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of rowtide ---\n{}", self.log());
        }
    }
}

/// Sends a signal to a process this test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill");
    assert!(status.success(), "no process {pid}");
}

/// Runs a command on a pseudo terminal, answering what it asks with `ANSWER` of `environment`; all it showed.
pub fn on_a_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("stty cols 200; {} {}", env!("CARGO_BIN_EXE_rowtide"), words.join(" "));
    let mut command = Command::new("timeout");
    command.args(["120", "script", "-qec", &line, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm");
    command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("script (of util-linux)");
    let mut stdin = child.stdin.take().expect("stdin");
    if let Some((_, answer)) = environment.iter().find(|(name, _)| *name == "ANSWER") {
        std::io::Write::write_all(&mut stdin, format!("{answer}\n").as_bytes()).expect("answer");
    }
    let output = child.wait_with_output().expect("wait");
    drop(stdin);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
