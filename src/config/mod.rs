//! Configuration: files, environment and `--set` in, a [`spec::ConnectorSpec`] or a report of everything that
//! is wrong out. Three steps: take apart ([`document`]), put together and resolve ([`layers`]), then
//! judge each value by the one table ([`keys`]), the values together, and build. No connection is made
//! and no file read but those named; the checks that need a server are made by the components.

mod build;
mod docs;
pub mod document;
mod entry;
mod hidden;
mod judge;
pub mod keys;
mod layers;
mod load;
mod migrating;
mod policy;
mod properties;
mod providers;
pub mod report;
mod resolve;
mod services;
pub mod spec;
mod url;
pub(crate) mod values;

pub use docs::docs_markdown;
pub use document::Document;
pub use hidden::masked;
pub use load::{
    Loaded, Surroundings, connector, host, load, load_worker, process_environment, read, read_all, read_both, rest,
    worker,
};
pub use migrating::migrating_markdown;
pub use report::{Problem, Report};
pub use services::Services;

/// True if rowtide runs connectors of this class.
pub fn is_own_class(class: &str) -> bool {
    keys::find("connector.class").is_some_and(|definition| values::problem_of(definition, class).is_none())
}

#[cfg(test)]
mod tests;
