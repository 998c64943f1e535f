//! A board with every state there is, for pictures and for what looks at the whole page.

use serde_json::{Value as Json, json};

use super::fake::{Fake, connector, status, table};

/// The calls of /rowtide/v1 that the page uses.
pub const CALLS: &[(&str, &str)] = &[
    ("get", "connectors/{connector}/tables/{table}"),
    ("get", "connectors/{connector}/tables/{table}/explain"),
    ("get", "connectors/{connector}/tables/{table}/samples"),
    ("put", "connectors/{connector}/tables/{table}/pause"),
    ("put", "connectors/{connector}/tables/{table}/resume"),
    ("post", "connectors/{connector}/tables/{table}/restart"),
    ("put", "connectors/{connector}/tables/{table}/offset"),
    ("delete", "connectors/{connector}/tables/{table}/offset"),
    ("get", "events"),
];

/// A time so many seconds before now.
pub fn ago(seconds: i64) -> String {
    let time = chrono::Utc::now() - chrono::TimeDelta::seconds(seconds);
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The server with the whole board; the calls of /rowtide/v1 are there.
pub fn server() -> Fake {
    let fake = Fake::new(|asked| status(connectors(asked)));
    fake.describe(CALLS);
    let told = |state: &str, kind: &str| json!({"status": {"name": "", "connector": {"state": state, "worker_id": "w:1"}, "tasks": [{"id": 0, "state": state, "worker_id": "w:1"}], "type": kind}});
    fake.answer(
        "GET /connectors?expand=status",
        200,
        json!({
            "orders-db": told("RUNNING", "source"), "inventory": told("PAUSED", "source"), "billing": told("FAILED", "source"),
            "warehouse-sink": told("UNASSIGNED", "sink"),
        }),
    );
    for name in ["orders", "invoices"] {
        of_table(&fake, name);
    }
    fake.answer("GET /rowtide/v1/events", 200, events());
    fake.answer("GET /rowtide/v1/events?after=3", 200, json!({"events": [], "last": 3}));
    fake
}

/// The answers about one table.
fn of_table(fake: &Fake, name: &str) {
    let path = format!("/rowtide/v1/connectors/orders-db/tables/public.{name}");
    let settings = json!({"mode": "timestamp+incrementing", "timestamp.column.name": "updated_at", "incrementing.column.name": "id",
        "topic": format!("shop_{name}"), "poll.interval.ms": 5000});
    let offset = json!({"incrementing": 184_002, "timestamp": 1_767_254_398_120_i64, "timestamp_nanos": 120_000_000});
    fake.answer(
        &format!("GET {path}"),
        200,
        json!({"table": format!("public.{name}"), "settings": settings, "offset": offset}),
    );
    fake.answer(&format!("GET {path}/explain"), 200, explained());
    let refused =
        json!({"error_code": 403, "message": "Values are not shown: set ui.samples=true in the worker's settings"});
    fake.answer(&format!("GET {path}/samples?limit=10"), 403, refused);
    for (method, what) in [("PUT", "pause"), ("PUT", "resume"), ("POST", "restart"), ("DELETE", "offset")] {
        fake.answer(&format!("{method} {path}/{what}"), 202, Json::Null);
    }
}

fn explained() -> Json {
    json!({
        "table": "public.orders", "mode": "timestamp+incrementing",
        "sql": "select t.* from \"public\".\"orders\" as t where (t.\"updated_at\", t.\"id\") > ($1, $2) and t.\"updated_at\" < $3 order by t.\"updated_at\" asc, t.\"id\" asc limit 1001",
        "bound": ["2026-01-01 07:59:58.12+00", "184002", "NOW"],
        "plan": ["Limit  (cost=0.42..41.17 rows=1001 width=61)", "  ->  Index Scan using orders_updated_at_id on orders t"],
        "index_serves": true, "index_ddl": null, "pages_end": "after any row: (id) is unique",
        "key": {"subject": "shop_orders-key", "schema": {"type": "record", "name": "ConnectDefault", "fields": [{"name": "id", "type": "long"}]}},
        "value": {"subject": "shop_orders-value", "schema": {"type": "record", "name": "orders", "fields": [
            {"name": "id", "type": "long"}, {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}}]}},
        "guard": "exact: neither lost nor repeated",
    })
}

fn events() -> Json {
    json!({"last": 3, "events": [
        {"id": 1, "time": ago(3600), "connector": "orders-db", "table": null, "kind": "started", "text": "6 tables in 2 tasks"},
        {"id": 2, "time": ago(420), "connector": "orders-db", "table": "public.invoices", "kind": "failed", "text": "column `updated_at` is not there any more"},
        {"id": 3, "time": ago(40), "connector": "orders-db", "table": "public.sessions", "kind": "backing_off", "text": "cannot connect to db-2:5432"},
    ]})
}

fn connectors(asked: u64) -> Vec<Json> {
    let mut billing = connector("billing", "failed", Vec::new());
    billing["error"] = json!("another process runs the connector billing: its transactional id was fenced at epoch 7");
    billing["advice"] = json!("look for the other process; start only one of them, or give one another name");
    let paused = [("stock", 12_004), ("stock_moves", 977_310), ("warehouses", 14)]
        .map(|(name, rows)| table(name, &json!({"state": "stopped", "rows": rows, "since": ago(7200), "newest": null, "lag_seconds": null, "position": format!("seq={rows}"),
            "guard": {"level": "rescan", "way": "rescan"}})));
    vec![billing, connector("inventory", "paused", paused.into()), connector("orders-db", "running", orders(asked))]
}

fn orders(asked: u64) -> Vec<Json> {
    let wave = [0, 180, 420, 300, 90, 40, 260, 510, 380, 120];
    let live: u64 = (0..asked).map(|index| wave[usize::try_from(index).expect("small") % wave.len()]).sum();
    let bytes = 41_000_000 + live * 180;
    vec![
        table(
            "public.audit_log",
            &json!({"state": "waiting", "since": ago(95), "rows": 88_120, "lag_seconds": 96.2,
            "reason": "rows that are newer wait until an older transaction has ended: pid 41233, idle in transaction for 2 min",
            "advice": "end that session, or set commit.guard.max.wait.ms",
            "guard": {"level": "hold", "way": "hold", "blocker": "pid 41233 (app reports)", "oldest_transaction_seconds": 121.5, "oldest_transaction": "pid 41233",
                "raise": "grant select (xmin) on public.audit_log to connectuser", "uncovered": "rows of prepared transactions"}}),
        ),
        table(
            "public.customers",
            &json!({"since": ago(31), "rows": 20_551, "lag_seconds": 0.0, "last_poll": ago(1), "newest": ago(31)}),
        ),
        table(
            "public.invoices",
            &json!({"state": "failed", "since": ago(420), "rows": 4_410, "lag_seconds": 421.0,
            "reason": "table public.invoices: column `updated_at`, the timestamp column, is not there any more",
            "advice": "put the column back, or give another one: table.public.invoices.timestamp.column.name=…"}),
        ),
        table(
            "public.orders",
            &json!({"state": "live", "since": ago(3600), "rows": 184_002 + live, "bytes": bytes, "last_poll": ago(0), "newest": ago(1),
            "not_polled": [{"reason": "null", "rows": 3, "or_more": false, "example": "id=17", "text": "3 row(s) have NULL in `updated_at` and are not polled, one of them id=17: cursor.null"}],
            "cursor_facts": [{"column": "id", "weight": "warning", "text": "its sequence hands out blocks of 50 (CACHE): ids become visible out of order"}]}),
        ),
        table(
            "public.payments",
            &json!({"state": "loading", "since": ago(252), "rows": 1_250_000 + asked * 9_000, "lag_seconds": null, "rows_behind": 2_100_000,
            "load": {"since": ago(252), "rows": 1_250_000 + asked * 9_000, "estimated_rows": 3_400_000}}),
        ),
        table(
            "public.sessions",
            &json!({"state": "backing_off", "since": ago(40), "rows": 902_133, "lag_seconds": 41.7,
            "reason": "cannot connect to db-2:5432: connection refused", "advice": "start the database, or correct connection.url; it is tried again",
            "guard": {"level": "partial", "way": "gaps", "raise": "grant pg_read_all_stats to connectuser"}}),
        ),
    ]
}
