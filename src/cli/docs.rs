//! `rowtide docs`: the pages that are generated from the code.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};

use super::output;
use crate::config::{self, Document, Surroundings};
use crate::convert::avro_schema::{AvroSchema, SchemaStyle};
use crate::dialect::DIALECTS;
use crate::error::{Error, Result};
use crate::model::{Field, Schema};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct DocsArgs {
    /// Which page.
    page: Page,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Page {
    /// Every configuration key.
    Config,
    /// Which schema each database type becomes.
    Types,
    /// Every metric.
    Metrics,
}

pub(super) fn run(args: &DocsArgs) -> u8 {
    let text = match args.page {
        Page::Config => Ok(config::docs_markdown()),
        Page::Types => types_markdown(),
        Page::Metrics => Ok(telemetry::metrics_markdown()),
    };
    match text.and_then(|text| output::print(&text)) {
        Ok(()) => 0,
        Err(error) => output::fail(&error),
    }
}

const TYPES: &str = "# Types

<!-- made by `rowtide docs types`; do not edit -->

The Avro type of a NOT NULL column under default settings; a column that may be null becomes a union with `null`.
`numeric.mapping`, `numeric.precision.mapping` and `timestamp.granularity` change numbers and times, see
[configuration.md](configuration.md). A type for which Kafka Connect's source has no mapping, and leaves the column
out, is delivered as its text; `type.unsupported` set to `skip` leaves it out, `fail` stops its table.
";

/// A connector of which nothing but the defaults is looked at.
const DEFAULTS: &str = "name=defaults\nconnection.url=jdbc:sqlite:defaults.db\nmode=bulk\ntopic.prefix=defaults_\n\
     bootstrap.servers=localhost:9092\nvalue.converter.schema.registry.url=http://localhost:8081\n";

fn types_markdown() -> Result<String> {
    let document = Document::parse("defaults.properties", DEFAULTS).map_err(Error::from)?;
    let types = config::connector(document, Surroundings::default()).map_err(Error::from)?.spec.source.types.all;
    let mut page = TYPES.to_owned();
    for dialect in DIALECTS {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}\n\n| database type | Avro |\n|---|---|\n", dialect.name());
        for (name, field_type) in dialect.documented_types(&types) {
            let avro = match field_type {
                None => "`\"string\"`, by `type.unsupported=text`".to_owned(),
                Some(field_type) => {
                    let field = Field { name: "column".to_owned(), field_type, optional: false };
                    format!("`{}`", AvroSchema::write(&Schema::Field(field), SchemaStyle::default())?.text)
                }
            };
            let _ = writeln!(page, "| {name} | {avro} |");
        }
    }
    Ok(page)
}
