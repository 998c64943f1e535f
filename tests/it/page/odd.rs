//! What goes wrong around the page: a server that goes away, a token that is missing, texts that try to be more than text.

use serde_json::json;

use super::fake::{Fake, connector, status, table};
use super::showcase;
use crate::support::browser::Browser;

#[test]
fn a_server_that_goes_away_is_told_since_when_and_the_page_goes_on_when_it_is_back() {
    let fake = showcase::server();
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#n-tables", "9");
    fake.away(true);
    browser.wait_for_text("#banner", "No answer from the server since");
    browser.picture("gone");
    assert_eq!(browser.eval("document.body.classList.contains('stale')"), true);
    assert!(browser.text("#tables").contains("public.orders"), "what was known stays in sight");
    fake.away(false);
    browser.wait("the banner is gone", "document.querySelector('#banner').hidden");
    browser.wait_for_text("#announce", "answers again");
    assert_eq!(browser.eval("document.body.classList.contains('stale')"), false);
}

#[test]
fn a_worker_with_tokens_asks_for_one_which_is_kept_for_the_tab_only() {
    let fake = Fake::new(|_| status(vec![connector("a", "running", vec![table("t", &json!({}))])]));
    fake.only_for("t0ken");
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#banner", "asks who you are");
    assert_eq!(fake.asked(), 0);
    browser.click("#banner button");
    browser.write("wrong");
    browser.press(&["Enter"]);
    browser.wait_for_text("#banner", "does not take this token");
    browser.click("#open-token");
    browser.write("t0ken");
    browser.press(&["Enter"]);
    browser.wait_for_text("#n-tables", "1");
    let kept = browser.eval("[sessionStorage.getItem('rowtide.token'), localStorage.length, document.cookie, location.href.includes('t0ken')]");
    assert_eq!(kept, json!(["t0ken", 0, "", false]));
    browser.click("#open-token");
    browser.click("#token-forget");
    browser.wait_for_text("#banner", "asks who you are");
}

#[test]
fn no_text_of_a_server_becomes_more_than_text() {
    let evil = "\"><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">";
    let fake = Fake::new(move |_| {
        let changes = json!({
            "state": "failed", "reason": evil, "advice": evil, "position": evil, "skip_reason": evil, "rows_skipped": 2,
            "guard": {"level": evil, "way": evil, "raise": evil, "uncovered": evil, "blocker": evil, "oldest_transaction": evil},
            "not_polled": [{"reason": evil, "rows": 1, "or_more": false, "text": evil}],
            "cursor_facts": [{"column": evil, "weight": evil, "text": evil}],
        });
        let mut evil_one =
            connector(evil, evil, vec![table(evil, &changes), table("__proto__", &json!({"state": "constructor"}))]);
        evil_one["error"] = json!(evil);
        status(vec![
            evil_one,
            connector("constructor", "running", Vec::new()),
            connector("__proto__", "running", Vec::new()),
        ])
    });
    fake.describe(&[("get", "connectors/{c}/tables/{t}"), ("get", "events")]);
    fake.answer("GET /rowtide/v1/events", 200, json!({"last": 1, "events": [{"id": 1, "time": evil, "connector": evil, "table": evil, "kind": evil, "text": evil}]}));
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#events", "<script>");
    browser.wait_for_text("#n-connectors", "3");
    browser.eval("[...document.querySelectorAll('#tables button.name')].find((node) => node.innerText.includes('<script>')).click()");
    browser.wait_for_text("#detail", "<img");
    browser.press(&["Escape"]);
    browser.eval("document.querySelector('#connectors button.name').click()");
    browser.wait_for_text("#detail", "connector");
    let counted = "document.querySelectorAll('main script, main img, dialog script, dialog img, option img').length";
    assert_eq!(browser.eval(counted), 0);
    assert!(!browser.eval("document.title").as_str().is_some_and(|title| title.contains("pwned")));
    let complaints = browser.complaints(&["404"]);
    assert!(complaints.is_empty(), "{complaints:?}");
}
