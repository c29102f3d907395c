//! Dates as the files of OpenSSH write them: `YYYYMMDD[HHMM[SS]][Z]` (sshd(8), ssh-keygen(1)).
//!
//! Times are seconds since 1970 in a `u64`, as certificates carry them. There is no clock and no
//! table of time zones here: a date without `Z` is one of local time, and whoever asks says how far
//! that is from UTC.

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A date and time of day as written, with or without the `Z` of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// As if it were UTC.
    seconds: u64,
    utc: bool,
}

impl Date {
    /// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, each with or without `Z`. Years go from
    /// 1970 to 9999; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, utc) = match text.strip_suffix(['Z', 'z']) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<u64> {
            digits.get(from..to).map_or(Some(0), |digits| digits.parse().ok())
        };
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_since_1970(year, month, day)?;
        let of_day = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?;
        let seconds = days.checked_mul(DAY)?.checked_add(of_day)?.checked_add(second)?;
        Some(Self { seconds, utc })
    }

    /// Seconds since 1970, where local time is `utc_offset` seconds ahead of UTC.
    #[must_use]
    pub const fn unix(self, utc_offset: i32) -> u64 {
        if self.utc {
            return self.seconds;
        }
        let offset = (utc_offset as i64).saturating_neg();
        self.seconds.saturating_add_signed(offset)
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let of_years: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let of_months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    of_years.checked_add(of_months)?.checked_add(day)?.checked_sub(1)
}

/// Year, month, day, hour, minute and second of a time in UTC; `None` beyond the year 9999.
#[must_use]
pub fn civil(unix: u64) -> Option<[u64; 6]> {
    let (mut days, of_day) = (unix.checked_div(DAY)?, unix.checked_rem(DAY)?);
    let mut year = 1970_u64;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days = days.checked_sub(length)?;
        year = year.checked_add(1).filter(|year| *year <= 9999)?;
    }
    let mut month = 1_u64;
    while days >= days_of(year, month) {
        days = days.checked_sub(days_of(year, month))?;
        month = month.checked_add(1)?;
    }
    let [hour, minute, second] = [
        of_day.checked_div(3600)?,
        of_day.checked_div(60)?.checked_rem(60)?,
        of_day.checked_rem(60)?,
    ];
    Some([year, month, days.checked_add(1)?, hour, minute, second])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, expected) in [
            ("19700101", 0),
            ("19700102Z", DAY),
            ("20000229", 951_782_400),
            ("20240229235959Z", 1_709_251_199),
            ("202611230401", 1_795_406_460),
            ("99991231235959", 253_402_300_799),
        ] {
            assert_eq!(Date::parse(text).map(|date| date.unix(0)), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "Z",
            "2024",
            "202402",
            "20240230",
            "20230229",
            "20241301",
            "20240001",
            "20240100",
            "2024010124",
            "202401012400",
            "202401010060",
            "20240101000060",
            "19691231",
            "2024-01-1",
            "+2240101",
            "20240101ZZ",
            "202401010",
            "２024010",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn local_time_is_ahead_of_utc_by_the_offset() {
        let hour = 3600;
        let local = Date::parse("20240101").unwrap();
        assert_eq!(local.unix(hour) + 3600, local.unix(0));
        assert_eq!(local.unix(-hour), local.unix(0) + 3600);
        let utc = Date::parse("20240101Z").unwrap();
        assert_eq!(utc.unix(hour), utc.unix(0));
        assert_eq!(Date::parse("19700101").unwrap().unix(hour), 0);
    }

    proptest! {
        #[test]
        fn a_date_and_back_is_the_same(unix in 0..253_402_300_800_u64) {
            let [year, month, day, hour, minute, second] = civil(unix).unwrap();
            let text = alloc::format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
            prop_assert_eq!(Date::parse(&text).unwrap().unix(0), unix);
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,16}") {
            let _ = Date::parse(&text);
        }
    }
}
