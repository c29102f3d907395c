//! The options of a line: what its key may do, and from where.

use alloc::{string::String, vec::Vec};

use crate::{
    LineError,
    address::FromList,
    calendar::Date,
    options::{self, KeyOption},
};

/// A host and port that may be forwarded to or listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostPort {
    /// The host or address as it stands there, which may be `*` for every one; `None` if only the
    /// port counts (`permitlisten="8080"`).
    pub host: Option<String>,
    /// The port; `None` for every one.
    pub port: Option<u16>,
}

/// The tunnel device that a client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "sshd(8) has these two")]
pub enum Tunnel {
    /// Whichever it asks for.
    Any,
    /// This one only.
    Number(u32),
}

/// What stands before a key. Without options a key may do everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the file format")]
pub struct KeyOptions {
    /// The key is that of an authority: who shows a certificate of it is let in, and not the key
    /// itself.
    pub cert_authority: bool,
    /// `command=`: the only command that may run, whatever is asked for.
    pub command: Option<String>,
    /// `environment=`: variables to set, in order.
    pub environment: Vec<(String, String)>,
    /// `from=`: where a client has to come from.
    pub from: Option<FromList>,
    /// `expiry-time=`: when the line ends.
    pub expiry: Option<Date>,
    /// `principals=`: the names one of which a certificate has to have, instead of the login name.
    pub principals: Option<Vec<String>>,
    /// `permitopen=`: the only places that may be forwarded to, if there are any.
    pub permit_open: Vec<HostPort>,
    /// `permitlisten=`: the only places that may be listened on, if there are any.
    pub permit_listen: Vec<HostPort>,
    /// `tunnel=`: the tunnel device.
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

impl Default for KeyOptions {
    fn default() -> Self {
        Self {
            cert_authority: false,
            command: None,
            environment: Vec::new(),
            from: None,
            expiry: None,
            principals: None,
            permit_open: Vec::new(),
            permit_listen: Vec::new(),
            tunnel: None,
            port_forwarding: true,
            agent_forwarding: true,
            x11_forwarding: true,
            pty: true,
            user_rc: true,
            touch_required: true,
            verify_required: false,
        }
    }
}

impl KeyOptions {
    /// Reads what stands before a key. Later options win over earlier ones.
    ///
    /// # Errors
    /// [`LineError`] for an option that is unknown, has no proper value, or contradicts another.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let mut key_options = Self::default();
        for option in options::parse(text).ok_or(LineError::Options)? {
            let known = match &option.value {
                None => key_options.set_flag(&option),
                Some(value) => key_options.set_value(&option.name, value)?,
            };
            if !known {
                return Err(LineError::UnknownOption { name: option.name.as_str().into() });
            }
        }
        Ok(key_options)
    }

    /// Takes a flag; false if there is none of this name.
    fn set_flag(&mut self, option: &KeyOption) -> bool {
        match option.name.as_str() {
            "cert-authority" => self.cert_authority = true,
            "restrict" => {
                self.port_forwarding = false;
                self.agent_forwarding = false;
                self.x11_forwarding = false;
                self.pty = false;
                self.user_rc = false;
            }
            _ => {
                let flags = [
                    ("port-forwarding", &mut self.port_forwarding),
                    ("agent-forwarding", &mut self.agent_forwarding),
                    ("x11-forwarding", &mut self.x11_forwarding),
                    ("pty", &mut self.pty),
                    ("user-rc", &mut self.user_rc),
                    ("touch-required", &mut self.touch_required),
                    ("verify-required", &mut self.verify_required),
                ];
                for (name, flag) in flags {
                    if let Some(value) = option.flag(name) {
                        *flag = value;
                        return true;
                    }
                }
                return false;
            }
        }
        true
    }

    /// Takes an option with a value; false if there is none of this name.
    fn set_value(&mut self, name: &str, value: &str) -> Result<bool, LineError> {
        let bad = || LineError::BadOption { name: name.into() };
        let once = |twice: bool| {
            if twice { Err(LineError::DuplicateOption { name: name.into() }) } else { Ok(()) }
        };
        match name {
            "command" => once(self.command.replace(value.into()).is_some())?,
            "from" => {
                let list = FromList::parse(value).ok_or_else(bad)?;
                once(self.from.replace(list).is_some())?;
            }
            "principals" => {
                let names = value.split(',').map(Into::into).collect();
                once(self.principals.replace(names).is_some())?;
            }
            "environment" => self.environment.push(variable(value).ok_or_else(bad)?),
            "expiry-time" => {
                let date = Date::parse(value).ok_or_else(bad)?;
                // Of several the earliest counts.
                let earlier = self.expiry.filter(|known| known.unix(0) <= date.unix(0));
                self.expiry = Some(earlier.unwrap_or(date));
            }
            "permitopen" => self.permit_open.push(host_port(value, false).ok_or_else(bad)?),
            "permitlisten" => self.permit_listen.push(host_port(value, true).ok_or_else(bad)?),
            "tunnel" => self.tunnel = Some(tunnel(value).ok_or_else(bad)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Reads `NAME=value`.
fn variable(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_name) && !value.contains('\0'))
        .then(|| (name.into(), value.into()))
}

/// Reads `host:port` or `[host]:port`, with `*` for every port; also `port`, if that is enough.
fn host_port(text: &str, bare_port: bool) -> Option<HostPort> {
    let port = |text: &str| match text {
        "*" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).map(Some)
        }
        _ => None,
    };
    if bare_port && !text.contains(':') {
        return port(text).map(|port| HostPort { host: None, port });
    }
    let (host, after) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => text.split_once(':')?,
    };
    if host.is_empty() || host.contains(['[', ']']) {
        return None;
    }
    port(after).map(|port| HostPort { host: Some(host.into()), port })
}

fn tunnel(text: &str) -> Option<Tunnel> {
    if text == "any" {
        return Some(Tunnel::Any);
    }
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok().map(Tunnel::Number))?
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn parse(text: &str) -> KeyOptions {
        KeyOptions::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_key_without_restrictions_may_do_everything_and_restrict_takes_it_all() {
        let open = KeyOptions::default();
        assert!(open.pty && open.user_rc && open.port_forwarding && open.agent_forwarding);
        assert!(open.x11_forwarding && open.touch_required && !open.verify_required);
        let closed = parse("restrict");
        assert!(!closed.pty && !closed.user_rc && !closed.port_forwarding);
        assert!(!closed.agent_forwarding && !closed.x11_forwarding);
        let terminal = parse("Restrict,PTY");
        assert!(terminal.pty && !terminal.port_forwarding);
        assert!(!parse("pty,restrict").pty);
        assert!(!parse("no-X11-forwarding").x11_forwarding);
        assert!(!parse("no-touch-required").touch_required);
        assert!(parse("verify-required").verify_required);
    }

    #[test]
    fn values_are_read() {
        let options = parse(
            "command=\"run \\\"this\\\"\",environment=\"A=1\",environment=\"B_2=x=y\",\
             from=\"10.0.0.0/8,!10.1.1.1\",principals=\"a,b\",expiry-time=\"20300101Z\",\
             permitopen=\"localhost:80\",permitopen=\"[::1]:*\",permitlisten=\"8080\",\
             permitlisten=\"*:22\",tunnel=\"3\",cert-authority",
        );
        assert_eq!(options.command.as_deref(), Some("run \"this\""));
        let variables = [("A", "1"), ("B_2", "x=y")];
        assert_eq!(options.environment, variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(options.principals, Some(vec!["a".into(), "b".into()]));
        assert_eq!(options.expiry, Date::parse("20300101Z"));
        let place = |host: Option<&str>, port| HostPort { host: host.map(Into::into), port };
        let open = [place(Some("localhost"), Some(80)), place(Some("::1"), None)];
        assert_eq!(options.permit_open, open);
        let listen = [place(None, Some(8080)), place(Some("*"), Some(22))];
        assert_eq!(options.permit_listen, listen);
        assert_eq!(options.tunnel, Some(Tunnel::Number(3)));
        assert!(options.cert_authority && options.from.is_some());
        assert_eq!(parse("tunnel=\"any\"").tunnel, Some(Tunnel::Any));
        let two = parse(
            "expiry-time=\"20300101Z\",expiry-time=\"20200101Z\",expiry-time=\"2040\
                         0101Z\"",
        );
        assert_eq!(two.expiry, Date::parse("20200101Z"));
    }

    #[test]
    fn what_cannot_be_obeyed_is_an_error() {
        let (bad, unknown, twice) = (
            |name: &str| LineError::BadOption { name: name.into() },
            |name: &str| LineError::UnknownOption { name: name.into() },
            |name: &str| LineError::DuplicateOption { name: name.into() },
        );
        for (text, expected) in [
            ("anything-unknown", unknown("anything-unknown")),
            ("no-restrict", unknown("no-restrict")),
            ("no-cert-authority", unknown("no-cert-authority")),
            ("pty=\"yes\"", unknown("pty")),
            ("command", unknown("command")),
            ("command=\"a\",command=\"b\"", twice("command")),
            ("from=\"a\",from=\"b\"", twice("from")),
            ("principals=\"a\",principals=\"b\"", twice("principals")),
            ("from=\"10.0.0.1/8\"", bad("from")),
            ("expiry-time=\"soon\"", bad("expiry-time")),
            ("environment=\"A\"", bad("environment")),
            ("environment=\"A B=1\"", bad("environment")),
            ("environment=\"=1\"", bad("environment")),
            ("permitopen=\"80\"", bad("permitopen")),
            ("permitopen=\"a:0\"", bad("permitopen")),
            ("permitopen=\"a:65536\"", bad("permitopen")),
            ("permitopen=\"a:+1\"", bad("permitopen")),
            ("permitopen=\"[::1:80\"", bad("permitopen")),
            ("permitlisten=\":80\"", bad("permitlisten")),
            ("tunnel=\"some\"", bad("tunnel")),
            ("command=\"a", LineError::Options),
            ("restrict,", LineError::Options),
        ] {
            assert_eq!(KeyOptions::parse(text), Err(expected), "{text}");
        }
    }
}
