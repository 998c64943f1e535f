//! The settings of the export, from the variables that OpenTelemetry has for every program. Without an endpoint there is no
//! export.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::setting::Secret;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The export of metrics and traces.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSpec {
    /// The address for traces; none: there are none.
    pub traces: Option<Endpoint>,
    /// The address for metrics; none: they are scraped only.
    pub metrics: Option<Endpoint>,
    /// The share of polls that are traced, from 0 to 1.
    pub ratio: f64,
    /// The pause between two exports of metrics.
    pub metrics_every: Duration,
    /// The pause between two exports of traces.
    pub traces_every: Duration,
    /// The most spans that wait for an export.
    pub queue: usize,
    /// The attributes of the process.
    pub resource: Vec<(String, String)>,
}

/// An address of a collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The whole URL.
    pub url: String,
    /// The headers of each request.
    pub headers: Vec<(String, Secret)>,
    /// The longest time for a request.
    pub timeout: Duration,
    /// The file of certificates that are trusted besides the system's.
    pub certificate: Option<String>,
}

/// The variables of the process.
struct Variables<'v>(&'v BTreeMap<String, String>);

impl OtlpSpec {
    /// The export that the variables ask for; none if they ask for none.
    ///
    /// # Errors
    /// `Config`, with the variable that is wrong.
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let variables = Variables(environment);
        if variables.get("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (traces, metrics) = (variables.endpoint("TRACES")?, variables.endpoint("METRICS")?);
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let millis = |name, default| variables.number(name, default).map(Duration::from_millis);
        Ok(Some(Self {
            traces,
            metrics,
            ratio: variables.ratio()?,
            metrics_every: millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            traces_every: millis("OTEL_BSP_SCHEDULE_DELAY", 5_000)?,
            queue: usize::try_from(variables.number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048)?).unwrap_or(usize::MAX),
            resource: variables.resource()?,
        }))
    }
}

fn wrong(name: &str, what: &str) -> Error {
    Error::config(format!("the variable {name} {what}"))
}

impl Variables<'_> {
    /// A value that is not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// A variable of one signal, else that of all.
    fn of_signal(&self, signal: &str, end: &str) -> Option<(String, &str)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{signal}_{end}"), format!("OTEL_EXPORTER_OTLP_{end}")];
        names.into_iter().find_map(|name| self.get(&name).map(|text| (name.clone(), text)))
    }

    fn number(&self, name: &str, default: u64) -> Result<u64> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| wrong(name, "must be a whole number above zero"))
    }

    fn endpoint(&self, signal: &str) -> Result<Option<Endpoint>> {
        let exporter = format!("OTEL_{signal}_EXPORTER");
        match self.get(&exporter) {
            Some("none") => return Ok(None),
            Some("otlp") | None => {}
            Some(_) => return Err(wrong(&exporter, "must be otlp or none")),
        }
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        let (name, url) = match (self.get(&own), self.get(ENDPOINT)) {
            (Some(url), _) => (own.as_str(), url.to_owned()),
            (None, Some(base)) => {
                (ENDPOINT, format!("{}/v1/{}", base.trim_end_matches('/'), signal.to_ascii_lowercase()))
            }
            (None, None) => return Ok(None),
        };
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if !host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', ':'])) {
            return Err(wrong(name, "must be an http:// or https:// address"));
        }
        if let Some((name, protocol)) = self.of_signal(signal, "PROTOCOL")
            && protocol != "http/protobuf"
        {
            let error = wrong(&name, "names a protocol that rowtide does not speak");
            return Err(error.advise("give http/protobuf, which collectors take on port 4318 where 4317 is gRPC's"));
        }
        let timeout = match self.of_signal(signal, "TIMEOUT") {
            Some((name, _)) => self.number(&name, 0)?,
            None => 10_000,
        };
        let certificate = self.of_signal(signal, "CERTIFICATE").map(|(_, file)| file.to_owned());
        let headers = match self.of_signal(signal, "HEADERS") {
            Some((name, text)) => {
                pairs(&name, text)?.into_iter().map(|(key, value)| (key, Secret::new(value))).collect()
            }
            None => Vec::new(),
        };
        Ok(Some(Endpoint { url, headers, timeout: Duration::from_millis(timeout), certificate }))
    }

    fn ratio(&self) -> Result<f64> {
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let argument = || match self.get(ARGUMENT) {
            None => Ok(1.0),
            Some(text) => {
                let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                ratio.ok_or_else(|| wrong(ARGUMENT, "must be a number from 0 to 1"))
            }
        };
        match self.get("OTEL_TRACES_SAMPLER") {
            None | Some("always_on" | "parentbased_always_on") => Ok(1.0),
            Some("always_off" | "parentbased_always_off") => Ok(0.0),
            Some("traceidratio" | "parentbased_traceidratio") => argument(),
            Some(_) => Err(wrong("OTEL_TRACES_SAMPLER", "must be always_on, always_off or traceidratio")),
        }
    }

    /// `OTEL_RESOURCE_ATTRIBUTES`, and the name of the service, which is `rowtide` unless another one is given.
    fn resource(&self) -> Result<Vec<(String, String)>> {
        const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut resource = match self.get(ATTRIBUTES) {
            Some(text) => pairs(ATTRIBUTES, text)?,
            None => Vec::new(),
        };
        if let Some(name) = self.get("OTEL_SERVICE_NAME") {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".to_owned(), name.to_owned()));
        }
        let own = [("service.name", "rowtide"), ("service.version", env!("CARGO_PKG_VERSION"))];
        for (key, value) in own {
            if !resource.iter().any(|(known, _)| known == key) {
                resource.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(resource)
    }
}

/// `key=value,key=value`, the values percent-encoded. A value is never repeated in a message: it may be a secret.
fn pairs(name: &str, text: &str) -> Result<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').map(|(key, value)| (key.trim(), value.trim()))?;
        let value = percent_decode_str(value).decode_utf8().ok()?;
        (!key.is_empty()).then(|| (key.to_owned(), value.into_owned()))
    };
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs.map(|one| pair(one).ok_or_else(|| wrong(name, "must be a list of key=value, separated by commas"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<OtlpSpec>> {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        OtlpSpec::from_environment(&variables.iter().map(text).collect())
    }

    #[test]
    fn nothing_is_exported_without_an_endpoint_and_both_signals_go_below_the_common_one() {
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "x")]).unwrap(), None);
        assert_eq!(read(&[(ENDPOINT, "http://c:4318"), ("OTEL_SDK_DISABLED", "true")]).unwrap(), None);
        let spec = read(&[
            (ENDPOINT, "http://c:4318/"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m/api/otlp"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc, x-tenant=1"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod,service.name=other"),
        ]);
        let spec = spec.unwrap().unwrap();
        let (traces, metrics) = (spec.traces.unwrap(), spec.metrics.unwrap());
        assert_eq!((traces.url.as_str(), metrics.url.as_str()), ("http://c:4318/v1/traces", "https://m/api/otlp"));
        assert_eq!(traces.headers[0].1.reveal(), "Basic abc");
        assert_eq!((spec.ratio, traces.timeout), (0.25, Duration::from_secs(10)));
        let names: Vec<&str> = spec.resource.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(names, ["deployment.environment", "service.name", "service.version"]);
        let only = read(&[(ENDPOINT, "http://c:4318"), ("OTEL_TRACES_EXPORTER", "none")]).unwrap().unwrap();
        assert!(only.traces.is_none() && only.metrics.is_some());
    }

    #[test]
    fn a_variable_that_means_nothing_is_named_and_its_value_is_not_repeated() {
        for (name, value) in [
            (ENDPOINT, "secret:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_RESOURCE_ATTRIBUTES", "secret"),
        ] {
            let error =
                read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c"), (ENDPOINT, "http://c"), (name, value)]);
            let error = error.expect_err(name).report();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }
}
