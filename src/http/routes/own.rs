//! The paths of rowtide's own, below `/rowtide/v1`.

use super::{Kind, Route, answers};
use crate::http::{events, openapi, status, tables};

pub(super) fn v1() -> Vec<Route> {
    vec![
        Route::at("/rowtide/v1/openapi.json")
            .get(openapi::document, answers("OpenApi", "This description of all paths, in OpenAPI 3.1")),
        Route::at("/rowtide/v1/status")
            .get(status::status, answers("Status", "State of every connector and table, as `/status`")),
        Route::at("/rowtide/v1/events").get(
            events::list,
            answers("Events", "The last changes of states, errors, and what was asked for")
                .asks("after", Kind::Number, "Only events behind this id")
                .asks("connector", Kind::Text, "Only those of this connector"),
        ),
        Route::at("/rowtide/v1/connectors/{name}")
            .get(tables::connector, answers("ConnectorStatus", "State of a connector and its tables"))
            .patch(
                tables::interval,
                answers("Interval", "Another poll interval for a running connector, not kept in its settings")
                    .takes("Interval"),
            ),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}")
            .get(tables::get, answers("Table", "State of a table, its settings and its stored offset")),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}/explain").get(
            tables::explain,
            answers("Explanation", "SQL, plan, index, schemas and guard of a table, as `rowtide explain --json`"),
        ),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}/samples").get(
            tables::samples,
            answers("Samples", "Last records of a table, decoded; with `ui.samples=true` only").asks(
                "limit",
                Kind::Number,
                "At most so many",
            ),
        ),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}/pause")
            .put(tables::pause, answers("Message", "Pauses a table; the others go on").status(202)),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}/resume")
            .put(tables::resume, answers("Message", "Resumes a table").status(202)),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}/restart").post(
            tables::restart,
            answers("Message", "Binds a table anew and tries it at once, failed or not").status(202),
        ),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}/offset")
            .put(
                tables::move_offset,
                answers("Moved", "Moves the offset of a table while its connector runs").takes("Position"),
            )
            .delete(tables::reset_offset, answers("Moved", "Forgets the offset of a table, which is loaded again")),
        Route::at("/rowtide/v1/connectors/{name}/tables/{table}/backfill")
            .post(
                tables::backfill,
                answers("Backfilling", "Reads a table again while it is polled").takes("Backfill").status(201),
            )
            .delete(tables::no_backfill, answers("Message", "Ends the backfill of a table")),
    ]
}
