//! A headless Chromium, driven by its own protocol (DevTools) over a pair of pipes: no driver program, no library. Frames are
//! JSON and end with a zero byte; Chromium reads them from descriptor 3 and writes to 4, which a shell makes of the
//! standard ones.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value as Json, json};

use super::{PATIENCE, address};

/// What is given to Chromium: nothing is asked of the network, and it may run as root, in a container, without a screen.
const OPTIONS: &[&str] = &[
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--force-device-scale-factor=1",
    "--lang=en",
    "about:blank",
];

/// One browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Json>,
    session: Option<String>,
    last: u64,
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- complaints of the browser ---\n{}", self.complaints.join("\n"));
        }
    }
}

impl Browser {
    /// Starts one; its page is empty and 1280 pixels wide.
    #[track_caller]
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(address("ROWTIDE_TEST_CHROMIUM"))
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start Chromium");
        let (to, out) = (child.stdin.take().expect("its input"), child.stdout.take().expect("its output"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut frame = Vec::new();
            while out.read_until(0, &mut frame).is_ok_and(|length| length > 0) {
                frame.pop();
                let Ok(message) = serde_json::from_slice(&frame) else { break };
                if sender.send(message).is_err() {
                    break;
                }
                frame.clear();
            }
        });
        let mut browser = Self { child, to, from, session: None, last: 0, complaints: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility", "Performance"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.size(1280, 900);
        browser
    }

    /// Starts one on a page, of which all modules are there.
    #[track_caller]
    pub fn at(url: &str) -> Self {
        let mut browser = Self::start();
        browser.go(url);
        browser
    }

    /// Loads a page, and waits for its first answer.
    #[track_caller]
    pub fn go(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.wait("the page has asked the server", "document.body?.hasAttribute('data-asked')");
    }

    /// One call of the protocol; its result.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Json) -> Json {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("Chromium reads");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.from.recv_timeout(left).unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    /// Keeps what a person would see in red in the console.
    fn note(&mut self, event: &Json) {
        let parameters = &event["params"];
        let is_complaint = match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => matches!(parameters["type"].as_str(), Some("error" | "warning" | "assert")),
            "Log.entryAdded" => matches!(parameters["entry"]["level"].as_str(), Some("error" | "warning")),
            _ => false,
        };
        if is_complaint {
            self.complaints.push(parameters.to_string());
        }
    }

    /// The complaints in the console until now, but for those that name one of the texts.
    #[track_caller]
    pub fn complaints(&mut self, expected: &[&str]) -> Vec<String> {
        self.eval("1");
        let is_new = |complaint: &&String| !expected.iter().any(|text| complaint.contains(text));
        self.complaints.iter().filter(is_new).cloned().collect()
    }

    /// The value of an expression, which may be a promise.
    #[track_caller]
    pub fn eval(&mut self, script: &str) -> Json {
        let parameters =
            json!({"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true, and gives its value.
    #[track_caller]
    pub fn wait(&mut self, what: &str, script: &str) -> Json {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.eval(script);
            let is_true = !matches!(&value, Json::Null | Json::Bool(false)) && value != json!("") && value != json!(0);
            if is_true {
                return value;
            }
            if Instant::now() > deadline {
                panic!("not within {PATIENCE:?}: {what}; the page says:\n{}", self.text("body"));
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
    }

    /// The text that is seen of an element; empty if there is none.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.innerText ?? ''", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the text of an element holds another.
    #[track_caller]
    pub fn wait_for_text(&mut self, selector: &str, text: &str) {
        let script = format!("document.querySelector({})?.innerText.includes({})", json!(selector), json!(text));
        self.wait(&format!("{selector} says {text}"), &script);
    }

    /// Waits for an element that is seen and not disabled, and presses it with the mouse.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let script = format!(
            "(() => {{ const node = document.querySelector({}); if (!node || node.disabled || !node.checkVisibility()) return null;
                node.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = node.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
                return node.contains(document.elementFromPoint(x, y)) && {{ x, y }}; }})()",
            json!(selector)
        );
        let place = self.wait(&format!("{selector} can be pressed"), &script);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
        // Away from it, so that nothing is held in place under the pointer.
        self.call("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": 1, "y": 1}));
    }

    /// Presses keys by their names: `Tab`, `Shift+Tab`, `Enter`, `Escape`, or a character.
    #[track_caller]
    pub fn press(&mut self, names: &[&str]) {
        for name in names {
            let (modifiers, key) = name.strip_prefix("Shift+").map_or((0, *name), |key| (8, key));
            let (code, text) = match key {
                "Tab" => (9, ""),
                "Enter" => (13, "\r"),
                "Escape" => (27, ""),
                " " => (32, " "),
                character => (0, character),
            };
            let event = |kind: &str| {
                json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text, "modifiers": modifiers,
                    "code": if code == 32 { "Space" } else if code > 0 { key } else { "" }})
            };
            self.call("Input.dispatchKeyEvent", event(if text.is_empty() { "rawKeyDown" } else { "keyDown" }));
            let mut up = event("keyUp");
            up["text"] = json!("");
            self.call("Input.dispatchKeyEvent", up);
        }
    }

    /// Writes into the element that has the focus.
    #[track_caller]
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Sets the size of the window.
    #[track_caller]
    pub fn size(&mut self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Sets the preferred colours: `dark` or `light`.
    #[track_caller]
    pub fn scheme(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Role and name of every node that assistive technology is told of.
    #[track_caller]
    pub fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().expect("nodes").iter().filter(|node| node["ignored"] == false);
        let text = |node: &Json, key: &str| node[key]["value"].as_str().unwrap_or_default().to_owned();
        nodes.map(|node| (text(node, "role"), text(node, "name"))).collect()
    }

    /// Writes a picture of the whole page to the folder `ROWTIDE_TEST_SCREENSHOTS`, if there is one.
    #[track_caller]
    pub fn picture(&mut self, name: &str) {
        let Ok(folder) = std::env::var("ROWTIDE_TEST_SCREENSHOTS") else { return };
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = base64(picture["data"].as_str().expect("a picture"));
        std::fs::write(format!("{folder}/{name}.png"), bytes).expect("write a picture");
    }
}

/// Bytes of base64.
fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}
