//! Progress of first loads: a line per table on a terminal, a log line every 10 s elsewhere. Looks at the boards from
//! time to time; the stages do not know it is there.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::status::{Boards, LoadProgress, now_millis};

/// The interval at which the lines on a terminal move.
const REDRAW: Duration = Duration::from_millis(250);

/// The interval of the log lines of a table.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Lines on a terminal; further tables get theirs when one is done.
const MOST_LINES: usize = 20;

/// A table of a connector.
type Key = (String, String);

/// Shows first loads while they run.
pub(super) struct Progress {
    bars: MultiProgress,
    /// The loads seen at the last look, with their line if they have one.
    loads: BTreeMap<Key, Option<ProgressBar>>,
}

impl Progress {
    /// `bars` is the result of [`telemetry::init`](crate::telemetry::init): drawn on a terminal, hidden elsewhere.
    pub(super) fn new(bars: MultiProgress) -> Self {
        Self { bars, loads: BTreeMap::new() }
    }

    /// Shows loads until `shutdown` completes. Dropping the future leaves the last lines as they are.
    pub(super) async fn run(mut self, boards: Boards, shutdown: impl Future<Output = ()>) {
        let period = if self.bars.is_hidden() { LOG_EVERY } else { REDRAW };
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.show(running(&boards), now_millis()),
                () = &mut shutdown => break,
            }
        }
        for bar in self.loads.into_values().flatten() {
            bar.finish_and_clear();
        }
    }

    fn show(&mut self, running: BTreeMap<Key, LoadProgress>, now: i64) {
        let ended: Vec<Key> = self.loads.keys().filter(|key| !running.contains_key(*key)).cloned().collect();
        for key in ended {
            if let Some(bar) = self.loads.remove(&key).flatten() {
                bar.finish_and_clear();
            }
            let (connector, table) = key;
            tracing::info!(connector, table, "first load has ended");
        }
        for (key, load) in running {
            let speed = Speed::of(&load, now);
            if self.bars.is_hidden() {
                log(&key, &speed);
                self.loads.insert(key, None);
            } else {
                self.draw(key, &load, &speed);
            }
        }
    }

    fn draw(&mut self, key: Key, load: &LoadProgress, speed: &Speed) {
        let lines = self.loads.values().flatten().count();
        let name = format!("{} {}", key.0, key.1);
        let line = self.loads.entry(key).or_insert(None);
        if line.is_none() && lines >= MOST_LINES {
            return;
        }
        let bar = line
            .get_or_insert_with(|| self.bars.add(ProgressBar::no_length().with_style(style(false)).with_prefix(name)));
        if speed.share.is_some() {
            bar.set_length(load.estimated_rows.unwrap_or_default());
        } else {
            bar.unset_length();
        }
        bar.set_message(speed.to_string());
        bar.set_style(style(speed.share.is_some()));
        bar.set_position(load.rows);
    }
}

fn running(boards: &Boards) -> BTreeMap<Key, LoadProgress> {
    let mut running = BTreeMap::new();
    boards.for_each(|status| {
        for table in &status.tables {
            if let Some(load) = &table.load {
                running.insert((status.name.clone(), table.table.clone()), load.clone());
            }
        }
    });
    running
}

fn style(with_share: bool) -> ProgressStyle {
    let template = if with_share { "{prefix} [{bar:24}] {msg}" } else { "{prefix} {spinner} {msg}" };
    // A template that cannot be read would show the default line instead.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn log((connector, table): &Key, speed: &Speed) {
    let (rows, rate) = (speed.rows, speed.rate);
    match (speed.share, speed.left) {
        (Some(share), Some(left)) => {
            let (percent, left) = (percent(share), left.as_secs());
            tracing::info!(connector, table, rows, rows_per_second = rate, percent, seconds_left = left, "loading");
        }
        _ => tracing::info!(connector, table, rows, rows_per_second = rate, "loading"),
    }
}

/// The speed of a load, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Speed {
    rows: u64,
    /// Rows a second since it began.
    rate: u64,
    /// The share that is read; none without an estimate, or if the estimate turned out too low.
    share: Option<f64>,
    /// The time left; none as well if nothing has come yet.
    left: Option<Duration>,
}

impl Speed {
    fn of(load: &LoadProgress, now: i64) -> Self {
        let millis = u64::try_from(now.saturating_sub(load.since)).unwrap_or(0).max(1);
        let rate = u64::try_from(u128::from(load.rows) * 1000 / u128::from(millis)).unwrap_or(u64::MAX);
        let estimate = load.estimated_rows.filter(|estimate| *estimate >= load.rows && *estimate > 0);
        let share = estimate.map(|estimate| load.rows as f64 / estimate as f64);
        let left = estimate.filter(|_| rate > 0).map(|estimate| Duration::from_secs((estimate - load.rows) / rate));
        Self { rows: load.rows, rate, share, left }
    }
}

fn percent(share: f64) -> u64 {
    (share * 100.0) as u64
}

/// `1,234,567 rows, 45,000 rows/s, 34 %, 2m10s left`.
impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {} rows/s", HumanCount(self.rows), HumanCount(self.rate))?;
        if let Some(share) = self.share {
            write!(f, ", {} %", percent(share))?;
        }
        let Some(left) = self.left.map(|left| left.as_secs()) else { return Ok(()) };
        match (left / 3600, left / 60 % 60, left % 60) {
            (0, 0, seconds) => write!(f, ", {seconds}s left"),
            (0, minutes, seconds) => write!(f, ", {minutes}m{seconds:02}s left"),
            (hours, minutes, _) => write!(f, ", {hours}h{minutes:02}m left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;
    use crate::status::{Committed, StatusBoard};

    fn speed(rows: u64, estimated_rows: Option<u64>, millis: i64) -> String {
        Speed::of(&LoadProgress { since: 1_000, rows, estimated_rows }, 1_000 + millis).to_string()
    }

    #[test]
    fn a_line_tells_rows_speed_share_and_time_left() {
        assert_eq!(speed(450_000, Some(1_350_000), 10_000), "450,000 rows, 45,000 rows/s, 33 %, 20s left");
        assert_eq!(speed(1_000, Some(131_000), 1_000), "1,000 rows, 1,000 rows/s, 0 %, 2m10s left");
        assert_eq!(speed(1, Some(7_261), 1_000), "1 rows, 1 rows/s, 0 %, 2h01m left");
    }

    #[test]
    fn without_an_estimate_that_holds_nothing_is_promised() {
        assert_eq!(speed(500, None, 1_000), "500 rows, 500 rows/s");
        assert_eq!(speed(500, Some(400), 1_000), "500 rows, 500 rows/s");
        assert_eq!(speed(0, Some(400), 0), "0 rows, 0 rows/s, 0 %");
    }

    /// A terminal that keeps the text written since the last question.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn take(&self) -> String {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn keep(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.keep(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.keep(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_terminal_has_a_line_per_loading_table_while_it_loads() {
        let screen = Screen::default();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let boards = Boards::default();
        let board = StatusBoard::new("demo", Duration::from_secs(30));
        boards.add(board.clone());
        let table = board.table("public.t");
        table.loading(Some(100));
        table.committed(Committed { rows: 50, ..Committed::default() });
        board.table("public.other");

        let mut progress = Progress::new(bars);
        progress.show(running(&boards), now_millis() + 1_000);
        let shown = screen.take();
        assert!(shown.contains("demo public.t [============>") && shown.contains("50 rows"), "{shown}");
        assert!(shown.contains("50 %") && !shown.contains("public.other"), "{shown}");
        table.polled(true, true);
        progress.show(running(&boards), now_millis());
        assert!(progress.loads.is_empty());
        tokio::time::timeout(Duration::from_secs(5), progress.run(boards, async {})).await.unwrap();
    }
}
