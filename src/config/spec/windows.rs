//! `poll.windows`: the times of the week at which tables are polled, by the wall clock of `db.timezone`. An entry is
//! `[not] [DAYS] [FROM-TO]`; a table is polled in any of the entries without `not` (always, if there is none), but in none of
//! those with it.

use std::sync::Arc;

use crate::zone::Zone;

const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;
/// The beginning of the epoch was a Thursday; weeks begin on Monday.
const EPOCH: i64 = 3 * DAY;
const MINUTE_MICROS: i64 = 60_000_000;
/// Two weeks: the only window of one may fall into the hour that is left out when clocks are set.
const SEARCHED: i64 = 2 * WEEK + 4 * 60;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The times at which tables are polled. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollWindows {
    entries: Arc<[Entry]>,
    zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// True if tables are not polled then.
    closes: bool,
    days: [bool; 7],
    /// The minute of the day at which it begins.
    from: i64,
    /// Its length in minutes; it may go on into the next day.
    length: i64,
}

/// Always.
impl Default for PollWindows {
    fn default() -> Self {
        Self { entries: Arc::default(), zone: Zone::UTC }
    }
}

impl PollWindows {
    /// The windows of a text: `Mon-Fri 20:00-06:00, Sat, Sun, not Sun 02:00-04:00`. Empty: always.
    ///
    /// # Errors
    /// The fault, in words.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()).map(Entry::parse);
        let windows = Self { entries: entries.collect::<Result<_, _>>()?, zone };
        let is_ever_open = (0..WEEK).any(|minute| windows.is_open_at(minute));
        if is_ever_open { Ok(windows) } else { Err("leaves no time of the week at which tables are polled".to_owned()) }
    }

    /// The time at which tables are polled again; none if they are now. Both in milliseconds since the epoch.
    pub fn closed_until(&self, now: i64) -> Option<i64> {
        if self.entries.is_empty() || self.is_open(now) {
            return None;
        }
        let minute = now.div_euclid(MINUTE_MICROS / 1000);
        let minutes = (minute + 1..=minute + SEARCHED).map(|minute| minute * (MINUTE_MICROS / 1000));
        let mut later = minutes.filter(|time| self.is_open(*time));
        // Minutes are tried one by one, so that clocks which are set meanwhile are right by themselves.
        later.next().or(Some(now + SEARCHED * (MINUTE_MICROS / 1000)))
    }

    fn is_open(&self, millis: i64) -> bool {
        let wall = self.zone.instant_to_wall(millis.saturating_mul(1000));
        self.is_open_at((wall.div_euclid(MINUTE_MICROS) + EPOCH).rem_euclid(WEEK))
    }

    /// True at a minute of the week.
    fn is_open_at(&self, minute: i64) -> bool {
        let mut opening = self.entries.iter().filter(|entry| !entry.closes).peekable();
        let is_open = opening.peek().is_none() || opening.any(|entry| entry.covers(minute));
        is_open && !self.entries.iter().any(|entry| entry.closes && entry.covers(minute))
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().peekable();
        let closes = words.next_if(|word| word.eq_ignore_ascii_case("not")).is_some();
        let is_days = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_alphabetic());
        let named = words.next_if(is_days).map(days).transpose()?;
        let (from, length) = match words.next() {
            Some(times) => span(times)?,
            None if named.is_some() => (0, DAY),
            None => return Err(format!("has an entry without days and times{}", quoted(text))),
        };
        match words.next() {
            None => Ok(Self { closes, days: named.unwrap_or([true; 7]), from, length }),
            Some(word) => Err(format!("has {word:?} behind an entry; entries are separated by commas")),
        }
    }

    fn covers(&self, minute: i64) -> bool {
        let starts = (0..7).zip(self.days).filter(|(_, is_one)| *is_one).map(|(day, _)| day * DAY + self.from);
        let mut since = starts.map(|start| (minute - start).rem_euclid(WEEK));
        since.any(|since| since < self.length)
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text:?})") }
}

/// `Mon`, or `Fri-Mon`.
fn days(word: &str) -> Result<[bool; 7], String> {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        let known = DAYS.iter().position(|day| *day == name);
        known.ok_or_else(|| format!("has {name:?} in the place of a day; days are Mon, Tue, Wed, Thu, Fri, Sat, Sun"))
    };
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (day(first)?, day(last)?);
    let count = (last + 7 - first) % 7 + 1;
    let mut days = [false; 7];
    (0..count).for_each(|after| days[(first + after) % 7] = true);
    Ok(days)
}

/// `22:00-06:00`: the minute it begins, and its length. One that does not end later on its day ends on the next.
fn span(word: &str) -> Result<(i64, i64), String> {
    let fault = || format!("has {word:?} in the place of times; they are written as 22:00-06:00, from 00:00 to 24:00");
    let time = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| (digits.len() == 2).then(|| digits.parse::<u8>().ok()).flatten().map(i64::from);
        let minute = number(hours)? * 60 + number(minutes).filter(|minutes| *minutes < 60)?;
        (minute <= DAY).then_some(minute)
    };
    let (from, to) = word.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?))).ok_or_else(fault)?;
    if from == to || from == DAY {
        return Err(format!("has {word:?}, which is no time; a whole day is written as 00:00-24:00"));
    }
    Ok((from, if to > from { to - from } else { to + DAY - from }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-28, a Saturday, 00:00 UTC; in Berlin clocks are set on the 29th, from 02:00 to 03:00.
    const SATURDAY: i64 = 1_774_656_000_000;
    const HOUR: i64 = 3_600_000;

    fn windows(text: &str, zone: &str) -> PollWindows {
        PollWindows::parse(text, zone.parse().expect("a zone")).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    /// The hours after that Saturday began at which tables are polled again, none where they are.
    fn opens(text: &str, zone: &str, hour: i64) -> Option<f64> {
        let until = windows(text, zone).closed_until(SATURDAY + hour * HOUR)?;
        Some((until - SATURDAY) as f64 / HOUR as f64)
    }

    #[test]
    fn tables_are_polled_in_the_windows_that_open_and_in_none_that_close() {
        assert_eq!(opens("", "UTC", 0), None);
        assert_eq!(opens("22:00-06:00", "UTC", 5), None, "over midnight");
        assert_eq!(opens("22:00-06:00", "UTC", 6), Some(22.0));
        assert_eq!(opens("Fri 22:00-06:00", "UTC", 5), None, "the night from Friday");
        assert_eq!(opens("Fri 22:00-06:00", "UTC", 6), Some(6.0 * 24.0 + 22.0));
        assert_eq!(opens("Mon-Fri 08:30-17:00, Sun", "UTC", 3), Some(24.0));
        assert_eq!(opens("Fri-Mon", "UTC", 3), None, "over the end of the week");
        assert_eq!(opens("not Sat 02:00-04:00", "UTC", 1), None);
        assert_eq!(opens("not Sat 02:00-04:00", "UTC", 3), Some(4.0));
        assert_eq!(opens("Sat, NOT sat 02:00-24:00", "UTC", 3), Some(7.0 * 24.0));
        assert_eq!(opens("00:30-24:00", "UTC", 0), Some(0.5));
    }

    #[test]
    fn times_are_those_of_the_wall_clock_also_when_clocks_are_set() {
        assert_eq!(opens("20:00-22:00", "Europe/Berlin", 0), Some(19.0));
        assert_eq!(opens("20:00-22:00", "Europe/Berlin", 22), Some(24.0 + 18.0), "an hour earlier in summer");
        assert_eq!(opens("Sun 02:30-02:45", "Europe/Berlin", 0), Some(8.0 * 24.0 + 0.5), "a time that there is not");
        assert_eq!(opens("09:00-10:00", "+05:30", 0), Some(3.5));
    }

    #[test]
    fn a_text_that_means_nothing_is_told_with_the_word_that_is_wrong() {
        for (text, fault) in [
            ("Mo 08:00-09:00", "has \"mo\" in the place of a day"),
            ("8-17", "has \"8-17\" in the place of times"),
            ("08:00-25:00", "\"08:00-25:00\""),
            ("08:00-24:30", "\"08:00-24:30\""),
            ("08:60-09:00", "\"08:60-09:00\""),
            ("08:00-08:00", "which is no time"),
            ("Mon 08:00-09:00 Tue", "has \"Tue\" behind an entry"),
            ("Mon,,Tue", "without days and times"),
            ("not", "without days and times (\"not\")"),
            ("Mon, not Mon-Sun 00:00-24:00", "leaves no time"),
            ("not Tue-Mon", "leaves no time"),
        ] {
            let said = PollWindows::parse(text, Zone::UTC).expect_err(text);
            assert!(said.contains(fault), "{text}: {said}");
        }
    }
}
