//! Spans as a request of OTLP.

use super::wire::request;
use crate::telemetry::traces::{Span, Value};

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_CLIENT`.
const KINDS: [u64; 2] = [1, 3];
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

/// An `ExportTraceServiceRequest` of these spans.
pub fn encode(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    request(resource, |scope| {
        for span in spans {
            scope.message(2, |message| {
                message.bytes(1, &span.trace).bytes(2, &span.id);
                if let Some(parent) = &span.parent {
                    message.bytes(4, parent);
                }
                message.text(5, span.name).number(6, KINDS[usize::from(span.asks_others)]);
                message.fixed(7, span.begins).fixed(8, span.ends);
                for (key, value) in &span.attributes {
                    match value {
                        Value::Text(text) => message.attribute(9, key, text),
                        Value::Count(count) => message.count(9, key, *count),
                    };
                }
                if let Some(error) = &span.error {
                    message.message(15, |status| {
                        status.text(2, error).number(3, ERROR);
                    });
                }
            });
        }
    })
}
