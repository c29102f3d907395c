//! What may be held and asked for: filexfer-02 §3, `limits@openssh.com`.

use alloc::vec::Vec;

use ssh_wire::{Decode, DecodeError, Encode, Reader};

/// The longest packet that either side accepts, in bytes after the length field: 256 KiB, as
/// OpenSSH's client and server. The draft asks for 34000 at least.
pub const MAX_PACKET: u32 = 256 * 1024;

/// The most data in one `DATA` or `WRITE`, in bytes: what OpenSSH leaves of [`MAX_PACKET`] after
/// 1 KiB for the fields around it.
pub const MAX_DATA: u32 = MAX_PACKET - 1024;

/// The most data in one request to a server that told no limits, in bytes: the draft's 32 KiB.
pub const DEFAULT_DATA: u32 = 32 * 1024;

/// The longest packet to a server that told no limits: the draft's 34000.
pub const DEFAULT_PACKET: u32 = 34_000;

/// The least data that a server may limit a request to, in bytes. A server that says less is
/// taken to mean this much, as by OpenSSH's client: less would need more packet than data.
pub const MIN_DATA: u32 = 64;

/// The longest handle, in bytes (filexfer-02 §6.3).
pub const MAX_HANDLE_LEN: usize = 256;

/// The most requests of a client without a reply. Replies that nobody has taken count as well, so
/// it bounds what a server can make a client hold. Enough for 32 MiB in packets of 32 KiB.
pub const MAX_OUTSTANDING: usize = 1024;

/// The most files and directories that a client may have open on a server, unless configured
/// otherwise: below the 1024 descriptors that a process usually has.
pub const DEFAULT_MAX_HANDLES: usize = 256;

/// The most users and groups together whose names one request may ask for: each costs the server a
/// look-up, which may be in a directory on another machine.
pub const MAX_IDS: usize = 1024;

/// The longest name of a user or group, in bytes; a longer one counts as unknown. With
/// [`MAX_IDS`] it keeps the reply within [`MAX_PACKET`]. (`LOGIN_NAME_MAX` of Linux is 256, of
/// `useradd` 32.)
pub const MAX_ID_NAME: usize = 128;

/// Above this many bytes of output that wait, a server takes no further request: one largest
/// reply. So a server never holds more than twice [`MAX_PACKET`] of output.
pub const OUTPUT_MARK: usize = MAX_PACKET as usize;

/// What a server accepts, from its answer to `limits@openssh.com` or from the draft.
///
/// The values can be used as they are: nothing a server says makes them larger than what this
/// crate accepts, or zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// The longest packet to send, in bytes after the length field.
    pub max_packet: u32,
    /// The most data to ask for in one `READ`, in bytes.
    pub max_read: u32,
    /// The most data to send in one `WRITE`, in bytes.
    pub max_write: u32,
    /// The most handles at a time; `None` if the server did not tell.
    pub max_handles: Option<u64>,
}

impl Default for Limits {
    /// The draft's limits, for servers that tell none.
    fn default() -> Self {
        Self {
            max_packet: DEFAULT_PACKET,
            max_read: DEFAULT_DATA,
            max_write: DEFAULT_DATA,
            max_handles: None,
        }
    }
}

impl Limits {
    /// What this crate's server says of itself.
    #[must_use]
    pub fn of_server(max_handles: usize) -> Self {
        Self {
            max_packet: MAX_PACKET,
            max_read: MAX_DATA,
            max_write: MAX_DATA,
            max_handles: u64::try_from(max_handles).ok(),
        }
    }
}

/// The body of the reply to `limits@openssh.com`: four `uint64`, of which zero means "not told".
impl<'a> Decode<'a> for Limits {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let told = |number: u64, least: u32, most: u32, otherwise: u32| match number {
            0 => otherwise,
            number => u32::try_from(number).unwrap_or(u32::MAX).clamp(least, most),
        };
        Ok(Self {
            max_packet: told(
                reader.field("max-packet-length").uint64()?,
                DEFAULT_PACKET,
                MAX_PACKET,
                DEFAULT_PACKET,
            ),
            max_read: told(
                reader.field("max-read-length").uint64()?,
                MIN_DATA,
                MAX_DATA,
                DEFAULT_DATA,
            ),
            max_write: told(
                reader.field("max-write-length").uint64()?,
                MIN_DATA,
                MAX_DATA,
                DEFAULT_DATA,
            ),
            max_handles: Some(reader.field("max-open-handles").uint64()?).filter(|n| *n != 0),
        })
    }
}

impl Encode for Limits {
    fn encode(&self, out: &mut Vec<u8>) {
        u64::from(self.max_packet).encode(out);
        u64::from(self.max_read).encode(out);
        u64::from(self.max_write).encode(out);
        self.max_handles.unwrap_or(0).encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(numbers: [u64; 4]) -> Limits {
        let mut bytes = Vec::new();
        for number in numbers {
            number.encode(&mut bytes);
        }
        Limits::decode(&mut Reader::new("M", &bytes)).unwrap()
    }

    #[test]
    fn the_limits_of_openssh_are_taken_as_they_are() {
        let limits = decode([262_144, 261_120, 261_120, 0x4e1b]);
        assert_eq!(limits, Limits { max_handles: Some(0x4e1b), ..Limits::of_server(0) });
    }

    #[test]
    fn limits_of_a_server_never_exceed_ours_and_are_never_zero() {
        assert_eq!(
            decode([u64::MAX; 4]),
            Limits { max_handles: Some(u64::MAX), ..Limits::of_server(0) }
        );
        assert_eq!(decode([0; 4]), Limits::default());
        let tiny = decode([1; 4]);
        assert_eq!((tiny.max_packet, tiny.max_read, tiny.max_write), (34_000, 64, 64));
    }
}
