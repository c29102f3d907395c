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
//! A group exchange has a state more before `AwaitReply` and `AwaitMethodInit`: `AwaitGroup`, out of
//! which 31 leads, and `AwaitGroupRequest`, out of which 34 does.
//!
//! | file | section |
//! |---|---|
//! | [`init`] | RFC 4253 §7.1: `KEXINIT` |
//! | [`negotiate`] | RFC 4253 §7.1: what both are able to use |
//! | [`strict`] | draft-ietf-sshm-strict-kex |
//! | [`method`], [`curve25519`], [`ecdh`], [`hybrid`] | RFC 8731, RFC 5656, RFC 10042 |
//! | [`finite_field`], [`group_exchange`] | RFC 8268, RFC 4419 |
//! | [`hash`] | RFC 4253 §8: the exchange hash |
//! | [`derive`](self::derive) | RFC 4253 §7.2: keys |
//! | [`client`], [`server`] | the two asymmetric steps |
//! | [`rekey`] | RFC 4253 §9: when to do it again |

pub(crate) mod client;
pub(crate) mod curve25519;
pub(crate) mod derive;
pub(crate) mod ecdh;
pub(crate) mod finite_field;
pub(crate) mod group_exchange;
pub(crate) mod hash;
pub(crate) mod hybrid;
pub(crate) mod init;
pub(crate) mod method;
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
    /// Client, group exchange: our bounds are out.
    AwaitGroup(Box<group_exchange::AwaitGroup>),
    /// Client: our public value is out.
    AwaitReply(Box<client::AwaitReply>),
    /// Client, first exchange: the host proved its key, nobody has judged the key yet.
    AwaitVerdict(Box<client::AwaitVerdict>),
    /// Server, group exchange: both `KEXINIT` are known.
    AwaitGroupRequest(Box<group_exchange::AwaitGroupRequest>),
    /// Server: both `KEXINIT` are known, and the group, if it has to be exchanged.
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
            Self::AwaitGroup(_)
            | Self::AwaitReply(_)
            | Self::AwaitGroupRequest(_)
            | Self::AwaitMethodInit(_)
            | Self::AwaitNewKeys(_) => true,
            Self::AwaitVerdict(state) => state.opening.is_some(),
        }
    }

    /// The name of the state, for debugging.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::SentInit(_) => "SentInit",
            Self::AwaitGroup(_) => "AwaitGroup",
            Self::AwaitReply(_) => "AwaitReply",
            Self::AwaitGroupRequest(_) => "AwaitGroupRequest",
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
