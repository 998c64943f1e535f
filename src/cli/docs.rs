//! `rowtide docs`: the pages that are generated from the code.

mod types;

use clap::{Args, ValueEnum};

use super::output;
use crate::error::{self, Error, ErrorKind, Result};
use crate::{config, near, telemetry};

#[derive(Debug, Args)]
pub(super) struct DocsArgs {
    /// The page.
    page: Page,
    /// The one error that is meant, by its kind, as messages name it.
    #[arg(value_name = "KIND")]
    entry: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Page {
    /// Every configuration key.
    Config,
    /// The schema of each database type.
    Types,
    /// Every metric.
    Metrics,
    /// The table of REST's paths.
    Rest,
    /// The keys of Kafka Connect, and what becomes of each: the end of the page on migrating.
    Migrating,
    /// Every kind of error: causes and remedies.
    Errors,
}

pub(super) fn run(args: &DocsArgs) -> u8 {
    let text = match (args.page, &args.entry) {
        (Page::Config, None) => Ok(config::docs_markdown()),
        (Page::Types, None) => types::markdown(),
        (Page::Metrics, None) => Ok(telemetry::metrics_markdown()),
        (Page::Rest, None) => Ok(crate::http::paths_markdown()),
        (Page::Migrating, None) => Ok(config::migrating_markdown()),
        (Page::Errors, None) => Ok(error::troubleshooting_markdown()),
        (Page::Errors, Some(name)) => entry(name),
        (_, Some(name)) => {
            Err(Error::config(format!("only the page `errors` has entries, and `{name}` was asked for")))
        }
    };
    match text.and_then(|text| output::print(&text)) {
        Ok(()) => 0,
        Err(error) => output::fail(&error),
    }
}

/// The entry of one kind of error.
fn entry(name: &str) -> Result<String> {
    ErrorKind::named(name).map(ErrorKind::markdown).ok_or_else(|| {
        let kinds: Vec<String> = ErrorKind::ALL.iter().map(|kind| kind.snake_case()).collect();
        let error = Error::config(format!("there is no kind of error `{name}`"));
        match near::nearest(name, kinds.iter().map(String::as_str)) {
            Some(near) => error.advise(format!("did you mean `{near}`?")),
            None => error.advise(format!("the kinds are {}", kinds.join(", "))),
        }
    })
}
