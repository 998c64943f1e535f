//! `rowtide explain`: the reads and writes of each table, and their starting points. Writes nothing.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value as Json, json};

use super::{ConfigArgs, check, ddl, output};
use crate::config::spec::ConnectorSpec;
use crate::connector::explain::{self, Explanation};
use crate::connector::{catalog, inspect, offset_tools};
use crate::dialect::dialect_of;
use crate::error::Result;
use crate::task::driver_types::DriverChoice;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Connector configurations; `-` is standard input.
    #[arg(required = true, value_name = "CONNECTOR")]
    connectors: Vec<String>,
    /// Read so many rows and show their records, encoded and decoded again.
    #[arg(long, value_name = "N", default_value_t = 0)]
    sample: usize,
    /// Print the table that a reader of the topics needs, and nothing else.
    #[arg(long, value_name = "READER", conflicts_with_all = ["sample", "json"])]
    ddl: Option<ddl::Target>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: ExplainArgs) -> u8 {
    let specs = match output::load(&args.connectors, &args.config) {
        Ok(specs) => specs,
        Err(code) => return code,
    };
    let mut documents = Vec::new();
    let mut code = 0;
    for spec in &specs {
        if let Some(target) = args.ddl {
            let printed = print_definitions(spec, target, &args.config).await;
            code = code.max(printed.unwrap_or_else(|error| output::fail(&error)));
            continue;
        }
        match explain_connector(spec, &args).await {
            Ok((document, failed)) => {
                documents.push(document);
                code = code.max(failed);
            }
            Err(error) => code = code.max(output::fail(&error)),
        }
    }
    if args.json {
        let text = serde_json::to_string_pretty(&documents).unwrap_or_default();
        if let Err(error) = output::print(&format!("{text}\n")) {
            return output::fail(&error);
        }
    }
    code
}

/// Prints what a reader needs of each table; an exit code. Asks the database only.
async fn print_definitions(spec: &ConnectorSpec, target: ddl::Target, config: &ConfigArgs) -> Result<u8> {
    let dialect = dialect_of(&spec.source)?;
    let what = format!("database {}", spec.source.url);
    let mut connection = output::within(config.timeout, &what, dialect.connect(&spec.source)).await?;
    let relations = output::within(config.timeout, &what, catalog::relations(spec, dialect, &mut *connection)).await?;
    let mut code = 0;
    for (at, relation) in relations.iter().enumerate() {
        let bound = inspect::binding(spec, dialect, &mut *connection, relation);
        let bound = output::within(config.timeout, &what, bound).await;
        match bound.and_then(|binding| ddl::statement(target, spec, &binding)) {
            Ok(text) => output::print(&format!("{}{text}", if at == 0 { "" } else { "\n" }))?,
            Err(error) => code = code.max(output::fail(&error)),
        }
    }
    connection.close().await;
    Ok(code)
}

async fn explain_connector(spec: &ConnectorSpec, args: &ExplainArgs) -> Result<(Json, u8)> {
    let timeout = args.config.timeout;
    let dialect = dialect_of(&spec.source)?;
    let what = format!("database {}", spec.source.url);
    let mut connection = output::within(timeout, &what, dialect.connect(&spec.source)).await?;
    let selected = output::within(timeout, &what, catalog::selected(spec, dialect, &mut *connection)).await?;
    let catalog::Selected { relations, nothing, notes, .. } = selected;
    if let Some(nothing) = nothing {
        return Err(nothing);
    }
    output::reach(&spec.kafka, timeout).await?;
    let stored = output::within(timeout, "the offsets topic", offset_tools::load(spec)).await?;
    if !args.json {
        output::print(&format!("connector {} on {} ({})\n", spec.name, spec.source.url, connection.server()))?;
        let found = inspect::server_of(spec.identity.server, &mut *connection);
        let found = output::within(timeout, &what, found).await?;
        let server = inspect::server(spec, found.as_ref(), stored.server.as_ref());
        output::print(&format!("server {}\n", server.unwrap_or_else(|error| error.report())))?;
        for note in &notes {
            output::print(&format!("note {note}\n"))?;
        }
    }
    let mut tables = Vec::new();
    let mut code = 0;
    for relation in relations {
        let explained = explain::table(spec, dialect, &mut *connection, &relation, &stored.offsets, args.sample);
        match output::within(timeout, &what, explained).await {
            Ok(explanation) if args.json => tables.push(explanation.json()),
            Ok(explanation) => output::print(&explanation.text())?,
            Err(error) => {
                code = code.max(error.kind().exit_code());
                if args.json {
                    tables.push(explain::failure(&relation, &error));
                } else {
                    let (report, advice, more) = (error.report(), error.advice(), error.root_kind().reference());
                    output::print(&format!(
                        "\n{relation}\n  cannot be polled: {report}\n  what to do: {advice}\n  more: {more}\n"
                    ))?;
                }
            }
        }
    }
    let remembered = stored.server.map(|server| server.identity);
    let server = json!({"identity": connection.identity(), "remembered": remembered});
    connection.close().await;
    let source = spec.source.url.to_string();
    Ok((json!({"connector": spec.name, "source": source, "server": server, "notes": notes, "tables": tables}), code))
}

/// The explanation as text.
impl Explanation {
    fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.table);
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<14}{}", value.replace('\n', "\n                "));
        };
        if !self.settings.is_empty() {
            line("settings", &self.settings.join("\n"));
        }
        line("mode", self.mode);
        line("sql", &self.sql);
        if !self.binds.is_empty() {
            line("bound", &self.binds.join(", "));
        }
        line("plan", &self.plan.lines.join("\n"));
        line("index", &self.index_verdict());
        line("pages end", &self.ends);
        if let Some(order) = &self.first_load {
            line("first load", order);
        }
        line("topic", &self.topic);
        line("partition", self.partition.as_deref().unwrap_or("any, as the records have no key"));
        if !self.transforms.is_empty() {
            line("transforms", &self.transforms.join("\n"));
        }
        if let Some(deletes) = &self.deletes {
            line("deletes", deletes);
        }
        for (name, value) in self.schemas() {
            line(name, value);
        }
        if !self.skipped.is_empty() {
            line("left out", &self.skipped.join(", "));
        }
        for DriverChoice { column, text } in &self.by_driver {
            line("type", &format!("{column}: {text}"));
        }
        for fact in &self.cursor.facts {
            line("cursor", &fact.to_string());
        }
        for rows in &self.cursor.not_polled {
            line("not polled", &rows.text);
        }
        if let Some(error) = &self.cursor.blind {
            line("not polled", &format!("could not be counted: {}", error.report()));
        }
        line("guard", &self.guard.to_string());
        line("stored offset", &self.shown_offset());
        for sample in &self.samples {
            match &sample.key {
                Some(key) => line("sample", &format!("{key}\t{}", sample.value.as_deref().unwrap_or("null"))),
                None => line("sample", sample.value.as_deref().unwrap_or("null")),
            }
        }
        text
    }

    /// Subjects and schemas of key and value.
    fn schemas(&self) -> Vec<(&'static str, &str)> {
        let mut lines = match &self.key {
            Some(key) => vec![
                ("key subject", key.subject.as_deref().unwrap_or("none")),
                ("key schema", key.schema.as_deref().unwrap_or("none")),
            ],
            None if !self.wants_key => vec![("key", check::UNKEYED)],
            None => vec![("key", "none")],
        };
        lines.push(("value subject", self.value.subject.as_deref().unwrap_or("none")));
        lines.push(("value schema", self.value.schema.as_deref().unwrap_or("none")));
        lines
    }

    fn shown_offset(&self) -> String {
        match &self.offset {
            Some(stored) => format!(
                "{} (topic {}, partition {}, offset {})",
                stored.offset, stored.topic, stored.partition, stored.kafka_offset
            ),
            None => "none; the first run reads from the beginning, or from the configured start".to_owned(),
        }
    }

    fn index_verdict(&self) -> String {
        match (&self.index_ddl, self.plan.index_serves) {
            // The verdict is about the table once it has grown; the plan shown is today's.
            (_, true) if self.plan.lines.iter().any(|line| line.contains("Seq Scan")) => {
                "served by an index, although the database prefers a scan while the table is small".to_owned()
            }
            (_, true) => "served by an index".to_owned(),
            (Some(ddl), false) => {
                format!("NOT served by an index: every poll scans or sorts; this would serve it:\n{ddl};")
            }
            (None, false) => "no index serves it; every poll reads the whole result".to_owned(),
        }
    }
}
