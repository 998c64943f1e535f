//! The policy by which a process opens sessions in databases, the one place for it. A task has one session for as long as
//! it reads, a listing of the catalog opens one and closes it; both come here. To one server not more than a few are
//! being opened at the same time, however many connectors and tasks start: a login is the most that a session costs a
//! server, and those of a hundred tasks at once are taken for an attack or exceed its limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::{Dialect, SourceConnection};
use crate::config::spec::SourceSpec;
use crate::error::Result;
use crate::lock::locked;

/// Sessions that are being opened to one server at the same time.
const AT_ONCE: usize = 16;

/// The sessions of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    servers: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl Sessions {
    /// Opens a session when its turn has come.
    ///
    /// # Errors
    /// Those of [`Dialect::connect`].
    pub async fn open(&self, dialect: &'static dyn Dialect, source: &SourceSpec) -> Result<Box<dyn SourceConnection>> {
        let server = self.server(source);
        // It is never closed; on cancel the place is given back.
        let _place = server.acquire().await;
        dialect.connect(source).await
    }

    fn server(&self, source: &SourceSpec) -> Arc<Semaphore> {
        let mut servers = locked(&self.servers);
        // Servers that nobody connects to now.
        servers.retain(|_, places| Arc::strong_count(places) > 1);
        let places = servers.entry(source.url.to_string()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        Arc::clone(places)
    }
}
