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
    fn change(tty: Tty, edit: impl FnOnce(&mut Termios)) -> io::Result<Self> {
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
        changes().push(Change { id, tty: tty.clone(), before });
        let guard = Self { id };
        tcsetattr(&tty, OptionalActions::Drain, &after)?;
        Ok(guard)
    }

    /// Makes standard input raw: every key goes to the other side, `^C` too.
    pub(crate) fn raw() -> io::Result<Self> {
        let guard = Self::change(Tty::Stdin, make_raw)?;
        RAW.store(true, Ordering::Relaxed);
        Ok(guard)
    }

    /// Stops a terminal from showing what is typed. `^Z` does nothing meanwhile, so that no
    /// shell is left without echo.
    pub(crate) fn hidden(tty: Tty) -> io::Result<Self> {
        Self::change(tty, |modes| {
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
pub(crate) fn modes() -> Vec<u8> {
    match tcgetattr(rustix::stdio::stdin()) {
        Ok(termios) => encode_modes(&termios),
        Err(_) => vec![TTY_OP_END],
    }
}

const TTY_OP_END: u8 = 0;
const TTY_OP_ISPEED: u8 = 128;
const TTY_OP_OSPEED: u8 = 129;
/// What stands for a special character that is switched off (RFC 4254 §8).
const NO_CHARACTER: u32 = 255;

/// The special characters that this system has, by the numbers of RFC 4254 §8.
const CHARACTERS: &[(u8, SpecialCodeIndex)] = &[
    (1, SpecialCodeIndex::VINTR),
    (2, SpecialCodeIndex::VQUIT),
    (3, SpecialCodeIndex::VERASE),
    (4, SpecialCodeIndex::VKILL),
    (5, SpecialCodeIndex::VEOF),
    (6, SpecialCodeIndex::VEOL),
    (7, SpecialCodeIndex::VEOL2),
    (8, SpecialCodeIndex::VSTART),
    (9, SpecialCodeIndex::VSTOP),
    (10, SpecialCodeIndex::VSUSP),
    (12, SpecialCodeIndex::VREPRINT),
    (13, SpecialCodeIndex::VWERASE),
    (14, SpecialCodeIndex::VLNEXT),
    (18, SpecialCodeIndex::VDISCARD),
];

/// The switches of POSIX terminals, by the numbers of RFC 4254 §8 and RFC 8160.
const INPUT: &[(u8, InputModes)] = &[
    (30, InputModes::IGNPAR),
    (31, InputModes::PARMRK),
    (32, InputModes::INPCK),
    (33, InputModes::ISTRIP),
    (34, InputModes::INLCR),
    (35, InputModes::IGNCR),
    (36, InputModes::ICRNL),
    (38, InputModes::IXON),
    (39, InputModes::IXANY),
    (40, InputModes::IXOFF),
    (41, InputModes::IMAXBEL),
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    (42, InputModes::IUTF8),
];
const LOCAL: &[(u8, LocalModes)] = &[
    (50, LocalModes::ISIG),
    (51, LocalModes::ICANON),
    (53, LocalModes::ECHO),
    (54, LocalModes::ECHOE),
    (55, LocalModes::ECHOK),
    (56, LocalModes::ECHONL),
    (57, LocalModes::NOFLSH),
    (58, LocalModes::TOSTOP),
    (59, LocalModes::IEXTEN),
    (60, LocalModes::ECHOCTL),
    (61, LocalModes::ECHOKE),
    (62, LocalModes::PENDIN),
];
const OUTPUT: &[(u8, OutputModes)] = &[
    (70, OutputModes::OPOST),
    (72, OutputModes::ONLCR),
    (73, OutputModes::OCRNL),
    (74, OutputModes::ONOCR),
    (75, OutputModes::ONLRET),
];
const PARITY: &[(u8, ControlModes)] = &[(92, ControlModes::PARENB), (93, ControlModes::PARODD)];

/// Encodes the modes as the pty request carries them (RFC 4254 §8): pairs of a byte and an
/// `uint32`, ended by `TTY_OP_END`.
fn encode_modes(termios: &Termios) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut put = |opcode: u8, value: u32| {
        out.push(opcode);
        out.extend_from_slice(&value.to_be_bytes());
    };
    put(TTY_OP_OSPEED, termios.output_speed());
    put(TTY_OP_ISPEED, termios.input_speed());
    for &(opcode, index) in CHARACTERS {
        let character = termios.special_codes[index];
        put(opcode, if character == DISABLED { NO_CHARACTER } else { u32::from(character) });
    }
    for &(opcode, mode) in INPUT {
        put(opcode, termios.input_modes.contains(mode).into());
    }
    for &(opcode, mode) in LOCAL {
        put(opcode, termios.local_modes.contains(mode).into());
    }
    for &(opcode, mode) in OUTPUT {
        put(opcode, termios.output_modes.contains(mode).into());
    }
    let size = termios.control_modes & ControlModes::CSIZE;
    put(90, (size == ControlModes::CS7).into());
    put(91, (size == ControlModes::CS8).into());
    for &(opcode, mode) in PARITY {
        put(opcode, termios.control_modes.contains(mode).into());
    }
    out.push(TTY_OP_END);
    out
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

    fn mode(encoded: &[u8], opcode: u8) -> Option<u32> {
        encoded
            .chunks_exact(5)
            .find(|pair| pair[0] == opcode)
            .map(|pair| u32::from_be_bytes(pair[1..].try_into().unwrap()))
    }

    #[test]
    fn modes_are_pairs_ended_by_zero() {
        let (_controller, user) = new_terminal();
        let encoded = encode_modes(&tcgetattr(&user).unwrap());
        assert_eq!(encoded.len() % 5, 1);
        assert_eq!(encoded.last(), Some(&TTY_OP_END));
        assert_eq!(mode(&encoded, 1), Some(3), "VINTR is ^C");
        assert_eq!(mode(&encoded, 5), Some(4), "VEOF is ^D");
        assert_eq!(mode(&encoded, 6), Some(NO_CHARACTER), "VEOL is off");
        assert_eq!(mode(&encoded, 51), Some(1), "ICANON");
        assert_eq!(mode(&encoded, 53), Some(1), "ECHO");
        assert_eq!(mode(&encoded, 91), Some(1), "CS8");
        assert_eq!(mode(&encoded, 90), Some(0), "CS7");
        assert_eq!(mode(&encoded, TTY_OP_OSPEED), Some(38400));
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
        let guard = Guard::change(Tty::File(Arc::clone(&user)), make_raw).unwrap();
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
