//! The page for people, in a real browser (headless Chromium): against a real worker, and against a server of canned answers
//! for what takes long to bring about.

mod accessible;
mod fake;
mod keyboard;
mod many;
mod odd;
mod served;
mod showcase;
mod walkthrough;
