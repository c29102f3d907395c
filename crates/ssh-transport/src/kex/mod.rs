//! Key exchange (RFC 4253 §7, §8, §9).
//!
//! The states, and which message moves between them:
//!
//! ```text
//!           client                                      server
//!
//!            Idle ◄─────────────────────────────┐        Idle ◄───────────────┐
//!             │ our KEXINIT, or theirs          │         │                   │
//!             ▼                                 │         ▼                   │
//!          SentInit                             │      SentInit               │
//!             │ their KEXINIT; our 30 goes out  │         │ their KEXINIT     │
//!             ▼                                 │         ▼                   │
//!         AwaitReply                            │   AwaitMethodInit           │
//!             │ 31, signature verified          │         │ 30; our 31 and    │
//!    first?   ├──────────────┐ later: same key  │         │ NEWKEYS go out    │
//!             ▼              ▼ NEWKEYS goes out │         ▼                   │
//!       AwaitVerdict ──► AwaitNewKeys ──────────┘   AwaitNewKeys ─────────────┘
//!             │  trusted: NEWKEYS     their NEWKEYS            their NEWKEYS
//!             └─ their NEWKEYS may come before the verdict
//! ```
//!
//! | file | section |
//! |---|---|
//! | [`init`] | RFC 4253 §7.1: `KEXINIT` |
//! | [`negotiate`] | RFC 4253 §7.1: what both are able to use |
//! | [`strict`] | draft-ietf-sshm-strict-kex |
//! | [`method`], [`curve25519`], [`ecdh`], [`mlkem`] | RFC 8731, RFC 5656, RFC 10042 |
//! | [`hash`] | RFC 4253 §8: the exchange hash |
//! | [`derive`](self::derive) | RFC 4253 §7.2: keys |
//! | [`client`], [`server`] | the two asymmetric steps |
//! | [`rekey`] | RFC 4253 §9: when to do it again |

pub(crate) mod client;
pub(crate) mod curve25519;
pub(crate) mod derive;
pub(crate) mod ecdh;
pub(crate) mod hash;
pub(crate) mod init;
pub(crate) mod method;
pub(crate) mod mlkem;
pub(crate) mod negotiate;
pub(crate) mod rekey;
pub(crate) mod server;
pub(crate) mod strict;

use alloc::boxed::Box;

use crate::crypto::{Open, Seal};

/// Where a key exchange stands. States with much in them are boxed, and moved by value.
pub(crate) enum Kex {
    /// None is running.
    Idle,
    /// Our `KEXINIT` is out, theirs has not come.
    SentInit(init::OurInit),
    /// Client: our public value is out.
    AwaitReply(Box<client::AwaitReply>),
    /// Client, first exchange: the host proved its key, nobody has judged the key yet.
    AwaitVerdict(Box<client::AwaitVerdict>),
    /// Server: both `KEXINIT` are known.
    AwaitMethodInit(Box<server::AwaitMethodInit>),
    /// Our `NEWKEYS` is out, theirs has not come.
    AwaitNewKeys(Box<dyn Open>),
}

impl Kex {
    /// Whether the peer has sent its `KEXINIT` and not yet its `NEWKEYS`: then it must not send
    /// anything that is not part of the exchange (RFC 4253 §7.1).
    pub(crate) fn peer_is_exchanging(&self) -> bool {
        match self {
            Self::Idle | Self::SentInit(_) => false,
            Self::AwaitReply(_) | Self::AwaitMethodInit(_) | Self::AwaitNewKeys(_) => true,
            Self::AwaitVerdict(state) => state.opening.is_some(),
        }
    }

    /// The name of the state, for debugging.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::SentInit(_) => "SentInit",
            Self::AwaitReply(_) => "AwaitReply",
            Self::AwaitVerdict(_) => "AwaitVerdict",
            Self::AwaitMethodInit(_) => "AwaitMethodInit",
            Self::AwaitNewKeys(_) => "AwaitNewKeys",
        }
    }
}

/// The keys that an exchange made, one for each direction.
pub(crate) struct FreshKeys {
    pub(crate) sealing: Box<dyn Seal>,
    pub(crate) opening: Box<dyn Open>,
}
