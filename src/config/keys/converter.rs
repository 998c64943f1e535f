//! Keys that choose converters (`delivery-and-runtime.md`, 7). The settings of each stand beside the converter
//! ([`CONVERTERS`](crate::convert::CONVERTERS)).

use super::{Home, KeyDefinition, Kind, key};

pub(super) static KEYS: &[KeyDefinition] = &[
    key(
        "value.converter",
        Kind::Class,
        "The format of values: `io.confluent.connect.avro.AvroConverter`. The connector's counts with the settings \
         beside it, else the worker's with the worker's; the two are never mixed.",
    )
    .or("io.confluent.connect.avro.AvroConverter")
    .home(Home::Both).differs("the classes that are there stand below; without it, AvroConverter"),
    key(
        "key.converter",
        Kind::Class,
        "The format of keys. Where neither it nor one of its settings is given, keys are written as values are.",
    )
    .or("io.confluent.connect.avro.AvroConverter")
    .home(Home::Both).differs("the classes that are there stand below; without it and its settings, keys are written as values are"),
    key(
        "header.converter",
        Kind::Class,
        "The format of headers, which transforms make: `SimpleHeaderConverter`, or the converters of keys and values that have \
         no registry.",
    )
    .or("org.apache.kafka.connect.storage.SimpleHeaderConverter")
    .home(Home::Both)
    .low().differs("`SimpleHeaderConverter`, and the converters below that have no registry"),
];
