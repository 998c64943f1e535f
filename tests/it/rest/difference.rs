//! The same calls to a real Kafka Connect worker and to rowtide: status, shape of the body, and the text of errors are equal, but
//! for the calls of a table that says why not. `docs/rest.md` shows that table.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::support::connect::ConnectWorker;
use crate::support::db::Postgres;
use crate::support::rest::{Answer, Client, Worker, settings, wait_for_raw};

/// Calls whose answers differ, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("root", "`version` is that of the REST that is spoken, 3.9.0; the shape is the same"),
    ("offsets", "rowtide's own fields stand in offsets, too; Kafka Connect passes over them"),
    ("tasks-config", "Kafka 4.0 took the path away; clients of 3.x ask for it"),
    ("tasks-config of none", "Kafka 4.0 took the path away; clients of 3.x ask for it"),
    ("empty body for offsets", "a client's mistake is 400, not 500"),
    ("nonsense for offsets", "a client's mistake is 400, not 500"),
    ("another field for offsets", "a client's mistake is 400, not 500"),
    ("text as an offset", "it would break the task at its next start, and is refused"),
    ("an offset without a partition", "it belongs to no table, and is refused"),
    ("no config", "a client's mistake is 400, not 500"),
    ("an unknown field", "a client's mistake is 400, not 500"),
    ("an object as a value", "a client's mistake is 400, not 500"),
    ("a list as a value", "a client's mistake is 400, not 500"),
    ("half a body", "a client's mistake is 400, not 500"),
    ("no body", "a client's mistake is 400, not 500"),
    ("a list as a body", "a client's mistake is 400, not 500"),
    ("an empty object", "a client's mistake is 400, not 500"),
    ("an unknown initial state", "a client's mistake is 400, not 500"),
    ("a list as settings", "a client's mistake is 400, not 500"),
    ("no settings", "a client's mistake is 400, not 500"),
    ("half of settings", "a client's mistake is 400, not 500"),
    ("an empty patch", "a client's mistake is 400, not 500"),
    ("another name by patch", "a connector cannot have another name in its settings than the one it is known by"),
    ("validate without a class", "a client's mistake is 400, not 500"),
    ("validate an unknown class", "a client's mistake is 400, not 500"),
    ("validate nothing", "a client's mistake is 400, not 500"),
    (
        "a name with a slash",
        "its server refuses `%2F` in paths, so that such a connector can be made and not be reached",
    ),
    (
        "the state of a name with a slash",
        "its server refuses `%2F` in paths, so that such a connector can be made and not be reached",
    ),
    (
        "delete a name with a slash",
        "its server refuses `%2F` in paths, so that such a connector can be made and not be reached",
    ),
    ("a name that climbs", "it is the name of a connector that is not there"),
    ("loggers", "the loggers are those of this program"),
];

/// The shape of a body: what is settings, a list that may be empty, or of one of two types is not looked into.
fn shape(value: &Json) -> String {
    match value {
        Json::Null | Json::String(_) => "text".to_owned(),
        Json::Bool(_) => "bool".to_owned(),
        Json::Number(_) => "number".to_owned(),
        Json::Array(all) => all.first().map_or("[]".to_owned(), |first| format!("[{}]", shape(first))),
        Json::Object(object) => {
            let mut fields: BTreeMap<String, String> = BTreeMap::new();
            for (key, value) in object {
                match key.as_str() {
                    "config" if value.is_object() => drop(fields.insert(key.clone(), "settings".to_owned())),
                    // Kafka 4.1 says of which version a plugin is.
                    "version" if object.contains_key("worker_id") => {}
                    // Only where something failed.
                    "trace" => {}
                    // Kafka 4 calls it otherwise than all versions before.
                    "order_in_group" => drop(fields.insert("order".to_owned(), shape(value))),
                    _ => drop(fields.insert(key.clone(), shape(value))),
                }
            }
            format!("{fields:?}")
        }
    }
}

/// Whether two shapes are the same; an empty list fits every list.
fn fits(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Array(one), Json::Array(other)) => match (one.first(), other.first()) {
            (Some(one), Some(other)) => fits(one, other),
            _ => true,
        },
        (Json::Object(first), Json::Object(second)) if shape(one) != shape(other) => {
            let keys = |object: &serde_json::Map<String, Json>| {
                let ignored = ["version", "trace"];
                let mut keys: Vec<String> = object
                    .keys()
                    .filter(|key| !ignored.contains(&key.as_str()))
                    .map(|key| key.replace("order_in_group", "order"))
                    .collect();
                keys.sort();
                keys
            };
            keys(first) == keys(second)
                && first
                    .iter()
                    .all(|(key, value)| key == "config" || second.get(key).is_none_or(|other| fits(value, other)))
        }
        _ => shape(one) == shape(other),
    }
}

/// Why two answers are not the same, if they are not.
fn difference(connect: &Answer, own: &Answer) -> Option<String> {
    if connect.status != own.status {
        return Some(format!("{} instead of {}: {}", own.status, connect.status, own.body));
    }
    let parsed = |answer: &Answer| serde_json::from_str::<Json>(&answer.body).ok();
    let (one, other) = match (parsed(connect), parsed(own)) {
        (Some(one), Some(other)) => (one, other),
        (None, None) if connect.body.is_empty() == own.body.is_empty() => return None,
        _ => return Some(format!("{:?} instead of {:?}", own.body, connect.body)),
    };
    let is_error = one.get("error_code").is_some();
    // What is wrong with settings is said by whoever judges them.
    let is_judged = one["message"].as_str().is_some_and(|text| {
        text.contains("contains the following")
            || text.contains("no connector type")
            || text.contains("Failed to find any class")
    });
    if is_error && !is_judged && one != other {
        return Some(format!("{other} instead of {one}"));
    }
    (!fits(&one, &other)).then(|| format!("{} instead of {}", shape(&other), shape(&one)))
}

/// A step of both sides: a call by its name, or a wait.
enum Step {
    Call(&'static str, &'static str, String, Option<String>),
    Wait(&'static str, &'static str, usize),
}

fn get(name: &'static str, path: &str) -> Step {
    Step::Call(name, "GET", path.to_owned(), None)
}

fn send(name: &'static str, method: &'static str, path: &str) -> Step {
    Step::Call(name, method, path.to_owned(), None)
}

fn with(name: &'static str, method: &'static str, path: &str, body: &Json) -> Step {
    Step::Call(name, method, path.to_owned(), Some(body.to_string()))
}

fn text(name: &'static str, method: &'static str, path: &str, body: &str) -> Step {
    Step::Call(name, method, path.to_owned(), Some(body.to_owned()))
}

/// Settings with another value.
fn but(settings: &Json, key: &str, value: Json) -> Json {
    let mut settings = settings.clone();
    settings[key] = value;
    settings
}

fn moved() -> Json {
    json!({"offsets": [{"partition": {"protocol": "1", "table": "public.test_table"}, "offset": {"incrementing": 1}}]})
}

fn life(settings: &Json) -> Vec<Step> {
    vec![
        get("root", "/"),
        get("health", "/health"),
        get("an unknown path", "/nothing"),
        send("a wrong method", "PATCH", "/connectors"),
        send("a wrong method for the root", "DELETE", "/"),
        send("put connectors", "PUT", "/connectors"),
        get("no connectors", "/connectors"),
        get("no connectors, with a slash", "/connectors/"),
        get("nothing to expand", "/connectors?expand=info&expand=status"),
        with("create", "POST", "/connectors", &json!({"name": "a", "config": settings})),
        with("create again", "POST", "/connectors", &json!({"name": "a", "config": settings})),
        Step::Wait("a", "RUNNING", 1),
        get("connectors", "/connectors"),
        get("a connector", "/connectors/a"),
        get("its settings", "/connectors/a/config"),
        get("its state", "/connectors/a/status"),
        get("its tasks", "/connectors/a/tasks"),
        get("tasks-config", "/connectors/a/tasks-config"),
        get("the state of a task", "/connectors/a/tasks/0/status"),
        get("the state of a task that is not", "/connectors/a/tasks/7/status"),
        get("a task without a number", "/connectors/a/tasks/x/status"),
        get("topics", "/connectors/a/topics"),
        send("reset topics", "PUT", "/connectors/a/topics/reset"),
        get("topics of none", "/connectors/none/topics"),
        send("reset topics of none", "PUT", "/connectors/none/topics/reset"),
        get("expand", "/connectors?expand=info&expand=status"),
        get("expand two in one", "/connectors?expand=info,status"),
        get("expand nonsense", "/connectors?expand=nonsense"),
    ]
}

fn states() -> Vec<Step> {
    let moved = moved();
    vec![
        get("offsets", "/connectors/a/offsets"),
        with("no offsets to alter", "PATCH", "/connectors/a/offsets", &json!({"offsets": []})),
        with("nothing to alter", "PATCH", "/connectors/a/offsets", &json!({})),
        send("reset offsets of a running one", "DELETE", "/connectors/a/offsets"),
        with("alter offsets of a running one", "PATCH", "/connectors/a/offsets", &moved),
        send("restart", "POST", "/connectors/a/restart"),
        send("restart with nonsense", "POST", "/connectors/a/restart?includeTasks=nonsense"),
        Step::Wait("a", "RUNNING", 1),
        send("restart of what has failed", "POST", "/connectors/a/restart?includeTasks=true&onlyFailed=true"),
        send("restart with tasks", "POST", "/connectors/a/restart?includeTasks=true&onlyFailed=false"),
        Step::Wait("a", "RUNNING", 1),
        send("restart a task", "POST", "/connectors/a/tasks/0/restart"),
        send("restart a task that is not", "POST", "/connectors/a/tasks/7/restart"),
        Step::Wait("a", "RUNNING", 1),
        send("pause", "PUT", "/connectors/a/pause"),
        send("pause again", "PUT", "/connectors/a/pause"),
        Step::Wait("a", "PAUSED", 1),
        get("the state of a paused one", "/connectors/a/status"),
        with("alter offsets of a paused one", "PATCH", "/connectors/a/offsets", &moved),
        send("resume", "PUT", "/connectors/a/resume"),
        Step::Wait("a", "RUNNING", 1),
        send("stop", "PUT", "/connectors/a/stop"),
        send("stop again", "PUT", "/connectors/a/stop"),
        Step::Wait("a", "STOPPED", 0),
        get("the state of a stopped one", "/connectors/a/status"),
        get("the tasks of a stopped one", "/connectors/a/tasks"),
        get("a stopped one", "/connectors/a"),
    ]
}

fn of_a_stopped_one(settings: &Json) -> Vec<Step> {
    let moved = moved();
    vec![
        with("alter offsets", "PATCH", "/connectors/a/offsets", &moved),
        get("altered offsets", "/connectors/a/offsets"),
        text("empty body for offsets", "PATCH", "/connectors/a/offsets", ""),
        text("nonsense for offsets", "PATCH", "/connectors/a/offsets", "nonsense"),
        with("another field for offsets", "PATCH", "/connectors/a/offsets", &json!({"other": 1})),
        with(
            "an offset without a partition",
            "PATCH",
            "/connectors/a/offsets",
            &json!({"offsets": [{"offset": {"a": 1}}]}),
        ),
        with(
            "text as an offset",
            "PATCH",
            "/connectors/a/offsets",
            &json!({"offsets": [{"partition": {"table": "t"}, "offset": {"incrementing": "7"}}]}),
        ),
        send("reset offsets", "DELETE", "/connectors/a/offsets"),
        get("offsets after that", "/connectors/a/offsets"),
        with("other settings of a stopped one", "PUT", "/connectors/a/config", settings),
        get("its state afterwards", "/connectors/a/status"),
    ]
}

fn of_none() -> Vec<Step> {
    vec![
        get("none", "/connectors/none"),
        get("settings of none", "/connectors/none/config"),
        get("state of none", "/connectors/none/status"),
        get("tasks of none", "/connectors/none/tasks"),
        get("tasks-config of none", "/connectors/none/tasks-config"),
        get("offsets of none", "/connectors/none/offsets"),
        send("reset offsets of none", "DELETE", "/connectors/none/offsets"),
        send("delete none", "DELETE", "/connectors/none"),
        send("restart none", "POST", "/connectors/none/restart"),
        send("restart none with tasks", "POST", "/connectors/none/restart?includeTasks=true"),
        send("pause none", "PUT", "/connectors/none/pause"),
        send("resume none", "PUT", "/connectors/none/resume"),
        send("stop none", "PUT", "/connectors/none/stop"),
        send("restart a task of none", "POST", "/connectors/none/tasks/0/restart"),
        get("state of a task of none", "/connectors/none/tasks/0/status"),
        with("patch none", "PATCH", "/connectors/none/config", &json!({"a": "1"})),
    ]
}

fn settings_given(settings: &Json) -> Vec<Step> {
    let create =
        |name: &'static str, config: Json| with(name, "POST", "/connectors", &json!({"name": "d", "config": config}));
    vec![
        with("create by settings", "PUT", "/connectors/b/config", settings),
        with("settings of another name", "PUT", "/connectors/b/config", &but(settings, "name", json!("c"))),
        with("patch", "PATCH", "/connectors/b/config", &json!({"poll.interval.ms": "70"})),
        with("a wrong value by patch", "PATCH", "/connectors/b/config", &json!({"mode": "often"})),
        with("an unknown class by patch", "PATCH", "/connectors/b/config", &json!({"connector.class": "nope.X"})),
        with("another name by patch", "PATCH", "/connectors/b/config", &json!({"name": "z"})),
        create("a wrong value", but(settings, "mode", json!("often"))),
        create("settings of another name in a create", but(settings, "name", json!("e"))),
        create("an unknown class", but(settings, "connector.class", json!("nope.X"))),
        create("null as a value", but(settings, "x", Json::Null)),
        create("an object as a value", but(settings, "x", json!({"a": 1}))),
        create("a list as a value", but(settings, "x", json!([1]))),
        create("no keys at all", json!({})),
        with("no name", "POST", "/connectors", &json!({"config": settings})),
        with("no config", "POST", "/connectors", &json!({"name": "d"})),
        with("an unknown field", "POST", "/connectors", &json!({"name": "d", "config": settings, "other": 1})),
        with(
            "an unknown initial state",
            "POST",
            "/connectors",
            &json!({"name": "d", "config": settings, "initial_state": "SLEEPING"}),
        ),
        with("a name with a line end", "POST", "/connectors", &json!({"name": "a\nb", "config": settings})),
        text("half a body", "POST", "/connectors", "{"),
        text("no body", "POST", "/connectors", ""),
        text("a list as a body", "POST", "/connectors", "[]"),
        text("an empty object", "POST", "/connectors", "{}"),
        text("a list as settings", "PUT", "/connectors/b/config", "[]"),
        text("no settings", "PUT", "/connectors/b/config", ""),
        text("half of settings", "PUT", "/connectors/b/config", "{"),
        text("an empty patch", "PATCH", "/connectors/b/config", ""),
        with(
            "create stopped",
            "POST",
            "/connectors",
            &json!({"name": "d", "config": settings, "initial_state": "stopped"}),
        ),
        Step::Wait("d", "STOPPED", 0),
        with(
            "create with a slash",
            "POST",
            "/connectors",
            &json!({"name": "a/b ä", "config": settings, "initial_state": "STOPPED"}),
        ),
        get("a name with a slash", "/connectors/a%2Fb%20%C3%A4"),
        get("the state of a name with a slash", "/connectors/a%2Fb%20%C3%A4/status"),
        send("delete a name with a slash", "DELETE", "/connectors/a%2Fb%20%C3%A4"),
        get("a name that climbs", "/connectors/..%2f.."),
    ]
}

fn plugins_and_loggers(settings: &Json) -> Vec<Step> {
    let path = "/connector-plugins/JdbcSource/config/validate";
    let class = json!({"connector.class": settings["connector.class"], "topics": "x"});
    let logger = "/admin/loggers/org.apache.kafka.connect";
    vec![
        get("plugins", "/connector-plugins"),
        get("all plugins", "/connector-plugins?connectorsOnly=false"),
        get("the settings of a plugin", "/connector-plugins/JdbcSource/config"),
        get("the settings of a transform", "/connector-plugins/org.apache.kafka.connect.transforms.ValueToKey/config"),
        get("the settings of no plugin", "/connector-plugins/nope/config"),
        with("validate", "PUT", path, settings),
        with("validate a class alone", "PUT", path, &class),
        with("validate without a class", "PUT", path, &json!({"topics": "x"})),
        with("validate another class", "PUT", "/connector-plugins/Nope/config/validate", settings),
        with(
            "validate an unknown class",
            "PUT",
            "/connector-plugins/Nope/config/validate",
            &but(settings, "connector.class", json!("Nope")),
        ),
        text("validate nothing", "PUT", path, ""),
        get("loggers", "/admin/loggers"),
        get("the root logger", "/admin/loggers/root"),
        get("an unknown logger", "/admin/loggers/no.such"),
        with("a level", "PUT", logger, &json!({"level": "debug"})),
        get("that level", logger),
        with("an unknown level", "PUT", logger, &json!({"level": "loud"})),
        with("no level", "PUT", logger, &json!({})),
        with("a level in the cluster", "PUT", &format!("{logger}?scope=cluster"), &json!({"level": "INFO"})),
        send("delete", "DELETE", "/connectors/a"),
        send("delete another", "DELETE", "/connectors/b"),
        send("delete a stopped one", "DELETE", "/connectors/d"),
    ]
}

fn carry_out(client: &Client, steps: &[Step]) -> Vec<(&'static str, Answer)> {
    let mut answers = Vec::new();
    for step in steps {
        match step {
            Step::Call(name, method, path, body) => answers.push((*name, client.call(method, path, body.as_deref()))),
            Step::Wait(name, state, tasks) => drop(client.wait_for(&format!("/connectors/{name}"), state, *tasks)),
        }
    }
    answers
}

#[test]
fn a_hundred_calls_have_the_answers_of_a_real_worker_but_for_those_of_the_table() {
    let database = Postgres::with_test_table();
    database.run("insert into test_table (item) values ('one')");
    let (theirs, own) = (Worker::new(), Worker::new());
    let connect = ConnectWorker::start(&theirs.file());
    let (_running, client) = own.start(&[]);
    let run = |worker: &Worker, client: &Client| {
        let prefix = format!("{}_", worker.name);
        let settings = settings(&database.jdbc_url(), &prefix);
        let mut answers = carry_out(client, &life(&settings)[..11]);
        client.wait_for("/connectors/a", "RUNNING", 1);
        wait_for_raw(&format!("{prefix}test_table"), 1);
        answers.extend(carry_out(client, &life(&settings)[11..]));
        answers.extend(carry_out(client, &states()));
        answers.extend(carry_out(client, &of_a_stopped_one(&settings)));
        answers.extend(carry_out(client, &of_none()));
        answers.extend(carry_out(client, &settings_given(&settings)));
        answers.extend(carry_out(client, &plugins_and_loggers(&settings)));
        answers
    };
    let (real, ours) = (run(&theirs, connect.client()), run(&own, &client));
    assert!(real.len() >= 100, "{} calls", real.len());
    let page = include_str!("../../../docs/rest.md");
    let mut wrong = Vec::new();
    for ((name, real), (_, ours)) in real.iter().zip(&ours) {
        let (found, told) = (difference(real, ours), DIFFERENT.iter().find(|(known, _)| known == name));
        match (found, told) {
            (Some(found), None) => wrong.push(format!("{name}: {found}")),
            (None, Some(_)) if !["root", "loggers"].contains(name) => wrong.push(format!("{name}: is the same by now")),
            _ => {}
        }
    }
    for (name, reason) in DIFFERENT {
        if !page.contains(reason) {
            wrong.push(format!("{name}: docs/rest.md does not say `{reason}`"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} calls:\n{}", wrong.len(), real.len(), wrong.join("\n"));
}
