//! `chiton demo`: a server and a client in one process, over a real socket, and what they did.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    time::Instant,
};

use chiton::{
    Auth, Client, Error, HostKeys,
    keys::{PrivateKey, authorized_keys::AuthorizedKeys, known_hosts},
    server::Server,
};
use ssh_crypto::{
    hash::{HashAlgorithm, Hasher},
    rng::{Rng, SystemRng},
};
use tokio::net::TcpListener;

use crate::{
    advice,
    failure::{Failure, Result},
    log::{print, say},
    sshd::new_key,
};

/// How much is moved each way.
const SIZE: usize = 64 * 1024 * 1024;
const MIB: f64 = 1024.0 * 1024.0;

const USER: &str = "alice";
/// Writes to both outputs and ends with a status that is not 0, so that all three are checked.
const COMMAND: &str = "echo to stdout; echo to stderr >&2; exit 7";

/// What the program exits with if anything did not hold.
const FAILED: u8 = 1;

/// Runs the demo; gives the exit code.
pub(crate) fn main() -> u8 {
    crate::run_async_on_all_cores(run()).unwrap_or_else(|failure| {
        say!(Fatal, "chiton demo: {failure}");
        FAILED
    })
}

fn explain(error: Error) -> Failure {
    Failure::new(advice::explain(&error, None))
}

/// Fails unless what was promised holds.
fn ensure(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Failure::new(what)) }
}

async fn run() -> Result<u8> {
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(format_args!("cannot make a temporary directory: {error}"))
    })?;
    let root = folder.path().join("served");
    std::fs::create_dir(&root).map_err(|e| Failure::local("make the directory", &root, &e))?;

    let (host_key, user_key, password) = (new_key()?, new_key()?, new_password()?);
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .map_err(|error| Failure::new(format_args!("cannot listen on 127.0.0.1: {error}")))?;
    let authorized = AuthorizedKeys::parse(user_key.public().to_openssh("demo").as_bytes());
    let server = Server::builder()
        .host_key(host_key.clone())
        .authorized_keys(authorized)
        .password(USER, password.clone())
        .sftp_root(&root)
        .allow_exec(true)
        .serve(listener)
        .map_err(explain)?;
    let port = server.local_addr().port();
    print(format_args!("server      127.0.0.1:{port}, with new keys, in this process"));

    let known = folder.path().join("known_hosts");
    let connect = |auth: Auth| async {
        let host_keys = HostKeys::known_hosts(&known)?;
        let builder = Client::builder("127.0.0.1", port).user(USER).host_keys(host_keys);
        builder.auth(auth).connect().await
    };

    let stranger = connect(Auth::key(user_key.clone())).await;
    let refused = matches!(stranger, Err(Error::HostKey(_)));
    ensure(refused, "a host that nobody knows was not refused for its key")?;
    remember(&known, port, &host_key)?;
    let begin = Instant::now();
    let client = connect(Auth::key(user_key)).await.map_err(explain)?;
    print(format_args!(
        "host key    {}: refused while unknown, accepted from known_hosts",
        host_key.public().fingerprint()
    ));
    print(format_args!("login       {USER} by key, in {:.1} ms", milliseconds(begin)));
    if let Some(negotiated) = client.negotiated() {
        print(format_args!("negotiated  {negotiated}"));
    }
    run_command(&client).await?;
    let (up, down, digest) = move_file(&client, folder.path()).await?;
    print(format_args!("sftp put    64 MiB at {up:.0} MiB/s"));
    print(format_args!("sftp get    64 MiB at {down:.0} MiB/s"));
    print(format_args!("sha-256     {digest}, the same on both sides"));
    client.close().await.map_err(explain)?;

    let wrong = connect(Auth::password(format!("{password}x"))).await;
    let refused = matches!(wrong, Err(Error::Auth(_)));
    ensure(refused, "a wrong password was not refused")?;
    let begin = Instant::now();
    let client = connect(Auth::password(password)).await.map_err(explain)?;
    let took = milliseconds(begin);
    let echo = client.exec("echo hello").await.map_err(explain)?;
    ensure(
        echo.status.success() && echo.stdout.ends_with(b"hello\n"),
        "the second command went wrong",
    )?;
    print(format_args!("login       {USER} by password, in {took:.1} ms; a wrong one was refused"));
    client.close().await.map_err(explain)?;
    server.shutdown().await;
    print("All of it held.");
    Ok(0)
}

fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}

/// A password nobody knows: a new key's fingerprint is as random as anything.
fn new_password() -> Result<String> {
    Ok(new_key()?.public().fingerprint().to_string())
}

/// Writes the known_hosts file that the client trusts.
fn remember(path: &Path, port: u16, key: &PrivateKey) -> Result<()> {
    let host = known_hosts::HostName::new("127.0.0.1", port).map_err(Failure::new)?;
    let line = known_hosts::entry_line(&host, key.public(), None);
    std::fs::write(path, line).map_err(|e| Failure::local("write", path, &e))
}

async fn run_command(client: &Client) -> Result<()> {
    let output = client.exec(COMMAND).await.map_err(explain)?;
    // A start-up file of the shell may have written something first.
    ensure(output.stdout.ends_with(b"to stdout\n"), "the standard output went wrong")?;
    ensure(output.stderr.ends_with(b"to stderr\n"), "the standard error went wrong")?;
    ensure(output.status.code() == Some(7), "the exit status went wrong")?;
    print(format_args!("command     stdout, stderr and {} arrived", output.status));
    Ok(())
}

/// Uploads and downloads a file; gives the speeds in MiB/s and the digest of all three copies.
async fn move_file(client: &Client, folder: &Path) -> Result<(f64, f64, String)> {
    let (original, back) = (folder.join("original"), folder.join("back"));
    let served = folder.join("served").join("copy");
    make_file(&original).map_err(|error| Failure::local("write", &original, &error))?;
    let sftp = client.open_sftp().await.map_err(explain)?;
    let speed = |begin: Instant| SIZE as f64 / MIB / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    sftp.put(&original, "copy").await.map_err(explain)?;
    let up = speed(begin);
    let begin = Instant::now();
    sftp.get("copy", &back).await.map_err(explain)?;
    let down = speed(begin);
    let mut digests = Vec::new();
    for path in [&original, &served, &back] {
        digests.push(sha256(path).map_err(|error| Failure::local("read", path, &error))?);
    }
    let [first, second, third] = digests.as_slice() else {
        return Err(Failure::new("three files have not three digests"));
    };
    ensure(first == second, "the uploaded file differs")?;
    ensure(first == third, "the downloaded file differs")?;
    Ok((up, down, first.clone()))
}

/// How much is read or written at once.
const BLOCK: usize = 1024 * 1024;

/// Writes a file of random bytes.
fn make_file(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut block = vec![0; BLOCK];
    for _ in 0..SIZE / BLOCK {
        SystemRng.fill(&mut block);
        file.write_all(&block)?;
    }
    Ok(())
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => break,
            count => hasher.update(block.get(..count).unwrap_or_default()),
        }
    }
    Ok(hasher.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(
            sha256(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
