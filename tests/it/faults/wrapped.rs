//! The real parts of a task, each in a wrapper that asks the script before (or after) it does its work.
//! Takes and gives `task::Parts`; knows the order of calls as little as the parts do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rowtide::config::spec::{CatalogFilter, SourceSpec, TypeSpec};
use rowtide::convert::{Converter, Encoder, SchemaPreview, Side};
use rowtide::dialect::{
    Catalog, ChangeTokens, Counted, CursorFact, Dialect, DocumentedType, Flow, LateSupport, PageSource, PastReads,
    PlanReport, Row, RowSink, RowStream, ServerIdentity, SnapshotViews, SourceConnection, SqlSyntax, StreamEnd,
    Transactions, Undeliverable,
};
use rowtide::error::{Error, Result};
use rowtide::kafka::RecordSink;
use rowtide::model::{
    CursorKind, CursorValue, EncodedBatch, Incarnation, KafkaRecord, Lineage, OffsetDelta, OpenTransactions,
    PlannedQuery, Relation, Server, SourceOffset, SourcePartition, TableDefinition, TableId, TableMark,
};
use rowtide::offsets::{Loaded, OffsetStore, Owner};
use rowtide::task::Parts;
use rowtide::zone::Zone;

use super::script::{Script, Step};

/// The script and the task that asks.
#[derive(Clone)]
struct Asking {
    script: Arc<Script>,
    task: usize,
}

impl Asking {
    async fn at(&self, step: Step) -> Result<()> {
        self.script.at(step, self.task).await
    }
}

/// The parts of a task that do what they do, but for what the script says.
pub fn scripted(parts: Parts, script: &Arc<Script>, task: usize) -> Parts {
    let asking = Asking { script: Arc::clone(script), task };
    let converter = |inner| -> Arc<dyn Converter> { Arc::new(ScriptedConverter { inner, asking: asking.clone() }) };
    let (sink, ensure_topic) = (Arc::clone(&parts.sink), Arc::clone(&parts.ensure_topic));
    let (for_sink, for_topic) = (asking.clone(), asking.clone());
    Parts {
        // A dialect lives as long as the process.
        dialect: Box::leak(Box::new(ScriptedDialect { inner: parts.dialect, asking: asking.clone() })),
        key_converter: converter(parts.key_converter),
        value_converter: converter(parts.value_converter),
        store: Arc::new(ScriptedStore { inner: parts.store, asking: asking.clone() }),
        sink: Arc::new(move |task| {
            let scripted: Box<dyn RecordSink> = Box::new(ScriptedSink { inner: sink(task)?, asking: for_sink.clone() });
            Ok(scripted)
        }),
        ensure_topic: Arc::new(move |topic, has_key| {
            let (asking, inner) = (for_topic.clone(), ensure_topic(topic, has_key));
            async move {
                asking.at(Step::EnsureTopic).await?;
                inner.await
            }
            .boxed()
        }),
        ..parts
    }
}

struct ScriptedDialect {
    inner: &'static dyn Dialect,
    asking: Asking,
}

impl Dialect for ScriptedDialect {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn syntax(&self) -> &'static dyn SqlSyntax {
        self.inner.syntax()
    }

    fn table_types(&self) -> Vec<&'static str> {
        self.inner.table_types()
    }

    fn documented_types(&self, types: &TypeSpec) -> Vec<DocumentedType> {
        self.inner.documented_types(types)
    }

    fn connect<'a>(&'a self, source: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>> {
        async {
            self.asking.at(Step::Connect).await?;
            let inner = self.inner.connect(source).await?;
            let connection: Box<dyn SourceConnection> =
                Box::new(ScriptedConnection { inner, asking: self.asking.clone() });
            Ok(connection)
        }
        .boxed()
    }
}

struct ScriptedConnection {
    inner: Box<dyn SourceConnection>,
    asking: Asking,
}

impl Catalog for ScriptedConnection {
    fn list_tables<'a>(&'a mut self, filter: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>> {
        self.inner.list_tables(filter)
    }

    fn describe<'a>(
        &'a mut self,
        relation: &'a Relation,
        time_columns: &'a [String],
    ) -> BoxFuture<'a, Result<TableDefinition>> {
        async {
            self.asking.at(Step::Describe).await?;
            self.inner.describe(relation, time_columns).await
        }
        .boxed()
    }

    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        self.inner.estimate_rows(relation)
    }

    fn cursor_facts<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<CursorFact>>> {
        self.inner.cursor_facts(relation, columns)
    }

    fn last_id<'a>(&'a mut self, relation: &'a Relation, column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        self.inner.last_id(relation, column)
    }

    fn incarnations<'a>(&'a mut self, tables: &'a [Counted]) -> BoxFuture<'a, Result<Vec<Option<Incarnation>>>> {
        self.inner.incarnations(tables)
    }

    fn late_support<'a>(
        &'a mut self,
        relation: &'a Relation,
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        self.inner.late_support(relation, id)
    }
}

impl PageSource for ScriptedConnection {
    fn upper_bound<'a>(&'a mut self, kind: CursorKind, delay: Duration) -> BoxFuture<'a, Result<CursorValue<'static>>> {
        async move {
            self.asking.at(Step::UpperBound).await?;
            self.inner.upper_bound(kind, delay).await
        }
        .boxed()
    }

    fn wall_zone(&self) -> Option<Zone> {
        self.inner.wall_zone()
    }

    fn server_zones<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<Zone>>> {
        self.inner.server_zones()
    }

    fn fetch<'a>(
        &'a mut self,
        definition: &'a TableDefinition,
        query: &'a PlannedQuery,
    ) -> BoxFuture<'a, Result<Box<dyn RowStream + 'a>>> {
        async {
            self.asking.at(Step::Fetch).await?;
            let inner = self.inner.fetch(definition, query).await?;
            let stream: Box<dyn RowStream + 'a> = Box::new(ScriptedRows { inner, asking: self.asking.clone() });
            Ok(stream)
        }
        .boxed()
    }

    fn probe<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<Option<CursorValue<'static>>>> {
        self.inner.probe(query)
    }

    fn explain<'a>(&'a mut self, query: &'a PlannedQuery) -> BoxFuture<'a, Result<PlanReport>> {
        self.inner.explain(query)
    }
}

impl ServerIdentity for ScriptedConnection {
    fn server(&self) -> &str {
        self.inner.server()
    }

    fn identity(&self) -> Option<&str> {
        self.inner.identity()
    }

    fn lineage<'a>(&'a mut self) -> BoxFuture<'a, Result<Lineage>> {
        self.inner.lineage()
    }

    fn is_replica(&self) -> bool {
        self.inner.is_replica()
    }
}

impl Transactions for ScriptedConnection {
    fn open_transactions<'a>(&'a mut self) -> BoxFuture<'a, Result<OpenTransactions>> {
        self.inner.open_transactions()
    }
}

impl SourceConnection for ScriptedConnection {
    fn snapshot_views(&mut self) -> Option<&mut dyn SnapshotViews> {
        self.inner.snapshot_views()
    }

    fn past_reads(&mut self) -> Option<&mut dyn PastReads> {
        self.inner.past_reads()
    }

    fn change_tokens(&mut self) -> Option<&mut dyn ChangeTokens> {
        self.inner.change_tokens()
    }

    fn end_view<'a>(&'a mut self) -> BoxFuture<'a, Result<()>> {
        self.inner.end_view()
    }

    fn is_alive<'a>(&'a mut self) -> BoxFuture<'a, bool> {
        self.inner.is_alive()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.inner.close()
    }
}

struct ScriptedRows<'a> {
    inner: Box<dyn RowStream + 'a>,
    asking: Asking,
}

impl RowStream for ScriptedRows<'_> {
    fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
        async {
            let mut few = Few { left: self.asking.script.cut(), inner: sink };
            let end = self.inner.next_rows(&mut few).await?;
            // A result that ends before counts: something happens at its end.
            self.asking.at(Step::Rows).await?;
            Ok(end)
        }
        .boxed()
    }
}

/// Hands on so many rows, then pauses.
struct Few<'a> {
    left: Option<usize>,
    inner: &'a mut dyn RowSink,
}

impl RowSink for Few<'_> {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        if let Some(left) = &mut self.left {
            let Some(less) = left.checked_sub(1) else { return Ok(Flow::Pause) };
            *left = less;
        }
        self.inner.row(row)
    }
}

struct ScriptedConverter {
    inner: Arc<dyn Converter>,
    asking: Asking,
}

impl Converter for ScriptedConverter {
    fn bind<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
        async move {
            self.asking.at(Step::Bind).await?;
            self.inner.bind(side).await
        }
        .boxed()
    }

    fn preview(&self, side: Side<'_>) -> Result<SchemaPreview> {
        self.inner.preview(side)
    }

    fn check<'a>(&'a self, side: Side<'a>) -> BoxFuture<'a, Result<()>> {
        self.inner.check(side)
    }

    fn bind_sample(&self, side: Side<'_>) -> Result<Arc<dyn Encoder>> {
        self.inner.bind_sample(side)
    }

    fn render_sample(&self, preview: &SchemaPreview, bytes: &[u8]) -> Result<String> {
        self.inner.render_sample(preview, bytes)
    }
}

struct ScriptedStore {
    inner: Arc<dyn OffsetStore>,
    asking: Asking,
}

impl OffsetStore for ScriptedStore {
    fn load<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<Loaded>> {
        async {
            self.asking.at(Step::Load).await?;
            self.inner.load(connector).await
        }
        .boxed()
    }

    fn stage(&self, connector: &str, delta: &OffsetDelta) -> Vec<KafkaRecord> {
        self.inner.stage(connector, delta)
    }

    fn assign(&self, connector: &str, partition: &SourcePartition, offset: Option<&SourceOffset>) -> Vec<KafkaRecord> {
        self.inner.assign(connector, partition, offset)
    }

    fn stage_server(&self, connector: &str, server: &Server) -> Vec<KafkaRecord> {
        self.inner.stage_server(connector, server)
    }

    fn stage_table(&self, connector: &str, partition: &SourcePartition, mark: &TableMark) -> KafkaRecord {
        self.inner.stage_table(connector, partition, mark)
    }

    fn stage_owner(&self, connector: &str, owner: &Owner) -> KafkaRecord {
        self.inner.stage_owner(connector, owner)
    }
}

struct ScriptedSink {
    inner: Box<dyn RecordSink>,
    asking: Asking,
}

impl RecordSink for ScriptedSink {
    fn init(&mut self) -> BoxFuture<'_, Result<()>> {
        async {
            self.asking.at(Step::Init).await?;
            self.inner.init().await
        }
        .boxed()
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<()>> {
        async {
            self.asking.at(Step::Begin).await?;
            self.inner.begin().await
        }
        .boxed()
    }

    fn send(&mut self, batch: EncodedBatch) -> BoxFuture<'_, Result<()>> {
        async {
            self.asking.at(Step::Send).await?;
            self.inner.send(batch).await
        }
        .boxed()
    }

    fn commit(&mut self, offsets: Vec<KafkaRecord>) -> BoxFuture<'_, Result<()>> {
        async {
            self.asking.at(Step::BeforeCommit).await?;
            self.inner.commit(offsets).await?;
            self.asking.at(Step::AfterCommit).await?;
            self.asking.script.committed(self.asking.task);
            Ok(())
        }
        .boxed()
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<()>> {
        self.inner.abort()
    }

    fn spent(&self) -> Option<Error> {
        self.inner.spent()
    }
}
