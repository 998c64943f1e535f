//! W1 of the walkthroughs by the browser alone, on a real worker; and a table that fails, with a name that tries to be a script.

use serde_json::{Value as Json, json};

use crate::support::Stack;
use crate::support::browser::Browser;
use crate::support::db::Postgres;
use crate::support::kafka::wait_for_records;
use crate::support::rest::{Client, Worker};
use crate::support::unique;

/// The page of a worker.
fn page(curl: &Client) -> Browser {
    Browser::at(&format!("{}/", curl.base()))
}

/// The connector of the walkthrough, on a database of the test.
fn w1(database: &Postgres, prefix: &str) -> Json {
    let mut document: Json = serde_json::from_str(include_str!("../../../configs/w1.json")).expect("configs/w1.json");
    document["config"]["connection.url"] = json!(database.jdbc_url());
    document["config"]["topic.prefix"] = json!(prefix);
    document["config"]["poll.interval.ms"] = json!("50");
    document
}

#[test]
fn a_connector_is_made_watched_paused_and_deleted_by_the_page_alone() {
    let (database, worker) = (Postgres::with_test_table(), Worker::new());
    let registry = format!("value.converter.schema.registry.url={}", Stack::get().registry);
    let avro = "value.converter=io.confluent.connect.avro.AvroConverter";
    let (_running, curl) = worker.start(&["--set", avro, "--set", &registry]);
    let prefix = format!("{}_", unique("db"));
    let mut browser = page(&curl);
    browser.wait_for_text("#no-connectors", "There is no connector yet");
    // A mistake is told by its key while it is typed.
    let mut document = w1(&database, &prefix);
    document["config"]["mode"] = json!("timestamps");
    browser.click("#open-create");
    browser.write(&document.to_string());
    browser.wait_for_text("#create-errors code", "mode");
    browser.picture("create-error");
    document["config"]["mode"] = json!("timestamp+incrementing");
    browser.eval("document.querySelector('#create-text').select()");
    browser.write(&document.to_string());
    browser.wait_for_text("#create-verdict", "No problems");
    browser.wait_for_text("#create-found summary", "1 table in the database");
    browser.click("#create-go");
    browser.wait_for_text("#connectors tbody .w-state", "running");
    browser.wait_for_text("#tables tbody .w-name", "test_table");
    database
        .run("insert into test_table (item, price, category) values ('apple', 400, 'fruit'), ('pork', 400, 'meet')");
    wait_for_records(&format!("{prefix}test_table"), 2);
    browser.wait_for_text("#tables tbody .w-rows", "2");
    browser.wait_for_text("#tables tbody .position", ", 2");
    alone(&mut browser);
    // From the offset that was set both rows came once more.
    wait_for_records(&format!("{prefix}test_table"), 4);
    again(&mut browser);
    wait_for_records(&format!("{prefix}test_table"), 6);
    browser.click("#connectors [aria-label='Pause load-test-table']");
    browser.wait_for_text("#connectors tbody .w-state", "paused");
    assert_eq!(curl.get("/connectors/load-test-table/status").json()["connector"]["state"], "PAUSED");
    browser.click("#connectors [aria-label='Resume load-test-table']");
    browser.wait_for_text("#connectors tbody .w-state", "running");
    browser.click("#connectors tbody button.name");
    browser.click("#detail .part > button");
    browser.wait_for_text("#detail", "••••••");
    let shown = browser.text("#detail");
    assert!(shown.contains("timestamp+incrementing") && !shown.contains("connectuser\nconnectuser"), "{shown}");
    browser.click("#detail form.line input");
    browser.write("75");
    browser.click("#detail form.line button");
    browser.wait_for_text("#detail .toast", "polls every 75 ms");
    browser.click("#detail [aria-label='Delete load-test-table']");
    browser.write("load-test");
    assert_eq!(browser.eval("document.querySelector('#confirm-go').disabled"), true, "the whole name is asked for");
    browser.write("-table");
    browser.click("#confirm-go");
    browser.wait_for_text("#detail .why", "no longer there");
    browser.press(&["Escape"]);
    browser.wait_for_text("#no-connectors", "There is no connector yet");
    assert_eq!(curl.get("/connectors").json(), json!([]));
    assert_eq!(browser.complaints(&["/samples"]), <[String; 0]>::default());
}

/// One table is read again by its sheet.
fn again(browser: &mut Browser) {
    const FORM: &str = "#detail .body > .part:nth-last-child(3) form";
    browser.click("#tables tbody button.name");
    browser.wait_for_text("#detail", "Read it again (backfill)");
    browser.click(&format!("{FORM} input[type=number]"));
    browser.write("1");
    browser.picture("backfill");
    browser.click(&format!("{FORM} button"));
    browser.wait_for_text("#detail .toast", "its backfill stands beside it");
    browser.press(&["Escape"]);
    browser.wait_for_text("#tables tbody", "public.test_table (backfill)");
    browser.wait("it is over", "!document.querySelector('#tables tbody').innerText.includes('(backfill)')");
}

/// One table is paused, resumed and explained by its sheet.
fn alone(browser: &mut Browser) {
    browser.click("#tables tbody button.name");
    browser.wait_for_text("#detail", "Stored offset");
    browser.click("#detail [aria-label='Pause public.test_table']");
    browser.wait_for_text("#detail .chip", "paused");
    browser.click("#detail [aria-label='Resume public.test_table']");
    browser.wait("it goes on", "/live|idle/.test(document.querySelector('#detail .chip').innerText)");
    browser.click("#detail .body > .part:nth-last-child(2) > button");
    browser.wait_for_text("#detail", "order by");
    browser.click("#detail .body > .part:last-child > button");
    browser.wait_for_text("#detail .refusal", "ui.samples");
    browser.click("#detail form.line input:not([inputmode])");
    browser.write("2000-01-01T00:00:00Z");
    browser.click("#detail form.line input[inputmode]");
    browser.write("0");
    browser.click("#detail form.line button");
    browser.wait_for_text("#confirm-text", "the time 2000-01-01T00:00:00Z and the id 0");
    browser.write("public.test_table");
    browser.click("#confirm-go");
    browser.wait_for_text("#detail .toast", "goes on from there");
    browser.press(&["Escape"]);
}

#[test]
fn a_failed_table_shows_its_error_and_advice_and_its_name_is_never_more_than_text() {
    let (database, worker) = (Postgres::new(), Worker::new());
    let name = "<img src=x onerror=document.title='pwned'>";
    database.run(&format!("create table \"{name}\" (seq serial primary key, item text)"));
    database.run(&format!("insert into \"{name}\" (item) values ('apple')"));
    let (_running, curl) = worker.start(&[]);
    let settings = json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "connection.url": database.jdbc_url(),
        "connection.user": "postgres", "mode": "incrementing", "incrementing.column.name": "seq", "poll.interval.ms": 50,
        "topic.prefix": unique("x"), "table.types": "TABLE",
    });
    curl.send("POST", "/connectors", &json!({"name": "<b>bold</b>", "config": settings})).expect(201);
    let mut browser = page(&curl);
    browser.wait_for_text("#tables tbody .w-rows", "1");
    browser.wait_for_text("#tables tbody .w-name", name);
    browser.wait_for_text("#connectors tbody .w-name", "<b>bold</b>");
    database.run(&format!("alter table \"{name}\" drop column seq"));
    browser.wait_for_text("#tables tbody .w-state", "failed");
    let status = curl.get("/status").json();
    let table = &status["connectors"][0]["tables"][0];
    let (reason, advice) = (table["reason"].as_str().expect("a reason"), table["advice"].as_str().expect("advice"));
    browser.wait("the reason is shown", &contains("#tables tbody .reason", reason));
    browser.wait("the advice is shown", &contains("#tables tbody .advice", advice));
    browser.wait_for_text("#summary", "1 failure");
    browser.click("#tables tbody button.name");
    browser.wait("the sheet has both", &contains("#detail .why", advice));
    assert_eq!(browser.eval("document.querySelectorAll('main img, main b, dialog img, dialog b').length"), 0);
    assert_eq!(browser.eval("document.title"), "(1) rowtide", "a connector without another table is no second failure");
    assert_eq!(browser.complaints(&[]), <[String; 0]>::default());
}

/// True if an element has a text, however long.
fn contains(selector: &str, text: &str) -> String {
    format!("document.querySelector({})?.textContent.includes({})", json!(selector), json!(text))
}
