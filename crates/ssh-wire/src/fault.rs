//! Whose fault an error is, which rule it broke, and how to say so on the wire.

use core::fmt;

/// Who has to change something for an error to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The peer broke a rule of the protocol.
    Peer,
    /// This program asked for something impossible.
    Local,
    /// The connection between the two failed.
    Network,
    /// Both follow the rules, and one of them does not want to.
    Policy,
}

/// The place in a specification that an error is about, such as `RFC 4253 §7.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule(pub &'static str);

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The reason code of `SSH_MSG_DISCONNECT` (RFC 4253 §11.1, RFC 4250 §4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DisconnectReason(pub u32);

impl DisconnectReason {
    /// 1
    pub const HOST_NOT_ALLOWED_TO_CONNECT: Self = Self(1);
    /// 2
    pub const PROTOCOL_ERROR: Self = Self(2);
    /// 3
    pub const KEY_EXCHANGE_FAILED: Self = Self(3);
    /// 5
    pub const MAC_ERROR: Self = Self(5);
    /// 6
    pub const COMPRESSION_ERROR: Self = Self(6);
    /// 7
    pub const SERVICE_NOT_AVAILABLE: Self = Self(7);
    /// 8
    pub const PROTOCOL_VERSION_NOT_SUPPORTED: Self = Self(8);
    /// 9
    pub const HOST_KEY_NOT_VERIFIABLE: Self = Self(9);
    /// 10
    pub const CONNECTION_LOST: Self = Self(10);
    /// 11
    pub const BY_APPLICATION: Self = Self(11);
    /// 12
    pub const TOO_MANY_CONNECTIONS: Self = Self(12);
    /// 13
    pub const AUTH_CANCELLED_BY_USER: Self = Self(13);
    /// 14
    pub const NO_MORE_AUTH_METHODS_AVAILABLE: Self = Self(14);
    /// 15
    pub const ILLEGAL_USER_NAME: Self = Self(15);

    /// The words of RFC 4250 §4.2.2 for the code, where it has any.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "host not allowed to connect",
            2 => "protocol error",
            3 => "key exchange failed",
            5 => "MAC error",
            6 => "compression error",
            7 => "service not available",
            8 => "protocol version not supported",
            9 => "host key not verifiable",
            10 => "connection lost",
            11 => "by application",
            12 => "too many connections",
            13 => "authentication cancelled by user",
            14 => "no more authentication methods available",
            15 => "illegal user name",
            _ => return None,
        })
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "reason {}", self.0),
        }
    }
}
