//! The requests a worker answers ([`Herder`]). Each that changes something runs in a task of its own, so that it is
//! carried out to its end although the caller may be gone, and waits for those about the same connector before it.

#![expect(clippy::disallowed_methods, reason = "a request is carried out although who has asked may be gone")]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::MutexGuard;

use super::hosted::{Hosted, Life, Settings};
use super::{Shared, Worker};
use crate::config::{self, Document, Report};
use crate::connector::offset_tools::{self, Stored};
use crate::error::{Error, Result};
use crate::herder::{
    ConnectorInfo, Herder, HerderError, OffsetChange, OffsetChanges, Outcome, Put, TargetState, Written,
};
use crate::model::{SourceOffset, SourcePartition};
use crate::retry::within;

impl Herder for Worker {
    fn connectors(&self) -> Vec<String> {
        self.shared.hosted().keys().cloned().collect()
    }

    fn config(&self, name: &str) -> Outcome<Document> {
        Ok(self.shared.find(name)?.settings().document.clone())
    }

    fn status(&self, name: &str) -> Outcome<ConnectorInfo> {
        Ok(self.shared.find(name)?.board.with(|status| ConnectorInfo::from(status)))
    }

    fn validate(&self, settings: &Document) -> Report {
        match config::connector(settings.clone(), self.shared.options.surroundings.clone()) {
            Ok(loaded) => loaded.report,
            Err(report) => report,
        }
    }

    fn put(&self, settings: Document, put: Put) -> BoxFuture<'static, Outcome<Written>> {
        self.carry_out(|shared| async move { shared.put(settings, put).await })
    }

    fn delete(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |shared, hosted| async move {
            let mut life = hosted.lock().await?;
            hosted.end(&mut life).await;
            hosted.give_up_lease(&mut life).await;
            life.is_deleted = true;
            shared.hosted().remove(&hosted.name);
            shared.boards.remove(&hosted.name);
            shared.metrics.forget(&hosted.name);
            shared.changed.send_replace(());
            Ok(())
        })
    }

    fn pause(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |_, hosted| async move {
            let mut life = hosted.lock().await?;
            if life.target == TargetState::Paused {
                return Ok(());
            }
            life.target = TargetState::Paused;
            // Before the tasks that end give their lease up.
            hosted.keep_lease(&mut life);
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
                life.target = TargetState::Running;
                hosted.start(&shared, &mut life);
            }
            Ok(())
        })
    }

    fn stop(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
        self.about(name, |_, hosted| async move {
            let mut life = hosted.lock().await?;
            life.target = TargetState::Stopped;
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
                hosted.end(&mut life).await;
                hosted.start(&shared, &mut life);
            }
            Ok(())
        })
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
        match self.shared.find(name) {
            Ok(hosted) => self.carry_out(|shared| work(shared, hosted)),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }
}

impl Hosted {
    /// Waits for the requests before; they may have deleted it.
    async fn lock(&self) -> Outcome<MutexGuard<'_, Life>> {
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

impl Shared {
    async fn put(&self, document: Document, put: Put) -> Outcome<Written> {
        if self.closing.is_cancelled() {
            return Err(HerderError::Closing);
        }
        let loaded = config::connector(document.clone(), self.options.surroundings.clone());
        let spec = loaded.map_err(|report| HerderError::Invalid(Box::new(report)))?.spec;
        let settings = Settings { document, spec };
        loop {
            let (hosted, is_new) = self.place(&settings, put)?;
            let mut life = hosted.life.lock().await;
            if life.is_deleted {
                // The connector was removed meanwhile, so there is a place for a new one.
                continue;
            }
            if is_new {
                self.begin(&hosted, &mut life);
                return Ok(Written::Created);
            }
            hosted.end(&mut life).await;
            *hosted.settings() = settings;
            self.begin(&hosted, &mut life);
            return Ok(Written::Replaced);
        }
    }

    /// The connector of that name, or a new one.
    fn place(&self, settings: &Settings, put: Put) -> Outcome<(Arc<Hosted>, bool)> {
        let name = &settings.spec.name;
        let mut all = self.hosted();
        let target = match (all.get(name), put) {
            (Some(_), Put::Create(_)) => return Err(HerderError::Exists(name.clone())),
            (Some(hosted), Put::Replace) => return Ok((Arc::clone(hosted), false)),
            (None, Put::Create(target)) => target,
            (None, Put::Replace) => TargetState::Running,
        };
        let hosted = Arc::new(Hosted::new(settings.clone(), target));
        self.boards.add(hosted.board.clone());
        all.insert(name.clone(), Arc::clone(&hosted));
        Ok((hosted, true))
    }

    /// Brings a connector that does not run into the state it is meant to be in.
    fn begin(&self, hosted: &Arc<Hosted>, life: &mut Life) {
        match life.target {
            TargetState::Running if !life.is_running() => hosted.start(self, life),
            TargetState::Paused => hosted.keep_lease(life),
            TargetState::Running | TargetState::Stopped => {}
        }
    }

    async fn stored(&self, hosted: &Hosted) -> Result<Stored> {
        let spec = hosted.spec();
        within(self.options.timeout, "the offsets topic", offset_tools::load(&spec)).await
    }

    async fn write(&self, hosted: &Hosted, changes: &[OffsetChange]) -> Result<()> {
        let (spec, timeout) = (hosted.spec(), self.options.timeout);
        let what = format!("brokers {}", spec.kafka.bootstrap_servers);
        within(timeout, &what, offset_tools::write(&spec, changes, false, timeout)).await
    }
}
