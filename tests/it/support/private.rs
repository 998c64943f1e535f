//! A server of a test's own, for what would disturb others: settings of the whole server, stops, crashes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::unique;

/// Services of `scripts/services`, stopped with the test.
pub struct Private {
    /// The one it is named after, and others of its folder.
    names: Vec<&'static str>,
    run: PathBuf,
    settings: String,
    exports: String,
}

impl Private {
    /// Starts it on fresh data, which takes some seconds.
    pub fn start(service: &'static str) -> Self {
        Self::start_with(service, "")
    }

    /// The same with further lines of the configuration of PostgreSQL, MySQL or MariaDB.
    pub fn start_with(service: &'static str, settings: &str) -> Self {
        Self::start_all(&[service], settings)
    }

    /// Several that belong together, as a standby and its primary.
    pub fn start_all(names: &[&'static str], settings: &str) -> Self {
        let run = std::env::temp_dir().join(unique("rt-private"));
        // Dropped, and with it stopped, also if the start fails.
        let mut private = Self { names: names.to_vec(), run, settings: settings.to_owned(), exports: String::new() };
        private.services(&[&["start"], names].concat());
        private.exports = private.services(&["env"]);
        private
    }

    /// The value of one of its exports: `ROWTIDE_TEST_MYSQL_URL`.
    pub fn address(&self, name: &str) -> String {
        let export = format!("export {name}=");
        let line = self.exports.lines().find_map(|line| line.strip_prefix(&export));
        line.unwrap_or_else(|| panic!("no {name} in\n{}", self.exports)).trim_matches('\'').to_owned()
    }

    fn services(&self, words: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let mut command = Command::new(script);
        // Whatever the services of this run are, this one is native.
        command
            .args(words)
            .env("ROWTIDE_RUN", &self.run)
            .env("ROWTIDE_MYSQL_SETTINGS", &self.settings)
            .env("ROWTIDE_POSTGRES_SETTINGS", &self.settings)
            .env_remove("ROWTIDE_TEST_SERVICES");
        let output = command.output().expect("scripts/services");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() || words[0] == "stop", "scripts/services {words:?}: {out}\n{err}");
        out.into_owned()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.services(&[&["stop", "--hard"], self.names.as_slice()].concat());
        let _ = std::fs::remove_dir_all(&self.run);
    }
}
