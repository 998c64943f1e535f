//! The place where a page runs: a folder, a database, and the names of the page made the test's own, so that pages run
//! beside each other and again and again. What is printed is put back into the page's names.

use std::any::Any;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use regex::Regex;

use super::page::Page;
use crate::support::db::{MySqlFamily, Postgres, run_on_mysql, run_on_sqlite};
use crate::support::{PATIENCE, Stack, address, eventually, golden, replication, unique};

/// The database of a page.
enum Place {
    Postgres(Postgres),
    Family(&'static str, MySqlFamily),
    Sqlite(PathBuf),
    None,
}

/// The place where a page runs.
pub struct World {
    place: Place,
    user: String,
    folder: tempfile::TempDir,
    /// A pattern for a name of the page, and the test's own.
    names: Vec<(Regex, String)>,
    /// The test's own name, and that of the page; the longest first.
    back: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    rest: u16,
    running: Vec<(Child, PathBuf)>,
}

impl World {
    pub fn of(page: &Page) -> Self {
        let wanted = page.comment("database").unwrap_or_else(|| panic!("{}: no comment `database:`", page.file));
        let (kind, with_table) = wanted.strip_suffix(" with table").map_or((wanted, false), |kind| (kind, true));
        let folder = tempfile::tempdir().expect("a folder");
        let (place, name, server) = made(kind, folder.path());
        let rest = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let user = unique("user");
        let mut world = Self {
            place,
            user: user.clone(),
            folder,
            names: Vec::new(),
            back: Vec::new(),
            environment: Vec::new(),
            rest,
            running: Vec::new(),
        };
        let stack = Stack::get();
        for (pattern, doc, own) in [
            (r"\blocalhost:(5432|3306|4000)\b", server_of(kind), server),
            (r"\blocalhost:9092\b", "localhost:9092", stack.brokers),
            (r"\bhttp://localhost:8081\b", "http://localhost:8081", stack.registry),
            (r"\blocalhost:8083\b", "localhost:8083", format!("127.0.0.1:{rest}")),
            (r"\btestdb\b", "testdb", name.clone()),
            (r"\bdb_", "db_", format!("{name}_")),
            (r"\bload-test-table\b", "load-test-table", unique("load")),
            (r"\bconnectuser\b", "connectuser", user),
        ] {
            world.names.push((Regex::new(pattern).expect("a pattern"), own.clone()));
            world.back.push((own, doc.to_owned()));
        }
        world.surround(&name);
        world.back.retain(|(own, _)| !own.is_empty());
        world.back.sort_by_key(|(own, _)| std::cmp::Reverse(own.len()));
        copy(&golden::path("configs"), &world.folder.path().join("configs"), &|text: &str| world.own(text));
        if with_table {
            let made = world.with_table(kind);
            made.unwrap_or_else(|error| panic!("{}: {error}", page.file));
        }
        world
    }

    /// Settings that keep what a page does to its own, where the page leaves them at their defaults.
    fn surround(&mut self, name: &str) {
        let replicas = replication().to_string();
        for (key, value, doc) in [
            ("CONNECT_GROUP_ID", unique("group"), "rowtide"),
            ("CONNECT_OFFSET_STORAGE_TOPIC", format!("{name}-offsets"), "rowtide-offsets"),
            ("CONNECT_CONFIG_STORAGE_TOPIC", format!("{name}-configs"), "rowtide-configs"),
            ("CONNECT_OFFSET_STORAGE_REPLICATION_FACTOR", replicas.clone(), ""),
            ("CONNECT_CONFIG_STORAGE_REPLICATION_FACTOR", replicas, ""),
            ("CONNECT_LISTENERS", format!("http://127.0.0.1:{}", self.rest), "http://localhost:8083"),
            ("DB_PASSWORD", self.user.clone(), ""),
        ] {
            if !doc.is_empty() {
                self.back.push((value.clone(), doc.to_owned()));
            }
            self.environment.push((key.to_owned(), value));
        }
    }

    /// The table of the walkthrough and its user, and the files that the pages about it speak of.
    fn with_table(&self, kind: &str) -> Result<(), String> {
        let file = format!("migrations/{kind}/0001_test_table.sql");
        self.sql(&std::fs::read_to_string(golden::path(&file)).expect("the table"))?;
        let connector = std::fs::read_to_string(golden::path("configs/w1.json")).expect("a file");
        let worker = "bootstrap.servers=localhost:9092\nkey.converter.schema.registry.url=http://localhost:8081\n\
                      value.converter.schema.registry.url=http://localhost:8081\n";
        for (name, text) in [("connector.json", connector.as_str()), ("worker.properties", worker)] {
            std::fs::write(self.folder.path().join(name), self.own(text)).expect("write");
        }
        Ok(())
    }

    /// A text of the page with the test's own names.
    fn own(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, own)| name.replace_all(&text, own).into_owned())
    }

    /// What was printed, in the names of the page.
    fn told(&self, text: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        self.back.iter().fold(text.replace(&folder, ""), |text, (own, doc)| text.replace(own, doc))
    }

    /// A shell in the page's folder, which knows what blocks before have exported.
    fn shell(&self, text: &str) -> Command {
        let exports = self.folder.path().join(".exports");
        let script = format!("set -euo pipefail; [ ! -e {0} ] || . {0}\n{1}", exports.display(), self.own(text));
        let binary = Path::new(env!("CARGO_BIN_EXE_rowtide")).parent().expect("a folder");
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONNECT_")) {
            command.env_remove(name);
        }
        command.arg("-c").arg(script).current_dir(self.folder.path()).env("PATH", path).env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(key, value)| (key, value))).stdin(Stdio::null()).process_group(0);
        command
    }

    /// Runs a block to its end; its standard output.
    pub fn run(&mut self, text: &str) -> Result<String, String> {
        let output = |name: &str| self.folder.path().join(name);
        let file = |name: &str| std::fs::File::create(output(name)).expect("a file");
        let script = format!("trap 'export -p >{}' EXIT\n{text}", output(".exports").display());
        let mut child = self.shell(&script).stdout(file(".out")).stderr(file(".err")).spawn().expect("start bash");
        let deadline = Instant::now() + PATIENCE * 2;
        let status = loop {
            match child.try_wait().expect("wait") {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    end(&mut child, "KILL");
                    break child.wait().expect("wait");
                }
                None => std::thread::park_timeout(std::time::Duration::from_millis(10)),
            }
        };
        let read = |name: &str| self.told(&std::fs::read_to_string(output(name)).unwrap_or_default());
        let (printed, complaint) = (read(".out"), read(".err"));
        if status.success() {
            Ok(printed)
        } else {
            let logs: String =
                self.running.iter().map(|(_, log)| std::fs::read_to_string(log).unwrap_or_default()).collect();
            Err(format!("ended with {status}\n{printed}{complaint}\n--- left running ---\n{logs}"))
        }
    }

    /// Leaves a block running, which serves REST.
    pub fn start(&mut self, text: &str) -> Result<String, String> {
        let log = self.folder.path().join(format!(".background{}", self.running.len()));
        let file = std::fs::File::create(&log).expect("a file");
        let both = file.try_clone().expect("a file");
        // In the place of the shell, which would not hand on the exit code of what a signal ends.
        let mut child = self.shell(&format!("exec {text}")).stdout(file).stderr(both).spawn().expect("start bash");
        let rest = self.rest;
        let alive = eventually(&format!("`{}` serves REST", text.trim()), PATIENCE, || {
            let ended = child.try_wait().expect("wait").is_some();
            let health = format!("http://127.0.0.1:{rest}/health");
            let asked = Command::new("curl").args(["-sf", "-o", "/dev/null", &health]).status().expect("curl");
            let serves = asked.success();
            (ended || serves).then_some(!ended)
        });
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        self.running.push((child, log));
        if alive { Ok(String::new()) } else { Err(self.told(&said)) }
    }

    /// Runs statements on the page's database.
    pub fn sql(&self, text: &str) -> Result<String, String> {
        let sql = self.own(text);
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| match &self.place {
            Place::Postgres(database) => database.run(&sql),
            Place::Family(_, database) => database.run(&sql),
            Place::Sqlite(file) => run_on_sqlite(file, &sql),
            Place::None => panic!("the page has no database"),
        }));
        outcome.map(|()| String::new()).map_err(|panic| words(&*panic))
    }

    /// Stops what was left running, which must end well.
    pub fn end(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (child, log) in &mut self.running {
            end(child, "TERM");
            let status = eventually("what was left running ends", PATIENCE, || child.try_wait().expect("wait"));
            if !status.success() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                wrong.push(format!("left running, and ended with {status}:\n{said}"));
            }
        }
        self.running.clear();
        wrong
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (child, _) in &mut self.running {
            end(child, "KILL");
            let _ = child.wait();
        }
        let user = &self.user;
        match &self.place {
            Place::Postgres(database) => {
                let sql = format!(
                    "do $$ begin if to_regrole('{user}') is not null then drop owned by {user}; drop role {user}; end if; end $$"
                );
                database.run(&sql);
            }
            Place::Family(kind, _) => {
                let server = address(&format!("ROWTIDE_TEST_{}_URL", kind.to_uppercase()));
                run_on_mysql(&server, &format!("drop user if exists {user}"));
            }
            Place::Sqlite(_) | Place::None => {}
        }
    }
}

/// A database, its name, and the address of its server.
fn made(kind: &str, folder: &Path) -> (Place, String, String) {
    let server = |url: String| {
        let (_, rest) = url.split_once("://").expect("a URL");
        rest.split('/').next().expect("an address").to_owned()
    };
    let family = |kind: &'static str| {
        let database = MySqlFamily::new(kind);
        let (name, address) = (database.name.clone(), server(database.jdbc_url()));
        (Place::Family(kind, database), name, address)
    };
    match kind {
        "postgres" => {
            let database = Postgres::new();
            let (name, address) = (database.name.clone(), server(database.jdbc_url()));
            (Place::Postgres(database), name, address)
        }
        "mysql" => family("mysql"),
        "mariadb" => family("mariadb"),
        "tidb" => family("tidb"),
        "sqlite" => {
            let name = unique("rt");
            (Place::Sqlite(folder.join(format!("{name}.db"))), name, String::new())
        }
        "none" => (Place::None, unique("rt"), String::new()),
        other => panic!("there is no database `{other}`"),
    }
}

/// The address of a database in the pages.
fn server_of(kind: &str) -> &'static str {
    match kind {
        "tidb" => "localhost:4000",
        "mysql" | "mariadb" => "localhost:3306",
        _ => "localhost:5432",
    }
}

fn copy(from: &Path, to: &Path, change: &dyn Fn(&str) -> String) {
    std::fs::create_dir_all(to).expect("make a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target, change);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let mut file = std::fs::File::create(target).expect("a file");
            file.write_all(change(&text).as_bytes()).expect("write");
        }
    }
}

fn end(child: &mut Child, signal: &str) {
    let _ = Command::new("kill").args([&format!("-{signal}"), "--", &format!("-{}", child.id())]).status();
}

/// The words of a panic.
pub fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// True if an output is like the one that a page shows: times, durations, versions, costs and ids of servers differ from
/// run to run, `…` stands for anything in a line, and a line `…` for any lines.
pub fn is_like(shown: &str, printed: &str) -> bool {
    let printed: Vec<String> = steady(printed).trim_end().lines().map(str::to_owned).collect();
    let mut places = vec![0];
    let mut jumped = false;
    for line in steady(shown).trim_end().lines() {
        if line.trim() == "…" {
            jumped = true;
            continue;
        }
        let pattern: Vec<String> = line.trim_end().split('…').map(regex::escape).collect();
        let pattern = Regex::new(&format!("^{}$", pattern.join(".*"))).expect("a pattern");
        let fits = |at: &usize| printed.get(*at).is_some_and(|line| pattern.is_match(line.trim_end()));
        let from = *places.iter().min().unwrap_or(&printed.len());
        places = if jumped {
            (from..printed.len()).filter(fits).collect()
        } else {
            places.into_iter().filter(fits).collect()
        };
        places.iter_mut().for_each(|at| *at += 1);
        jumped = false;
    }
    if jumped { !places.is_empty() } else { places.contains(&printed.len()) }
}

/// A text without what differs from run to run.
fn steady(text: &str) -> String {
    const CHANGES: [(&str, &str); 13] = [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?", "TIME"),
        (r#""rowtide_guard":"[^"]*""#, r#""rowtide_guard":"STATE""#),
        (r"\b(timestamp_nanos\D{1,3})\d+", "${1}NANOS"),
        (r"\b(PostgreSQL|MySQL|MariaDB|TiDB|SQLite) \d[^,;\n]*", "$1 VERSION"),
        (r"\bin cluster [\w-]+", "in cluster ID"),
        (r"\b(pid|oid|id|system) \d+\b", "$1 NUMBER"),
        (r"\b\d+(\.\d+)? (ms|s|min|h)\b", "SPAN"),
        (r"\bserver [\w-]*\d[\w+/=-]*", "server ID"),
        (r"\b(mysql|mariadb|tidb) (server|cluster) [\w+/=-]{16,}", "$1 $2 ID"),
        (r"\[\d+\] @ \d+", "[PARTITION] @ OFFSET"),
        (r"estRows=[\d.]+|_\d+\b", "N"),
        (r"\b\d{5,}\b", "NUMBER"),
        (r"\b(cost|rows|width)=[\d.]+", "$1=N"),
    ];
    CHANGES.iter().fold(text.to_owned(), |text, (pattern, by)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *by).into_owned()
    })
}

#[test]
fn an_output_is_compared_but_for_times_and_ellipses() {
    assert!(is_like("a 3 ms\n…\nz\n", "a 17 ms\nb\nc\nz\n"));
    assert!(is_like("x: …, y\n", "x: 1, 2, y\n") && !is_like("x: …, y\n", "x: 1, 2, z\n"));
    assert!(!is_like("a\nz\n", "a\nb\nz\n") && !is_like("a\n", "a\nb\n") && is_like("a\n…\n", "a\nb\n"));
}
