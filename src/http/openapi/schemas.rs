//! The schemas of bodies. An object may have more fields than are named here, as in Kafka Connect.

use serde_json::{Map, Value, json};

/// Every schema by its name.
pub(super) fn all() -> Map<String, Value> {
    [basics(), of_connectors(), of_tasks(), of_offsets(), of_plugins(), of_status(), of_events(), of_tables()]
        .into_iter()
        .flat_map(object)
        .collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

fn texts() -> Value {
    list(json!({"type": "string"}))
}

fn nullable(kind: &str) -> Value {
    json!({"type": [kind, "null"]})
}

fn basics() -> Value {
    json!({
        "Error": {
            "type": "object",
            "required": ["error_code", "message"],
            "properties": {"error_code": {"type": "integer"}, "message": {"type": "string"}},
        },
        "Message": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}},
        "Version": {
            "type": "object",
            "required": ["version", "commit"],
            "properties": {"version": {"type": "string"}, "commit": {"type": "string"}, "kafka_cluster_id": nullable("string")},
        },
        "Health": {
            "type": "object",
            "required": ["status", "message"],
            "properties": {"status": {"type": "string"}, "message": {"type": "string"}},
        },
        "Live": {"type": "object", "required": ["live"], "properties": {"live": {"type": "boolean"}}},
        "Ready": {
            "type": "object",
            "required": ["ready"],
            "properties": {"ready": {"type": "boolean"}, "problems": list(json!({"type": "object"}))},
        },
        "OpenApi": {"type": "object", "required": ["openapi", "paths"]},
    })
}

fn of_connectors() -> Value {
    let settings = json!({
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    });
    json!({
        "Settings": settings,
        "NewConnector": {
            "type": "object",
            "required": ["config"],
            "additionalProperties": false,
            "properties": {
                "name": nullable("string"),
                "config": reference("Settings"),
                "initial_state": {"type": ["string", "null"], "enum": ["RUNNING", "PAUSED", "STOPPED", null]},
            },
        },
        "Connectors": {"oneOf": [texts(), {"type": "object"}]},
        "TaskId": {
            "type": "object",
            "required": ["connector", "task"],
            "properties": {"connector": {"type": "string"}, "task": {"type": "integer"}},
        },
        "ConnectorInfo": {
            "type": "object",
            "required": ["name", "config", "tasks", "type"],
            "properties": {
                "name": {"type": "string"},
                "config": reference("Settings"),
                "tasks": list(reference("TaskId")),
                "type": {"type": "string", "enum": ["source", "sink", "unknown"]},
            },
        },
    })
}

fn of_tasks() -> Value {
    json!({
        "TaskState": {
            "type": "object",
            "required": ["state", "worker_id"],
            "properties": {
                "id": {"type": "integer"},
                "state": {"type": "string"},
                "worker_id": {"type": "string"},
                "trace": {"type": "string"},
            },
        },
        "ConnectorState": {
            "type": "object",
            "required": ["name", "connector", "tasks", "type"],
            "properties": {
                "name": {"type": "string"},
                "connector": reference("TaskState"),
                "tasks": list(reference("TaskState")),
                "type": {"type": "string"},
            },
        },
        "Tasks": list(json!({
            "type": "object",
            "required": ["id", "config"],
            "properties": {"id": reference("TaskId"), "config": reference("Settings")},
        })),
        "TaskSettings": {"type": "object", "additionalProperties": reference("Settings")},
    })
}

fn of_offsets() -> Value {
    json!({
        "Topics": {
            "type": "object",
            "additionalProperties": {"type": "object", "required": ["topics"], "properties": {"topics": texts()}},
        },
        "Offsets": {
            "type": "object",
            "required": ["offsets"],
            "properties": {
                "offsets": list(json!({
                    "type": "object",
                    "required": ["partition", "offset"],
                    "properties": {
                        "partition": {"type": "object", "additionalProperties": {"type": "string"}},
                        "offset": nullable("object"),
                    },
                })),
            },
        },
    })
}

fn of_plugins() -> Value {
    json!({
        "Plugins": list(json!({
            "type": "object",
            "required": ["class", "type"],
            "properties": {"class": {"type": "string"}, "type": {"type": "string"}, "version": nullable("string")},
        })),
        "Keys": list(json!({"type": "object", "required": ["name", "type"]})),
        "Validation": {
            "type": "object",
            "required": ["name", "error_count", "groups", "configs"],
            "properties": {
                "name": {"type": "string"},
                "error_count": {"type": "integer"},
                "groups": texts(),
                "configs": list(json!({"type": "object", "required": ["definition", "value"]})),
            },
        },
        "Logger": {
            "type": "object",
            "required": ["level"],
            "properties": {"level": {"type": "string"}, "last_modified": nullable("integer")},
        },
        "Loggers": {"type": "object", "additionalProperties": reference("Logger")},
        "LoggerNames": texts(),
        "Level": {"type": "object", "required": ["level"], "properties": {"level": {"type": "string"}}},
    })
}

fn of_status() -> Value {
    json!({
        "Status": {
            "type": "object",
            "required": ["version", "ready", "connectors"],
            "properties": {
                "version": {"type": "string"},
                "ready": {"type": "boolean"},
                "connectors": list(reference("ConnectorStatus")),
            },
        },
        "ConnectorStatus": {
            "type": "object",
            "required": ["name", "state", "tables"],
            "properties": {
                "name": {"type": "string"},
                "state": {"type": "string", "enum": ["starting", "running", "failed", "paused", "stopped"]},
                "error": nullable("string"),
                "advice": nullable("string"),
                "kind": nullable("string"),
                "tables": list(reference("TableStatus")),
            },
        },
        "TableStatus": {
            "type": "object",
            "required": ["table", "state", "since", "rows", "bytes"],
            "properties": {
                "table": {"type": "string"},
                "state": {"type": "string", "enum": crate::status::TableState::ALL.map(crate::status::TableState::as_str)},
                "since": {"type": "string"},
                "reason": nullable("string"),
                "advice": nullable("string"),
                "kind": nullable("string"),
                "last_poll": nullable("string"),
                "rows": {"type": "integer"},
                "bytes": {"type": "integer"},
                "position": nullable("string"),
                "lag_seconds": nullable("number"),
                "rows_behind": nullable("integer"),
                "backfill": {
                    "type": "object",
                    "required": ["of"],
                    "properties": {"of": {"type": "string"}},
                },
            },
        },
    })
}

fn of_events() -> Value {
    json!({
        "Events": {
            "type": "object",
            "required": ["events", "last"],
            "properties": {
                "events": list(json!({
                    "type": "object",
                    "required": ["id", "time", "connector", "kind", "text"],
                    "properties": {
                        "id": {"type": "integer"},
                        "time": {"type": "string"},
                        "connector": {"type": "string"},
                        "table": nullable("string"),
                        "kind": {"type": "string", "enum": ["state", "error", "control"]},
                        "text": {"type": "string"},
                    },
                })),
                "last": {"type": "integer"},
            },
        },
    })
}

fn of_tables() -> Value {
    json!({
        "Table": {
            "allOf": [reference("TableStatus"), {
                "type": "object",
                "required": ["settings", "partition", "offset"],
                "properties": {
                    "settings": {"type": "object"},
                    "partition": {"type": "object", "additionalProperties": {"type": "string"}},
                    "offset": nullable("object"),
                },
            }],
        },
        "Explanation": {"type": "object", "required": ["table"], "properties": {"table": {"type": "string"}}},
        "Samples": {
            "type": "object",
            "required": ["table", "samples"],
            "properties": {"table": {"type": "string"}, "samples": list(json!({"type": "object"}))},
        },
        "Interval": {
            "type": "object",
            "required": ["poll.interval.ms"],
            "properties": {"poll.interval.ms": {"type": "integer", "minimum": 0, "maximum": i32::MAX}},
        },
        "Position": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "timestamp": {
                    "type": ["string", "integer", "null"],
                    "description": "RFC 3339, or milliseconds since the epoch; rows after it are read",
                },
                "incrementing": {"type": ["integer", "null"], "description": "the id after which rows are read"},
            },
        },
        "Backfill": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "where": {"type": ["string", "null"], "minLength": 1, "description": "a condition in the database's SQL"},
                "topic": {"type": ["string", "null"], "minLength": 1, "description": "another topic than the table's"},
                "rows_per_second": {"type": ["integer", "null"], "minimum": 1, "maximum": u32::MAX},
            },
        },
        "Backfilling": {
            "type": "object",
            "required": ["connector", "table", "progress", "message"],
            "properties": {
                "connector": {"type": "string"},
                "table": {"type": "string"},
                "progress": nullable("object"),
                "position": nullable("string"),
                "message": {"type": "string"},
            },
        },
        "Moved": {
            "type": "object",
            "required": ["connector", "table", "offset", "position"],
            "properties": {
                "connector": {"type": "string"},
                "table": {"type": "string"},
                "offset": nullable("object"),
                "position": {"type": "string"},
            },
        },
    })
}
