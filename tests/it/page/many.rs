//! A thousand tables: what is drawn, how long it takes, and that rows which stay are the same elements.

use serde_json::{Value as Json, json};

use super::fake::{Fake, connector, status, table};
use crate::support::browser::Browser;

/// Ten connectors of a hundred tables, of which some move with each answer and a few have failed.
fn thousand(asked: u64) -> Json {
    let tables = |of: u64| {
        let one = |index: u64| {
            let number = of * 100 + index;
            let rows = 1_000 + number * 7 + if number.is_multiple_of(3) { asked * (number % 50) } else { 0 };
            let changes = match number % 100 {
                97 => {
                    json!({"state": "failed", "rows": rows, "reason": "permission denied for table", "advice": "grant select on it"})
                }
                _ => {
                    json!({"state": if number.is_multiple_of(3) { "live" } else { "idle" }, "rows": rows, "lag_seconds": number % 9})
                }
            };
            table(&format!("shop.table_{number:04}"), &changes)
        };
        (0..100).map(one).collect()
    };
    status((0..10).map(|of| connector(&format!("shop-{of}"), "running", tables(of))).collect())
}

/// Seconds of work of the page's thread.
fn worked(browser: &mut Browser) -> f64 {
    let metrics = browser.call("Performance.getMetrics", json!({}));
    let metric =
        metrics["metrics"].as_array().and_then(|all| all.iter().find(|metric| metric["name"] == "TaskDuration"));
    metric.and_then(|metric| metric["value"].as_f64()).expect("TaskDuration")
}

#[test]
fn a_thousand_tables_are_shown_in_pages_and_brought_up_to_date_in_place() {
    let fake = Fake::new(thousand);
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#n-tables", "1,000");
    browser.wait_for_text("#summary", "10 failures");
    let rows = "document.querySelectorAll('#tables tbody tr').length";
    assert_eq!(browser.eval(rows), 50, "one page of rows");
    assert_eq!(
        browser.text("#tables tbody tr:nth-child(10) .w-state").lines().next(),
        Some("failed"),
        "problems first"
    );
    for (width, scheme) in [(400, "light"), (400, "dark"), (1280, "dark"), (1280, "light")] {
        browser.size(width, 900);
        browser.scheme(scheme);
        assert_eq!(browser.eval("document.documentElement.scrollWidth > innerWidth"), false, "{width} pixels");
        browser.picture(&format!("thousand-{width}-{scheme}"));
    }
    // The same elements, with other figures, three answers later.
    browser.eval("document.querySelector('#sort').value = 'rate down', document.querySelector('#sort').dispatchEvent(new Event('change'))");
    browser.wait_for_text("#tables .pager", "1–50 of 1,000");
    browser.wait_for_text("#tables tbody tr:nth-child(50) .figure", "/s");
    browser.eval("for (const row of document.querySelectorAll('#tables tbody tr')) row.isKept = true");
    browser.eval("globalThis.before = document.querySelector('#tables tbody tr .w-rows').innerText");
    let (asked, work) = (fake.asked(), worked(&mut browser));
    browser.wait("figures have moved", "document.querySelector('#tables tbody tr .w-rows').innerText !== before");
    fake.wait_for_answers(3);
    let each = (worked(&mut browser) - work) / (fake.asked() - asked) as f64;
    println!("a thousand tables: {:.1} ms of work for each answer", each * 1000.0);
    let kept = browser.eval("[...document.querySelectorAll('#tables tbody tr')].filter((row) => row.isKept).length");
    assert!(kept.as_u64() >= Some(40), "only {kept} rows are the same elements");
    browser.click("#tables .pager button:last-child");
    browser.wait_for_text("#tables .pager", "51–100 of 1,000");
    browser.eval("document.querySelector('#search').focus()");
    browser.write("table_0997 shop-9");
    browser.wait_for_text("#n-tables", "1 of 1,000");
    browser.wait_for_text("#tables tbody .w-name", "shop.table_0997");
    browser.eval("document.querySelector('#search').select()");
    browser.write(" ");
    browser.click("#problems");
    browser.wait_for_text("#n-tables", "10 of 1,000");
    assert_eq!(browser.eval(rows), 10);
    assert_eq!(browser.complaints(&["openapi.json"]), <[String; 0]>::default());
}
