//! `rowtide check`: everything wrong with a configuration, then with the servers it names. Writes nothing.

use clap::Args;

use super::{ConfigArgs, output};
use crate::config::spec::ConnectorSpec;
use crate::connector::inspect::CursorKnown;
use crate::connector::{catalog, heirs, inspect, offset_tools, standalone};
use crate::dialect::dialect_of;
use crate::error::{Error, Result};
use crate::kafka::admin;
use crate::kafka::topic_role::TopicRole;
use crate::kafka::{client, probe, topics};
use crate::model::{CursorFact, Mode, Relation, Server};
use crate::task::binding::Binding;
use crate::task::driver_types::DriverChoice;

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

/// The findings, line by line; every step is tried even if the one before failed.
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
                let (report, advice, more) = (error.report(), error.advice(), error.root_kind().reference());
                let text = format!("PROBLEM  {what}: {report}\n         what to do: {advice}\n         more: {more}\n");
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
        if spec.is_keyless() {
            let _ = output::print(&format!("note     {UNKEYED}\n"));
        }
        let usable = converters(spec, &mut findings);
        if !args.offline {
            online(spec, &args.config, usable, &mut findings).await;
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

/// The warning about a topic without keys.
pub(super) const UNKEYED: &str = "key.mode=none (as the reference): rows of one id may land in different partitions and out of order, \
     compaction and KTables do not work; key.mode=primary_key mends it";

/// Check of the converters' settings, which a run refuses at its start, used or not; true if all can be used.
fn converters(spec: &ConnectorSpec, findings: &mut Findings) -> bool {
    let all = [("key", &spec.key_converter), ("value", &spec.value_converter), ("header", &spec.header_converter)];
    let mut usable = true;
    for (side, converter) in all {
        if let Err(error) = converter.create() {
            findings.note::<()>(&format!("{side}.converter"), Err(error), |()| String::new());
            usable = false;
        }
    }
    usable
}

async fn online(spec: &ConnectorSpec, args: &ConfigArgs, usable: bool, findings: &mut Findings) {
    let (bindings, server) = database(spec, args, findings).await;
    if brokers(spec, args, &bindings, findings).await {
        offsets(spec, args, (&bindings, server.as_ref()), findings).await;
        let relations: Vec<_> = bindings.iter().map(|binding| binding.definition.relation.clone()).collect();
        left_by_a_standalone_worker(spec, args, &relations, findings).await;
    }
    bindings.iter().for_each(|binding| headers(spec, binding, findings));
    for binding in bindings.iter().filter(|_| usable) {
        registry(spec, args, binding, findings).await;
    }
}

/// The brokers and all that a run would ask of them; whether they can be asked more.
async fn brokers(spec: &ConnectorSpec, args: &ConfigArgs, bindings: &[Binding], findings: &mut Findings) -> bool {
    let (kafka, timeout) = (&spec.kafka, args.timeout);
    let what = format!("brokers {}", kafka.bootstrap_servers);
    let found = findings.note(&what, output::reach(kafka, timeout).await, |about| {
        let cluster = about.cluster_id.as_deref().unwrap_or("?");
        format!("{} in cluster {cluster}", output::count(about.brokers, "broker"))
    });
    let Some(about) = found else { return false };
    let reached = probe::advertised(&about, timeout).await;
    if findings.note("advertised addresses", reached, |()| "each can be reached".to_owned()).is_none() {
        return false;
    }
    let id = kafka.transactional_id(&spec.name, 0);
    let holders = output::within(timeout, "the brokers", offset_tools::holders(spec, timeout)).await;
    match holders.as_deref() {
        Ok([first, ..]) => {
            let _ = output::print(&format!("ok       transactional id {id}: in use by {first}\n"));
        }
        _ => {
            let asked = probe::transactional_id(kafka, &id, &about, timeout / 2);
            let asked = output::within(timeout * 2, "the brokers", asked).await;
            findings.note(&format!("transactional id {id}"), asked, |()| "may be used".to_owned());
        }
    }
    let records =
        bindings.iter().map(|binding| (TopicRole::Records(&spec.topics, &binding.topic), binding.key.is_some()));
    let letters = spec.errors.dead_letters.iter().map(|letters| (TopicRole::Letters(letters), true));
    for (role, keyed) in records.chain(letters).chain([(TopicRole::Offsets(&spec.offsets), true)]) {
        let inspected = output::within(timeout * 2, "the brokers", admin::inspect(kafka, role, keyed, timeout)).await;
        findings.note(&format!("topic {}", role.topic()), inspected, String::clone);
    }
    true
}

/// The tables and queries that can be polled, and their server.
async fn database(spec: &ConnectorSpec, args: &ConfigArgs, findings: &mut Findings) -> (Vec<Binding>, Option<Server>) {
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
    let server = inspect::server_of(spec.identity.server, &mut *connection);
    let server = output::within(args.timeout, &what, server).await.ok().flatten();
    let listed = output::within(args.timeout, &what, catalog::selected(spec, dialect, &mut *connection)).await;
    let listed = listed.and_then(|mut selected| selected.nothing.take().map_or(Ok(selected), Err));
    let selected = findings.note("tables", listed, |selected| format!("{} selected", selected.relations.len()));
    let (relations, idle, notes) =
        selected.map(|found| (found.relations, found.idle_patterns, found.notes)).unwrap_or_default();
    for note in idle.into_iter().chain(notes) {
        let _ = output::print(&format!("note     {note}\n"));
    }
    for note in spec.source.types.unplaced(&relations) {
        let _ = output::print(&format!("note     {note}\n"));
    }
    for relation in relations {
        let read = async {
            let binding = inspect::binding(spec, dialect, &mut *connection, &relation).await?;
            // A missing right to read the table shows here.
            let (plan, _) = inspect::plan(spec, &mut *connection, &binding, None).await?;
            let cursor = inspect::cursor(spec, &mut *connection, &binding).await?;
            Ok((binding, plan, cursor))
        };
        let read = output::within(args.timeout, &what, read).await;
        let noted = findings.note(&format!("table {relation}"), read, |(binding, ..)| {
            let columns = output::count(binding.definition.columns.len(), "column");
            format!("{columns}, mode {}, to topic {}", binding.planner.mode().as_str(), binding.topic)
        });
        let applied = spec.for_table(&relation).applied;
        if !applied.is_empty() {
            let keys: Vec<String> = applied.iter().map(ToString::to_string).collect();
            let _ = output::print(&format!("note     table {relation}: has settings by {}\n", keys.join("; ")));
        }
        let Some((binding, plan, cursor)) = noted else { continue };
        for DriverChoice { column, text } in &binding.by_driver {
            let _ = output::print(&format!("note     table {relation}, column {column}: {text}\n"));
        }
        about_cursor(&relation, &cursor);
        if !plan.index_serves && !matches!(binding.planner.mode(), Mode::Bulk) {
            let _ = output::print(&format!(
                "note     table {relation}: no index serves its polls; `rowtide explain` shows the one that would\n"
            ));
        }
        bindings.push(binding);
    }
    connection.close().await;
    (bindings, server)
}

/// The lines about a table's cursor columns.
fn about_cursor(relation: &Relation, cursor: &CursorKnown) {
    for CursorFact { column, weight, text } in &cursor.facts {
        let word = weight.as_str();
        let _ = output::print(&format!("{word:<9}table {relation}, column {column}: {text}\n"));
    }
    for rows in &cursor.not_polled {
        let _ = output::print(&format!("warning  table {relation}: {}\n", rows.text));
    }
    if let Some(error) = &cursor.blind {
        let why = error.report();
        let _ = output::print(&format!(
            "note     table {relation}: rows that are not polled could not be counted: {why}\n"
        ));
    }
}

/// Check of the stored offsets: they can be read, belong to this server, and are there if they should be.
async fn offsets(
    spec: &ConnectorSpec,
    args: &ConfigArgs,
    (bindings, server): (&[Binding], Option<&Server>),
    findings: &mut Findings,
) {
    let stored = match output::within(args.timeout, "the offsets topic", offset_tools::load(spec)).await {
        Ok(stored) => stored,
        Err(error) => {
            findings.note::<()>("stored offsets", Err(error), |()| String::new());
            return;
        }
    };
    if let Some(server) = server {
        findings.note("server", inspect::server(spec, Some(server), stored.server.as_ref()), String::clone);
    }
    let relations: Vec<Relation> = bindings.iter().map(|binding| binding.definition.relation.clone()).collect();
    let by_partition = stored.offsets.iter().map(|(partition, offset)| (partition.clone(), offset)).collect();
    if let Err(error) = heirs::are_told_apart(spec, &relations, &by_partition) {
        findings.note::<()>("stored offsets", Err(error), |()| String::new());
    }
    if !stored.offsets.is_empty() {
        return;
    }
    for binding in bindings.iter().filter(|binding| !matches!(binding.planner.mode(), Mode::Bulk)) {
        if topics::holds_records(&spec.kafka, &binding.topic).await == Some(true) {
            let _ = output::print(&format!(
                "note     no offset at all is stored for this connector in {}, while topic {} holds records: the first run \
                 reads its table from the beginning, and its rows come again\n",
                spec.offsets.topic, binding.topic
            ));
        }
    }
}

/// Check of a standalone worker's file: `run` would refuse to begin anew, or pass over rows that the worker has read.
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
        [] => "the offsets of the standalone worker have been imported".to_owned(),
        tables => {
            let names: Vec<String> = tables.iter().map(|(relation, _)| relation.to_string()).collect();
            format!("its positions of these tables have not been taken over: {}", names.join(", "))
        }
    });
}

/// The headers that transforms make, by the converter that writes them.
fn headers(spec: &ConnectorSpec, binding: &Binding, findings: &mut Findings) {
    let names = spec.header_converter.create().and_then(|converter| {
        let names = binding.header_names(&*converter)?;
        Ok(names.join(", "))
    });
    if names.as_ref().is_ok_and(String::is_empty) {
        return;
    }
    findings.note(&format!("headers of {}", binding.topic), names, |names| names.clone());
}

async fn registry(spec: &ConnectorSpec, args: &ConfigArgs, binding: &Binding, findings: &mut Findings) {
    let key = binding.key_side().map(|side| (&spec.key_converter, side));
    for (converter_spec, side) in key.into_iter().chain([(&spec.value_converter, binding.value_side())]) {
        let what = format!("{} schema of {}", side.role.as_str(), binding.topic);
        let checked = async {
            let converter = converter_spec.create()?;
            converter.check(side).await?;
            Ok(converter.preview(side)?.subject)
        };
        let checked = output::within(args.timeout, &output::registry_of(converter_spec), checked).await;
        findings.note(&what, checked, |subject| match subject {
            Some(subject) => format!("subject {subject} accepts it"),
            None => format!("{} has no registry", converter_spec.definition.class),
        });
    }
}
