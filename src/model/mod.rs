//! The vocabulary every other module speaks. Plain data and pure functions: no I/O, no clock, no driver.

pub mod backfill;
pub mod cursor;
pub mod drivers;
pub mod fact;
pub mod hash;
pub mod incarnation;
pub mod not_polled;
pub mod offset;
pub mod order;
pub mod query;
pub mod ranges;
pub mod record;
pub mod schema;
pub mod transactions;
pub mod value;

pub use backfill::Backfill;
pub use cursor::{CursorKind, CursorValue, Instant, Position};
pub use fact::{CursorFact, FactWeight};
pub use hash::{Hash, murmur2};
pub use incarnation::{Incarnation, Landmark, Lineage, Sample, Server, TableMark};
pub use not_polled::{NotPolled, OddCursor};
pub use offset::{GuardCheckpoint, Mode, OffsetDelta, OffsetMove, Offsets, SourceOffset, SourcePartition};
pub use order::{ColumnOrder, TupleOrder};
pub use query::{Bind, CursorColumn, PlannedQuery};
pub use ranges::RangeSet;
pub use record::{EncodedBatch, Header, KafkaRecord, RowText};
pub use schema::{
    ColumnDefinition, Comments, DriverColumn, DriverForm, Field, FieldType, Index, Projection, RecordSchema, Relation,
    Schema, SkippedColumn, TableDefinition, TableId, UniqueKeys,
};
pub use transactions::{
    ChangeToken, Micros, OpenTransaction, OpenTransactions, PastView, View, ViewAnswer, ViewQuestion, micros_of,
};
pub use value::Value;
