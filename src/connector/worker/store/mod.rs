//! Stores of connectors made by requests, between two lives of a worker. Takes settings as somebody has written them,
//! placeholders unresolved, and the state each connector is meant to be in; gives them back at the next start. Judges no
//! setting. Two implementations: Kafka Connect's topic of configurations, and a folder of files.

mod folder;
mod record;
mod topic;

use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::BoxFuture;

pub use self::folder::FolderStore;
pub use self::topic::TopicStore;
use crate::error::Result;
use crate::herder::TargetState;

/// Settings by key.
pub type SettingMap = BTreeMap<String, String>;

/// A store of connectors.
pub trait ConfigStore: Send + Sync {
    /// Everything that is kept. Called once, before the first change.
    ///
    /// # Errors
    /// Those of the place; what is wrong with a single connector is told with it.
    fn load(&self) -> BoxFuture<'_, Result<Vec<Kept>>>;

    /// Carries out a change; returns when it will be found after a crash.
    ///
    /// # Errors
    /// Those of the place. After one it is unknown whether the change was kept.
    fn write(&self, change: Change) -> BoxFuture<'_, Result<()>>;

    /// The place, for logs and as the origin of settings.
    fn place(&self) -> String;
}

/// A connector as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its settings, or why they cannot be read.
    pub settings: Result<SettingMap, String>,
    /// The state it is meant to be in.
    pub target: TargetState,
}

/// A change of what is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// A connector has these settings.
    Settings {
        /// Its name.
        name: String,
        /// All of them.
        settings: SettingMap,
        /// The state of a new connector; none: as it was.
        target: Option<TargetState>,
    },
    /// A connector is meant to be in this state.
    Target {
        /// Its name.
        name: String,
        /// The state.
        target: TargetState,
    },
    /// There is no such connector any more.
    Removed {
        /// Its name.
        name: String,
    },
}

/// Without the settings, which hold secrets.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Settings { name, target, .. } => write!(f, "Settings({name}, {target:?})"),
            Change::Target { name, target } => write!(f, "Target({name}, {target:?})"),
            Change::Removed { name } => write!(f, "Removed({name})"),
        }
    }
}
