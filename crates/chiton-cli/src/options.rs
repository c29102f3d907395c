//! Options as `-o` gives them: `Name=value` or `"Name value"`, the language of `ssh_config(5)`.
//!
//! The first value given for an option stays, as in OpenSSH. An option this program does not
//! know is an error that names it, so that nobody relies on something that does not happen.

use core::{fmt, time::Duration};
use std::path::PathBuf;

use chiton::keys::public::{MAX_RSA_BITS, SMALLEST_RSA_BITS};

use crate::{
    destination::parse_port,
    log::Level,
    values::{self, RekeyLimit},
};

/// What happens when a host key is unknown (`StrictHostKeyChecking`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StrictHostKeyChecking {
    /// Refuse.
    Yes,
    /// Remember it; a changed key is warned of.
    No,
    /// Remember it; a changed key is refused.
    AcceptNew,
    /// Ask the user.
    Ask,
}

/// Whether to ask for a terminal on the server (`RequestTTY`, `-t`, `-T`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestTty {
    /// If there is no command.
    Auto,
    No,
    /// If standard input is a terminal.
    Yes,
    /// Even if it is none.
    Force,
}

/// The options of a connection; `None` and empty where not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) host_name: Option<String>,
    pub(crate) identity_files: Vec<String>,
    pub(crate) identities_only: Option<bool>,
    /// Where the agent is; see [`crate::identities`].
    pub(crate) identity_agent: Option<String>,
    pub(crate) user_known_hosts: Option<Vec<String>>,
    pub(crate) global_known_hosts: Option<Vec<String>>,
    pub(crate) strict_host_key_checking: Option<StrictHostKeyChecking>,
    pub(crate) batch_mode: Option<bool>,
    /// `Some(None)` is "none".
    pub(crate) connect_timeout: Option<Option<Duration>>,
    pub(crate) ciphers: Option<String>,
    /// Whether packets are compressed once the user is authenticated.
    pub(crate) compression: Option<bool>,
    pub(crate) macs: Option<String>,
    pub(crate) kex_algorithms: Option<String>,
    pub(crate) host_key_algorithms: Option<String>,
    pub(crate) pubkey_algorithms: Option<String>,
    /// By which authorities may have signed.
    pub(crate) ca_algorithms: Option<String>,
    /// The smallest RSA key, in bits.
    pub(crate) required_rsa_size: Option<usize>,
    pub(crate) rekey_limit: Option<RekeyLimit>,
    pub(crate) log_level: Option<Level>,
    pub(crate) preferred_authentications: Option<Vec<String>>,
    pub(crate) password_prompts: Option<u32>,
    pub(crate) password_authentication: Option<bool>,
    pub(crate) pubkey_authentication: Option<bool>,
    pub(crate) request_tty: Option<RequestTty>,
    /// `Some(None)` is "none".
    pub(crate) escape_char: Option<Option<u8>>,
    pub(crate) update_host_keys: Option<bool>,
    pub(crate) set_env: Vec<(String, String)>,
}

/// An option that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OptionError {
    Unknown(String),
    MissingValue(&'static str),
    ExtraValue(&'static str),
    BadValue { option: &'static str, value: String, expected: &'static str },
    BadQuotes(String),
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                let name = name.escape_debug();
                write!(f, "option '{name}' is not known; there are ")?;
                for (index, (name, _)) in OPTIONS.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{name}")?;
                }
                Ok(())
            }
            Self::MissingValue(option) => write!(f, "option {option} needs a value"),
            Self::ExtraValue(option) => write!(f, "option {option} takes one value only"),
            Self::BadValue { option, value, expected } => {
                write!(
                    f,
                    "option {option} cannot be '{}': expected {expected}",
                    value.escape_debug()
                )
            }
            Self::BadQuotes(text) => {
                write!(f, "a quote is not closed in '{}'", text.escape_debug())
            }
        }
    }
}

/// Sets one option from its values, of which there is at least one.
type Setter = fn(&mut Options, &'static str, &[String]) -> Result<(), OptionError>;

/// Every option there is.
const OPTIONS: &[(&str, Setter)] = &[
    ("BatchMode", |o, n, v| first(&mut o.batch_mode, yes_no(n, v))),
    ("CASignatureAlgorithms", |o, n, v| first(&mut o.ca_algorithms, single(n, v))),
    ("Ciphers", |o, n, v| first(&mut o.ciphers, single(n, v))),
    ("Compression", |o, n, v| first(&mut o.compression, yes_no(n, v))),
    ("ConnectTimeout", |o, n, v| first(&mut o.connect_timeout, timeout(n, v))),
    ("EscapeChar", |o, n, v| first(&mut o.escape_char, escape_char(n, v))),
    ("GlobalKnownHostsFile", |o, _, v| first(&mut o.global_known_hosts, Ok(v.to_vec()))),
    ("HostKeyAlgorithms", |o, n, v| first(&mut o.host_key_algorithms, single(n, v))),
    ("HostName", |o, n, v| first(&mut o.host_name, single(n, v))),
    ("IdentitiesOnly", |o, n, v| first(&mut o.identities_only, yes_no(n, v))),
    ("IdentityAgent", |o, n, v| first(&mut o.identity_agent, single(n, v))),
    ("IdentityFile", |o, n, v| {
        o.identity_files.push(single(n, v)?);
        Ok(())
    }),
    ("KexAlgorithms", |o, n, v| first(&mut o.kex_algorithms, single(n, v))),
    ("LogLevel", |o, n, v| first(&mut o.log_level, log_level(n, v))),
    ("MACs", |o, n, v| first(&mut o.macs, single(n, v))),
    ("NumberOfPasswordPrompts", |o, n, v| first(&mut o.password_prompts, number(n, v))),
    ("PasswordAuthentication", |o, n, v| first(&mut o.password_authentication, yes_no(n, v))),
    ("Port", |o, n, v| first(&mut o.port, port(n, v))),
    ("PreferredAuthentications", |o, n, v| {
        let list = single(n, v).map(|v| v.split(',').map(str::to_owned).collect());
        first(&mut o.preferred_authentications, list)
    }),
    ("PubkeyAcceptedAlgorithms", |o, n, v| first(&mut o.pubkey_algorithms, single(n, v))),
    ("PubkeyAuthentication", |o, n, v| first(&mut o.pubkey_authentication, yes_no(n, v))),
    ("RekeyLimit", |o, n, v| first(&mut o.rekey_limit, rekey_limit(n, v))),
    ("RequestTTY", |o, n, v| first(&mut o.request_tty, request_tty(n, v))),
    ("RequiredRSASize", |o, n, v| first(&mut o.required_rsa_size, rsa_size(n, v))),
    ("SetEnv", set_env),
    ("StrictHostKeyChecking", |o, n, v| first(&mut o.strict_host_key_checking, strict(n, v))),
    ("UpdateHostKeys", |o, n, v| first(&mut o.update_host_keys, yes_no(n, v))),
    ("User", |o, n, v| first(&mut o.user, single(n, v))),
    ("UserKnownHostsFile", |o, _, v| first(&mut o.user_known_hosts, Ok(v.to_vec()))),
];

/// Earlier names of options, which scripts still use, and what they are called now.
const EARLIER_NAMES: &[(&str, &str)] = &[("PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms")];

/// The width that help is wrapped to.
const HELP_WIDTH: usize = 79;

/// The names that `-o` knows, for `--help`.
pub(crate) fn help() -> String {
    let mut text = "Options for -o:".to_owned();
    let mut column = text.len();
    for (index, (name, _)) in OPTIONS.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        column = column.saturating_add(separator.len() + 1 + name.len());
        text.push_str(separator);
        if column > HELP_WIDTH {
            text.push_str("\n ");
            column = name.len().saturating_add(1);
        } else {
            text.push(' ');
        }
        text.push_str(name);
    }
    text
}

impl Options {
    /// Takes one `-o`: `Name=value`, `Name = value` or `Name value`.
    pub(crate) fn set(&mut self, text: &str) -> Result<(), OptionError> {
        let text = text.trim();
        let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let earlier = EARLIER_NAMES.iter().find(|(earlier, _)| earlier.eq_ignore_ascii_case(name));
        let name = earlier.map_or(name, |(_, now)| now);
        let known = OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some(&(option, setter)) = known else {
            return Err(OptionError::Unknown(name.to_owned()));
        };
        let rest = rest.trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let words =
            values::split_words(rest).ok_or_else(|| OptionError::BadQuotes(text.to_owned()))?;
        if words.iter().all(String::is_empty) {
            return Err(OptionError::MissingValue(option));
        }
        setter(self, option, &words)
    }

    /// The identity files given, with `none` taken out.
    pub(crate) fn identities(&self) -> impl Iterator<Item = &str> {
        self.identity_files.iter().map(String::as_str).filter(|f| !f.eq_ignore_ascii_case("none"))
    }

    /// True if `method` may be tried, by `PreferredAuthentications` and the method's own switch.
    pub(crate) fn allows_method(&self, method: &str) -> bool {
        let switch = match method {
            "password" => self.password_authentication,
            "publickey" => self.pubkey_authentication,
            _ => None,
        };
        let preferred = self.preferred_authentications.as_ref();
        switch.unwrap_or(true) && preferred.is_none_or(|list| list.iter().any(|m| m == method))
    }

    /// True if nobody may be asked anything.
    pub(crate) fn is_batch(&self) -> bool {
        self.batch_mode.unwrap_or(false)
    }
}

/// The first value stays; a bad one is an error even where it would not count.
fn first<T>(slot: &mut Option<T>, value: Result<T, OptionError>) -> Result<(), OptionError> {
    let value = value?;
    slot.get_or_insert(value);
    Ok(())
}

fn single(option: &'static str, values: &[String]) -> Result<String, OptionError> {
    match values {
        [value] => Ok(value.clone()),
        [] => Err(OptionError::MissingValue(option)),
        _ => Err(OptionError::ExtraValue(option)),
    }
}

/// Reads the one value of an option with `read`, which gives nothing for a bad one.
fn parse<T>(
    option: &'static str,
    values: &[String],
    expected: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, OptionError> {
    let value = single(option, values)?;
    read(&value).ok_or(OptionError::BadValue { option, value, expected })
}

fn yes_no(option: &'static str, values: &[String]) -> Result<bool, OptionError> {
    parse(option, values, "yes or no", |value| match value.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    })
}

fn number(option: &'static str, values: &[String]) -> Result<u32, OptionError> {
    parse(option, values, "a number", |value| value.parse().ok())
}

fn rsa_size(option: &'static str, values: &[String]) -> Result<usize, OptionError> {
    parse(option, values, "bits, 1024 to 16384", |value| {
        value.parse().ok().filter(|bits| (SMALLEST_RSA_BITS..=MAX_RSA_BITS).contains(bits))
    })
}

fn port(option: &'static str, values: &[String]) -> Result<u16, OptionError> {
    parse(option, values, "a port, 1 to 65535", |value| parse_port(value).ok())
}

fn timeout(option: &'static str, values: &[String]) -> Result<Option<Duration>, OptionError> {
    parse(option, values, "seconds, a time such as 1m30s, or none", |value| {
        if value.eq_ignore_ascii_case("none") {
            return Some(None);
        }
        let time = values::parse_time(value)?;
        Some((!time.is_zero()).then_some(time))
    })
}

fn log_level(option: &'static str, values: &[String]) -> Result<Level, OptionError> {
    let expected = "QUIET, FATAL, ERROR, INFO, VERBOSE, DEBUG, DEBUG1, DEBUG2 or DEBUG3";
    parse(option, values, expected, Level::from_name)
}

fn strict(option: &'static str, values: &[String]) -> Result<StrictHostKeyChecking, OptionError> {
    parse(option, values, "yes, no, accept-new or ask", |value| {
        Some(match value.to_ascii_lowercase().as_str() {
            "yes" | "true" => StrictHostKeyChecking::Yes,
            "no" | "off" | "false" => StrictHostKeyChecking::No,
            "accept-new" => StrictHostKeyChecking::AcceptNew,
            "ask" => StrictHostKeyChecking::Ask,
            _ => return None,
        })
    })
}

fn request_tty(option: &'static str, values: &[String]) -> Result<RequestTty, OptionError> {
    parse(option, values, "yes, no, force or auto", |value| {
        Some(match value.to_ascii_lowercase().as_str() {
            "yes" | "true" => RequestTty::Yes,
            "no" | "false" => RequestTty::No,
            "force" => RequestTty::Force,
            "auto" => RequestTty::Auto,
            _ => return None,
        })
    })
}

fn escape_char(option: &'static str, values: &[String]) -> Result<Option<u8>, OptionError> {
    parse(option, values, "one character, ^ and a letter, or none", values::parse_escape_char)
}

fn rekey_limit(option: &'static str, values: &[String]) -> Result<RekeyLimit, OptionError> {
    values::parse_rekey_limit(values).ok_or_else(|| OptionError::BadValue {
        option,
        value: values.join(" "),
        expected: "a size of 16 bytes or more such as 512K, 1G or default, and maybe a time such as 1h",
    })
}

fn set_env(
    options: &mut Options,
    option: &'static str,
    values: &[String],
) -> Result<(), OptionError> {
    let pairs = values.iter().map(|value| match value.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(OptionError::BadValue { option, value: value.clone(), expected: "NAME=value" }),
    });
    let pairs: Vec<_> = pairs.collect::<Result<_, _>>()?;
    if options.set_env.is_empty() {
        options.set_env = pairs;
    }
    Ok(())
}

/// Files named by an option, with `~` and `%` sequences expanded and `none` taken out.
pub(crate) fn files<'a>(
    names: impl IntoIterator<Item = &'a String>,
    tokens: &values::Tokens<'_>,
) -> Result<Vec<PathBuf>, values::ExpandError> {
    names
        .into_iter()
        .filter(|name| !name.eq_ignore_ascii_case("none"))
        .map(|name| values::expand_path(name, tokens))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> Result<Options, OptionError> {
        let mut options = Options::default();
        for text in texts {
            options.set(text)?;
        }
        Ok(options)
    }

    #[test]
    fn an_option_may_be_written_in_three_ways_and_any_case() {
        for text in ["Port=2222", "port 2222", "PORT = 2222", "Port=\"2222\"", " Port =2222 "] {
            assert_eq!(options(&[text]).unwrap().port, Some(2222), "{text}");
        }
    }

    #[test]
    fn help_names_every_option_within_the_width_of_a_terminal() {
        let help = help();
        assert!(OPTIONS.iter().all(|(name, _)| help.contains(name)));
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    }

    #[test]
    fn the_first_value_stays() {
        let options = options(&["User=alice", "User=bob", "Port=1", "Port=2"]).unwrap();
        assert_eq!(options.user.as_deref(), Some("alice"));
        assert_eq!(options.port, Some(1));
    }

    #[test]
    fn identity_files_add_up() {
        let options = options(&["IdentityFile=a", "IdentityFile=none", "IdentityFile b"]).unwrap();
        assert_eq!(options.identities().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_unknown_option_is_an_error_that_names_it() {
        let error = options(&["ForwardAgent=yes"]).unwrap_err();
        assert_eq!(error, OptionError::Unknown("ForwardAgent".to_owned()));
        assert!(
            error.to_string().starts_with("option 'ForwardAgent' is not known; there are Batch")
        );
        assert_eq!(options(&["=x"]), Err(OptionError::Unknown(String::new())));
    }

    #[test]
    fn a_value_that_makes_no_sense_is_an_error() {
        for text in [
            "Port=0",
            "Port=ssh",
            "BatchMode=maybe",
            "StrictHostKeyChecking=perhaps",
            "LogLevel=LOUD",
            "ConnectTimeout=-1",
            "NumberOfPasswordPrompts=x",
            "RekeyLimit=1Q",
            "EscapeChar=ab",
            "RequiredRSASize=1023",
            "RequiredRSASize=16385",
            "SetEnv=novalue",
        ] {
            assert!(matches!(options(&[text]), Err(OptionError::BadValue { .. })), "{text}");
        }
        assert_eq!(options(&["Port="]), Err(OptionError::MissingValue("Port")));
        assert_eq!(options(&["Port"]), Err(OptionError::MissingValue("Port")));
        assert_eq!(options(&["User=a b"]), Err(OptionError::ExtraValue("User")));
        assert!(matches!(options(&["User=\"a"]), Err(OptionError::BadQuotes(_))));
    }

    #[test]
    fn an_earlier_name_of_an_option_is_as_good() {
        let options = options(&["PubkeyAcceptedKeytypes=+ssh-rsa", "RequiredRSASize 1024"]);
        let options = options.unwrap();
        assert_eq!(options.pubkey_algorithms.as_deref(), Some("+ssh-rsa"));
        assert_eq!(options.required_rsa_size, Some(1024));
    }

    #[test]
    fn algorithm_lists_keep_their_prefix() {
        let options = options(&["Ciphers=+aes128-ctr", "MACs ^hmac-sha2-256"]).unwrap();
        assert_eq!(options.ciphers.as_deref(), Some("+aes128-ctr"));
        assert_eq!(options.macs.as_deref(), Some("^hmac-sha2-256"));
    }

    #[test]
    fn known_hosts_files_are_a_list() {
        let options = options(&["UserKnownHostsFile=\"~/a b\" /c", "GlobalKnownHostsFile=none"]);
        let options = options.unwrap();
        let files = options.user_known_hosts.unwrap();
        assert_eq!(files, ["~/a b", "/c"]);
        assert_eq!(options.global_known_hosts.unwrap(), ["none"]);
    }

    #[test]
    fn every_way_of_strict_host_key_checking() {
        use StrictHostKeyChecking::{AcceptNew, Ask, No, Yes};
        for (text, expected) in
            [("yes", Yes), ("no", No), ("off", No), ("accept-new", AcceptNew), ("ASK", Ask)]
        {
            let options = options(&[&format!("StrictHostKeyChecking={text}")]).unwrap();
            assert_eq!(options.strict_host_key_checking, Some(expected));
        }
    }

    #[test]
    fn methods_are_allowed_by_list_and_by_switch() {
        let options = options(&["PreferredAuthentications=password,hostbased"]).unwrap();
        assert!(options.allows_method("password"));
        assert!(!options.allows_method("publickey"));
        let mut options = Options::default();
        options.set("PasswordAuthentication=no").unwrap();
        assert!(!options.allows_method("password"));
        assert!(options.allows_method("publickey"));
    }
}
