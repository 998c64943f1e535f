//! The page by the keyboard alone: the way through it, what is focused is seen, dialogs close by Escape and give the focus back.

use super::showcase;
use crate::support::browser::Browser;

/// The words of the element that has the focus.
fn focused(browser: &mut Browser) -> String {
    let script = "((node) => node.getAttribute('aria-label') ?? (node.innerText || node.id))(document.activeElement)";
    browser.eval(script).as_str().unwrap_or_default().trim().to_owned()
}

/// Presses Tab until an element has the focus; each on the way must be seen to have it.
#[track_caller]
fn tab_to(browser: &mut Browser, wanted: &str) {
    for _ in 0..60 {
        browser.press(&["Tab"]);
        let is_seen = "((node) => node === document.body || (node.matches(':focus-visible') && getComputedStyle(node).outlineStyle !== 'none'))(document.activeElement)";
        let name = focused(browser);
        assert_eq!(browser.eval(is_seen), true, "nobody sees that `{name}` has the focus");
        if name == wanted {
            return;
        }
    }
    panic!("Tab does not come to {wanted}");
}

#[test]
fn everything_is_done_by_the_keyboard_alone() {
    let fake = showcase::server();
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#n-tables", "9");
    browser.press(&["Tab"]);
    assert_eq!(focused(&mut browser), "Skip to the tables");
    browser.press(&["Enter", "Tab"]);
    assert_eq!(browser.eval("document.querySelector('#tables').contains(document.activeElement)"), true);
    browser.press(&["/"]);
    browser.write("public.orders");
    browser.wait_for_text("#n-tables", "1 of 9");
    tab_to(&mut browser, "public.orders");
    browser.press(&["Enter"]);
    browser.wait_for_text("#detail", "shop_orders");
    assert_eq!(focused(&mut browser), "Close", "the focus is in the sheet");
    tab_to(&mut browser, "Ask the database");
    browser.press(&["Enter"]);
    browser.wait_for_text("#detail", "orders_updated_at_id");
    fake.wait_for_answers(2);
    assert!(browser.text("#detail").contains("orders_updated_at_id"), "what was asked for stays");
    tab_to(&mut browser, "Show the last ten");
    browser.press(&["Enter"]);
    browser.wait_for_text("#detail .refusal", "ui.samples=true");
    // What a reset does is said, and the name is asked for.
    tab_to(&mut browser, "Reset public.orders");
    browser.press(&["Enter"]);
    browser.wait_for_text("#confirm-text", "goes to the topic shop_orders once more");
    browser.press(&["Escape"]);
    assert_eq!(browser.eval("document.querySelector('#confirm').open"), false);
    assert_eq!(focused(&mut browser), "Reset public.orders", "the focus comes back");
    assert!(fake.done().is_empty(), "{:?}", fake.done());
    browser.press(&["Enter"]);
    browser.write("public.order");
    browser.press(&["Enter"]);
    assert_eq!(browser.eval("document.querySelector('#confirm').open"), true, "a part of the name is not enough");
    browser.write("s");
    browser.press(&["Enter"]);
    browser.wait_for_text(".toast", "public.orders is loaded again");
    assert_eq!(fake.done(), ["DELETE /rowtide/v1/connectors/orders-db/tables/public.orders/offset"]);
    tab_to(&mut browser, "Pause public.orders");
    browser.press(&["Enter"]);
    browser.wait_for_text(".toast", "public.orders is paused");
    browser.press(&["Escape"]);
    assert_eq!(browser.eval("document.querySelector('#detail').open"), false);
    assert_eq!(focused(&mut browser), "public.orders", "the focus comes back to the row");
    assert_eq!(browser.complaints(&["403"]), <[String; 0]>::default());
}

#[test]
fn the_focus_stays_in_its_row_while_answers_come() {
    let fake = showcase::server();
    let mut browser = Browser::at(&fake.url);
    browser.wait_for_text("#n-tables", "9");
    browser.eval("[...document.querySelectorAll('#tables button.name')].find((node) => node.innerText === 'public.payments').focus()");
    fake.wait_for_answers(3);
    assert_eq!(focused(&mut browser), "public.payments");
}
