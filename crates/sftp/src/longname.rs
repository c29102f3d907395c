//! The `longname` of a listing: filexfer-02 §7, "as `ls -l` prints it".

use alloc::{format, vec::Vec};

use crate::attrs::{Attrs, FileType, Owner};

/// Seconds after which `ls` shows the year of a file instead of its time of day: half a year.
const RECENT: u32 = 365 * 24 * 60 * 60 / 2;

/// The least width of a user and of a group.
const OWNER_WIDTH: usize = 8;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Names of the user and the group who own a file, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "nobody else owns a file")]
pub struct OwnerNames<'a> {
    /// The user.
    pub user: Option<&'a [u8]>,
    /// The group.
    pub group: Option<&'a [u8]>,
}

/// A line for a file as `ls -l` prints it, in UTC: mode, links, user, group, size, date, name.
/// A user and a group without a name are shown by their numbers, and what `attrs` do not tell as 0
/// or `?`.
///
/// `now` is the present time in seconds since 1970: files changed in the half year before it are
/// shown with their time of day, others with their year.
#[must_use]
pub fn longname(
    name: &[u8],
    attrs: &Attrs,
    links: u64,
    names: OwnerNames<'_>,
    now: u32,
) -> Vec<u8> {
    let Owner { uid, gid } = attrs.owner.unwrap_or_default();
    let size = attrs.size.unwrap_or(0);
    let modified = attrs.times.map_or(0, |times| times.modified);
    let mut line = mode(attrs).to_vec();
    let date = date(modified, now);
    line.extend(format!(" {links:>3} ").into_bytes());
    for (name, id) in [(names.user, uid), (names.group, gid)] {
        let start = line.len();
        match name {
            Some(name) => line.extend_from_slice(name),
            None => line.extend(format!("{id}").into_bytes()),
        }
        line.resize(line.len().max(start.saturating_add(OWNER_WIDTH)), b' ');
        line.push(b' ');
    }
    line.extend(format!("{size:>8} {date} ").into_bytes());
    line.extend_from_slice(name);
    line
}

/// `drwxr-xr-x`: the type and the permissions.
fn mode(attrs: &Attrs) -> [u8; 10] {
    let mode = attrs.permissions.map_or(0, |permissions| permissions.mode());
    let kind = match attrs.file_type() {
        Some(FileType::Regular) => b'-',
        Some(FileType::Directory) => b'd',
        Some(FileType::Symlink) => b'l',
        Some(FileType::Fifo) => b'p',
        Some(FileType::Socket) => b's',
        Some(FileType::CharDevice) => b'c',
        Some(FileType::BlockDevice) => b'b',
        None => b'?',
    };
    let bit = |bit: u32, letter: u8| if mode & bit == 0 { b'-' } else { letter };
    // Set-user-id, set-group-id and sticky take the place of `x`, in capitals where there is no x.
    let execute = |bit: u32, special: u32, letter: u8| match (mode & bit != 0, mode & special != 0)
    {
        (false, false) => b'-',
        (true, false) => b'x',
        (true, true) => letter,
        (false, true) => letter.to_ascii_uppercase(),
    };
    [
        kind,
        bit(0o400, b'r'),
        bit(0o200, b'w'),
        execute(0o100, 0o4000, b's'),
        bit(0o040, b'r'),
        bit(0o020, b'w'),
        execute(0o010, 0o2000, b's'),
        bit(0o004, b'r'),
        bit(0o002, b'w'),
        execute(0o001, 0o1000, b't'),
    ]
}

/// `Nov 23 03:58` or `Nov 23  2026`.
fn date(time: u32, now: u32) -> alloc::string::String {
    let (year, month, day) = civil(time.checked_div(86_400).unwrap_or(0));
    let month = usize::try_from(month)
        .ok()
        .and_then(|month| MONTHS.get(month.saturating_sub(1)))
        .unwrap_or(&"???");
    let recent = time <= now && now.saturating_sub(time) < RECENT;
    if recent {
        let minutes = time.checked_div(60).unwrap_or(0);
        let hour = minutes.checked_div(60).unwrap_or(0).checked_rem(24).unwrap_or(0);
        let minute = minutes.checked_rem(60).unwrap_or(0);
        format!("{month} {day:>2} {hour:02}:{minute:02}")
    } else {
        format!("{month} {day:>2}  {year}")
    }
}

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01.
///
/// Counted in years that begin on 1 March, so that the leap day is the last of its year and every
/// month starts at `(153·m + 2) / 5` days.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a day of 32 bits of seconds is below 49711, so nothing here comes near an overflow"
)]
const fn civil(day: u32) -> (u32, u32, u32) {
    // 1600-03-01 began a cycle of 400 years (146097 days), 135080 days before 1970.
    let days = day + 135_080;
    let cycle = days / 146_097;
    let of_cycle = days % 146_097;
    let year_of_cycle = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let (month, next) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
    (1600 + cycle * 400 + year_of_cycle + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attrs::{Permissions, Times};
    use alloc::string::String;

    fn line(mode: u32, modified: u32, now: u32) -> String {
        let attrs = Attrs {
            size: Some(4096),
            owner: Some(Owner { uid: 0, gid: 1000 }),
            permissions: Some(Permissions::from_bits(mode)),
            times: Some(Times { accessed: 0, modified }),
        };
        String::from_utf8(longname(b"name", &attrs, 2, OwnerNames::default(), now)).unwrap()
    }

    #[test]
    fn a_line_looks_as_that_of_openssh() {
        // 2026-11-23 03:58:04 UTC
        let now = 1_795_406_284;
        assert_eq!(
            line(0o040_755, now, now),
            "drwxr-xr-x   2 0        1000         4096 Nov 23 03:58 name"
        );
        assert_eq!(
            line(0o107_640, 1_000_000_000, now),
            "-rwSr-S--T   2 0        1000         4096 Sep  9  2001 name"
        );
    }

    #[test]
    fn owners_are_shown_by_name_where_they_have_one() {
        let names = OwnerNames { user: Some(b"root"), group: Some(b"a-long-group") };
        let line = longname(b"x", &Attrs::with_mode(0o600), 1, names, 0);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line, "?rw-------   1 root     a-long-group        0 Jan  1 00:00 x");
    }

    #[test]
    fn files_from_the_future_show_their_year() {
        assert!(line(0o100_644, 2_000_000_000, 1_795_406_284).contains("May 18  2033"));
    }

    #[test]
    fn what_is_not_known_is_shown_as_not_known() {
        let line =
            String::from_utf8(longname(b"x", &Attrs::NONE, 0, OwnerNames::default(), 0)).unwrap();
        assert_eq!(line, "?---------   0 0        0               0 Jan  1 00:00 x");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let leap =
            |y: u32| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..=u32::MAX / 86_400 {
            assert_eq!(civil(number), (year, month, day), "{number}");
            let last = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
