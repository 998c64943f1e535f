//! The page as assistive technology is told of it, wide and narrow; no width makes it scroll sideways.

use super::showcase;
use crate::support::browser::Browser;

/// Roles whose nodes say nothing without a name.
const NAMED: &[&str] = &[
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "dialog",
    "table",
    "progressbar",
    "navigation",
    "region",
    "image",
    "columnheader",
    "search",
];

#[track_caller]
fn check(browser: &mut Browser, roles: &[&str]) {
    let nodes = browser.accessible();
    for role in roles {
        assert!(nodes.iter().any(|(found, _)| found == role), "nothing is a {role}: {nodes:?}");
    }
    // A landmark for searches needs no name where there is one only.
    let nameless: Vec<_> = nodes
        .iter()
        .filter(|(role, name)| NAMED.contains(&role.as_str()) && role != "search" && name.is_empty())
        .collect();
    assert!(nameless.is_empty(), "without a name: {nameless:?}");
}

/// The findings of axe-core, if its file is at hand: `ROWTIDE_TEST_AXE=axe.min.js` (of the package axe-core).
#[track_caller]
fn axe(browser: &mut Browser) {
    let Ok(file) = std::env::var("ROWTIDE_TEST_AXE") else { return };
    browser.eval(&std::fs::read_to_string(file).expect("axe.min.js"));
    let found = browser.eval("axe.run().then(({ violations }) => violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html)}`))");
    assert_eq!(found, serde_json::json!([]));
}

/// The pixels by which the page is wider than the window; less than none where a dialog hides the bar.
fn beyond(browser: &mut Browser) -> i64 {
    browser
        .eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        .as_i64()
        .expect("pixels")
        .max(0)
}

#[test]
fn landmarks_names_headings_and_table_headers_are_told_wide_and_narrow() {
    let fake = showcase::server();
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#events", "is not there any more");
    let frame = [
        "banner",
        "main",
        "contentinfo",
        "search",
        "heading",
        "table",
        "row",
        "columnheader",
        "cell",
        "progressbar",
        "list",
    ];
    for width in [1280, 400] {
        browser.size(width, 900);
        check(&mut browser, &frame);
        axe(&mut browser);
        let nodes = browser.accessible();
        for name in ["State", "Table", "Lag", "Rows/s", "Guard"] {
            assert!(nodes.iter().any(|(role, found)| role == "columnheader" && found == name), "{name} at {width}");
        }
        for (selector, part) in [("#tables button.name", "detail"), ("#open-create", "create")] {
            browser.click(selector);
            check(&mut browser, &["dialog", "heading", "button"]);
            axe(&mut browser);
            if part == "detail" {
                browser.click("#detail .part > button");
                browser.wait_for_text("#detail", "An index serves");
            }
            browser.picture(&format!("{part}-{width}"));
            assert_eq!(beyond(&mut browser), 0, "{part} at {width}");
            browser.press(&["Escape"]);
        }
    }
    // A state is a word beside its icon.
    for (row, word) in [
        ("public.invoices", "failed"),
        ("public.payments", "loading"),
        ("public.orders", "live"),
        ("public.audit_log", "waiting"),
    ] {
        let script = format!(
            "[...document.querySelectorAll('#tables tbody tr')].find((row) => row.innerText.includes('{row}')).querySelector('.w-state').innerText"
        );
        assert!(browser.eval(&script).as_str().is_some_and(|text| text.starts_with(word)), "{row}");
    }
    assert_eq!(browser.eval("document.querySelectorAll('[aria-live], [role=alert], [role=status]').length >= 4"), true);
}

#[test]
fn nothing_scrolls_sideways_from_360_pixels_on_and_both_schemes_have_enough_contrast() {
    let fake = showcase::server();
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#events", "is not there any more");
    if std::env::var("ROWTIDE_TEST_SCREENSHOTS").is_ok() {
        // So that there are lines to be seen.
        fake.wait_for_answers(8);
    }
    for scheme in ["light", "dark"] {
        browser.scheme(scheme);
        for width in [1280, 820, 400, 360] {
            browser.size(width, 900);
            assert_eq!(beyond(&mut browser), 0, "{scheme}, {width} pixels");
            browser.size(width, if width > 820 { 1250 } else { 2300 });
            browser.picture(&format!("board-{width}-{scheme}"));
        }
        assert_eq!(browser.eval(CONTRAST), serde_json::json!([]), "{scheme}");
    }
}

/// The texts whose contrast with what is behind them is below 4.5, by the formula of WCAG.
const CONTRAST: &str = "(() => {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const part = (value) => { const one = value / 255; return one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4; };
    const light = ([red, green, blue]) => 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const low = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest('.hidden, .skip, script, :disabled')) continue;
        const [one, other] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) low.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.trim()}`);
    }
    return low;
})()";
