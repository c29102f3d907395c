//! Message numbers and which layer owns them (RFC 4250 §4.1).

/// The layer that a message number belongs to, by the ranges of RFC 4250 §4.1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// 1 to 49, and OpenSSH's `PING` and `PONG` (192, 193): RFC 4253.
    Transport,
    /// 50 to 79: RFC 4252.
    Auth,
    /// 80 to 127: RFC 4254.
    Connection,
    /// 0, 128 to 191 and the local extensions that nobody here speaks.
    Unassigned,
}

impl Layer {
    /// The layer that owns `number`, the first byte of a payload.
    #[must_use]
    pub const fn of(number: u8) -> Self {
        match number {
            1..=49 | 192 | 193 => Self::Transport,
            50..=79 => Self::Auth,
            80..=127 => Self::Connection,
            0 | 128..=191 | 194..=255 => Self::Unassigned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_exactly_the_owner_of_rfc_4250() {
        for (number, layer) in [
            (0, Layer::Unassigned),
            (1, Layer::Transport),
            (20, Layer::Transport),
            (49, Layer::Transport),
            (50, Layer::Auth),
            (79, Layer::Auth),
            (80, Layer::Connection),
            (127, Layer::Connection),
            (128, Layer::Unassigned),
            (191, Layer::Unassigned),
            (192, Layer::Transport),
            (193, Layer::Transport),
            (194, Layer::Unassigned),
            (255, Layer::Unassigned),
        ] {
            assert_eq!(Layer::of(number), layer, "{number}");
        }
    }
}
