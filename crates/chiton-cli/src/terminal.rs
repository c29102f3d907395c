//! The terminal: raw mode and hidden input that are undone on every way out, its size, and its
//! modes in the form of RFC 4254 §8.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    tcgetattr, tcgetwinsize, tcsetattr,
};
use ssh_connection::{Mode, TerminalModes};

/// A terminal that can be changed and put back.
#[derive(Clone, Debug)]
pub(crate) enum Tty {
    /// Standard input.
    Stdin,
    /// An open `/dev/tty`.
    File(Arc<File>),
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin => rustix::stdio::stdin(),
            Self::File(file) => file.as_fd(),
        }
    }
}

/// A change that is in force, and what to go back to.
struct Change {
    id: u64,
    tty: Tty,
    before: Termios,
    /// The cursor stands behind a question.
    asking: bool,
}

static CHANGES: Mutex<Vec<Change>> = Mutex::new(Vec::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(0);
static RAW: AtomicBool = AtomicBool::new(false);
static PANIC_HOOK: Once = Once::new();

fn changes() -> MutexGuard<'static, Vec<Change>> {
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True while lines need `\r\n`, because the terminal is raw.
pub(crate) fn is_raw() -> bool {
    RAW.load(Ordering::Relaxed)
}

/// Puts every terminal back as it was. For ways out that drop nothing: signals and exit.
pub(crate) fn restore_all() {
    for change in changes().drain(..).rev() {
        restore(&change);
        if change.asking {
            // Whatever comes next begins on a line of its own.
            _ = rustix::io::write(&change.tty, b"\n");
        }
    }
}

fn restore(change: &Change) {
    // Nothing can be done about a terminal that is gone.
    _ = tcsetattr(&change.tty, OptionalActions::Drain, &change.before);
    RAW.store(false, Ordering::Relaxed);
}

/// A change of the terminal's modes, undone when dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    id: u64,
}

impl Guard {
    /// Changes a terminal until the guard is dropped, the program panics or [`restore_all`].
    fn change(tty: Tty, asking: bool, edit: impl FnOnce(&mut Termios)) -> io::Result<Self> {
        PANIC_HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore_all();
                before(info);
            }));
        });
        let before = tcgetattr(&tty)?;
        let mut after = before.clone();
        edit(&mut after);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        changes().push(Change { id, tty: tty.clone(), before, asking });
        let guard = Self { id };
        tcsetattr(&tty, OptionalActions::Drain, &after)?;
        Ok(guard)
    }

    /// Makes standard input raw: every key goes to the other side, `^C` too.
    pub(crate) fn raw() -> io::Result<Self> {
        let guard = Self::change(Tty::Stdin, false, make_raw)?;
        RAW.store(true, Ordering::Relaxed);
        Ok(guard)
    }

    /// Changes nothing now, but puts standard input back as it is at this moment. For the time
    /// in which other code changes the terminal.
    pub(crate) fn snapshot() -> io::Result<Self> {
        Self::change(Tty::Stdin, false, |_| {})
    }

    /// Changes nothing, but notes that a question is being asked on this terminal.
    pub(crate) fn asking(tty: Tty) -> io::Result<Self> {
        Self::change(tty, true, |_| {})
    }

    /// Stops a terminal from showing what is typed. `^Z` does nothing meanwhile, so that no
    /// shell is left without echo.
    pub(crate) fn hidden(tty: Tty) -> io::Result<Self> {
        Self::change(tty, true, |modes| {
            modes.local_modes.remove(LocalModes::ECHO);
            modes.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
            modes.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut changes = changes();
        if let Some(index) = changes.iter().position(|change| change.id == self.id) {
            restore(&changes.remove(index));
        }
    }
}

/// `_POSIX_VDISABLE` on Linux: the special character is switched off.
const DISABLED: u8 = 0;

fn make_raw(modes: &mut Termios) {
    modes.input_modes.insert(InputModes::IGNPAR);
    modes.input_modes.remove(
        InputModes::ISTRIP
            | InputModes::INLCR
            | InputModes::IGNCR
            | InputModes::ICRNL
            | InputModes::IXON
            | InputModes::IXANY
            | InputModes::IXOFF,
    );
    modes.local_modes.remove(
        LocalModes::ISIG
            | LocalModes::ICANON
            | LocalModes::ECHO
            | LocalModes::ECHOE
            | LocalModes::ECHOK
            | LocalModes::ECHONL
            | LocalModes::IEXTEN,
    );
    modes.output_modes.remove(OutputModes::OPOST);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
}

/// Columns and rows of the terminal on standard input, if it is one and says so.
pub(crate) fn size() -> Option<(u32, u32)> {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok()?;
    Some((u32::from(size.ws_col), u32::from(size.ws_row)))
}

/// Columns of the terminal on standard output, if it is one and says so.
pub(crate) fn output_columns() -> Option<usize> {
    let size = tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_col != 0).then(|| usize::from(size.ws_col))
}

/// True if standard input is a terminal.
pub(crate) fn stdin_is_tty() -> bool {
    rustix::termios::isatty(rustix::stdio::stdin())
}

/// True if standard output is a terminal.
pub(crate) fn stdout_is_tty() -> bool {
    rustix::termios::isatty(rustix::stdio::stdout())
}

/// The modes of the terminal on standard input for a pty request; no modes if it is none.
pub(crate) fn modes() -> TerminalModes<'static> {
    tcgetattr(rustix::stdio::stdin()).map(|termios| encode_modes(&termios)).unwrap_or_default()
}

/// What stands for a special character that is switched off (RFC 4254 §8).
const NO_CHARACTER: u32 = 255;

/// The special characters that this system has.
const CHARACTERS: &[(Mode, SpecialCodeIndex)] = &[
    (Mode::VINTR, SpecialCodeIndex::VINTR),
    (Mode::VQUIT, SpecialCodeIndex::VQUIT),
    (Mode::VERASE, SpecialCodeIndex::VERASE),
    (Mode::VKILL, SpecialCodeIndex::VKILL),
    (Mode::VEOF, SpecialCodeIndex::VEOF),
    (Mode::VEOL, SpecialCodeIndex::VEOL),
    (Mode::VEOL2, SpecialCodeIndex::VEOL2),
    (Mode::VSTART, SpecialCodeIndex::VSTART),
    (Mode::VSTOP, SpecialCodeIndex::VSTOP),
    (Mode::VSUSP, SpecialCodeIndex::VSUSP),
    (Mode::VREPRINT, SpecialCodeIndex::VREPRINT),
    (Mode::VWERASE, SpecialCodeIndex::VWERASE),
    (Mode::VLNEXT, SpecialCodeIndex::VLNEXT),
    (Mode::VDISCARD, SpecialCodeIndex::VDISCARD),
];

/// The switches of POSIX terminals.
const INPUT: &[(Mode, InputModes)] = &[
    (Mode::IGNPAR, InputModes::IGNPAR),
    (Mode::PARMRK, InputModes::PARMRK),
    (Mode::INPCK, InputModes::INPCK),
    (Mode::ISTRIP, InputModes::ISTRIP),
    (Mode::INLCR, InputModes::INLCR),
    (Mode::IGNCR, InputModes::IGNCR),
    (Mode::ICRNL, InputModes::ICRNL),
    (Mode::IXON, InputModes::IXON),
    (Mode::IXANY, InputModes::IXANY),
    (Mode::IXOFF, InputModes::IXOFF),
    (Mode::IMAXBEL, InputModes::IMAXBEL),
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    (Mode::IUTF8, InputModes::IUTF8),
];
const LOCAL: &[(Mode, LocalModes)] = &[
    (Mode::ISIG, LocalModes::ISIG),
    (Mode::ICANON, LocalModes::ICANON),
    (Mode::ECHO, LocalModes::ECHO),
    (Mode::ECHOE, LocalModes::ECHOE),
    (Mode::ECHOK, LocalModes::ECHOK),
    (Mode::ECHONL, LocalModes::ECHONL),
    (Mode::NOFLSH, LocalModes::NOFLSH),
    (Mode::TOSTOP, LocalModes::TOSTOP),
    (Mode::IEXTEN, LocalModes::IEXTEN),
    (Mode::ECHOCTL, LocalModes::ECHOCTL),
    (Mode::ECHOKE, LocalModes::ECHOKE),
    (Mode::PENDIN, LocalModes::PENDIN),
];
const OUTPUT: &[(Mode, OutputModes)] = &[
    (Mode::OPOST, OutputModes::OPOST),
    (Mode::ONLCR, OutputModes::ONLCR),
    (Mode::OCRNL, OutputModes::OCRNL),
    (Mode::ONOCR, OutputModes::ONOCR),
    (Mode::ONLRET, OutputModes::ONLRET),
];
const PARITY: &[(Mode, ControlModes)] =
    &[(Mode::PARENB, ControlModes::PARENB), (Mode::PARODD, ControlModes::PARODD)];

/// The modes as the pty request carries them (RFC 4254 §8).
fn encode_modes(termios: &Termios) -> TerminalModes<'static> {
    let mut modes = TerminalModes::default();
    modes.set(Mode::OSPEED, termios.output_speed());
    modes.set(Mode::ISPEED, termios.input_speed());
    for &(mode, index) in CHARACTERS {
        let character = termios.special_codes[index];
        let value = if character == DISABLED { NO_CHARACTER } else { u32::from(character) };
        modes.set(mode, value);
    }
    for &(mode, flag) in INPUT {
        modes.set(mode, termios.input_modes.contains(flag).into());
    }
    for &(mode, flag) in LOCAL {
        modes.set(mode, termios.local_modes.contains(flag).into());
    }
    for &(mode, flag) in OUTPUT {
        modes.set(mode, termios.output_modes.contains(flag).into());
    }
    let size = termios.control_modes & ControlModes::CSIZE;
    modes.set(Mode::CS7, (size == ControlModes::CS7).into());
    modes.set(Mode::CS8, (size == ControlModes::CS8).into());
    for &(mode, flag) in PARITY {
        modes.set(mode, termios.control_modes.contains(flag).into());
    }
    modes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    /// `restore_all` restores the terminals of other tests too: one after the other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// A new terminal: its controlling side, and the side a program has.
    fn new_terminal() -> (File, Arc<File>) {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
        let user = File::options().read(true).write(true).open(name).unwrap();
        (controller.into(), Arc::new(user))
    }

    #[test]
    fn modes_tell_how_the_terminal_is_set() {
        let (_controller, user) = new_terminal();
        let modes = encode_modes(&tcgetattr(&user).unwrap());
        assert_eq!(modes.get(Mode::VINTR), Some(3), "^C");
        assert_eq!(modes.get(Mode::VEOF), Some(4), "^D");
        assert_eq!(modes.get(Mode::VEOL), Some(NO_CHARACTER), "switched off");
        assert_eq!(modes.get(Mode::ICANON), Some(1));
        assert_eq!(modes.get(Mode::ECHO), Some(1));
        assert_eq!((modes.get(Mode::CS8), modes.get(Mode::CS7)), (Some(1), Some(0)));
        assert_eq!(modes.get(Mode::OSPEED), Some(38400));
    }

    #[test]
    fn a_dropped_guard_puts_the_terminal_back() {
        let _turn = ONE_AT_A_TIME.lock();
        let (_controller, user) = new_terminal();
        let echoes = || tcgetattr(&user).unwrap().local_modes.contains(LocalModes::ECHO);
        let guard = Guard::hidden(Tty::File(Arc::clone(&user))).unwrap();
        assert!(!echoes());
        drop(guard);
        assert!(echoes());
        let guard = Guard::hidden(Tty::File(Arc::clone(&user))).unwrap();
        assert!(!echoes());
        restore_all();
        assert!(echoes());
        drop(guard);
        assert!(echoes());
    }

    #[test]
    fn raw_mode_hands_every_key_on() {
        let _turn = ONE_AT_A_TIME.lock();
        let (_controller, user) = new_terminal();
        let guard = Guard::change(Tty::File(Arc::clone(&user)), false, make_raw).unwrap();
        let modes = tcgetattr(&user).unwrap();
        assert!(!modes.local_modes.intersects(
            LocalModes::ISIG | LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN
        ));
        assert!(!modes.input_modes.intersects(InputModes::ICRNL | InputModes::IXON));
        assert!(!modes.output_modes.contains(OutputModes::OPOST));
        drop(guard);
        assert!(tcgetattr(&user).unwrap().local_modes.contains(LocalModes::ISIG));
    }
}
