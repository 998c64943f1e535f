//! The running instance of a connector: it is found by its sign of life, and changes the offset of a table itself, in its
//! own transaction.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cli::{ConfigArgs, output};
use crate::config::spec::{ConnectorSpec, RestSpec};
use crate::connector::offset_tools;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Client;
use crate::kafka::lease::Holder;
use crate::model::{OffsetMove, SourcePartition};

/// An instance that is alive, with its REST.
pub(crate) struct Instance {
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Instance {
    /// The instance that runs a connector. `does` says what it does itself.
    ///
    /// # Errors
    /// `Refused` if its REST is not known; `Config` if the settings of REST are wrong.
    pub(crate) fn find(
        spec: &ConnectorSpec,
        alive: &[Holder],
        url: Option<&str>,
        does: &str,
        config: &ConfigArgs,
    ) -> Result<Self> {
        let Some(url) = url.map(str::to_owned).or_else(|| found(alive)) else {
            let advice = format!("{does} if its REST is named with --url http://HOST:PORT; or stop it first");
            return Err(offset_tools::is_running(spec, alive, advice));
        };
        let client = Client::new(&url, &rest(config)?, patience(config))?;
        Ok(Self { url, client })
    }
}

/// The change of one table, as the instance that runs it takes it.
pub(super) struct TableMove {
    pub(super) partition: SourcePartition,
    pub(super) change: OffsetMove,
}

/// Changes the offset of a table through the instance that is alive.
///
/// # Errors
/// `Refused` if it cannot be asked; what it answers.
pub(super) async fn apply(
    spec: &ConnectorSpec,
    alive: &[Holder],
    (table, url): (Option<&TableMove>, Option<&str>),
    config: &ConfigArgs,
) -> Result<()> {
    let Some(table) = table else {
        let advice = "it changes the offset of one table by itself: name it with --table; or stop it first; --force fences \
                      it, and it ends with exit code 4";
        return Err(offset_tools::is_running(spec, alive, advice));
    };
    let does = "it changes the offset itself";
    let Instance { url, client } = Instance::find(spec, alive, url, does, config).map_err(|error| {
        let advice = format!("{}; --force fences it, and it ends with exit code 4", error.advice());
        if error.kind() == ErrorKind::Refused { error.advise(advice) } else { error }
    })?;
    let name = table.partition.to_string();
    let path = ["rowtide", "v1", "connectors", spec.name.as_str(), "tables", name.as_str(), "offset"];
    let answer = match table.change {
        OffsetMove::To { timestamp, incrementing } => {
            let body = json!({"timestamp": timestamp.map(|time| time.to_rfc3339()), "incrementing": incrementing});
            client.call("PUT", &path, Some(&body)).await
        }
        OffsetMove::Beginning => client.call("DELETE", &path, None).await,
    };
    let position = answer?.get("position").and_then(Json::as_str).unwrap_or_default().to_owned();
    output::say(&format!("changed by the running instance ({url}): {name} goes on from {position}"));
    Ok(())
}

/// It waits for a commit, too.
fn patience(config: &ConfigArgs) -> Duration {
    config.timeout + Duration::from_secs(5)
}

/// The address of an instance as it shows it; one of its own machine only means nothing elsewhere.
fn found(alive: &[Holder]) -> Option<String> {
    let mut reachable = alive.iter().filter_map(|holder| {
        let url = holder.rest.clone()?;
        let is_local = ["//127.", "//localhost", "//[::1]"].iter().any(|host| url.contains(host));
        (!is_local || holder.is_here()).then_some(url)
    });
    reachable.next()
}

/// The settings of REST of the connector's worker, whose users it may know.
///
/// # Errors
/// `Config` if they are wrong.
fn rest(config: &ConfigArgs) -> Result<RestSpec> {
    let worker = config.worker.as_deref().map(|file| crate::config::read(&file.to_string_lossy())).transpose()?;
    let (environment, sets) = (crate::config::process_environment(), config.set.clone());
    let surroundings = crate::config::Surroundings { worker, environment, sets, strict: config.strict };
    Ok(crate::config::rest(surroundings).map_err(Error::from)?.spec)
}
