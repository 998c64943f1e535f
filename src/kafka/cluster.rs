//! The workers of a Kafka Connect cluster, as the brokers see them: members of the group of its `group.id`. Writes nothing.

use std::time::Duration;

use rdkafka::consumer::Consumer;

use super::ask::{self, Asker};
use super::client::ClientKind;
use crate::config::spec::KafkaSpec;
use crate::error::Result;

/// The protocol type of such a group.
const PROTOCOL: &str = "connect";

/// The workers at work now, `client (address)` of each.
///
/// # Errors
/// `Unreachable`, `Auth`, `KafkaRefused` if the group may not be described.
pub async fn connect_workers(spec: &KafkaSpec, timeout: Duration) -> Result<Vec<String>> {
    let spec = spec.clone();
    ask::blocking(move |cancel| {
        let asker = Asker::new(ClientKind::Admin, &spec, "read_committed")?;
        asker.ask("the workers of the group cannot be looked up", timeout, cancel, |consumer, timeout| {
            let found = consumer.fetch_group_list(Some(&spec.group_id), timeout)?;
            let groups = found.groups().iter().filter(|group| group.protocol_type() == PROTOCOL);
            let members = groups.flat_map(|group| group.members());
            Ok(members.map(|member| format!("{} ({})", member.client_id(), member.client_host())).collect())
        })
    })
    .await
}
