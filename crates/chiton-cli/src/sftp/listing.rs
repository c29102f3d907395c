//! What `ls` and `df` print.

use alloc::borrow::Cow;
use core::fmt::Write;

use ssh_wire::escape;

use super::command::{ListFlags, Sort};

/// A remote file, as `ls` needs to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name, or the path where paths are listed.
    pub(crate) name: Vec<u8>,
    /// The line of a long listing as the server would print it; empty if it gave none.
    pub(crate) long_name: Vec<u8>,
    /// Type and permissions, as `st_mode` has them.
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) size: Option<u64>,
    /// Seconds since 1970.
    pub(crate) modified: Option<u32>,
}

/// A name from the server as it may be shown: nothing in it steers the terminal, and bytes that
/// are no text are told apart.
pub(crate) fn show(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        let text = escape(chunk.valid()).to_string();
        shown.push_str(&text.replace('\n', "\\n").replace('\t', "\\t"));
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// Drops what is not to be listed and sorts the rest.
pub(crate) fn arrange(entries: &mut Vec<Entry>, flags: ListFlags) {
    if !flags.all {
        entries.retain(|entry| entry.name.first() != Some(&b'.'));
    }
    match flags.sort {
        Sort::None => return,
        Sort::Name => entries.sort_by(|a, b| a.name.cmp(&b.name)),
        Sort::Size => entries.sort_by(|a, b| b.size.cmp(&a.size).then(a.name.cmp(&b.name))),
        Sort::Time => entries.sort_by(|a, b| b.modified.cmp(&a.modified).then(a.name.cmp(&b.name))),
    }
    if flags.reverse {
        entries.reverse();
    }
}

/// The lines of a listing. `columns` is the width of the terminal; `now` in seconds since 1970.
pub(crate) fn lines(entries: &[Entry], flags: ListFlags, columns: usize, now: u64) -> Vec<String> {
    if flags.long {
        return entries.iter().map(|entry| long_line(entry, flags, now)).collect();
    }
    let names: Vec<String> = entries.iter().map(|entry| show(&entry.name)).collect();
    if flags.single_column {
        return names;
    }
    in_columns(&names, columns)
}

/// Spreads names over columns of one width, downwards first.
fn in_columns(names: &[String], columns: usize) -> Vec<String> {
    let width = |name: &String| name.chars().count();
    let column = names.iter().map(width).max().unwrap_or(0).saturating_add(2);
    let across = columns.checked_div(column).unwrap_or(1).max(1);
    let rows = names.len().div_ceil(across);
    let mut lines = vec![String::new(); rows];
    for (index, name) in names.iter().enumerate() {
        let row = index.checked_rem(rows).unwrap_or(0);
        if let Some(line) = lines.get_mut(row) {
            let last = index.saturating_add(rows) >= names.len();
            let pad = if last { 0 } else { column.saturating_sub(width(name)) };
            line.push_str(name);
            line.extend(core::iter::repeat_n(' ', pad));
        }
    }
    lines
}

fn long_line(entry: &Entry, flags: ListFlags, now: u64) -> String {
    if !flags.numeric && !flags.human && !entry.long_name.is_empty() {
        return show(&entry.long_name);
    }
    let (user, group) = match entry.owner {
        Some((user, group)) => (user.to_string(), group.to_string()),
        None => ("?".to_owned(), "?".to_owned()),
    };
    let size = match (entry.size, flags.human) {
        (Some(size), true) => human_size(size),
        (Some(size), false) => size.to_string(),
        (None, _) => "?".to_owned(),
    };
    let mode = entry.mode.map_or_else(|| "??????????".to_owned(), mode_string);
    let time = entry.modified.map_or_else(|| "?".to_owned(), |time| date(u64::from(time), now));
    let name = show(&entry.name);
    format!("{mode}    ? {user:<8} {group:<8} {size:>8} {time:>12} {name}")
}

/// `drwxr-xr-x` for a mode.
fn mode_string(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o060_000 => 'b',
        0o020_000 => 'c',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let mut out = String::with_capacity(10);
    out.push(kind);
    let special = [(0o4000, 's'), (0o2000, 's'), (0o1000, 't')];
    for (shift, (bit, letter)) in [6_u32, 3, 0].into_iter().zip(special) {
        let bits = mode >> shift & 7;
        let executable = bits & 1 != 0;
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (mode & bit != 0, executable) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    out
}

/// A size in at most four digits and a unit, by powers of 1024.
pub(crate) fn human_size(size: u64) -> String {
    let mut unit = "B";
    let mut tenths = u128::from(size) * 10;
    for next in ["K", "M", "G", "T", "P", "E"] {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    if unit == "B" || tenths >= 1000 {
        format!("{}{unit}", tenths / 10)
    } else {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: u64 = 24 * 60 * 60;
/// Older files, and those from the future, show their year and not their time of day.
const RECENT: u64 = DAY * 365 / 2;

/// A date as `ls -l` has it, in UTC: the local time zone is not known without a library for it.
fn date(time: u64, now: u64) -> String {
    let (year, month, day) = civil(time / DAY);
    let month: Cow<'_, str> = match usize::try_from(month).ok().and_then(|m| MONTHS.get(m)) {
        Some(&name) => name.into(),
        None => month.to_string().into(),
    };
    let mut out = format!("{month} {day:>2} ");
    // Writing to a string cannot fail.
    _ = if time <= now && now.saturating_sub(time) < RECENT {
        let minutes = time % DAY / 60;
        write!(out, "{:02}:{:02}", minutes / 60, minutes % 60)
    } else {
        write!(out, "{year:>5}")
    };
    out
}

/// Year, month from 0 and day from 1 of a day since 1 January 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted in years that begin in March, in eras of 400 years: leap days come last.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month, day)
}

/// The numbers `df` shows, as the server's file system counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes in a block; 1 to count inodes.
    pub(crate) unit: u64,
    pub(crate) total: u64,
    pub(crate) free: u64,
    /// Free for users other than root.
    pub(crate) available: u64,
}

/// The two lines of `df`.
pub(crate) fn usage_lines(usage: Usage, human: bool, inodes: bool) -> [String; 2] {
    let used = usage.total.saturating_sub(usage.free);
    let percent = u128::from(used) * 100 / u128::from(usage.total.max(1));
    let number = |count: u64| {
        let bytes = count.saturating_mul(usage.unit);
        match (inodes, human) {
            (true, _) => count.to_string(),
            (false, true) => human_size(bytes),
            (false, false) => (bytes / 1024).to_string(),
        }
    };
    let first = if inodes { "Inodes" } else { "Size" };
    let header =
        format!("{first:>12} {:>12} {:>12} {:>12}    %Capacity", "Used", "Avail", "(root)");
    let line = format!(
        "{:>12} {:>12} {:>12} {:>12}         {percent:>3}%",
        number(usage.total),
        number(used),
        number(usage.available),
        number(usage.free),
    );
    [header, line]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, size: u64, modified: u32) -> Entry {
        Entry { name: name.into(), size: Some(size), modified: Some(modified), ..Entry::default() }
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|e| core::str::from_utf8(&e.name).unwrap()).collect()
    }

    #[test]
    fn hidden_files_are_listed_on_demand_and_order_is_by_name() {
        let mut entries = vec![entry("b", 1, 1), entry(".a", 1, 1), entry("a", 1, 1)];
        let mut all = entries.clone();
        arrange(&mut entries, ListFlags::default());
        assert_eq!(names(&entries), ["a", "b"]);
        arrange(&mut all, ListFlags { all: true, reverse: true, ..ListFlags::default() });
        assert_eq!(names(&all), ["b", "a", ".a"]);
    }

    #[test]
    fn order_by_size_and_time_begins_with_the_most() {
        let mut entries = vec![entry("a", 1, 9), entry("b", 5, 1), entry("c", 3, 3)];
        arrange(&mut entries, ListFlags { sort: Sort::Size, ..ListFlags::default() });
        assert_eq!(names(&entries), ["b", "c", "a"]);
        arrange(&mut entries, ListFlags { sort: Sort::Time, ..ListFlags::default() });
        assert_eq!(names(&entries), ["a", "c", "b"]);
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(show(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(show(b"\xff\xfeb\xc3\xa4"), "\\xff\\xfeb\u{e4}");
        let long = Entry { long_name: b"-rw \x07x".to_vec(), ..Entry::default() };
        let flags = ListFlags { long: true, ..ListFlags::default() };
        assert_eq!(lines(&[long], flags, 80, 0), ["-rw \\u{7}x"]);
    }

    #[test]
    fn columns_run_downwards() {
        let names = ["a", "bb", "c", "d", "e"].map(|n| entry(n, 0, 0));
        assert_eq!(lines(&names, ListFlags::default(), 12, 0), ["a   c   e", "bb  d"]);
        assert_eq!(lines(&names, ListFlags::default(), 1, 0).len(), 5);
        assert!(lines(&[], ListFlags::default(), 80, 0).is_empty());
    }

    #[test]
    fn a_long_line_has_mode_owner_size_and_date() {
        let file = Entry {
            mode: Some(0o100_644),
            owner: Some((1000, 100)),
            ..entry("f", 1536, 1_700_000_000)
        };
        let flags = ListFlags { long: true, numeric: true, ..ListFlags::default() };
        let line = lines(core::slice::from_ref(&file), flags, 80, 1_700_000_100).remove(0);
        assert_eq!(line, "-rw-r--r--    ? 1000     100          1536 Nov 14 22:13 f");
        let flags = ListFlags { human: true, ..flags };
        let line = lines(&[file], flags, 80, 1_900_000_000).remove(0);
        assert_eq!(line, "-rw-r--r--    ? 1000     100          1.5K Nov 14  2023 f");
    }

    #[test]
    fn modes_are_shown_as_ls_does() {
        assert_eq!(mode_string(0o040_755), "drwxr-xr-x");
        assert_eq!(mode_string(0o120_777), "lrwxrwxrwx");
        assert_eq!(mode_string(0o104_755), "-rwsr-xr-x");
        assert_eq!(mode_string(0o041_776), "drwxrwxrwT");
    }

    #[test]
    fn dates_know_leap_years() {
        assert_eq!(civil(0), (1970, 0, 1));
        assert_eq!(civil(11_016), (2000, 1, 29));
        assert_eq!(civil(11_017), (2000, 2, 1));
        assert_eq!(civil(19_675), (2023, 10, 14));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(human_size(1023), "1023B");
        assert_eq!(human_size(1024), "1.0K");
        assert_eq!(human_size(1024 * 1024 * 1024), "1.0G");
        assert_eq!(human_size(150 * 1024), "150K");
        assert_eq!(human_size(u64::MAX), "16.0E");
    }

    #[test]
    fn df_counts_in_kibibytes() {
        let usage = Usage { unit: 4096, total: 1000, free: 500, available: 250 };
        let [_, line] = usage_lines(usage, false, false);
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["4000", "2000", "1000", "2000", "50%"]
        );
        let empty = Usage { unit: 0, total: 0, free: 0, available: 0 };
        assert!(usage_lines(empty, true, false)[1].ends_with("  0%"));
    }
}
