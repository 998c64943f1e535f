//! The requests a worker answers ([`Herder`]). Each that changes something runs in a task of its own, so that it is
//! carried out to its end although the caller may be gone, and waits for those about the same connector before it.

#![expect(clippy::disallowed_methods, reason = "a request is carried out although who has asked may be gone")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value as Json;
use tokio::sync::MutexGuard;

use super::hosted::{Hosted, Life};
use super::store::Change;
use super::{Shared, Worker};
use crate::config::{self, Document, Report};
use crate::error::Error;
use crate::herder::{
    ConnectorInfo, Herder, HerderError, OffsetChanges, Outcome, Put, SettingChanges, TableInfo, TableOrder,
    TargetState, Written,
};
use crate::model::{Backfill, OffsetMove, SourceOffset, SourcePartition};

impl Herder for Worker {
    fn connectors(&self) -> Vec<String> {
        self.shared.hosted().keys().cloned().collect()
    }

    fn config(&self, name: &str) -> Outcome<Document> {
        Ok(self.shared.find(name)?.settings().document.clone())
    }

    fn status(&self, name: &str) -> Outcome<ConnectorInfo> {
        Ok(self.shared.find(name)?.info())
    }

    fn has_started(&self) -> bool {
        self.shared.has_started.load(Ordering::Acquire)
    }

    fn cluster_id(&self) -> BoxFuture<'static, Option<String>> {
        let shared = Arc::clone(&self.shared);
        async move { shared.cluster_id().await }.boxed()
    }

    fn tasks(&self, name: &str) -> Outcome<Vec<BTreeMap<String, String>>> {
        Ok(self.shared.find(name)?.task_settings())
    }

    fn topics(&self, name: &str) -> BTreeSet<String> {
        self.shared.find(name).map(|hosted| hosted.written_topics()).unwrap_or_default()
    }

    fn reset_topics(&self, name: &str) {
        if let Ok(hosted) = self.shared.find(name) {
            hosted.board.with(|status| hosted.topics.reset(&status.tables));
        }
    }

    fn validate(&self, settings: &Document) -> Report {
        match config::connector(settings.clone(), self.shared.options.surroundings.clone()) {
            Ok(loaded) => loaded.report,
            Err(report) => report,
        }
    }

    fn reach(&self, settings: Document) -> BoxFuture<'static, Outcome<Vec<String>>> {
        self.carry_out(|shared| async move { shared.reach(settings).await })
    }

    fn put(&self, settings: Document, put: Put) -> BoxFuture<'static, Outcome<Written>> {
        self.carry_out(|shared| async move { shared.put(settings, put).await })
    }

    fn patch(&self, name: &str, changes: SettingChanges) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move { shared.patch(&hosted, changes).await })
    }

    fn delete(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move {
            let mut life = hosted.lock().await?;
            shared.keep(Change::Removed { name: hosted.name.clone() }).await?;
            hosted.end(&mut life).await;
            hosted.give_up_lease(&mut life).await;
            life.is_deleted = true;
            shared.note(&hosted.name, None, "deleted");
            shared.forget(&hosted);
            Ok(())
        })
    }

    fn pause(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move {
            let mut life = hosted.lock().await?;
            if life.target == TargetState::Paused {
                return Ok(());
            }
            shared.keep_target(&hosted, &mut life, TargetState::Paused).await?;
            shared.note(&hosted.name, None, "pause was asked for");
            // Before the tasks that end give their lease up.
            hosted.keep_lease(&mut life, shared.rest());
            hosted.end(&mut life).await;
            if !hosted.has_failed() {
                hosted.board.paused();
            }
            Ok(())
        })
    }

    fn resume(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move {
            let mut life = hosted.lock().await?;
            if life.target != TargetState::Running {
                shared.keep_target(&hosted, &mut life, TargetState::Running).await?;
                shared.note(&hosted.name, None, "resume was asked for");
                hosted.reload(&shared.options.surroundings);
                hosted.start(&shared, &mut life);
            }
            Ok(())
        })
    }

    fn stop(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move {
            let mut life = hosted.lock().await?;
            shared.keep_target(&hosted, &mut life, TargetState::Stopped).await?;
            shared.note(&hosted.name, None, "stop was asked for");
            hosted.end(&mut life).await;
            hosted.give_up_lease(&mut life).await;
            hosted.board.dismissed();
            Ok(())
        })
    }

    fn restart(&self, name: &str, only_failed: bool) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, move |shared, hosted| async move {
            let mut life = hosted.lock().await?;
            if life.target == TargetState::Running && (!only_failed || hosted.has_failed()) {
                shared.note(&hosted.name, None, "restart was asked for");
                hosted.end(&mut life).await;
                hosted.reload(&shared.options.surroundings);
                hosted.start(&shared, &mut life);
            }
            Ok(())
        })
    }

    fn table(&self, name: &str, table: &str) -> BoxFuture<'static, Outcome<TableInfo>> {
        let table = table.to_owned();
        self.about(name, |shared, hosted| async move { shared.table(&hosted, &table).await })
    }

    fn explain(&self, name: &str, table: &str) -> BoxFuture<'static, Outcome<Json>> {
        let table = table.to_owned();
        self.about(name, |shared, hosted| async move { shared.explain(&hosted, &table).await })
    }

    fn samples(&self, name: &str, table: &str, limit: usize) -> BoxFuture<'static, Outcome<Vec<Json>>> {
        let table = table.to_owned();
        self.about(name, move |shared, hosted| async move { shared.samples(&hosted, &table, limit).await })
    }

    fn order(&self, name: &str, table: &str, order: TableOrder) -> BoxFuture<'static, Outcome<()>> {
        let table = table.to_owned();
        self.about(name, move |shared, hosted| async move { shared.order(&hosted, &table, order).await })
    }

    fn move_offset(
        &self,
        name: &str,
        table: &str,
        change: OffsetMove,
    ) -> BoxFuture<'static, Outcome<Option<SourceOffset>>> {
        let table = table.to_owned();
        self.about(name, move |shared, hosted| async move { shared.move_offset(&hosted, &table, change).await })
    }

    fn backfill(
        &self,
        name: &str,
        table: &str,
        request: Option<Backfill>,
    ) -> BoxFuture<'static, Outcome<Option<SourceOffset>>> {
        let table = table.to_owned();
        self.about(name, move |shared, hosted| async move { shared.backfill(&hosted, &table, request).await })
    }

    fn set_interval(&self, name: &str, interval: Duration) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, move |shared, hosted| async move { shared.set_interval(&hosted, interval).await })
    }

    fn offsets(&self, name: &str) -> BoxFuture<'static, Outcome<BTreeMap<SourcePartition, SourceOffset>>> {
        self.about(name, |shared, hosted| async move {
            let stored = shared.stored(&hosted).await?;
            Ok(stored.offsets.into_iter().map(|(partition, stored)| (partition, stored.offset)).collect())
        })
    }

    fn alter_offsets(&self, name: &str, changes: OffsetChanges) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move {
            let life = hosted.stopped().await?;
            shared.write(&hosted, &changes).await?;
            shared.note(&hosted.name, None, "offsets were changed");
            drop(life);
            Ok(())
        })
    }

    fn reset_offsets(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move {
            let life = hosted.stopped().await?;
            let changes = shared.stored(&hosted).await?.forgotten();
            if !changes.is_empty() {
                shared.write(&hosted, &changes).await?;
                shared.note(&hosted.name, None, "offsets were reset");
            }
            drop(life);
            Ok(())
        })
    }
}

impl Worker {
    fn carry_out<T, F>(&self, work: impl FnOnce(Arc<Shared>) -> F) -> BoxFuture<'static, Outcome<T>>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        // If the caller is cancelled it goes on to its end, which the patience of a stop and the timeout bound.
        let work = tokio::spawn(work(Arc::clone(&self.shared)));
        let outcome = async move {
            match work.await {
                Ok(outcome) => outcome,
                Err(failure) => Err(HerderError::Failed(Error::internal("a request panicked").caused_by(failure))),
            }
        };
        outcome.boxed()
    }

    /// The same, about a connector there is.
    fn about<T, F>(
        &self,
        name: &str,
        work: impl FnOnce(Arc<Shared>, Arc<Hosted>) -> F,
    ) -> BoxFuture<'static, Outcome<T>>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        match self.shared.find_own(name) {
            Ok(hosted) => self.carry_out(|shared| work(shared, hosted)),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }
}

impl Hosted {
    /// Waits for the requests before; they may have deleted it.
    pub(super) async fn lock(&self) -> Outcome<MutexGuard<'_, Life>> {
        let life = self.life.lock().await;
        if life.is_deleted { Err(HerderError::NotFound(self.name.clone())) } else { Ok(life) }
    }

    /// The same, of a connector that must be stopped.
    async fn stopped(&self) -> Outcome<MutexGuard<'_, Life>> {
        let life = self.lock().await?;
        match life.target == TargetState::Stopped && !life.is_running() {
            true => Ok(life),
            false => Err(HerderError::NotStopped(self.name.clone())),
        }
    }
}
