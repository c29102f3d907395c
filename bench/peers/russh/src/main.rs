//! What `cargo xtask bench` has russh do, tuned: no delay, a window of 32 MiB, 48 reads or 64
//! writes of 256 KiB under way, 32 files at once. The command line is in `bench/src/peers/library.rs`.

use std::{error::Error, io, path::Path, sync::Arc};

use russh::{
    ChannelMsg, Disconnect, Preferred, cipher,
    client::{self, Handle, Handler},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key},
};
use russh_sftp::client::{Config as SftpConfig, SftpSession};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    task::JoinSet,
};

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Files that are moved at the same time.
const AT_ONCE: usize = 32;

struct Accept;

impl Handler for Accept {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// Where the server is, and how to get in.
struct Place {
    port: u16,
    user: String,
    key: Arc<PrivateKey>,
}

impl Place {
    async fn connect(&self) -> Done<Handle<Accept>> {
        // Its defaults leave the fastest out.
        let mut preferred = Preferred::DEFAULT;
        preferred.cipher.to_mut().insert(0, cipher::AES_128_GCM);
        let config = client::Config {
            preferred,
            nodelay: true,
            window_size: 32 << 20,
            ..Default::default()
        };
        let address = ("127.0.0.1", self.port);
        let mut session = client::connect(Arc::new(config), address, Accept).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.key), None);
        if !session.authenticate_publickey(&self.user, key).await?.success() {
            return Err("not let in".into());
        }
        Ok(session)
    }

    async fn sftp(&self) -> Done<SftpSession> {
        // Dropping the handle of the connection does not end it while a channel lives.
        let session = self.connect().await?;
        let channel = session.channel_open_session().await?;
        channel.request_subsystem(true, "sftp").await?;
        let config = SftpConfig {
            max_packet_len: 256 << 10,
            // 12 MiB, what the long link holds. With more, sshd copies what waits in it about so
            // much that it is twice as slow.
            max_concurrent_reads: 48,
            max_concurrent_writes: 64,
            max_write_packet_len: 256 << 10,
            request_timeout_secs: 60,
        };
        Ok(SftpSession::new_with_config(channel.into_stream(), config).await?)
    }
}

async fn run_command(session: &Handle<Accept>, command: &str) -> Done<(u64, u32)> {
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    let (mut bytes, mut status) = (0, None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => bytes += data.len() as u64,
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    Ok((bytes, status.ok_or("no exit status")?))
}

async fn succeed(session: &Handle<Accept>, command: &str) -> Done<u64> {
    match run_command(session, command).await? {
        (bytes, 0) => Ok(bytes),
        (_, status) => Err(format!("{command}: {status}").into()),
    }
}

async fn get(sftp: &SftpSession, from: &str, to: &Path) -> Done {
    let mut remote = sftp.open(from).await?;
    let mut local = fs::File::create(to).await?;
    local.set_max_buf_size(1 << 20);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = remote.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        local.write_all(&buffer[..count]).await?;
    }
    local.flush().await?;
    Ok(remote.close().await?)
}

async fn put(sftp: &SftpSession, from: &Path, to: &str) -> Done {
    let mut local = fs::File::open(from).await?;
    local.set_max_buf_size(1 << 20);
    let mut remote = sftp.create(to).await?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = local.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        remote.write_all(&buffer[..count]).await?;
    }
    Ok(remote.close().await?)
}

async fn many(sftp: SftpSession, names: Vec<String>, from: String, to: String, up: bool) -> Done {
    let sftp = Arc::new(sftp);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for name in names {
        let place = Arc::clone(&places).acquire_owned().await?;
        let sftp = Arc::clone(&sftp);
        let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
        tasks.spawn(async move {
            let done = if up {
                put(&sftp, Path::new(&from), &to).await
            } else {
                get(&sftp, &from, Path::new(&to)).await
            };
            drop(place);
            done
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn resident() -> Done<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

async fn end(session: &Handle<Accept>) -> Done {
    Ok(session.disconnect(Disconnect::ByApplication, "", "").await?)
}

async fn work(place: &Place, words: &[String]) -> Done {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["get", from, to] => get(&place.sftp().await?, from, Path::new(to)).await,
        ["put", from, to] => put(&place.sftp().await?, Path::new(from), to).await,
        ["get-many", from, to] => {
            let sftp = place.sftp().await?;
            std::fs::create_dir(to)?;
            let names = sftp.read_dir(from).await?.map(|entry| entry.file_name()).collect();
            many(sftp, names, from.into(), to.into(), false).await
        }
        ["put-many", from, to] => {
            let sftp = place.sftp().await?;
            sftp.create_dir(to).await?;
            let names: io::Result<Vec<String>> = std::fs::read_dir(from)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect();
            many(sftp, names?, from.into(), to.into(), true).await
        }
        ["exec-out", command] => {
            let session = place.connect().await?;
            succeed(&session, command).await?;
            end(&session).await
        }
        ["exec-in", command, file] => {
            let session = place.connect().await?;
            let mut channel = session.channel_open_session().await?;
            channel.exec(true, command).await?;
            let mut local = fs::File::open(file).await?;
            local.set_max_buf_size(1 << 20);
            let mut writer = channel.make_writer();
            let mut buffer = vec![0; 256 << 10];
            loop {
                let count = local.read(&mut buffer).await?;
                if count == 0 {
                    break;
                }
                writer.write_all(&buffer[..count]).await?;
            }
            writer.shutdown().await?;
            while channel.wait().await.is_some() {}
            end(&session).await
        }
        ["fresh", count] => {
            for _ in 0..count.parse::<u32>()? {
                let session = place.connect().await?;
                succeed(&session, "true").await?;
                end(&session).await?;
            }
            Ok(())
        }
        ["sequential", count] => {
            let session = place.connect().await?;
            for _ in 0..count.parse::<u32>()? {
                succeed(&session, "true").await?;
            }
            end(&session).await
        }
        ["at-once", count] => {
            let session = Arc::new(place.connect().await?);
            let mut tasks = JoinSet::new();
            for _ in 0..count.parse::<u32>()? {
                let session = Arc::clone(&session);
                tasks.spawn(async move { succeed(&session, "true").await });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            end(&session).await
        }
        ["idle", count] => {
            let mut sessions = Vec::new();
            for _ in 0..count.parse::<u32>()? {
                sessions.push(place.connect().await?);
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            println!("{}", resident()?);
            Ok(())
        }
        ["first-byte"] => {
            let session = place.connect().await?;
            let mut channel = session.channel_open_session().await?;
            channel.exec(true, "echo x").await?;
            while let Some(message) = channel.wait().await {
                if let ChannelMsg::Data { data } = message {
                    let mut stdout = tokio::io::stdout();
                    stdout.write_all(&data).await?;
                    stdout.flush().await?;
                }
            }
            end(&session).await
        }
        _ => Err("unknown work".into()),
    }
}

#[tokio::main]
async fn main() -> Done {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, user, key, rest @ ..] = words.as_slice() else {
        return Err("usage: bench-russh PORT USER KEY WORK…".into());
    };
    let key = Arc::new(load_secret_key(key, None)?);
    let place = Place { port: port.parse()?, user: user.clone(), key };
    work(&place, rest).await
}
