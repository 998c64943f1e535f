//! `connector.client.config.override.policy`: which settings of the Kafka clients a connector may change
//! (`delivery-and-runtime.md`, 5).

/// The policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Every setting.
    All,
    /// Nothing may be overridden.
    None,
    /// Those of the principal.
    Principal,
}

impl Policy {
    /// The policy by its short name or Kafka's class.
    pub(crate) fn named(text: &str) -> Option<Self> {
        let short = text.rsplit('.').next().unwrap_or(text);
        let short = short.strip_suffix("ConnectorClientConfigOverridePolicy").unwrap_or(short);
        [("All", Policy::All), ("None", Policy::None), ("Principal", Policy::Principal)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(short))
            .map(|(_, policy)| policy)
    }

    /// True if a connector may set this.
    pub(crate) fn allows(self, setting: &str) -> bool {
        match self {
            Policy::All => true,
            Policy::None => false,
            Policy::Principal => ["security.protocol", "sasl.mechanism", "sasl.jaas.config"].contains(&setting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_known_by_short_and_by_class_name() {
        assert_eq!(Policy::named("all"), Some(Policy::All));
        let class = "org.apache.kafka.connect.connector.policy.PrincipalConnectorClientConfigOverridePolicy";
        assert_eq!(Policy::named(class), Some(Policy::Principal));
        assert_eq!(Policy::named("Mine"), None);
        assert!(Policy::Principal.allows("sasl.mechanism") && !Policy::Principal.allows("acks"));
    }
}
