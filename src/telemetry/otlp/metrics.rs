//! The metrics as a request of OTLP, made of the text that is scraped, so that both say the same.

use std::collections::BTreeMap;

use super::wire::{Message, request};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

type Labels = Vec<(String, String)>;

/// A metric of the text.
#[derive(Debug, Default)]
struct Family<'t> {
    name: &'t str,
    kind: &'t str,
    help: &'t str,
    samples: Vec<(&'t str, Labels, f64)>,
}

/// An `ExportMetricsServiceRequest` of a text of OpenMetrics, as this process makes it. Times in nanoseconds since the epoch.
pub fn encode(resource: &[(String, String)], text: &str, began: u64, now: u64) -> Vec<u8> {
    request(resource, |scope| {
        for family in families(text).iter().filter(|family| !family.samples.is_empty()) {
            scope.message(2, |metric| write(metric, family, (began, now)));
        }
    })
}

fn families(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), help) => {
                families.push(Family { name, help: help.unwrap_or_default(), ..Family::default() });
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                if families.last().is_none_or(|family| family.name != name) {
                    families.push(Family { name, ..Family::default() });
                }
                families.iter_mut().rev().take(1).for_each(|family| family.kind = kind);
            }
            (Some(first), ..) if !first.starts_with('#') => {
                let of_line = sample(line);
                families.iter_mut().rev().take(1).for_each(|family| family.samples.extend(of_line.clone()));
            }
            _ => {}
        }
    }
    families
}

/// `name{label="value",...} number`.
fn sample(line: &str) -> Option<(&str, Labels, f64)> {
    let at = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(at);
    let (labels, number) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    Some((name, labels, number.trim().split(' ').next()?.parse().ok()?))
}

/// The labels in front of `}`, and what follows.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.trim_start_matches(',').split_once("=\"")?;
        let (mut value, mut characters) = (String::new(), after.char_indices());
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
    }
}

fn write(metric: &mut Message, family: &Family<'_>, times: (u64, u64)) {
    let is_counter = family.kind == "counter";
    // The name under which the counter is scraped and documented.
    let name = if is_counter { format!("{}_total", family.name) } else { family.name.to_owned() };
    metric.text(1, &name).text(2, family.help);
    if name.ends_with("_seconds") || name.ends_with("_seconds_total") {
        metric.text(3, "s");
    } else if name.ends_with("_bytes") || name.ends_with("_bytes_total") {
        metric.text(3, "By");
    }
    match family.kind {
        "counter" => metric.message(7, |sum| {
            family.samples.iter().for_each(|(_, labels, value)| point(sum, labels, *value, times));
            sum.number(2, CUMULATIVE).number(3, 1);
        }),
        "histogram" => metric.message(9, |histogram| {
            for (labels, series) in series(family) {
                histogram.message(1, |point| series.write(point, &labels, times));
            }
            histogram.number(2, CUMULATIVE);
        }),
        _ => metric.message(5, |gauge| {
            family.samples.iter().for_each(|(_, labels, value)| point(gauge, labels, *value, times));
        }),
    };
}

/// A `NumberDataPoint`.
fn point(into: &mut Message, labels: &Labels, value: f64, (began, now): (u64, u64)) {
    into.message(1, |point| {
        point.fixed(2, began).fixed(3, now).double(4, value);
        labels.iter().for_each(|(key, value)| {
            point.attribute(7, key, value);
        });
    });
}

/// The samples of one histogram.
#[derive(Debug, Default)]
struct Series {
    /// The upper bounds of the buckets, and how many values were at or below each.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: f64,
}

fn series(family: &Family<'_>) -> BTreeMap<Labels, Series> {
    let mut all: BTreeMap<Labels, Series> = BTreeMap::new();
    for (name, labels, value) in &family.samples {
        let (bounds, labels): (Labels, Labels) = labels.iter().cloned().partition(|(key, _)| key == "le");
        let series = all.entry(labels).or_default();
        match (name.strip_prefix(family.name), bounds.first()) {
            (Some("_bucket"), Some((_, bound))) => {
                series.buckets.push((bound.parse().unwrap_or(f64::INFINITY), *value));
            }
            (Some("_sum"), _) => series.sum = *value,
            (Some("_count"), _) => series.count = *value,
            _ => {}
        }
    }
    all
}

impl Series {
    /// A `HistogramDataPoint`, whose buckets count what is in each alone.
    fn write(&self, point: &mut Message, labels: &Labels, (began, now): (u64, u64)) {
        let below = std::iter::once(0.0).chain(self.buckets.iter().map(|(_, count)| *count));
        let counts = self.buckets.iter().zip(below).map(|((_, count), below)| (count - below) as u64);
        let bounds = self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite());
        point.fixed(2, began).fixed(3, now).fixed(4, self.count as u64).double(5, self.sum);
        point.packed(6, counts).packed(7, bounds.map(f64::to_bits));
        labels.iter().for_each(|(key, value)| {
            point.attribute(9, key, value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_is_scraped_is_a_sample_of_its_metric() {
        let text = "# HELP rows Rows of \"all\".\n# TYPE rows counter\nrows_total{connector=\"a,\\\"b}\\\\\",table=\"t\\nu\"} 3\n\
                    # HELP took Time.\n# TYPE took histogram\n# UNIT took seconds\ntook_sum{c=\"x\"} 4.5\ntook_count{c=\"x\"} 3\n\
                    took_bucket{le=\"0.5\",c=\"x\"} 1\ntook_bucket{le=\"+Inf\",c=\"x\"} 3\n# HELP up Up.\n# TYPE up gauge\nup 1\n# EOF\n";
        let families = families(text);
        let shape: Vec<_> = families.iter().map(|family| (family.name, family.kind, family.samples.len())).collect();
        assert_eq!(shape, [("rows", "counter", 1), ("took", "histogram", 4), ("up", "gauge", 1)]);
        let (_, labels, value) = &families[0].samples[0];
        assert_eq!(*value, 3.0);
        assert_eq!(labels[0], ("connector".to_owned(), "a,\"b}\\".to_owned()));
        assert_eq!(labels[1], ("table".to_owned(), "t\nu".to_owned()));
        let of_took = series(&families[1]);
        let one = &of_took[&vec![("c".to_owned(), "x".to_owned())]];
        assert_eq!((one.buckets.clone(), one.sum, one.count), (vec![(0.5, 1.0), (f64::INFINITY, 3.0)], 4.5, 3.0));
    }
}
