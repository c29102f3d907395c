//! What a client who has been let in may do.

use alloc::{string::String, vec::Vec};
use core::{fmt, net::IpAddr};

use super::{HostPort, KeyOptions, Tunnel};
use crate::{
    TokenProof,
    certificate::{CertificateError, Grant},
};

/// Who wants to come in, from where and when.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing else that options ask about")]
pub struct Visitor<'a> {
    /// The login name.
    pub user: &'a str,
    /// The address of the client; without one it is in no network.
    pub address: Option<IpAddr>,
    /// The name of the client, if it was looked up and confirmed.
    pub host: Option<&'a str>,
    /// The time, in seconds since 1970.
    pub now: u64,
    /// How many seconds local time is ahead of UTC, for dates without `Z`.
    pub utc_offset: i32,
}

/// Why a key does not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No line has the key, or an authority of it.
    UnknownKey,
    /// `from=` of the line does not include the client.
    From {
        /// The line.
        line: usize,
    },
    /// The line has ended.
    Expired {
        /// The line.
        line: usize,
    },
    /// The certificate is not good for this user.
    Certificate {
        /// The line.
        line: usize,
        /// Why not.
        error: CertificateError,
    },
    /// The certificate may not be used from where the client is.
    SourceAddress,
    /// The line and the certificate demand different commands.
    TwoCommands {
        /// The line.
        line: usize,
    },
}

/// What a client may do: what the line of its key permits, and its certificate if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the file format")]
pub struct Permissions {
    /// The only command that may run, whatever is asked for.
    pub command: Option<String>,
    /// Variables to set, in order.
    pub environment: Vec<(String, String)>,
    /// The only places that may be forwarded to, if there are any.
    pub permit_open: Vec<HostPort>,
    /// The only places that may be listened on, if there are any.
    pub permit_listen: Vec<HostPort>,
    /// The tunnel device that may be had; `None` for what the server has.
    pub tunnel: Option<Tunnel>,
    /// Ports may be forwarded.
    pub port_forwarding: bool,
    /// The agent may be forwarded.
    pub agent_forwarding: bool,
    /// X11 may be forwarded.
    pub x11_forwarding: bool,
    /// A terminal may be had.
    pub pty: bool,
    /// `~/.ssh/rc` may run.
    pub user_rc: bool,
    /// The token of the key has to be touched.
    pub touch_required: bool,
    /// The token of the key has to know who touched it.
    pub verify_required: bool,
}

impl Default for Permissions {
    /// Everything: what a key without options may do.
    fn default() -> Self {
        Self::of_options(&KeyOptions::default())
    }
}

impl Permissions {
    pub(super) fn of_options(options: &KeyOptions) -> Self {
        Self {
            command: options.command.clone(),
            environment: options.environment.clone(),
            permit_open: options.permit_open.clone(),
            permit_listen: options.permit_listen.clone(),
            tunnel: options.tunnel,
            port_forwarding: options.port_forwarding,
            agent_forwarding: options.agent_forwarding,
            x11_forwarding: options.x11_forwarding,
            pty: options.pty,
            user_rc: options.user_rc,
            touch_required: options.touch_required,
            verify_required: options.verify_required,
        }
    }

    /// What a certificate permits whose authority is trusted by a setting and not by a line.
    ///
    /// # Errors
    /// [`Refusal::SourceAddress`].
    pub fn of_grant(grant: &Grant, visitor: &Visitor<'_>) -> Result<Self, Refusal> {
        let all = Self { touch_required: false, ..Self::default() };
        all.and_grant(grant, visitor, 0)
    }

    /// What both these permissions and a certificate permit.
    pub(super) fn and_grant(
        self,
        grant: &Grant,
        visitor: &Visitor<'_>,
        line: usize,
    ) -> Result<Self, Refusal> {
        if let Some(networks) = &grant.source_address
            && !visitor.address.is_some_and(|address| networks.contain(address))
        {
            return Err(Refusal::SourceAddress);
        }
        let command = match (self.command, &grant.force_command) {
            (Some(own), Some(theirs)) if own != *theirs => {
                return Err(Refusal::TwoCommands { line });
            }
            (own, theirs) => own.or_else(|| theirs.clone()),
        };
        Ok(Self {
            command,
            port_forwarding: self.port_forwarding && grant.permit_port_forwarding,
            agent_forwarding: self.agent_forwarding && grant.permit_agent_forwarding,
            x11_forwarding: self.x11_forwarding && grant.permit_x11_forwarding,
            pty: self.pty && grant.permit_pty,
            user_rc: self.user_rc && grant.permit_user_rc,
            touch_required: self.touch_required || !grant.no_touch_required,
            verify_required: self.verify_required || grant.verify_required,
            ..self
        })
    }

    /// Whether a signature is enough, by how the token that made it was used; it was made by no
    /// token if there is no proof.
    #[must_use]
    pub const fn accept(&self, proof: Option<TokenProof>) -> bool {
        match proof {
            None => true,
            Some(proof) => {
                (proof.user_present || !self.touch_required)
                    && (proof.user_verified || !self.verify_required)
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => f.write_str("no line has the key"),
            Self::From { line } => write!(f, "line {line}: \"from\" does not include the client"),
            Self::Expired { line } => write!(f, "line {line}: the line has expired"),
            Self::Certificate { line, error } => write!(f, "line {line}: {error}"),
            Self::SourceAddress => f.write_str("the certificate is not for where the client is"),
            Self::TwoCommands { line } => {
                write!(f, "line {line}: the line and the certificate demand different commands")
            }
        }
    }
}

impl core::error::Error for Refusal {}
