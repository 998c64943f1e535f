//! Days and civil dates, and the hybrid calendar of Java's `java.util.Date`: days before 1582-10-15
//! are counted as days of the Julian calendar (`date.calendar.system=LEGACY`). Databases count in the
//! proleptic Gregorian calendar; everything here is pure arithmetic.

pub(super) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// 1582-10-15, the first day of the Gregorian calendar.
const GREGORIAN_START: i64 = -141_427;

/// Days since 1970-01-01 of a proleptic Gregorian date; year 0 is 1 BC.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day since 1970-01-01.
pub(super) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The hybrid calendar's day number of the date that `day` is in the proleptic Gregorian calendar.
/// Dates that the hybrid calendar does not have (1582-10-05 to 14) count as Julian, as in Java.
pub(super) fn hybrid_day(day: i64) -> i64 {
    if day >= GREGORIAN_START {
        return day;
    }
    let (year, month, day) = civil_from_days(day);
    let before_march = (14 - month) / 12;
    let shifted_year = year + 4_800 - before_march;
    let shifted_month = month + 12 * before_march - 3;
    let julian_day_number =
        day + (153 * shifted_month + 2) / 5 + 365 * shifted_year + shifted_year.div_euclid(4) - 32_083;
    julian_day_number - 2_440_588
}

/// [`hybrid_day`] for a wall clock in microseconds.
pub(super) fn hybrid_micros(micros: i64) -> i64 {
    if micros >= GREGORIAN_START * MICROS_PER_DAY {
        return micros;
    }
    hybrid_day(micros.div_euclid(MICROS_PER_DAY)) * MICROS_PER_DAY + micros.rem_euclid(MICROS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_go_to_days_and_back() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
        assert_eq!(days_from_civil(1582, 10, 15), GREGORIAN_START);
        for day in [-2_000_000, -719_468, -141_428, -1, 0, 59, 11_016, 2_932_896, 80_000_000] {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }

    #[test]
    fn old_dates_have_the_day_number_java_gives_them() {
        // new GregorianCalendar(1, 0, 1) in UTC is -62135769600000 ms.
        assert_eq!(hybrid_day(days_from_civil(1, 1, 1)) * 86_400_000, -62_135_769_600_000);
        // 1500-01-01 of the Julian calendar is 1500-01-10 of the Gregorian.
        assert_eq!(hybrid_day(days_from_civil(1500, 1, 1)), days_from_civil(1500, 1, 10));
        assert_eq!(hybrid_day(days_from_civil(1582, 10, 4)), days_from_civil(1582, 10, 14));
        assert_eq!(hybrid_day(days_from_civil(1582, 10, 15)), days_from_civil(1582, 10, 15));
        let noon = days_from_civil(1500, 1, 1) * MICROS_PER_DAY + 43_200_000_000;
        assert_eq!(hybrid_micros(noon) - noon, 9 * MICROS_PER_DAY);
    }
}
