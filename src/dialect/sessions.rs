//! The session pool of a process, the one place where sessions in databases are opened. To one server there are never more
//! than `connection.pool.size`, however many connectors and tasks read it, and only a few are being opened at the same
//! time: a login is the most that a session costs a server, and a hundred at once are taken for an attack.
//!
//! A task keeps its session while nobody waits for one: then a pool costs nothing. Where somebody waits, a holder hands
//! its session over between two polls ([`Session::hand_over`]), as it is if the settings are the same, else as the place
//! for another. Those who wait have their turn in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant as Clock;

use super::{Dialect, SourceConnection};
use crate::config::spec::SourceSpec;
use crate::error::{Error, Result};
use crate::lock::locked;
use crate::telemetry::SessionMetrics;

/// Sessions that are being opened to one server at the same time.
const AT_ONCE: usize = 16;
/// The longest time for closing a session politely.
const GOODBYE: Duration = Duration::from_secs(3);
/// The idle time after which a session is asked whether it is still one: a server, a proxy or a firewall may have closed
/// it without a word.
const IDLE: Duration = Duration::from_secs(10);

/// The sessions of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    servers: Arc<Mutex<HashMap<String, Arc<Server>>>>,
    metrics: Option<SessionMetrics>,
}

impl Sessions {
    /// Sessions that are counted.
    pub fn counted(metrics: SessionMetrics) -> Self {
        Self { servers: Arc::default(), metrics: Some(metrics) }
    }

    /// A session, when its turn has come.
    ///
    /// # Errors
    /// Those of [`Dialect::connect`].
    pub async fn open(&self, dialect: &'static dyn Dialect, source: &SourceSpec) -> Result<Session> {
        self.turn(source).await.open(dialect, source).await
    }

    /// The turn to have a session of a server, when there is one left for it.
    pub async fn turn(&self, source: &SourceSpec) -> Turn {
        let server = self.server(source);
        loop {
            let turn = match server.admit(source) {
                Ok(place) => return Turn::Open(place),
                Err(turn) => turn,
            };
            let _queued = Queued(&server);
            // A holder that ends in the middle of handing over gives none.
            if let Ok(turn) = turn.await {
                return turn;
            }
        }
    }

    fn server(&self, source: &SourceSpec) -> Arc<Server> {
        let mut servers = locked(&self.servers);
        // Servers that nobody has a session of now.
        servers.retain(|_, server| Arc::strong_count(server) > 1);
        let server = servers.entry(address(source)).or_insert_with(|| {
            let metrics = self.metrics.clone().map(|metrics| (metrics, shown(source)));
            Arc::new(Server::new(metrics))
        });
        Arc::clone(server)
    }
}

/// The server, whatever database of it; of a file the file.
fn address(source: &SourceSpec) -> String {
    if source.url.hosts.is_empty() { source.url.to_string() } else { format!("{:?}", source.url.hosts) }
}

/// The server, as metrics name it.
fn shown(source: &SourceSpec) -> String {
    if source.url.hosts.is_empty() {
        return source.url.to_string();
    }
    let hosts: Vec<String> = source.url.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
    hosts.join(",")
}

/// The pool of one server.
#[derive(Debug)]
struct Server {
    opening: Semaphore,
    pool: Mutex<Pool>,
    /// The number of those who wait for a session.
    waiting: watch::Sender<usize>,
    /// The metrics, and the server's name there.
    metrics: Option<(SessionMetrics, String)>,
}

#[derive(Debug)]
struct Pool {
    /// Places that are taken.
    taken: usize,
    /// The largest `connection.pool.size` of those who have asked.
    size: usize,
    queue: VecDeque<Waiting>,
}

/// Somebody who waits for a session.
#[derive(Debug)]
struct Waiting {
    source: SourceSpec,
    turn: oneshot::Sender<Turn>,
}

impl Server {
    fn new(metrics: Option<(SessionMetrics, String)>) -> Self {
        let pool = Pool { taken: 0, size: 0, queue: VecDeque::new() };
        Self { opening: Semaphore::new(AT_ONCE), pool: Mutex::new(pool), waiting: watch::Sender::new(0), metrics }
    }

    /// A place at once if one is left and nobody waits; else the turn that will come.
    fn admit(self: &Arc<Self>, source: &SourceSpec) -> std::result::Result<Place, oneshot::Receiver<Turn>> {
        let mut pool = locked(&self.pool);
        pool.size = pool.size.max(source.pool_size);
        // A larger size counts for those who wait already, too.
        while pool.taken < pool.size {
            let Some(waiting) = pool.queue.pop_front() else {
                pool.taken += 1;
                self.tell(pool);
                return Ok(Place { server: Some(Arc::clone(self)) });
            };
            let place = Place { server: Some(Arc::clone(self)) };
            if let Err(Turn::Open(place)) = waiting.turn.send(Turn::Open(place)) {
                place.forget();
            } else {
                pool.taken += 1;
            }
        }
        let (turn, receiver) = oneshot::channel();
        pool.queue.push_back(Waiting { source: source.clone(), turn });
        self.tell(pool);
        Err(receiver)
    }

    /// The first of those who still wait.
    fn next(&self) -> Option<Waiting> {
        let mut pool = self.present();
        let first = pool.queue.pop_front();
        self.tell(pool);
        first
    }

    /// The first of those who still wait; if nobody does, a place is free.
    fn next_or_free(&self) -> Option<Waiting> {
        let mut pool = self.present();
        let first = pool.queue.pop_front();
        if first.is_none() {
            pool.taken -= 1;
        }
        self.tell(pool);
        first
    }

    /// The pool, its queue without those who do not wait any more.
    fn present(&self) -> MutexGuard<'_, Pool> {
        let mut pool = locked(&self.pool);
        pool.queue.retain(|waiting| !waiting.turn.is_closed());
        pool
    }

    fn tell(&self, pool: MutexGuard<'_, Pool>) {
        let waiting = pool.queue.len();
        if let Some((metrics, server)) = &self.metrics {
            metrics.told(server, pool.taken, waiting);
        }
        drop(pool);
        self.waiting.send_if_modified(|told| std::mem::replace(told, waiting) != waiting);
    }
}

/// Somebody in the queue, until their turn has come or they give up.
struct Queued<'a>(&'a Server);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.tell(self.0.present());
    }
}

/// A place in a pool; given up, it goes to the first who waits.
#[derive(Debug)]
pub struct Place {
    server: Option<Arc<Server>>,
}

impl Place {
    /// Drops a place that was never taken.
    fn forget(mut self) {
        self.server = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else { return };
        while let Some(waiting) = server.next_or_free() {
            match waiting.turn.send(Turn::Open(Place { server: Some(Arc::clone(&server)) })) {
                Ok(()) => return,
                Err(Turn::Open(place)) => place.forget(),
                Err(Turn::Take(_)) => {}
            }
        }
    }
}

/// The turn to have a session.
#[derive(Debug)]
pub enum Turn {
    /// A session may be opened.
    Open(Place),
    /// Somebody has handed over one of the same settings.
    Take(Box<Session>),
}

impl Turn {
    /// The session.
    ///
    /// # Errors
    /// Those of [`Dialect::connect`].
    pub async fn open(self, dialect: &'static dyn Dialect, source: &SourceSpec) -> Result<Session> {
        let place = match self {
            Turn::Take(session) => return Ok(*session),
            Turn::Open(place) => place,
        };
        let server = place.server.as_ref().ok_or_else(|| Error::internal("a place without a server"))?;
        let connection = {
            // It is never closed; on cancel it is given back.
            let _one_of_few = server.opening.acquire().await;
            dialect.connect(source).await?
        };
        let waiting = server.waiting.subscribe();
        Ok(Session { connection, source: source.clone(), place, waiting, used: Clock::now(), is_used: false })
    }
}

/// A session of the pool.
pub struct Session {
    connection: Box<dyn SourceConnection>,
    source: SourceSpec,
    // After the connection, so that a place is free when its session is.
    place: Place,
    waiting: watch::Receiver<usize>,
    /// The time of its last use.
    used: Clock,
    is_used: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("url", &self.source.url.to_string()).finish_non_exhaustive()
    }
}

impl Session {
    /// True if somebody else has had it before.
    pub fn is_handed_over(&self) -> bool {
        self.is_used
    }

    /// Probe of a session that was idle for long; true if it can be used, from now on.
    pub async fn is_usable(&mut self) -> bool {
        let is_usable = self.used.elapsed() <= IDLE || self.connection.is_alive().await;
        self.used = Clock::now();
        is_usable
    }

    /// Returns when somebody waits for a session of this server.
    pub async fn is_wanted(&mut self) {
        if self.waiting.wait_for(|waiting| *waiting > 0).await.is_err() {
            // The sender lives in the place's server.
            std::future::pending::<()>().await;
        }
    }

    /// Hands the session over to the first who waits, between two polls: none is in the middle of a statement or a
    /// view. The session itself if nobody waits any more.
    pub async fn hand_over(mut self) -> Option<Self> {
        self.is_used = true;
        loop {
            let Some(waiting) = self.place.server.as_ref().and_then(|server| server.next()) else { return Some(self) };
            if waiting.source != self.source {
                let Self { connection, place, .. } = self;
                let _ = tokio::time::timeout(GOODBYE, connection.close()).await;
                // To the next one, if this one has gone meanwhile.
                drop(waiting.turn.send(Turn::Open(place)));
                return None;
            }
            match waiting.turn.send(Turn::Take(Box::new(self))) {
                Ok(()) => return None,
                Err(Turn::Take(session)) => self = *session,
                Err(Turn::Open(_)) => return None,
            }
        }
    }

    /// Gives the session away for good: to the first who waits for one, else it is closed.
    pub async fn finish(self) {
        if let Some(session) = self.hand_over().await {
            session.close().await;
        }
    }

    /// Closes the session; a statement that still runs is cancelled at the server.
    pub async fn close(self) {
        let _ = tokio::time::timeout(GOODBYE, self.connection.close()).await;
    }
}

impl Deref for Session {
    type Target = dyn SourceConnection;

    fn deref(&self) -> &Self::Target {
        &*self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.connection
    }
}
