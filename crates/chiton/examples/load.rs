//! Load for measuring: many connections, many commands, idle connections, whole files. The
//! benchmark (`cargo xtask bench`) runs it, and every other library gets the same to do.
//!
//! ```console
//! $ cargo run --release --example load -- 22 alice ~/.ssh/id_ed25519 sequential 1000
//! ```
//!
//! The server is on 127.0.0.1, and its host key is not checked.

use std::{env, error::Error, process::ExitCode, time::Duration};

use chiton::{Auth, Client, Stdio, keys::PrivateKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// What is read from a file at once.
const PIECE: usize = 256 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[&str]) -> Done {
    let [port, user, key, work @ ..] = words else {
        return Err("usage: load PORT USER KEY WORK…".into());
    };
    let key = PrivateKey::parse(&std::fs::read(key)?, None)?;
    let place = Place { port: port.parse()?, user, key };
    match *work {
        ["get", from, to] => {
            place.connect().await?.open_sftp().await?.get(from, to).await?;
        }
        ["put", from, to] => {
            place.connect().await?.open_sftp().await?.put(from, to).await?;
        }
        ["get-many", from, to] => {
            let sftp = place.connect().await?.open_sftp().await?;
            sftp.get(from, to).recursive(true).await?;
        }
        ["put-many", from, to] => {
            let sftp = place.connect().await?.open_sftp().await?;
            sftp.put(from, to).recursive(true).await?;
        }
        ["exec-out", command] => {
            let mut child = place.connect().await?.command(command).spawn().await?;
            let mut output = child.stdout.take().ok_or("no output")?;
            while output.read_chunk().await?.is_some() {}
            child.wait().await?;
        }
        ["exec-in", command, file] => send(&place.connect().await?, command, file).await?,
        ["fresh", times] => {
            for _ in 0..times.parse::<u32>()? {
                let ssh = place.connect().await?;
                succeed(&ssh).await?;
                ssh.close().await?;
            }
        }
        ["sequential", times] => {
            let ssh = place.connect().await?;
            for _ in 0..times.parse::<u32>()? {
                succeed(&ssh).await?;
            }
            ssh.close().await?;
        }
        ["at-once", times] => at_once(&place.connect().await?, times.parse()?).await?,
        ["idle", connections] => idle(&place, connections.parse()?).await?,
        ["first-byte"] => {
            let ssh = place.connect().await?;
            let mut child = ssh.command("echo x").stdin(Stdio::null()).spawn().await?;
            let mut output = child.stdout.take().ok_or("no output")?;
            let mut byte = [0];
            output.read_exact(&mut byte).await?;
            let mut stdout = tokio::io::stdout();
            stdout.write_all(&byte).await?;
            stdout.flush().await?;
            ssh.close().await?;
        }
        _ => return Err("unknown work".into()),
    }
    Ok(())
}

/// Where the server is, and how to get in.
struct Place<'a> {
    port: u16,
    user: &'a str,
    key: PrivateKey,
}

impl Place<'_> {
    async fn connect(&self) -> Done<Client> {
        let builder = Client::builder("127.0.0.1", self.port).user(self.user);
        let builder = builder.dangerous().accept_any_host_key();
        Ok(builder.auth(Auth::key(self.key.clone())).connect().await?)
    }
}

async fn succeed(ssh: &Client) -> Done {
    let status = ssh.command("true").status().await?;
    if status.code() == Some(0) { Ok(()) } else { Err(format!("true: {status}").into()) }
}

async fn send(ssh: &Client, command: &str, file: &str) -> Done {
    let mut child = ssh.command(command).stdout(Stdio::null()).spawn().await?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let mut file = tokio::fs::File::open(file).await?;
    file.set_max_buf_size(PIECE);
    let mut piece = vec![0; PIECE];
    loop {
        let count = file.read(&mut piece).await?;
        if count == 0 {
            break;
        }
        input.write_all(piece.get(..count).unwrap_or_default()).await?;
    }
    input.shutdown().await?;
    drop(input);
    child.wait().await?;
    Ok(())
}

async fn at_once(ssh: &Client, times: u32) -> Done {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..times {
        let command = ssh.command("true");
        tasks.spawn(async move { command.status().await });
    }
    while let Some(status) = tasks.join_next().await {
        let status = status??;
        if status.code() != Some(0) {
            return Err(format!("true: {status}").into());
        }
    }
    Ok(())
}

/// Holds connections, and says how much of the process is in memory then, in KiB.
async fn idle(place: &Place<'_>, connections: u32) -> Done {
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push(place.connect().await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    println!("{}", resident.trim().trim_end_matches(" kB"));
    drop(held);
    Ok(())
}
