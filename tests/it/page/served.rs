//! How the page is given: to browsers only, with a strict policy, revalidated; behind users and tokens; and that other sites' pages change
//! nothing with a browser's credentials.

use crate::support::rest::Worker;

const BROWSER: &[&str] = &["-H", "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"];

#[test]
fn a_browser_gets_the_page_with_a_strict_policy_and_everybody_else_kafka_connects_json() {
    let (_running, curl) = Worker::new().start(&[]);
    assert_eq!(curl.get("/").expect(200).json()["version"], "3.9.0");
    assert_eq!(curl.with(&["-H", "Accept: application/json"]).get("/").expect(200).json()["version"], "3.9.0");
    let page = curl.with(BROWSER).get("/").expect(200);
    assert!(page.body.contains("<title>rowtide</title>"), "{page:?}");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let script = curl.get("/rowtide/page/main.js").expect(200);
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let tag = format!("If-None-Match: {}", script.header("etag").expect("a tag"));
    assert_eq!(curl.with(&["-H", &tag]).get("/rowtide/page/main.js").expect(304).body, "");
    curl.get("/rowtide/page/other.js").expect(404);
    curl.get("/rowtide/page/..%2Fpage.rs").expect(404);
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let (_running, curl) = Worker::new().start(&[]);
    for header in ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example"] {
        let evil = curl.with(&["-H", header]);
        let refused = evil.call("POST", "/connectors", Some("{\"name\": \"a\", \"config\": {}}")).expect(403);
        assert!(refused.message().contains("a page of another site"), "{refused:?}");
        evil.call("PUT", "/connectors/a/pause", None).expect(403);
        evil.get("/connectors").expect(200);
    }
    curl.with(&["-H", "Sec-Fetch-Site: same-origin"]).call("PUT", "/connectors/a/pause", None).expect(404);
}

#[test]
fn the_page_is_behind_users_and_open_where_a_token_is_to_be_given_in_it() {
    let worker = Worker::new();
    let (_running, stranger) = worker.start(&["--set", "rest.auth.basic.alice=wonderland"]);
    let refused = stranger.with(BROWSER).get("/").expect(401);
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"rowtide\""));
    stranger.get("/rowtide/page/main.js").expect(401);
    stranger.with(BROWSER).with(&["-u", "alice:wonderland"]).get("/").expect(200);
    drop(_running);
    let (_running, stranger) = worker.start(&["--set", "rest.auth.bearer.ci=t0ken"]);
    stranger.with(BROWSER).get("/").expect(200);
    stranger.get("/rowtide/page/main.js").expect(200);
    for path in ["/", "/status", "/connectors", "/rowtide/v1/openapi.json"] {
        stranger.get(path).expect(401);
    }
}
