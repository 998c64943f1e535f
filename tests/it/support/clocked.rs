//! A server of a test's own whose clock shows another time: `scripts/services` starts it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::db::Server;

/// A PostgreSQL or MariaDB server; stopped with the test.
pub struct Clocked {
    name: &'static str,
    folder: tempfile::TempDir,
    url: String,
    /// The time by which its clock is ahead.
    offset: TimeDelta,
}

impl Clocked {
    /// Starts `postgres` or `mariadb` when its clock shows `at`, which is RFC 3339.
    pub fn start(name: &'static str, at: &str) -> Self {
        let at: DateTime<Utc> = at.parse().expect("RFC 3339");
        let folder = tempfile::tempdir().expect("a folder");
        // The user postgres has to reach it.
        Command::new("chmod").arg("755").arg(folder.path()).status().expect("chmod");
        let offset = TimeDelta::seconds((at - Utc::now()).num_seconds());
        let mut clocked = Self { name, folder, url: String::new(), offset };
        let offset = offset.num_seconds().to_string();
        clocked.services(&["start", name], &offset);
        let exports = clocked.services(&["env"], &offset);
        let variable = format!("export ROWTIDE_TEST_{}_URL=", name.to_uppercase());
        let line = exports.lines().find_map(|line| line.strip_prefix(&variable)).expect("an address");
        clocked.url = line.to_owned();
        clocked
    }

    fn services(&self, words: &[&str], offset: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let mut command = Command::new(script);
        command.args(words).env("ROWTIDE_RUN", self.folder.path()).env("ROWTIDE_CLOCK_OFFSET", offset);
        let output = command.env("ROWTIDE_TEST_SERVICES", "native").output().expect("scripts/services");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The time until its clock shows `at`.
    pub fn until(&self, at: &str) -> Duration {
        let at: DateTime<Utc> = at.parse().expect("RFC 3339");
        (at - Utc::now() - self.offset).to_std().expect("it has not come yet")
    }

    /// A database of the server.
    pub fn server(&self, database: &str) -> Server {
        let (base, _) = self.url.rsplit_once('/').expect("a URL");
        let url = format!("{base}/{database}");
        if self.name == "postgres" { Server::Postgres(url) } else { Server::MySql(url) }
    }

    /// `jdbc:NAME://host:port/database`.
    pub fn jdbc_url(&self, database: &str) -> String {
        let (_, address) = self.url.rsplit_once('@').expect("a URL with a user");
        let (address, _) = address.split_once('/').expect("a database");
        let scheme = if self.name == "postgres" { "postgresql" } else { self.name };
        format!("jdbc:{scheme}://{address}/{database}")
    }
}

impl Drop for Clocked {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.services(&["stop"], "0");
            return;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let _ = Command::new(script).arg("stop").env("ROWTIDE_RUN", self.folder.path()).status();
    }
}
