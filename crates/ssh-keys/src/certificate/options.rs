//! `PROTOCOL.certkeys`, "Critical options" and "Extensions": what a certificate demands and permits.

use alloc::{boxed::Box, string::String, vec::Vec};

use ssh_wire::{DecodeErrorKind, PeerText, Reader, put_string, put_with_length};

use super::{Certificate, CertificateError, MAX_OPTIONS, Role};
use crate::{address::Networks, public::shown};

/// An option or an extension of a certificate: a name, and data that depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateOption {
    /// The name.
    pub name: PeerText,
    /// The data: nothing for a flag, a `string` for a text.
    pub data: Box<[u8]>,
}

impl CertificateOption {
    /// An option that says all by being there.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        Self { name: name.into(), data: Box::default() }
    }

    /// An option with a text.
    #[must_use]
    pub fn text(name: &str, value: &str) -> Self {
        let mut data = Vec::new();
        put_string(&mut data, value.as_bytes());
        Self { name: name.into(), data: data.into() }
    }

    /// The text of an option that has one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        let mut reader = Reader::new("option", &self.data);
        let text = reader.utf8().ok()?;
        reader.finish().ok()?;
        (!text.contains('\0')).then_some(text)
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<CertificateOption>, CertificateError> {
    let mut reader = Reader::new("certificate options", bytes);
    let mut options = Vec::new();
    while reader.left() > 0 {
        let at = reader.field("name").clone();
        if options.len() >= MAX_OPTIONS {
            let why = DecodeErrorKind::Invalid("more options than a certificate may have");
            return Err(at.error(why).into());
        }
        let name = reader.utf8()?;
        let data = reader.field("data").string()?.into();
        options.push(CertificateOption { name: name.into(), data });
    }
    Ok(options)
}

/// Writes options in the order that `PROTOCOL.certkeys` demands, that of their names.
pub(super) fn write(options: &[CertificateOption], out: &mut Vec<u8>) {
    let mut options: Vec<&CertificateOption> = options.iter().collect();
    options.sort_by(|a, b| a.name.raw().as_bytes().cmp(b.name.raw().as_bytes()));
    put_with_length(out, |out| {
        for option in options {
            put_string(out, option.name.raw().as_bytes());
            put_string(out, &option.data);
        }
    });
}

/// What a user who has shown a certificate may do. Everything that is not permitted is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The only command that may run, whatever is asked for.
    pub force_command: Option<String>,
    /// The only networks that the user may come from.
    pub source_address: Option<Networks>,
    /// The token of the user has to know who touched it.
    pub verify_required: bool,
    /// The token of the user need not be touched.
    pub no_touch_required: bool,
    /// X11 may be forwarded.
    pub permit_x11_forwarding: bool,
    /// The agent may be forwarded.
    pub permit_agent_forwarding: bool,
    /// Ports may be forwarded.
    pub permit_port_forwarding: bool,
    /// A terminal may be had.
    pub permit_pty: bool,
    /// `~/.ssh/rc` may run.
    pub permit_user_rc: bool,
}

impl Grant {
    /// Reads the options and extensions of a certificate for a user.
    pub(super) fn of(certificate: &Certificate) -> Result<Self, CertificateError> {
        let mut grant = Self::default();
        for option in certificate.critical_options() {
            grant.demand(option)?;
        }
        for extension in certificate.extensions() {
            grant.permit(extension)?;
        }
        Ok(grant)
    }

    fn demand(&mut self, option: &CertificateOption) -> Result<(), CertificateError> {
        let name = || option.name.clone();
        let bad = || CertificateError::BadOption { name: name() };
        let text = || option.as_text().ok_or_else(bad);
        let twice = match option.name.raw() {
            "force-command" => self.force_command.replace(text()?.into()).is_some(),
            "source-address" => {
                let networks = Networks::parse(text()?).ok_or_else(bad)?;
                self.source_address.replace(networks).is_some()
            }
            "verify-required" => {
                flag(option)?;
                core::mem::replace(&mut self.verify_required, true)
            }
            _ => return Err(CertificateError::UnknownCriticalOption { name: name() }),
        };
        if twice { Err(CertificateError::DuplicateOption { name: name() }) } else { Ok(()) }
    }

    fn permit(&mut self, extension: &CertificateOption) -> Result<(), CertificateError> {
        let permission = match extension.name.raw() {
            "no-touch-required" => &mut self.no_touch_required,
            "permit-X11-forwarding" => &mut self.permit_x11_forwarding,
            "permit-agent-forwarding" => &mut self.permit_agent_forwarding,
            "permit-port-forwarding" => &mut self.permit_port_forwarding,
            "permit-pty" => &mut self.permit_pty,
            "permit-user-rc" => &mut self.permit_user_rc,
            _ => return Ok(()),
        };
        flag(extension)?;
        *permission = true;
        Ok(())
    }
}

/// A flag carries no data.
fn flag(option: &CertificateOption) -> Result<(), CertificateError> {
    if option.data.is_empty() {
        Ok(())
    } else {
        Err(CertificateError::BadOption { name: option.name.clone() })
    }
}

/// A host has no options: what a certificate demands of one cannot be obeyed.
pub(super) fn check_host(certificate: &Certificate) -> Result<(), CertificateError> {
    debug_assert_eq!(certificate.role(), Role::Host);
    match certificate.critical_options().first() {
        Some(option) => {
            let name = shown(option.name.raw().as_bytes());
            Err(CertificateError::UnknownCriticalOption { name })
        }
        None => Ok(()),
    }
}
