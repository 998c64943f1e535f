//! `rowtide check`: everything wrong with a configuration, then with what it points at. Writes nothing.

use clap::Args;

use super::{ConfigArgs, output};
use crate::config::spec::{ConnectorSpec, KeyMode};
use crate::connector::{catalog, inspect, offset_tools, parts, standalone};
use crate::convert::Role;
use crate::dialect::dialect_of;
use crate::error::{Error, Result};
use crate::kafka::admin::{self, TopicState};
use crate::kafka::client;
use crate::model::{CursorFact, Mode, Relation};
use crate::task::binding::Binding;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Connector configurations; `-` is standard input.
    #[arg(required = true, value_name = "CONNECTOR")]
    connectors: Vec<String>,
    /// Look at the files only.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What was found, line by line; every step is tried even if the one before failed.
#[derive(Default)]
struct Findings {
    errors: Vec<Error>,
}

impl Findings {
    fn note<T>(&mut self, what: &str, outcome: Result<T>, describe: impl FnOnce(&T) -> String) -> Option<T> {
        match outcome {
            Ok(value) => {
                let _ = output::print(&format!("ok       {what}: {}\n", describe(&value)));
                Some(value)
            }
            Err(error) => {
                let text = format!("PROBLEM  {what}: {}\n         what to do: {}\n", error.report(), error.advice());
                let _ = output::print(&text);
                self.errors.push(error);
                None
            }
        }
    }
}

pub(super) async fn run(args: CheckArgs) -> u8 {
    let specs = match output::load(&args.connectors, &args.config) {
        Ok(specs) => specs,
        Err(code) => return code,
    };
    let mut findings = Findings::default();
    for spec in &specs {
        let _ = output::print(&format!("connector {}\n", spec.name));
        findings.note("configuration", Ok(()), |()| "complete and consistent".to_owned());
        let clients = findings.note("client settings", client::notes(&spec.kafka), |_| "understood".to_owned());
        for note in clients.unwrap_or_default() {
            let _ = output::print(&format!("note     {note}\n"));
        }
        for note in &spec.notes {
            let _ = output::print(&format!("note     {note}\n"));
        }
        if matches!(spec.key.mode, KeyMode::None) {
            let _ = output::print(&format!("note     {UNKEYED}\n"));
        }
        if !args.offline {
            online(spec, &args.config, &mut findings).await;
        }
    }
    let summary = match findings.errors.len() {
        0 => "no problems".to_owned(),
        problems => output::count(problems, "problem"),
    };
    let _ = output::print(&format!("{summary}{}\n", if args.offline { "; looked at the files only" } else { "" }));
    // A wrong configuration counts more than a server that is down.
    findings.errors.iter().map(|error| error.kind().exit_code()).min().unwrap_or(0)
}

/// What a topic without keys costs.
pub(super) const UNKEYED: &str = "key.mode=none (as the reference): rows of one id may land in different partitions and out of order, \
     compaction and KTables do not work; key.mode=primary_key mends it";

async fn online(spec: &ConnectorSpec, args: &ConfigArgs, findings: &mut Findings) {
    let (bindings, identity) = database(spec, args, findings).await;
    let what = format!("brokers {}", spec.kafka.bootstrap_servers);
    let brokers = output::reach(&spec.kafka, args.timeout).await;
    if findings
        .note(&what, brokers, |about| {
            format!(
                "{} in cluster {}",
                output::count(about.brokers, "broker"),
                about.cluster_id.as_deref().unwrap_or("?")
            )
        })
        .is_some()
    {
        let mut topics: Vec<String> = bindings.iter().map(|binding| binding.topic.to_string()).collect();
        topics.push(spec.offsets.topic.clone());
        for topic in topics {
            let state =
                output::within(args.timeout, "the brokers", admin::probe_topic(&spec.kafka, &topic, args.timeout))
                    .await;
            findings.note(&format!("topic {topic}"), state, |state| match state {
                TopicState::Missing => "not there yet; the first run creates it".to_owned(),
                TopicState::Present { partitions } => {
                    output::count(usize::try_from(*partitions).unwrap_or(0), "partition")
                }
                TopicState::Hidden => "may not be described with these credentials".to_owned(),
            });
        }
        if let Some(identity) = &identity {
            server(spec, args, identity, findings).await;
        }
        let relations: Vec<_> = bindings.iter().map(|binding| binding.definition.relation.clone()).collect();
        left_by_a_standalone_worker(spec, args, &relations, findings).await;
    }
    for binding in &bindings {
        registry(spec, args, binding, findings).await;
    }
}

/// What can be polled, and which server it is.
async fn database(spec: &ConnectorSpec, args: &ConfigArgs, findings: &mut Findings) -> (Vec<Binding>, Option<String>) {
    let what = format!("database {}", spec.source.url);
    let mut bindings = Vec::new();
    let dialect = match dialect_of(&spec.source) {
        Ok(dialect) => dialect,
        Err(error) => {
            findings.note::<()>(&what, Err(error), |()| String::new());
            return (bindings, None);
        }
    };
    let connected = output::within(args.timeout, &what, dialect.connect(&spec.source)).await;
    let Some(mut connection) = findings.note(&what, connected, |connection| connection.server().to_owned()) else {
        return (bindings, None);
    };
    let identity = connection.identity().map(str::to_owned);
    let listed = output::within(args.timeout, &what, catalog::relations(spec, dialect, &mut *connection)).await;
    let relations = findings.note("tables", listed, |relations| match relations.len() {
        0 => "none yet; tables that appear later are picked up".to_owned(),
        count => format!("{count} selected"),
    });
    let relations = relations.unwrap_or_default();
    for note in spec.source.types.unplaced(&relations) {
        let _ = output::print(&format!("note     {note}\n"));
    }
    for relation in relations {
        let read = async {
            let binding = inspect::binding(spec, dialect, &mut *connection, &relation).await?;
            // Who may not read the table learns it here.
            let (plan, _) = inspect::plan(spec, &mut *connection, &binding, None).await?;
            let facts = inspect::cursor_facts(&mut *connection, &binding).await?;
            Ok((binding, plan, facts))
        };
        let read = output::within(args.timeout, &what, read).await;
        let noted = findings.note(&format!("table {relation}"), read, |(binding, ..)| {
            let columns = output::count(binding.definition.columns.len(), "column");
            format!("{columns}, mode {}, to topic {}", binding.planner.mode().as_str(), binding.topic)
        });
        let Some((binding, plan, facts)) = noted else { continue };
        for CursorFact { column, weight, text } in facts {
            let word = weight.as_str();
            let _ = output::print(&format!("{word:<9}table {relation}, column {column}: {text}\n"));
        }
        if !plan.index_serves && !matches!(binding.planner.mode(), Mode::Bulk) {
            let _ = output::print(&format!(
                "note     table {relation}: no index serves its polls; `rowtide explain` shows the one that would\n"
            ));
        }
        bindings.push(binding);
    }
    connection.close().await;
    (bindings, identity)
}

/// Whether the stored offsets, if they can be read, belong to this server.
async fn server(spec: &ConnectorSpec, args: &ConfigArgs, identity: &str, findings: &mut Findings) {
    match output::within(args.timeout, "the offsets topic", offset_tools::load(spec)).await {
        Ok(stored) => {
            findings.note("server", inspect::server(spec, Some(identity), stored.server.as_deref()), String::clone);
        }
        Err(error) => {
            let _ =
                output::print(&format!("note     server {identity}; the offsets cannot be read: {}\n", error.report()));
        }
    }
}

/// Whether `run` would refuse to begin anew, or pass over what a standalone worker has read.
async fn left_by_a_standalone_worker(
    spec: &ConnectorSpec,
    args: &ConfigArgs,
    relations: &[Relation],
    findings: &mut Findings,
) {
    if let Some(file) = standalone::missing(spec) {
        let _ = output::print(&format!("note     {}: {}\n", file.display(), standalone::NOT_THERE));
    }
    let left = match standalone::positions(spec, relations) {
        Ok(left) if left.is_empty() => return,
        other => other,
    };
    let compared = async {
        let (left, stored) = (left?, offset_tools::load(spec).await?);
        standalone::passed_over(spec, left, &stored.offsets.into_iter().collect())
    };
    let compared = output::within(args.timeout, "the offsets topic", compared).await;
    findings.note("offset.storage.file.filename", compared, |passed_over| match passed_over.as_slice() {
        [] => "what a standalone worker has read has been taken over".to_owned(),
        tables => {
            let names: Vec<String> = tables.iter().map(|(relation, _)| relation.to_string()).collect();
            format!("its positions of these tables have not been taken over: {}", names.join(", "))
        }
    });
}

async fn registry(spec: &ConnectorSpec, args: &ConfigArgs, binding: &Binding, findings: &mut Findings) {
    let key = binding.key.as_ref().map(|(schema, _)| (Role::Key, &spec.key_converter, schema));
    for (role, converter_spec, schema) in key.into_iter().chain([(Role::Value, &spec.value_converter, &binding.value)])
    {
        let what = format!("{} schema of {}", role.as_str(), binding.topic);
        let checked = async {
            let converter = parts::converter(converter_spec)?;
            converter.check(&binding.topic, role, schema).await?;
            Ok(converter.preview(&binding.topic, role, schema)?.subject)
        };
        let checked = output::within(args.timeout, &output::registry_of(converter_spec), checked).await;
        findings.note(&what, checked, |subject| match subject {
            Some(subject) => format!("subject {subject} accepts it"),
            None => "no registry".to_owned(),
        });
    }
}
