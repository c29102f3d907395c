//! RFC 4254 §8: the modes that a client wants for its terminal, set on ours.

use std::os::fd::AsFd;

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};
use ssh_connection::{Mode, TerminalModes, WindowSize};

/// The byte on the wire that disables a control character.
const DISABLED: u32 = 255;

/// What ends the input unless the client has chosen another byte.
const CONTROL_D: u8 = 4;

/// What a terminal has when the client's size says nothing.
const USUAL: WindowSize = WindowSize { columns: 80, rows: 24, width: 0, height: 0 };

/// Sets the modes on the terminal. Those that the system does not have are passed over, and so
/// are failures: a terminal that behaves a little differently is better than none.
pub(super) fn set_modes(terminal: impl AsFd, modes: &TerminalModes<'_>) {
    let Ok(mut termios) = tcgetattr(&terminal) else { return };
    for (mode, value) in modes.iter() {
        set(&mut termios, mode, value);
    }
    // Nobody depends on the answer, see above.
    tcsetattr(&terminal, OptionalActions::Now, &termios).ok();
}

/// Gives the terminal a size. One that is gone needs none.
pub(super) fn resize(terminal: impl AsFd, wanted: WindowSize) {
    tcsetwinsize(terminal, winsize(wanted)).ok();
}

/// The size for the system: 16 bits a dimension, and never nothing.
fn winsize(wanted: WindowSize) -> Winsize {
    let WindowSize { columns, rows, width, height } = wanted.or(USUAL);
    let cut = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    Winsize {
        ws_row: cut(rows),
        ws_col: cut(columns),
        ws_xpixel: cut(width),
        ws_ypixel: cut(height),
    }
}

/// The byte that means the end of the input to a program on the terminal.
pub(super) fn end_of_file(terminal: impl AsFd) -> u8 {
    tcgetattr(terminal).map_or(CONTROL_D, |termios| termios.special_codes[SpecialCodeIndex::VEOF])
}

fn set(termios: &mut Termios, mode: Mode, value: u32) {
    if let Some(index) = special_code(mode) {
        if let Ok(code) = u8::try_from(value) {
            // POSIX: a control character of 0 is disabled.
            termios.special_codes[index] = if value == DISABLED { 0 } else { code };
        }
        return;
    }
    let on = value != 0;
    match mode {
        Mode::CS7 | Mode::CS8 if on => {
            let size = if mode == Mode::CS7 { ControlModes::CS7 } else { ControlModes::CS8 };
            termios.control_modes.remove(ControlModes::CSIZE);
            termios.control_modes.insert(size);
        }
        Mode::PARENB => termios.control_modes.set(ControlModes::PARENB, on),
        Mode::PARODD => termios.control_modes.set(ControlModes::PARODD, on),
        _ => {
            if let Some(flag) = input_mode(mode) {
                termios.input_modes.set(flag, on);
            } else if let Some(flag) = output_mode(mode) {
                termios.output_modes.set(flag, on);
            } else if let Some(flag) = local_mode(mode) {
                termios.local_modes.set(flag, on);
            }
        }
    }
}

const fn special_code(mode: Mode) -> Option<SpecialCodeIndex> {
    Some(match mode {
        Mode::VINTR => SpecialCodeIndex::VINTR,
        Mode::VQUIT => SpecialCodeIndex::VQUIT,
        Mode::VERASE => SpecialCodeIndex::VERASE,
        Mode::VKILL => SpecialCodeIndex::VKILL,
        Mode::VEOF => SpecialCodeIndex::VEOF,
        Mode::VEOL => SpecialCodeIndex::VEOL,
        Mode::VEOL2 => SpecialCodeIndex::VEOL2,
        Mode::VSTART => SpecialCodeIndex::VSTART,
        Mode::VSTOP => SpecialCodeIndex::VSTOP,
        Mode::VSUSP => SpecialCodeIndex::VSUSP,
        Mode::VREPRINT => SpecialCodeIndex::VREPRINT,
        Mode::VWERASE => SpecialCodeIndex::VWERASE,
        Mode::VLNEXT => SpecialCodeIndex::VLNEXT,
        Mode::VDISCARD => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

const fn input_mode(mode: Mode) -> Option<InputModes> {
    Some(match mode {
        Mode::IGNPAR => InputModes::IGNPAR,
        Mode::PARMRK => InputModes::PARMRK,
        Mode::INPCK => InputModes::INPCK,
        Mode::ISTRIP => InputModes::ISTRIP,
        Mode::INLCR => InputModes::INLCR,
        Mode::IGNCR => InputModes::IGNCR,
        Mode::ICRNL => InputModes::ICRNL,
        Mode::IXON => InputModes::IXON,
        Mode::IXANY => InputModes::IXANY,
        Mode::IXOFF => InputModes::IXOFF,
        Mode::IMAXBEL => InputModes::IMAXBEL,
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        Mode::IUTF8 => InputModes::IUTF8,
        _ => return None,
    })
}

const fn output_mode(mode: Mode) -> Option<OutputModes> {
    Some(match mode {
        Mode::OPOST => OutputModes::OPOST,
        Mode::ONLCR => OutputModes::ONLCR,
        Mode::OCRNL => OutputModes::OCRNL,
        Mode::ONOCR => OutputModes::ONOCR,
        Mode::ONLRET => OutputModes::ONLRET,
        _ => return None,
    })
}

const fn local_mode(mode: Mode) -> Option<LocalModes> {
    Some(match mode {
        Mode::ISIG => LocalModes::ISIG,
        Mode::ICANON => LocalModes::ICANON,
        Mode::ECHO => LocalModes::ECHO,
        Mode::ECHOE => LocalModes::ECHOE,
        Mode::ECHOK => LocalModes::ECHOK,
        Mode::ECHONL => LocalModes::ECHONL,
        Mode::NOFLSH => LocalModes::NOFLSH,
        Mode::TOSTOP => LocalModes::TOSTOP,
        Mode::IEXTEN => LocalModes::IEXTEN,
        Mode::ECHOCTL => LocalModes::ECHOCTL,
        Mode::ECHOKE => LocalModes::ECHOKE,
        Mode::PENDIN => LocalModes::PENDIN,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_reach_the_terminal() {
        let (_pty, pts) = pty_process::blocking::open().unwrap();
        let mut modes = TerminalModes::default();
        for (mode, value) in [
            (Mode::ECHO, 0),
            (Mode::ONLCR, 0),
            (Mode::IXON, 0),
            (Mode::VINTR, 7),
            (Mode::VQUIT, DISABLED),
            (Mode::VEOF, 9999),
            (Mode::CS7, 1),
            (Mode::PARENB, 1),
            (Mode::OSPEED, 38400),
            (Mode(99), 1),
        ] {
            modes.set(mode, value);
        }
        let before = tcgetattr(&pts).unwrap();
        assert!(before.local_modes.contains(LocalModes::ECHO));
        set_modes(&pts, &modes);
        let after = tcgetattr(&pts).unwrap();
        assert!(!after.local_modes.contains(LocalModes::ECHO));
        assert!(after.local_modes.contains(LocalModes::ICANON), "what is not named stays");
        assert!(!after.output_modes.contains(OutputModes::ONLCR));
        assert!(!after.input_modes.contains(InputModes::IXON));
        assert_eq!(after.special_codes[SpecialCodeIndex::VINTR], 7);
        assert_eq!(after.special_codes[SpecialCodeIndex::VQUIT], 0);
        assert_eq!(
            after.special_codes[SpecialCodeIndex::VEOF],
            before.special_codes[SpecialCodeIndex::VEOF]
        );
    }

    #[test]
    fn a_size_of_nothing_is_the_usual_one_and_one_too_large_is_cut() {
        let size = winsize(WindowSize::default());
        assert_eq!((size.ws_col, size.ws_row), (80, 24));
        let large = WindowSize { columns: 1 << 20, rows: 1, ..WindowSize::default() };
        assert_eq!(winsize(large).ws_col, u16::MAX);
    }
}
