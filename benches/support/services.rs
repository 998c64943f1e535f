//! Services of a bench's own, which it may stop; gone with their handle.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Outcome;

pub(crate) struct Services {
    folder: tempfile::TempDir,
    names: Vec<String>,
}

impl Services {
    pub(crate) fn start(names: &[&str]) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        // PostgreSQL runs as another user, if the bench is run by root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let services = Self { folder, names: names.iter().map(|name| (*name).to_owned()).collect() };
        services.tell("start", names)?;
        Ok(services)
    }

    /// An export of `scripts/services env`.
    pub(crate) fn export(&self, name: &str) -> Outcome<String> {
        let exports = String::from_utf8(self.script("env", &[]).output()?.stdout)?;
        let found =
            exports.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
        Ok(found.ok_or_else(|| format!("scripts/services env does not name {name}"))?.to_owned())
    }

    pub(crate) fn tell(&self, command: &str, names: &[&str]) -> Outcome<()> {
        match self.script(command, names).status()?.success() {
            true => Ok(()),
            false => Err(format!("scripts/services {command} {} has failed", names.join(" ")).into()),
        }
    }

    fn script(&self, command: &str, names: &[&str]) -> Command {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let mut services = Command::new(script);
        services.arg(command).args(names).env("ROWTIDE_RUN", self.folder.path()).stdin(Stdio::null());
        services.stderr(Stdio::null());
        services
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        let _ = self.tell("stop", &names);
    }
}
