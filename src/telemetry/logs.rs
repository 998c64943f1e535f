//! The log: tracing to stderr. On a terminal, lines go out above the progress bars.

use std::io::{self, Write};
use std::str::FromStr;

use indicatif::{MultiProgress, ProgressDrawTarget};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::control::LogControl;
use crate::error::{Error, Result};

/// Filters of drivers whose logs repeat their errors; heard only when asked for.
const QUIET: &str = "rdkafka=off,librdkafka=off,sqlx=warn,hyper=warn,reqwest=warn";

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One line an event, for people.
    #[default]
    Text,
    /// One JSON object an event, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Error::config(format!("--log-format is `{text}`; text and json are known"))),
        }
    }
}

/// The form of the log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The format.
    pub format: LogFormat,
    /// `--log-level`: a level, or tracing's filter directives (`info,rdkafka=debug`).
    pub level: String,
    /// True if stderr is a terminal.
    pub terminal: bool,
    /// True if `NO_COLOR` is set (to anything but the empty string).
    pub no_color: bool,
}

impl LogOptions {
    /// The options for this process's stderr and environment.
    #[expect(clippy::disallowed_methods, reason = "NO_COLOR is a matter of the terminal, not of the configuration")]
    pub fn detect(format: LogFormat, level: impl Into<String>) -> Self {
        use std::io::IsTerminal as _;
        Self {
            format,
            level: level.into(),
            terminal: io::stderr().is_terminal(),
            no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        }
    }
}

/// Starts logging. The bars are drawn on stderr if it is a terminal, and hidden if it is not; log lines
/// make way for them. A span's field must not be called `name`: in JSON that is the span's own.
///
/// # Errors
/// `Config` if the level is none, `Internal` if called twice.
pub fn init(options: &LogOptions) -> Result<(MultiProgress, LogControl)> {
    let target = if options.terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bars = MultiProgress::with_draw_target(target);
    let writer = AboveBars { bars: bars.clone() };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&options.level)?)
        .with_writer(writer)
        .with_ansi(options.terminal && !options.no_color && options.format == LogFormat::Text);
    // The way in which a filter is put in force belongs to the form of the lines.
    let (started, apply): (_, Box<dyn Fn(EnvFilter) -> bool + Send + Sync>) = match options.format {
        LogFormat::Text => {
            let builder = builder.compact().with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    started.map_err(|error| Error::internal("cannot start logging").caused_by(error))?;
    Ok((bars, LogControl::new(&directives(&options.level)?, apply)))
}

fn filter(level: &str) -> Result<EnvFilter> {
    EnvFilter::builder()
        .parse(directives(level)?)
        .map_err(|error| Error::config(format!("--log-level is `{level}`, which cannot be read")).caused_by(error))
}

/// A plain `debug` or `trace` opens the drivers too; anything milder keeps them quiet.
fn directives(level: &str) -> Result<String> {
    let plain = level.trim().to_ascii_lowercase();
    Ok(match plain.as_str() {
        "off" | "debug" | "trace" => plain,
        "error" => format!("{plain},rdkafka=off,librdkafka=off"),
        "warn" | "info" => format!("{plain},{QUIET}"),
        _ if plain.contains('=') => format!("info,{QUIET},{}", level.trim()),
        _ => {
            let message = format!("--log-level is `{level}`; off, error, warn, info, debug and trace are known");
            return Err(Error::config(message).advise("or give filter directives, such as `info,sqlx=debug`"));
        }
    })
}

/// Writes to stderr while the bars are out of the way.
#[derive(Clone)]
struct AboveBars {
    bars: MultiProgress,
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(line)).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn drivers_are_quiet_unless_debugging() {
        assert!(filter("info").unwrap().to_string().contains("librdkafka=off"));
        assert!(filter("info,sqlx=debug").unwrap().to_string().contains("sqlx=debug"));
        assert_eq!(filter("debug").unwrap().to_string(), "debug");
        assert_eq!(filter("OFF").unwrap().to_string(), "off");
    }

    #[test]
    fn a_wrong_level_or_format_is_a_config_error_that_names_the_right_ones() {
        for wrong in ["loud", "", "3"] {
            let error = filter(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.report().contains("off, error, warn, info, debug and trace"), "{error:?}");
        }
        assert!(filter("info,sqlx=loud").is_err());
        assert!("xml".parse::<LogFormat>().unwrap_err().report().contains("text and json"));
    }
}
