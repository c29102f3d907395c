//! `chiton sshd`: the embedded server as a program. It runs everything as the user it runs as.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use chiton::{
    keys::{KeyType, PrivateKey, PublicKey, authorized_keys::AuthorizedKeys},
    server::{Event, Server},
};
use clap::Parser;
use ssh_crypto::rng::SystemRng;
use tokio::net::TcpListener;

use crate::{
    advice,
    failure::{Failure, Result, io_reason},
    key_file::{self, KeyFile},
    log::{self, print, say},
    signals,
};

/// The variable that may hold the password, so that it stands on no command line.
const PASSWORD_VARIABLE: &str = "CHITON_PASSWORD";

/// What the program exits with if it could not serve.
const FAILED: u8 = 255;

/// Serve shells, commands and files, as the user who runs this.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2222", value_parser = address)]
    listen: SocketAddr,
    /// A private key to be known by; may be given more than once. Without one a key is made for
    /// this run
    #[arg(long, value_name = "FILE")]
    host_key: Vec<PathBuf>,
    /// Lets in whoever has one of these keys
    #[arg(long, value_name = "FILE")]
    authorized_keys: Option<PathBuf>,
    /// Lets in whoever has a certificate of one of these authorities, as the user that it names
    #[arg(long, value_name = "FILE")]
    trusted_user_ca: Option<PathBuf>,
    /// The name to log in with by password; without --password-file it is in CHITON_PASSWORD
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The file whose first line is the password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// The directory that sftp shows, and nothing above it; without it there is no sftp
    #[arg(long, value_name = "DIRECTORY")]
    sftp_root: Option<PathBuf>,
    /// Run no commands and no shells
    #[arg(long)]
    no_exec: bool,
    /// Say more; up to three times
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,
}

fn address(text: &str) -> core::result::Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an address and a port, as in 127.0.0.1:2222 or [::1]:2222")
}

/// Runs `sshd`; gives the exit code.
pub(crate) fn main(args: Args) -> u8 {
    crate::run_async_on_all_cores(run(args)).unwrap_or_else(|failure| {
        say!(Fatal, "chiton sshd: {failure}");
        FAILED
    })
}

async fn run(args: Args) -> Result<u8> {
    for _ in 0..args.verbose.min(3) {
        log::set_level(log::level().louder());
    }
    let password = password(&args)?;
    let keys = authorized_keys(&args)?;
    let authorities = authorities(&args)?;
    if password.is_none() && keys.is_none() && authorities.is_empty() {
        return Err(Failure::new(
            "nobody could log in: give --authorized-keys FILE, or --user NAME with --password-file FILE",
        ));
    }
    if password.is_some() && !args.listen.ip().is_loopback() {
        say!(
            Error,
            "Warning: whoever reaches {} can guess the password; keys are safer.",
            args.listen
        );
    }
    if args.no_exec && args.sftp_root.is_none() {
        return Err(Failure::new("there is nothing to serve: --no-exec needs --sftp-root"));
    }
    let listener =
        TcpListener::bind(args.listen).await.map_err(|error| cannot_listen(args.listen, &error))?;
    let mut builder =
        Server::builder().announce_host_keys(true).allow_exec(!args.no_exec).on_event(tell);
    for key in host_keys(&args.host_key)? {
        print(format_args!(
            "Host key: {} {}",
            key.public().key_type().name(),
            key.public().fingerprint()
        ));
        builder = builder.host_key(key);
    }
    if let Some(keys) = keys {
        builder = builder.authorized_keys(keys);
    }
    for authority in authorities {
        builder = builder.trusted_user_ca(authority);
    }
    if let Some((user, password)) = password {
        builder = builder.password(user, password);
    }
    if let Some(root) = &args.sftp_root {
        let metadata = fs::metadata(root).map_err(|e| Failure::local("serve", root, &e))?;
        if !metadata.is_dir() {
            let root = root.display();
            return Err(Failure::new(format_args!("--sftp-root {root} is not a directory")));
        }
        builder = builder.sftp_root(root);
    }
    let handle =
        builder.serve(listener).map_err(|error| Failure::new(advice::explain(&error, None)))?;
    print(format_args!("Listening on {}", handle.local_addr()));
    signals::stopped()
        .await
        .map_err(|error| Failure::new(format_args!("cannot watch for signals: {error}")))?;
    say!(Info, "Stopping.");
    handle.shutdown().await;
    Ok(0)
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "; take another port, or 0 for a free one",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 are for root",
        _ => "",
    };
    let reason = io_reason(error);
    Failure::new(format_args!("cannot listen on {address}: {reason}{advice}"))
}

/// Logs what happens: who comes in always, the rest for those who ask for more.
fn tell(event: &Event) {
    match event {
        Event::LoggedIn { .. } | Event::Refused { .. } | Event::TurnedAway { .. } => {
            say!(Info, "{event}");
        }
        _ => say!(Verbose, "{event}"),
    }
}

/// The user and the password, if there is to be one.
fn password(args: &Args) -> Result<Option<(String, String)>> {
    let Some(user) = &args.user else { return Ok(None) };
    let password = match &args.password_file {
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::local("read the password file", path, &error))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => std::env::var(PASSWORD_VARIABLE).unwrap_or_default(),
    };
    if password.is_empty() {
        return Err(Failure::new(format_args!(
            "--user needs a password that is not empty: in --password-file FILE or {PASSWORD_VARIABLE}"
        )));
    }
    Ok(Some((user.clone(), password)))
}

/// The keys of the authorities, one to a line.
fn authorities(args: &Args) -> Result<Vec<PublicKey>> {
    let Some(path) = &args.trusted_user_ca else { return Ok(Vec::new()) };
    let text = fs::read_to_string(path);
    let text = text.map_err(|e| Failure::local("read the trusted authorities", path, &e))?;
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let key = |line: &str| PublicKey::from_openssh(line).map(|(key, _)| key);
    let keys: Vec<PublicKey> =
        lines.map(key).collect::<core::result::Result<_, _>>().map_err(|error| {
            Failure::new(format_args!("{}: no key of an authority: {error}", path.display()))
        })?;
    if keys.is_empty() {
        return Err(Failure::new(format_args!("{} has no key of an authority", path.display())));
    }
    Ok(keys)
}

fn authorized_keys(args: &Args) -> Result<Option<AuthorizedKeys>> {
    let Some(path) = &args.authorized_keys else { return Ok(None) };
    let text = fs::read(path).map_err(|e| Failure::local("read the authorized keys", path, &e))?;
    let keys = AuthorizedKeys::parse(&text);
    let path = path.display();
    if keys.entries().is_empty() {
        let why = keys
            .skipped()
            .first()
            .map(|skipped| format!("; of line {}, for one: {}", skipped.line, skipped.reason));
        let why = why.unwrap_or_default();
        return Err(Failure::new(format_args!("there is no usable key in {path}{why}")));
    }
    for skipped in keys.skipped() {
        let (line, reason) = (skipped.line, &skipped.reason);
        say!(Error, "{path}:{line}: {reason}: this line lets nobody in.");
    }
    Ok(Some(keys))
}

/// The keys of these files, or a new one for this run.
fn host_keys(paths: &[PathBuf]) -> Result<Vec<PrivateKey>> {
    if paths.is_empty() {
        say!(Info, "No --host-key is given: the host has a new key in each run.");
        return Ok(vec![new_key()?]);
    }
    paths.iter().map(|path| host_key(path)).collect()
}

fn host_key(path: &Path) -> Result<PrivateKey> {
    match key_file::load(path)? {
        KeyFile::Plain(key) => Ok(key),
        KeyFile::Encrypted => Err(Failure::new(format_args!(
            "the host key {} has a passphrase, and nobody will be there to type it; \
             ssh-keygen -p -f FILE takes it off",
            path.display()
        ))),
    }
}

/// A new Ed25519 key.
pub(crate) fn new_key() -> Result<PrivateKey> {
    let key = PrivateKey::generate(KeyType::Ed25519, &mut SystemRng);
    key.map_err(|error| Failure::new(format_args!("cannot make a key: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::try_parse_from([&["sshd"], words].concat()).unwrap()
    }

    #[test]
    fn a_password_stands_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "secret\nmore\n").unwrap();
        let path = path.to_str().unwrap();
        let found = password(&args(&["--user", "alice", "--password-file", path])).unwrap();
        assert_eq!(found, Some(("alice".into(), "secret".into())));
        fs::write(path, "\n").unwrap();
        assert!(password(&args(&["--user", "alice", "--password-file", path])).is_err());
        assert_eq!(password(&args(&[])), Ok(None));
    }

    #[test]
    fn a_password_file_needs_a_user() {
        assert!(Args::try_parse_from(["sshd", "--password-file", "f"]).is_err());
    }

    #[test]
    fn a_file_without_keys_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, "# nobody\n").unwrap();
        let path = path.to_str().unwrap();
        assert!(authorized_keys(&args(&["--authorized-keys", path])).is_err());
    }

    #[tokio::test]
    async fn a_server_that_lets_nobody_in_does_not_start() {
        let failure = run(args(&["--listen", "127.0.0.1:0"])).await.unwrap_err();
        assert!(failure.to_string().starts_with("nobody could log in"), "{failure}");
    }
}
