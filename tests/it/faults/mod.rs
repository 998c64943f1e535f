//! The proof under faults: whatever fails at any step of the way from poll to commit, and however, the topics
//! hold the tables exactly once. Faults are injected into the real parts from outside; the product has no
//! place for them. `ROWTIDE_TEST_SEED` replays a run by the seed it printed.

mod late_end;
mod long;
mod network;
mod overtaken;
mod proxy;
mod rig;
mod script;
mod steps;
mod wrapped;
