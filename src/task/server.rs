//! Which server a connector reads. Its identity is remembered beside the offsets; a server with another one
//! would be read from a position that means nothing there. Pure: identities come in, verdicts go out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::model::SourcePartition;

/// Guards all tasks of one run of a connector. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ServerGuard {
    /// `--accept-server`: the first server this run meets is the right one.
    accept: bool,
    /// The server of this run; every further connection must lead there.
    met: Arc<OnceLock<String>>,
    /// Tables whose stored position was held against the table: once a run, rows may be deleted later.
    compared: Arc<Mutex<HashSet<SourcePartition>>>,
    /// Tables that were not there for a while: what is there now may be another table of the same name.
    vanished: Arc<Mutex<HashSet<SourcePartition>>>,
}

/// What is to be done about a server that may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the remembered one.
    Known,
    /// It is the right one and must be remembered.
    Remember,
}

impl ServerGuard {
    /// A guard that accepts whatever server is met first, or only the one remembered.
    pub fn new(accept: bool) -> Self {
        Self { accept, ..Self::default() }
    }

    /// Whether an operator has accepted the server.
    pub(super) fn accepts(&self) -> bool {
        self.accept
    }

    /// Judges the server of a new connection. Without a remembered one (a first run, or offsets that Kafka
    /// Connect wrote) any will do.
    ///
    /// # Errors
    /// `ForeignServer`, naming both.
    pub fn judge(&self, remembered: Option<&str>, found: &str) -> Result<Verdict> {
        if self.met.get().is_none()
            && !self.accept
            && let Some(known) = remembered.filter(|known| !is_same(known, found))
        {
            return Err(foreign(known, found));
        }
        // Another task may have met another server meanwhile.
        let met = self.met.get_or_init(|| found.to_owned());
        if !is_same(met, found) {
            return Err(foreign(met, found));
        }
        Ok(if remembered == Some(found) { Verdict::Known } else { Verdict::Remember })
    }

    /// Whether a connection beside the tasks' own leads to the server they read.
    ///
    /// # Errors
    /// `ForeignServer`, naming both.
    pub fn agrees(&self, found: Option<&str>) -> Result<()> {
        match (self.met.get(), found) {
            (Some(met), Some(found)) if !is_same(met, found) => Err(foreign(met, found)),
            _ => Ok(()),
        }
    }

    pub(super) fn is_compared(&self, partition: &SourcePartition) -> bool {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner).contains(partition)
    }

    pub(super) fn compared(&self, partition: &SourcePartition) {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner).insert(partition.clone());
        self.vanished.lock().unwrap_or_else(PoisonError::into_inner).remove(partition);
    }

    pub(super) fn has_vanished(&self, partition: &SourcePartition) -> bool {
        self.vanished.lock().unwrap_or_else(PoisonError::into_inner).contains(partition)
    }

    pub(super) fn vanished(&self, partition: &SourcePartition) {
        self.vanished.lock().unwrap_or_else(PoisonError::into_inner).insert(partition.clone());
    }
}

/// The same server, or the same of which more is known now: a privilege was granted.
fn is_same(known: &str, found: &str) -> bool {
    found.strip_prefix(known).is_some_and(|more| more.is_empty() || more.starts_with(", "))
}

fn foreign(known: &str, found: &str) -> Error {
    let what = format!("foreign server: the offsets belong to `{known}`, this is `{found}`");
    Error::new(ErrorKind::ForeignServer, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_is_foreign_unless_it_was_accepted() {
        assert_eq!(ServerGuard::new(false).judge(None, "a").unwrap(), Verdict::Remember);
        assert_eq!(ServerGuard::new(false).judge(Some("a"), "a").unwrap(), Verdict::Known);
        let error = ServerGuard::new(false).judge(Some("a"), "b").unwrap_err();
        assert_eq!((error.kind(), error.kind().run_exit_code()), (ErrorKind::ForeignServer, 4));
        assert!(error.report().starts_with("foreign server: ") && error.report().contains("`a`, this is `b`"));
        assert!(error.advice().contains("--accept-server"));
        assert_eq!(ServerGuard::new(true).judge(Some("a"), "b").unwrap(), Verdict::Remember);
    }

    #[test]
    fn one_run_reads_one_server_also_where_any_was_accepted() {
        let guard = ServerGuard::new(true);
        guard.judge(Some("a"), "b").unwrap();
        assert_eq!(guard.judge(Some("a"), "b").unwrap(), Verdict::Remember, "it was not committed");
        assert!(guard.judge(Some("b"), "a").is_err());
        let other_task = guard.clone();
        assert!(other_task.judge(None, "c").is_err());
        assert!(other_task.agrees(Some("c")).is_err());
        assert!(other_task.agrees(None).is_ok() && other_task.agrees(Some("b")).is_ok());
    }

    #[test]
    fn more_known_of_a_server_is_no_other_server_but_less_is_no_proof() {
        let guard = || ServerGuard::new(false);
        let (less, more) = ("postgresql database d (5)", "postgresql database d (5), system 7");
        assert_eq!(guard().judge(Some(less), more).unwrap(), Verdict::Remember);
        assert!(guard().judge(Some(more), less).is_err());
        assert!(
            guard().judge(Some("postgresql database d (5), system 7"), "postgresql database d (5), system 77").is_err()
        );
    }
}
