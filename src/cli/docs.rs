//! `rowtide docs`: the pages that are generated from the code.

mod types;

use clap::{Args, ValueEnum};

use super::output;
use crate::config;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct DocsArgs {
    /// The page.
    page: Page,
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
}

pub(super) fn run(args: &DocsArgs) -> u8 {
    let text = match args.page {
        Page::Config => Ok(config::docs_markdown()),
        Page::Types => types::markdown(),
        Page::Metrics => Ok(telemetry::metrics_markdown()),
        Page::Rest => Ok(crate::http::paths_markdown()),
    };
    match text.and_then(|text| output::print(&text)) {
        Ok(()) => 0,
        Err(error) => output::fail(&error),
    }
}
