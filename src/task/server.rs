//! The server that a connector reads. It is remembered beside the offsets; another one would be read from a position
//! that means nothing there. Pure: servers come in, verdicts go out.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::spec::ServerIdentity;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Server, SourcePartition};

/// Guards all tasks of one run of a connector. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ServerGuard {
    /// True with `--accept-server`: the first server this run meets is the right one.
    accept: bool,
    /// `server.identity`.
    by: ServerIdentity,
    /// The server of this run; every further connection must lead there, or to one that has replaced it.
    met: Arc<Mutex<Option<Server>>>,
    tables: Arc<Mutex<Tables>>,
}

/// The knowledge of tables in this run.
#[derive(Debug, Default)]
struct Tables {
    /// Tables whose stored position was compared with them: once a run, rows may be deleted later.
    compared: HashSet<SourcePartition>,
    /// Tables that were not there for a while: the one that is there now may be another of the same name.
    vanished: HashSet<SourcePartition>,
    /// Tables that begin anew and are read on all the same, with the storage of their rows.
    accepted: HashMap<SourcePartition, String>,
}

/// The verdict on a server that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The remembered server.
    Known,
    /// The right server, which must be remembered.
    Remember(Server),
}

impl ServerGuard {
    /// A guard that accepts the first server that is met, or only the one remembered.
    pub fn new(accept: bool, by: ServerIdentity) -> Self {
        Self { accept, by, ..Self::default() }
    }

    /// True if an operator has accepted the server.
    pub(super) fn accepts(&self) -> bool {
        self.accept
    }

    /// True if servers are not told apart at all.
    pub(super) fn is_off(&self) -> bool {
        self.by == ServerIdentity::Off
    }

    /// True if [`Server::lineage`] counts.
    pub fn wants_lineage(&self) -> bool {
        self.by == ServerIdentity::Cluster
    }

    /// Judges the server of a new connection. Without a remembered one (a first run, or offsets that Kafka
    /// Connect wrote) any will do.
    ///
    /// # Errors
    /// `ForeignServer`, naming both.
    pub fn check(&self, remembered: Option<&Server>, found: &Server) -> Result<Verdict> {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.is_none()
            && !self.accept
            && let Some(known) = remembered.filter(|known| !self.is_same(known, found))
        {
            return Err(self.foreign(known, found));
        }
        // Another task may have met another server meanwhile.
        let first = met.get_or_insert_with(|| found.clone());
        if !self.is_same(first, found) {
            return Err(self.foreign(first, found));
        }
        if self.wants_lineage() && first.identity != found.identity {
            tracing::info!(from = %first.identity, to = %found.identity, "another server of the cluster is read");
            *first = self.remembering(Some(first), found);
        }
        let wanted = self.remembering(remembered, found);
        Ok(if remembered.is_some_and(|known| self.is_up_to_date(known, &wanted)) {
            Verdict::Known
        } else {
            Verdict::Remember(wanted)
        })
    }

    /// The server of this run; none before the first connection, and where it has no identity.
    pub(super) fn met(&self) -> Option<Server> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks that a connection beside the tasks' own leads to the server they read.
    ///
    /// # Errors
    /// `ForeignServer`, naming both.
    pub fn agrees(&self, found: Option<&Server>) -> Result<()> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match (met.as_ref(), found) {
            (Some(met), Some(found)) if !self.is_off() && !self.is_same(met, found) => Err(self.foreign(met, found)),
            _ => Ok(()),
        }
    }

    fn is_same(&self, known: &Server, found: &Server) -> bool {
        self.is_off()
            || is_same_host(&known.identity, &found.identity)
            || self.wants_lineage() && succeeds(known, found)
    }

    /// The stored form of a server: in a cluster also those before it, so that it is known when it comes back.
    fn remembering(&self, before: Option<&Server>, found: &Server) -> Server {
        let mut wanted = Server::host(found.identity.clone());
        if !self.wants_lineage() {
            return wanted;
        }
        let former = before.map(|before| before.lineage.sources.iter().filter(|source| is_identity(source)));
        let mut sources: Vec<String> = former.into_iter().flatten().cloned().collect();
        sources.extend(before.map(|before| before.identity.clone()));
        sources.retain(|source| *source != found.identity);
        sources.extend(found.lineage.sources.iter().cloned());
        sources.sort();
        sources.dedup();
        wanted.lineage.sources = sources;
        wanted
    }

    /// True if nothing new is to be remembered; that transactions were counted on is not.
    fn is_up_to_date(&self, known: &Server, wanted: &Server) -> bool {
        let names = |server: &Server| -> HashSet<String> {
            let of = |source: &String| numbered(source).map_or_else(|| source.clone(), |(of, _)| of.to_owned());
            server.lineage.sources.iter().map(of).collect()
        };
        known.identity == wanted.identity && (!self.wants_lineage() || names(known) == names(wanted))
    }

    fn foreign(&self, known: &Server, found: &Server) -> Error {
        let what = format!("foreign server: the offsets belong to `{}`, this is `{}`", known.identity, found.identity);
        let error = Error::new(ErrorKind::ForeignServer, what);
        if !self.wants_lineage() {
            return error;
        }
        error.advise(if found.lineage.sources.is_empty() {
            "this server has no GTIDs by which it could be recognised as one of the same cluster; if it is meant, go on with \
             `rowtide run CONNECTOR --accept-server`, or set server.identity=off"
        } else {
            "by its GTIDs this server has not executed the transactions of the other one, so it is not of its cluster; \
             correct connection.url, or, if this server is meant, go on with `rowtide run CONNECTOR --accept-server`"
        })
    }

    pub(super) fn is_compared(&self, partition: &SourcePartition) -> bool {
        self.tables().compared.contains(partition)
    }

    pub(super) fn compared(&self, partition: &SourcePartition) {
        let mut tables = self.tables();
        tables.compared.insert(partition.clone());
        tables.vanished.remove(partition);
    }

    pub(super) fn has_vanished(&self, partition: &SourcePartition) -> bool {
        self.tables().vanished.contains(partition)
    }

    pub(super) fn vanished(&self, partition: &SourcePartition) {
        self.tables().vanished.insert(partition.clone());
    }

    /// Notes that the table that is there now is known, or is read as one that begins anew.
    pub(super) fn reappeared(&self, partition: &SourcePartition) {
        self.tables().vanished.remove(partition);
    }

    /// True if a table that begins anew is read on from its position: with `--accept-server`, the first one of its
    /// name.
    pub(super) fn accepts_table(&self, partition: &SourcePartition, storage: &str) -> bool {
        let mut tables = self.tables();
        let first = tables.accepted.entry(partition.clone()).or_insert_with(|| storage.to_owned());
        self.accept && first == storage
    }

    /// Notes that the table of a position is the one that was read: one accepted from now on would be another.
    pub(super) fn knows_table(&self, partition: &SourcePartition, storage: &str) {
        self.tables().accepted.entry(partition.clone()).or_insert_with(|| storage.to_owned());
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same server, or the same of which more is known now: a privilege was granted.
fn is_same_host(known: &str, found: &str) -> bool {
    found.strip_prefix(known).is_some_and(|more| more.is_empty() || more.starts_with(", "))
}

/// True if a server has executed all that another one had, so that it can have replaced it.
fn succeeds(known: &Server, found: &Server) -> bool {
    if known.lineage.sources.contains(&found.identity) {
        // The remembered server has replicated from this one.
        return true;
    }
    let own = found.lineage.own.as_deref();
    let mut sources: Vec<&str> =
        known.lineage.sources.iter().map(String::as_str).filter(|source| !is_identity(source)).collect();
    if sources.is_empty() {
        // Remembered by a run that did not ask for more: `mysql server 3e11fa47-…`.
        sources.extend(known.identity.strip_prefix("mysql server "));
    }
    let has = |source: &str| match numbered(source) {
        Some((of, number)) => {
            found.lineage.sources.iter().filter_map(|has| numbered(has)).any(|(has, upto)| has == of && upto >= number)
        }
        None => own == Some(source) || found.lineage.sources.iter().any(|has| has == source),
    };
    // A server of MariaDB is known by a small number, which others may have too; but not others that it follows.
    let is_proof = |source: &str| numbered(source).is_none_or(|(of, _)| of.rsplit_once('-').map(|(_, id)| id) != own);
    sources.iter().all(|source| has(source)) && sources.iter().any(|source| is_proof(source))
}

/// A transaction of MariaDB, `0-1-77`: domain and server, and its number.
fn numbered(source: &str) -> Option<(&str, u64)> {
    let (of, number) = source.rsplit_once('-')?;
    let is_pair = of.split_once('-').is_some_and(|(one, other)| {
        [one, other].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    number.parse().ok().filter(|_| is_pair).map(|number| (of, number))
}

/// An identity among the other marks of a cluster.
fn is_identity(source: &str) -> bool {
    source.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lineage;

    fn host(identity: &str) -> Server {
        Server::host(identity)
    }

    fn guard(accept: bool) -> ServerGuard {
        ServerGuard::new(accept, ServerIdentity::Host)
    }

    fn remember(identity: &str) -> Verdict {
        Verdict::Remember(host(identity))
    }

    fn of(identity: &str, own: &str, sources: &[&str]) -> Server {
        let lineage =
            Lineage { sources: sources.iter().map(|text| (*text).to_owned()).collect(), own: Some(own.into()) };
        Server { identity: identity.to_owned(), lineage }
    }

    /// The record that a run on one server of a cluster leaves to a run on another.
    fn after(remembered: Option<&Server>, found: &Server) -> Result<Option<Server>> {
        match ServerGuard::new(false, ServerIdentity::Cluster).check(remembered, found)? {
            Verdict::Known => Ok(None),
            Verdict::Remember(server) => Ok(Some(server)),
        }
    }

    #[test]
    fn a_promoted_replica_of_mysql_is_known_by_the_transactions_of_the_server_before_it() {
        let (a, b) = (of("mysql server a", "a", &["a"]), of("mysql server b", "b", &["a", "b"]));
        let first = after(None, &a).unwrap().unwrap();
        assert_eq!(after(Some(&first), &a).unwrap(), None, "it is written once");
        let second = after(Some(&first), &b).unwrap().unwrap();
        assert_eq!(second.lineage.sources, ["a", "b", "mysql server a"]);
        assert!(after(Some(&second), &a).is_ok(), "it fails back");
        let plain = host("mysql server a");
        assert!(after(Some(&plain), &b).is_ok(), "remembered before clusters were asked for");
        for foreign in [of("mysql server c", "c", &["c"]), of("mysql server c", "c", &[])] {
            let error = after(Some(&first), &foreign).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignServer);
            assert!(error.advice().contains("GTIDs"), "{}", error.advice());
        }
        let behind = of("mysql server d", "d", &["b"]);
        assert!(after(Some(&second), &behind).is_err(), "it lacks what server a has written");
    }

    #[test]
    fn a_promoted_replica_of_mariadb_is_known_by_transactions_that_are_not_its_own() {
        let a = of("mariadb server a", "1", &["0-1-100"]);
        let first = after(None, &a).unwrap().unwrap();
        let counted_on = of("mariadb server a", "1", &["0-1-200"]);
        assert_eq!(after(Some(&first), &counted_on).unwrap(), None, "numbers are no news");
        assert!(after(Some(&first), &of("mariadb server b", "2", &["0-1-120", "0-2-121"])).is_ok());
        for foreign in [
            of("mariadb server c", "1", &["0-1-5000"]),
            of("mariadb server c", "3", &["0-3-5000"]),
            of("mariadb server c", "2", &["0-1-99"]),
            of("mariadb server c", "2", &[]),
        ] {
            assert!(after(Some(&first), &foreign).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn a_failover_while_it_runs_is_followed_in_a_cluster_only() {
        let (a, b) = (of("mysql server a", "a", &["a"]), of("mysql server b", "b", &["a"]));
        let cluster = ServerGuard::new(false, ServerIdentity::Cluster);
        cluster.check(None, &a).unwrap();
        assert!(matches!(cluster.check(Some(&a), &b).unwrap(), Verdict::Remember(_)));
        assert!(cluster.agrees(Some(&b)).is_ok());
        let one = guard(false);
        one.check(None, &a).unwrap();
        assert!(one.check(None, &b).is_err() && one.agrees(Some(&b)).is_err());
    }

    #[test]
    fn the_first_table_of_a_name_is_accepted_and_no_later_one() {
        let (accepting, table) = (guard(true), SourcePartition::table("t"));
        assert!(accepting.accepts_table(&table, "2") && accepting.accepts_table(&table, "2"));
        assert!(!accepting.accepts_table(&table, "3"));
        assert!(!guard(false).accepts_table(&table, "2"));
        let known = guard(true);
        known.knows_table(&table, "1");
        assert!(!known.accepts_table(&table, "2"));
    }

    #[test]
    fn another_server_is_foreign_unless_it_was_accepted() {
        assert_eq!(guard(false).check(None, &host("a")).unwrap(), remember("a"));
        assert_eq!(guard(false).check(Some(&host("a")), &host("a")).unwrap(), Verdict::Known);
        let error = guard(false).check(Some(&host("a")), &host("b")).unwrap_err();
        assert_eq!((error.kind(), error.kind().run_exit_code()), (ErrorKind::ForeignServer, 4));
        assert!(error.report().starts_with("foreign server: ") && error.report().contains("`a`, this is `b`"));
        assert!(error.advice().contains("--accept-server"));
        assert_eq!(guard(true).check(Some(&host("a")), &host("b")).unwrap(), remember("b"));
    }

    #[test]
    fn one_run_reads_one_server_also_where_any_was_accepted() {
        let guard = guard(true);
        let (a, b, c) = (host("a"), host("b"), host("c"));
        guard.check(Some(&a), &b).unwrap();
        assert_eq!(guard.check(Some(&a), &b).unwrap(), remember("b"), "it was not committed");
        assert!(guard.check(Some(&b), &a).is_err());
        let other_task = guard.clone();
        assert!(other_task.check(None, &c).is_err());
        assert!(other_task.agrees(Some(&c)).is_err());
        assert!(other_task.agrees(None).is_ok() && other_task.agrees(Some(&b)).is_ok());
    }

    #[test]
    fn more_known_of_a_server_is_no_other_server_but_less_is_no_proof() {
        let (less, more) = (host("postgresql database d (5)"), host("postgresql database d (5), system 7"));
        assert_eq!(guard(false).check(Some(&less), &more).unwrap(), Verdict::Remember(more.clone()));
        assert!(guard(false).check(Some(&more), &less).is_err());
        let other = host("postgresql database d (5), system 77");
        assert!(guard(false).check(Some(&more), &other).is_err());
    }
}
