//! `rowtide backfill`: a table is read again. The instance that runs the connector does so while it polls; where none runs, the
//! request is stored for the next one.

use clap::Args;
use serde_json::{Value as Json, json};

use super::offsets::running::Instance;
use super::offsets::{Stop, Target, chosen, load, nothing_stored, one};
use super::output;
use crate::config::spec::ConnectorSpec;
use crate::connector::{catalog, inspect, offset_tools};
use crate::dialect::dialect_of;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Backfill, SourcePartition};
use crate::offsets::moved::backfilled;

#[derive(Debug, Args)]
pub(super) struct BackfillArgs {
    #[command(flatten)]
    target: Target,
    /// Only rows that meet this condition, in the database's SQL; beside that of the table's configuration.
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// To this topic instead of the table's; before transforms.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// The most rows a second [default: load.rows.per.second].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// End the backfill there is; what it delivered stays.
    #[arg(long, conflicts_with_all = ["condition", "topic", "rate"])]
    cancel: bool,
    /// The REST of the instance that is alive [default: the address it shows].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) async fn run(args: BackfillArgs) -> u8 {
    match backfill(&args).await {
        Ok(()) => 0,
        Err(Stop::Said(code)) => code,
        Err(Stop::Error(error)) => output::fail(&error),
    }
}

async fn backfill(args: &BackfillArgs) -> Result<(), Stop> {
    let BackfillArgs { target, condition, topic, rate, cancel, url } = args;
    let spec = one(&target.connector, &target.config)?;
    let request = Backfill { condition: condition.clone(), topic: topic.clone(), rate: *rate };
    let request = (!cancel).then_some(request);
    let stored = load(&spec, &target.config).await?;
    let table = target.table.as_deref();
    let Some(partition) = chosen(&stored, table)? else {
        let error = nothing_stored(&stored, table);
        return Err(error.advise("its first load reads all rows; ask for a backfill when it has ended").into());
    };
    let what = format!("brokers {}", spec.kafka.bootstrap_servers);
    let alive = offset_tools::holders(&spec, target.config.timeout);
    let alive = output::within(target.config.timeout, &what, alive).await?;
    if !alive.is_empty() {
        let instance = Instance::find(&spec, &alive, url.as_deref(), "it reads the table itself", &target.config)?;
        return Ok(ask(&spec, &instance, &partition, request.as_ref()).await?);
    }
    let before = stored.offsets.get(&partition.backfill());
    let Some(request) = request else {
        if before.is_none() {
            return Err(Error::config(format!("no backfill of {partition} is stored"))
                .advise("nothing to cancel")
                .into());
        }
        let change = [(partition.backfill(), None)];
        let written = offset_tools::write(&spec, &change, false, target.config.timeout);
        output::within(target.config.timeout, &what, written).await?;
        output::say(&format!("the backfill of {partition} is forgotten; what it delivered stays"));
        return Ok(());
    };
    if before.is_some() {
        let error = Error::new(ErrorKind::Refused, format!("a backfill of {partition} is stored, and not at its end"));
        return Err(error.advise("run the connector, which goes on with it, or end it with --cancel").into());
    }
    let upto = stored.offsets.get(&partition).map(|stored| &stored.offset);
    let begun = backfilled(spec.mode_of_partition(&partition), upto, &request);
    let begun = begun.map_err(|error| error.with("table", &partition))?;
    look(&spec, &partition, &request, target).await?;
    let upto = upto.map(ToString::to_string).unwrap_or_default();
    let change = [(partition.backfill(), Some(begun))];
    let written = offset_tools::write(&spec, &change, false, target.config.timeout);
    output::within(target.config.timeout, &what, written).await?;
    output::say(&format!("stored: the next run of connector {} reads {partition} again, up to {upto}", spec.name));
    Ok(())
}

/// Asks the instance that runs the connector.
async fn ask(
    spec: &ConnectorSpec,
    instance: &Instance,
    partition: &SourcePartition,
    request: Option<&Backfill>,
) -> Result<()> {
    let (name, url) = (partition.to_string(), &instance.url);
    let path = ["rowtide", "v1", "connectors", spec.name.as_str(), "tables", name.as_str(), "backfill"];
    let Some(request) = request else {
        instance.client.call("DELETE", &path, None).await?;
        output::say(&format!("ended by the running instance ({url}): what the backfill of {name} delivered stays"));
        return Ok(());
    };
    let answer = instance.client.call("POST", &path, Some(&json!(request))).await?;
    let position = answer.get("position").and_then(Json::as_str).unwrap_or_default();
    output::say(&format!("begun by the running instance ({url}): {name}, {position}"));
    output::say(&format!("`{name} (backfill)` in its /status tells the progress"));
    Ok(())
}

/// Looks whether the database takes the request.
async fn look(spec: &ConnectorSpec, partition: &SourcePartition, request: &Backfill, target: &Target) -> Result<()> {
    let (dialect, what) = (dialect_of(&spec.source)?, format!("database {}", spec.source.url));
    output::within(target.config.timeout, &what, async {
        let mut connection = dialect.connect(&spec.source).await?;
        let relations = catalog::relations(spec, dialect, &mut *connection).await?;
        let Some(relation) = relations.iter().find(|relation| spec.source_partition(relation) == *partition) else {
            return Err(Error::config(format!("the connector does not select {partition}"))
                .advise("name a table that the connector polls"));
        };
        inspect::backfill(spec, dialect, &mut *connection, (relation, request)).await?;
        connection.close().await;
        Ok(())
    })
    .await
}
