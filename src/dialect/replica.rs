//! The lag of a replica behind the server that it follows.

use std::time::Duration;

/// The distance of a server behind the one that it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaLag {
    /// It follows none.
    NoReplica,
    /// It shows what the other one had committed so long ago; a delay that is configured is not counted.
    Behind(Duration),
    /// It has ceased to follow, for this reason: nothing new comes.
    Stopped(String),
    /// It is not told, for this reason.
    Untold(String),
}

impl ReplicaLag {
    /// The lag in seconds beyond a delay that is configured.
    pub(super) fn beyond(seconds: f64, delay: f64) -> Self {
        Self::Behind(Duration::try_from_secs_f64((seconds - delay).max(0.0)).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_that_is_configured_is_no_lag() {
        assert_eq!(ReplicaLag::beyond(12.5, 0.0), ReplicaLag::Behind(Duration::from_millis(12_500)));
        assert_eq!(ReplicaLag::beyond(3_700.0, 3_600.0), ReplicaLag::Behind(Duration::from_secs(100)));
        assert_eq!(ReplicaLag::beyond(10.0, 3_600.0), ReplicaLag::Behind(Duration::ZERO));
    }
}
