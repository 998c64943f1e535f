//! REST of `rowtide worker` and `rowtide run`, asked by `curl` as people, scripts and user interfaces ask Kafka Connect.

mod bad_input;
mod clients;
mod difference;
mod kept;
mod secure;
mod tables;
mod walkthrough;
