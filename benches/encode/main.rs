//! The cost of a record's encoding: each format, and chains of transforms before it, on rows in memory. Neither database nor
//! brokers take part. Every figure is a median of rounds that alternate between the variants, in nanoseconds a row, beside
//! its ratio to Avro without transforms in the same round.
//!
//! `cargo bench --bench encode`. `ROWTIDE_BENCH_ROWS` (default 200,000 a round) and `ROWTIDE_BENCH_ROUNDS` (default 9).

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use rowtide::config::{Document, Surroundings, connector};
use rowtide::dialect::Dialect;
use rowtide::dialect::postgres::Postgres;
use rowtide::model::{
    ColumnDefinition, CursorKind, EncodedBatch, Field, FieldType, Projection, Relation, TableDefinition, TableId,
    UniqueKeys, Value,
};
use rowtide::task::binding::{Binding, Converters};
use rowtide::task::encoder::RecordEncoder;
use support::{Outcome, median, number};

/// Rows of a batch, as many as a page may have.
const BATCH: usize = 1_000;

/// A configuration to be measured: its name, and what it sets beside the defaults.
type Variant = (&'static str, &'static [(&'static str, &'static str)]);

const JSON: (&str, &str) = ("value.converter", "org.apache.kafka.connect.json.JsonConverter");
const BARE: (&str, &str) = ("value.converter.schemas.enable", "false");
const SMT: &str = "org.apache.kafka.connect.transforms.";

const VARIANTS: &[Variant] = &[
    ("Avro", &[]),
    ("JSON without schemas", &[JSON, BARE]),
    ("JSON with schemas", &[JSON]),
    (
        "Avro, key and topic by three transforms",
        &[
            ("transforms", "a,b,c"),
            ("transforms.a.type", "ValueToKey"),
            ("transforms.a.fields", "id"),
            ("transforms.b.type", "ExtractField$Key"),
            ("transforms.b.field", "id"),
            ("transforms.c.type", "RegexRouter"),
            ("transforms.c.regex", "(.*)"),
            ("transforms.c.replacement", "x_$1"),
        ],
    ),
    (
        "Avro, a field more, one cast, one masked",
        &[
            ("transforms", "a,b,c"),
            ("transforms.a.type", "InsertField$Value"),
            ("transforms.a.static.field", "source"),
            ("transforms.a.static.value", "shop"),
            ("transforms.b.type", "Cast$Value"),
            ("transforms.b.spec", "c1:string"),
            ("transforms.c.type", "MaskField$Value"),
            ("transforms.c.fields", "c2"),
        ],
    ),
    (
        "Avro, two headers",
        &[
            ("transforms", "a,b"),
            ("transforms.a.type", "InsertHeader"),
            ("transforms.a.header", "source"),
            ("transforms.a.value.literal", "shop"),
            ("transforms.b.type", "HeaderFrom$Value"),
            ("transforms.b.fields", "id"),
            ("transforms.b.headers", "id"),
            ("transforms.b.operation", "copy"),
        ],
    ),
];

fn main() -> Outcome<()> {
    let (rows, rounds) = (number("ROWTIDE_BENCH_ROWS", 200_000)?, number("ROWTIDE_BENCH_ROUNDS", 9)?);
    for (name, columns) in [("narrow, 5 columns", 5), ("wide, 40 columns", 40)] {
        let (definition, row) = table(columns);
        let mut encoders = Vec::new();
        for (name, settings) in VARIANTS {
            encoders.push((*name, encoder(&definition, settings)?));
        }
        let mut figures = vec![(Vec::new(), Vec::new()); encoders.len()];
        for _ in 0..rounds {
            let mut of_avro = 0.0;
            for ((_, encoder), (nanos, ratios)) in encoders.iter().zip(&mut figures) {
                let took = encode(encoder, &row, rows)?;
                of_avro = if of_avro == 0.0 { took } else { of_avro };
                nanos.push(took);
                ratios.push(took / of_avro);
            }
        }
        println!(
            "\n{name}, {rows} rows a round, medians of {rounds} rounds\n\n| | ns a row | to Avro |\n|---|--:|--:|"
        );
        for ((name, _), (nanos, ratios)) in encoders.iter().zip(figures) {
            println!("| {name} | {:.0} | {:.2} |", median(nanos), median(ratios));
        }
    }
    println!("\nappend to docs/performance.md, \"The cost of a record's encoding\"");
    Ok(())
}

/// Nanoseconds a row.
fn encode(encoder: &RecordEncoder, row: &[Value<'_>], rows: usize) -> Outcome<f64> {
    let topic: Arc<str> = "t".into();
    let began = Instant::now();
    for _ in 0..rows.div_ceil(BATCH) {
        let mut batch = EncodedBatch::new(Arc::clone(&topic), BATCH, 64 * row.len());
        for _ in 0..BATCH {
            encoder.encode(row, &[], &mut batch)?;
        }
        std::hint::black_box(&batch);
    }
    Ok(began.elapsed().as_nanos() as f64 / (rows.div_ceil(BATCH) * BATCH) as f64)
}

/// A table of so many columns, and a row of it: id, then integers, texts, times and decimals in turn.
fn table(columns: usize) -> (TableDefinition, Vec<Value<'static>>) {
    let mut definitions = vec![column("id".to_owned(), FieldType::Int64, false)];
    let mut row = vec![Value::Integer(123_456_789)];
    for number in 1..columns {
        let (field_type, value) = match number % 4 {
            1 => (FieldType::Int32, Value::Integer(42_000)),
            2 => (FieldType::String, Value::Text("a text of usual size".into())),
            3 => (FieldType::Timestamp, Value::Integer(1_709_208_000_123)),
            _ => (FieldType::Decimal { precision: Some(10), scale: 2 }, Value::Decimal(vec![1, 226, 64].into())),
        };
        definitions.push(column(format!("c{number}"), field_type, true));
        row.push(value);
    }
    let definition = TableDefinition {
        relation: Relation::Table(TableId { catalog: None, schema: Some("public".to_owned()), name: "t".to_owned() }),
        columns: definitions,
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: vec!["id".to_owned()],
        indexes: Vec::new(),
        unique: UniqueKeys { keys: vec![vec!["id".to_owned()]], none_because: None },
        comment: None,
    };
    (definition, row)
}

fn column(name: String, field_type: FieldType, optional: bool) -> ColumnDefinition {
    ColumnDefinition {
        field: Field { name, field_type, optional, doc: None },
        database_type: "bigint".to_owned(),
        collation: None,
        seen_in: None,
        projection: Projection::Column,
        not_null: !optional,
        is_visible: true,
        has_broken_dates: false,
        may_be_null: optional,
        auto_increment: false,
        cursor: Some(CursorKind::Integer),
    }
}

fn encoder(definition: &TableDefinition, settings: &[(&str, &str)]) -> Outcome<RecordEncoder> {
    let fixed = [
        ("name", "bench"),
        ("connection.url", "jdbc:postgresql://localhost/bench"),
        ("mode", "incrementing"),
        ("incrementing.column.name", "id"),
        ("topic.prefix", "p_"),
        ("bootstrap.servers", "localhost:9092"),
        ("value.converter", "io.confluent.connect.avro.AvroConverter"),
        ("value.converter.schema.registry.url", "http://localhost:8081"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ];
    let full = |(key, value): (&str, &str)| {
        let is_short = key.ends_with(".type") && !value.contains('.');
        (key.to_owned(), if is_short { format!("{SMT}{value}") } else { value.to_owned() })
    };
    let settings: BTreeMap<String, String> = fixed.into_iter().chain(settings.iter().copied()).map(full).collect();
    let loaded = connector(Document::from_map("bench", settings), Surroundings::default());
    let spec = loaded.map_err(|report| report.to_string())?.spec;
    let table = spec.for_table(&definition.relation);
    let binding = Binding::new(&table, Postgres.syntax(), definition.clone())?;
    let (keys, values, headers) =
        (spec.key_converter.create()?, spec.value_converter.create()?, spec.header_converter.create()?);
    let converters = Converters { keys: &*keys, values: &*values, headers: &*headers };
    Ok(binding.sample_encoder(converters)?)
}
