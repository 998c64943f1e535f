//! `rowtide docs`: the pages that are generated from the code.

use clap::{Args, ValueEnum};

use super::output;
use crate::{config, telemetry};

#[derive(Debug, Args)]
pub(super) struct DocsArgs {
    /// Which page.
    page: Page,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Page {
    /// Every configuration key.
    Config,
    /// Every metric.
    Metrics,
}

pub(super) fn run(args: &DocsArgs) -> u8 {
    let text = match args.page {
        Page::Config => config::docs_markdown(),
        Page::Metrics => telemetry::metrics_markdown(),
    };
    match output::print(&text) {
        Ok(()) => 0,
        Err(error) => output::fail(&error),
    }
}
