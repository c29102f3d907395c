//! Messages for the person who runs the program: by level, on standard error or in a file.

use core::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Mutex,
};

use crate::terminal;

/// How much is said: OpenSSH's `LogLevel`. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Quiet,
    Fatal,
    Error,
    Info,
    Verbose,
    Debug1,
    Debug2,
    Debug3,
}

impl Level {
    const ALL: [Self; 8] = [
        Self::Quiet,
        Self::Fatal,
        Self::Error,
        Self::Info,
        Self::Verbose,
        Self::Debug1,
        Self::Debug2,
        Self::Debug3,
    ];

    /// The level of a name as in `LogLevel`, in any case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "QUIET" => Self::Quiet,
            "FATAL" => Self::Fatal,
            "ERROR" => Self::Error,
            "INFO" => Self::Info,
            "VERBOSE" => Self::Verbose,
            "DEBUG" | "DEBUG1" => Self::Debug1,
            "DEBUG2" => Self::Debug2,
            "DEBUG3" => Self::Debug3,
            _ => return None,
        })
    }

    /// One step more, as each `-v` asks: the first goes to DEBUG1 at once.
    pub(crate) fn louder(self) -> Self {
        match self {
            Self::Debug1 => Self::Debug2,
            Self::Debug2 | Self::Debug3 => Self::Debug3,
            _ => Self::Debug1,
        }
    }

    /// One step less, as the escape `~V` asks.
    pub(crate) fn quieter(self) -> Self {
        let index = (self as usize).saturating_sub(1);
        Self::ALL.get(index).copied().unwrap_or(Self::Quiet)
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Debug1 => "debug1: ",
            Self::Debug2 => "debug2: ",
            Self::Debug3 => "debug3: ",
            _ => "",
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static LOG_FILE: Mutex<Option<File>> = Mutex::new(None);

/// From now on says what belongs to `level` and the levels before it.
pub(crate) fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// The level in force.
pub(crate) fn level() -> Level {
    let index = usize::from(LEVEL.load(Ordering::Relaxed));
    Level::ALL.get(index).copied().unwrap_or(Level::Info)
}

/// From now on appends to a file instead of writing to standard error (`-E`).
pub(crate) fn to_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    if let Ok(mut slot) = LOG_FILE.lock() {
        *slot = Some(file);
    }
    Ok(())
}

/// Writes one message, if its level is said at all. Used through [`say!`].
pub(crate) fn write(level: Level, message: fmt::Arguments<'_>) {
    if level > self::level() || level == Level::Quiet {
        return;
    }
    let end = if terminal::is_raw() { "\r\n" } else { "\n" };
    let mut line = format!("{}{message}", level.prefix());
    if end == "\r\n" {
        line = line.replace('\n', "\r\n");
    }
    line.push_str(end);
    // A message that cannot be written has nobody to be told to.
    if let Ok(mut slot) = LOG_FILE.lock()
        && let Some(file) = slot.as_mut()
    {
        drop(file.write_all(line.as_bytes()));
        return;
    }
    drop(io::stderr().write_all(line.as_bytes()));
}

/// Writes a line that was asked for to standard output. That nobody reads it is no error.
pub(crate) fn print(line: impl fmt::Display) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// Says something at a level: `say!(Info, "Connected to {host}.")`.
macro_rules! say {
    ($level:ident, $($message:tt)*) => {
        $crate::log::write($crate::log::Level::$level, format_args!($($message)*))
    };
}
pub(crate) use say;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_openssh_names_in_any_case() {
        assert_eq!(Level::from_name("quiet"), Some(Level::Quiet));
        assert_eq!(Level::from_name("DEBUG"), Some(Level::Debug1));
        assert_eq!(Level::from_name("Debug3"), Some(Level::Debug3));
        assert_eq!(Level::from_name("loud"), None);
    }

    #[test]
    fn each_v_is_one_step_of_debugging() {
        assert_eq!(Level::Info.louder(), Level::Debug1);
        assert_eq!(Level::Quiet.louder(), Level::Debug1);
        assert_eq!(Level::Debug2.louder(), Level::Debug3);
        assert_eq!(Level::Debug3.louder(), Level::Debug3);
        assert_eq!(Level::Debug1.quieter(), Level::Verbose);
        assert_eq!(Level::Quiet.quieter(), Level::Quiet);
    }
}
