//! Connectors that come, change and go, and the store that keeps what was said about them. A change is kept first, and
//! carried out when it is: what somebody was told is what the next start of the worker finds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::hosted::{Hosted, Life, Settings};
use super::hot;
use super::store::{Change, ConfigStore, Kept, SettingMap};
use super::{Shared, Worker};
use crate::config::spec::TaskSpec;
use crate::config::{self, Document, Problem, Report};
use crate::error::Result;
use crate::herder::{ConnectorKind, HerderError, Outcome, Put, SettingChanges, TargetState, Written};

impl Worker {
    /// Takes the connectors of a store, starts those that are meant to run, and keeps changes there from now on. One whose
    /// settings are wrong, or that is not rowtide's, does not stop the others.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn restore(&self, store: Arc<dyn ConfigStore>) -> Result<()> {
        let (kept, place) = (store.load().await?, store.place());
        let mut own = Vec::new();
        for kept in kept {
            let hosted = Arc::new(self.shared.restored(&place, kept));
            if hosted.foreign.is_none() {
                self.shared.boards.add(hosted.board.clone());
                own.push(Arc::clone(&hosted));
            }
            self.shared.hosted().insert(hosted.name.clone(), hosted);
        }
        let others = self.shared.hosted().len() - own.len();
        tracing::info!(store = %place, connectors = own.len(), others, "connectors are kept here");
        // Nobody else has one by now.
        let _ = self.shared.store.set(store);
        for hosted in own {
            let mut life = hosted.life.lock().await;
            self.shared.begin(&hosted, &mut life);
        }
        self.shared.has_started.store(true, Ordering::Release);
        Ok(())
    }
}

impl Shared {
    fn restored(&self, place: &str, kept: Kept) -> Hosted {
        let (map, unreadable) = match kept.settings {
            Ok(map) => (map, None),
            Err(reason) => (SettingMap::new(), Some(reason)),
        };
        let class = map.get("connector.class").map(|class| class.trim().to_owned()).unwrap_or_default();
        // The key it stands under is its name, whatever its settings say.
        let name = ("name".to_owned(), kept.name.clone());
        let document = Document::from_map(place, map.clone().into_iter().chain([name]));
        if unreadable.is_none() && !class.is_empty() && !config::is_own_class(&class) {
            let spec = Err(Report::default());
            return Hosted::foreign(kept.name, Settings { document, spec }, kind_of(&class, &map));
        }
        let mut settings = Settings::read(document, self.options.surroundings.clone());
        if let Some(reason) = unreadable {
            let problem = Problem::new("", format!("what is kept of the connector cannot be read: {reason}"));
            settings.spec = Err(Report { origin: place.to_owned(), problems: vec![problem], warnings: Vec::new() });
        }
        Hosted::new(kept.name, settings, kept.target, &self.boards)
    }

    pub(super) async fn put(&self, document: Document, put: Put) -> Outcome<Written> {
        let (name, settings) = self.judged(document)?;
        loop {
            let (hosted, is_new) = self.place(&name, &settings, put)?;
            let mut life = hosted.life.lock().await;
            if life.is_deleted {
                // It went meanwhile, so there is place for a new one.
                continue;
            }
            if !is_new {
                self.replace(&hosted, &mut life, settings).await?;
                return Ok(Written::Replaced);
            }
            let kept =
                Change::Settings { name: name.clone(), settings: raw(&settings.document), target: Some(life.target) };
            if let Err(error) = self.keep(kept).await {
                life.is_deleted = true;
                self.forget(&hosted);
                return Err(error.into());
            }
            self.note(&name, None, "created");
            self.begin(&hosted, &mut life);
            return Ok(Written::Created);
        }
    }

    pub(super) async fn patch(&self, hosted: &Arc<Hosted>, changes: SettingChanges) -> Outcome<()> {
        let mut life = hosted.lock().await?;
        let former = hosted.settings().document.clone();
        let mut map = raw(&former);
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        map.insert("name".to_owned(), hosted.name.clone());
        let (_, settings) = self.judged(Document::from_map(&former.origin, map))?;
        self.replace(hosted, &mut life, settings).await
    }

    /// The name and the settings of a connector that has no problem.
    fn judged(&self, document: Document) -> Outcome<(String, Settings)> {
        if self.closing.is_cancelled() {
            return Err(HerderError::Closing);
        }
        let loaded = config::connector(document.clone(), self.options.surroundings.clone());
        let loaded = loaded.map_err(|report| HerderError::Invalid(Box::new(report)))?;
        Ok((loaded.spec.name.clone(), Settings { document, spec: Ok(loaded.spec) }))
    }

    /// Other settings for a connector there is; its state stays. One that runs takes them as it runs, if it can.
    async fn replace(&self, hosted: &Arc<Hosted>, life: &mut Life, settings: Settings) -> Outcome<()> {
        let change = Change::Settings { name: hosted.name.clone(), settings: raw(&settings.document), target: None };
        self.keep(change).await?;
        let taken = hot::taken(&hosted.settings(), &settings).cloned();
        if let (Some((control, _)), Some(spec)) = (life.control(), taken) {
            hosted.board.set_allowance(settings.allowance());
            control.configure(TaskSpec::new(Arc::new(spec)));
            *hosted.settings() = settings;
            self.note(&hosted.name, None, "other settings, taken without a restart");
            return Ok(());
        }
        self.note(&hosted.name, None, "other settings");
        hosted.end(life).await;
        *hosted.settings() = settings;
        self.begin(hosted, life);
        Ok(())
    }

    /// The connector of that name, or a new one.
    fn place(&self, name: &str, settings: &Settings, put: Put) -> Outcome<(Arc<Hosted>, bool)> {
        let mut all = self.hosted();
        let target = match (all.get(name), put) {
            (Some(_), Put::Create(_)) => return Err(HerderError::Exists(name.to_owned())),
            (Some(hosted), Put::Replace) if hosted.foreign.is_some() => {
                return Err(HerderError::Foreign(name.to_owned()));
            }
            (Some(hosted), Put::Replace) => return Ok((Arc::clone(hosted), false)),
            (None, Put::Create(target)) => target,
            (None, Put::Replace) => TargetState::Running,
        };
        let hosted = Arc::new(Hosted::new(name.to_owned(), settings.clone(), target, &self.boards));
        self.boards.add(hosted.board.clone());
        all.insert(name.to_owned(), Arc::clone(&hosted));
        Ok((hosted, true))
    }

    /// The worker does not know the connector any more.
    pub(super) fn forget(&self, hosted: &Hosted) {
        self.hosted().remove(&hosted.name);
        self.boards.remove(&hosted.name);
        self.metrics.forget(&hosted.name);
        self.changed.send_replace(());
    }

    /// Brings a connector that does not run into the state it is meant to be in.
    fn begin(&self, hosted: &Arc<Hosted>, life: &mut Life) {
        match life.target {
            TargetState::Running if !life.is_running() => hosted.start(self, life),
            TargetState::Paused => hosted.keep_lease(life, self.rest()),
            TargetState::Running | TargetState::Stopped => {}
        }
    }

    /// A connector is meant to be in another state from now on.
    pub(super) async fn keep_target(&self, hosted: &Hosted, life: &mut Life, target: TargetState) -> Result<()> {
        if life.target != target {
            self.keep(Change::Target { name: hosted.name.clone(), target }).await?;
            life.target = target;
        }
        Ok(())
    }

    /// Keeps a change, where there is a place for it.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn keep(&self, change: Change) -> Result<()> {
        match self.store.get() {
            Some(store) => {
                tracing::info!(?change, "a connector is changed by a request");
                store.write(change).await
            }
            None if self.has_started.load(Ordering::Acquire) => {
                tracing::info!(?change, "kept in memory only: it is forgotten when this process ends");
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Settings as they are written.
fn raw(document: &Document) -> SettingMap {
    document.entries.iter().map(|(key, entry)| (key.clone(), entry.raw.clone())).collect()
}

/// The probable kind of a foreign connector: its class is not there to be asked.
fn kind_of(class: &str, settings: &SettingMap) -> ConnectorKind {
    let class = class.rsplit('.').next().unwrap_or(class);
    if class.contains("Sink") {
        ConnectorKind::Sink
    } else if class.contains("Source") {
        ConnectorKind::Source
    } else if settings.contains_key("topics") || settings.contains_key("topics.regex") {
        ConnectorKind::Sink
    } else {
        ConnectorKind::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_connector_that_is_not_ours_is_seen_by_its_name_and_settings() {
        let topics: SettingMap = [("topics".to_owned(), "t".to_owned())].into();
        for (class, settings, kind) in [
            ("io.confluent.connect.jdbc.JdbcSinkConnector", &SettingMap::new(), ConnectorKind::Sink),
            ("org.apache.kafka.connect.mirror.MirrorSourceConnector", &topics, ConnectorKind::Source),
            ("com.example.Archive", &topics, ConnectorKind::Sink),
            ("com.example.Archive", &SettingMap::new(), ConnectorKind::Unknown),
        ] {
            assert_eq!(kind_of(class, settings), kind, "{class}");
        }
    }
}
