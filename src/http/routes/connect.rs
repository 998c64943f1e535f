//! The paths of Kafka Connect, and the probes of orchestrators.

use super::{Kind, Route, answers, done};
use crate::http::{
    connectors, control, health, loggers, metrics, offsets, plugins, root, settings, status, tasks, topics, validation,
};

pub(super) fn root() -> Vec<Route> {
    vec![
        Route::at("/").get(
            root::root,
            answers(
                "Version",
                "Version of the REST, `commit` with rowtide's own version, cluster id; to a browser the page",
            ),
        ),
        Route::at("/health").get(
            root::health,
            answers("Health", "Health of the worker: 503 while connectors that are kept are not there yet")
                .or(503, Some("Health")),
        ),
        Route::at("/health/live").get(health::live, answers("Live", "Liveness: the process answers")),
        Route::at("/health/ready").get(
            health::ready,
            answers("Ready", "Readiness: every table was polled successfully of late, or 503 with all that is wrong")
                .or(503, Some("Ready")),
        ),
        Route::at("/status").get(status::status, answers("Status", "State of every connector and table")),
        Route::at("/metrics").get(metrics::metrics, answers("Metrics", "Metrics for Prometheus")),
    ]
}

pub(super) fn connectors() -> Vec<Route> {
    let expand = ("expand", Kind::Words(&["info", "status"]), "What is told of each beside its name");
    vec![
        Route::at("/connectors")
            .get(connectors::list, answers("Connectors", "Names of the connectors").asks(expand.0, expand.1, expand.2))
            .post(
                connectors::create,
                answers("ConnectorInfo", "Creates a connector: `name`, `config`, `initial_state`")
                    .takes("NewConnector")
                    .status(201),
            ),
        Route::at("/connectors/{name}")
            .get(connectors::get, answers("ConnectorInfo", "A connector, its settings and tasks"))
            .delete(connectors::delete, done(204, "Deletes a connector; offsets and topics stay")),
        Route::at("/connectors/{name}/config")
            .get(settings::get, answers("Settings", "Settings of a connector"))
            .put(
                settings::put,
                answers("ConnectorInfo", "Replaces the settings, or creates the connector")
                    .takes("Settings")
                    .or(201, Some("ConnectorInfo")),
            )
            .patch(
                settings::patch,
                answers("ConnectorInfo", "Changes some settings; null takes one away").takes("Settings"),
            ),
        Route::at("/connectors/{name}/status")
            .get(connectors::status, answers("ConnectorState", "State of a connector and of its tasks")),
        Route::at("/connectors/{name}/restart").post(
            control::restart,
            done(204, "Restarts a connector with all its tasks")
                .or(202, Some("ConnectorState"))
                .asks("includeTasks", Kind::Flag, "Answers at once with what is restarted")
                .asks("onlyFailed", Kind::Flag, "Only one that has failed"),
        ),
        Route::at("/connectors/{name}/pause").put(control::pause, done(202, "Pauses a connector")),
        Route::at("/connectors/{name}/resume")
            .put(control::resume, done(202, "Resumes a connector that is paused or stopped")),
        Route::at("/connectors/{name}/stop")
            .put(control::stop, done(204, "Stops a connector, so that its offsets can be changed")),
        Route::at("/connectors/{name}/tasks")
            .get(tasks::list, answers("Tasks", "Tasks of a connector with their settings")),
        Route::at("/connectors/{name}/tasks-config")
            .get(tasks::configs, answers("TaskSettings", "The same in the form of Kafka Connect before 4.0")),
        Route::at("/connectors/{name}/tasks/{task}/status").get(tasks::status, answers("TaskState", "State of a task")),
        Route::at("/connectors/{name}/tasks/{task}/restart")
            .post(tasks::restart, done(204, "Restarts a task, and with it the others of its connector")),
    ]
}

pub(super) fn rest() -> Vec<Route> {
    vec![
        Route::at("/connectors/{name}/topics")
            .get(topics::list, answers("Topics", "Topics that a connector has written to")),
        Route::at("/connectors/{name}/topics/reset").put(topics::reset, done(202, "Forgets these topics")),
        Route::at("/connectors/{name}/offsets")
            .get(offsets::get, answers("Offsets", "Stored offsets of a connector"))
            .patch(offsets::patch, answers("Message", "Changes offsets of a stopped connector").takes("Offsets"))
            .delete(offsets::delete, answers("Message", "Forgets all offsets of a stopped connector")),
        Route::at("/connector-plugins").get(
            plugins::list,
            answers("Plugins", "Classes of connectors").asks(
                "connectorsOnly",
                Kind::Flag,
                "`false`: transforms, predicates and converters, too",
            ),
        ),
        Route::at("/connector-plugins/{plugin}/config")
            .get(plugins::config, answers("Keys", "Configuration keys of a class")),
        Route::at("/connector-plugins/{plugin}/config/validate").put(
            validation::validate,
            answers(
                "Validation",
                "Every key with its definition, value and errors; connects to the database if nothing else is wrong",
            )
            .takes("Settings"),
        ),
        Route::admin("/admin/loggers").get(loggers::list, answers("Loggers", "Loggers with a level of their own")),
        Route::admin("/admin/loggers/{logger}")
            .get(loggers::get, answers("Logger", "Level of a logger: `root`, `rowtide`, `rowtide.kafka`, ..."))
            .put(
                loggers::put,
                answers("LoggerNames", "Changes the level; `org.apache.kafka.connect` means `rowtide`")
                    .takes("Level")
                    .or(204, None)
                    .asks("scope", Kind::Text, "`cluster` changes the same, and answers 204"),
            ),
    ]
}
