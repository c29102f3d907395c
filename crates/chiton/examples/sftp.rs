//! Log in with a key file, list a directory, upload and download: the second script of everybody.
//!
//! ```console
//! $ cargo run --example sftp -- alice@example.org ~/.ssh/id_ed25519 local.txt
//! ```

use std::{env, process::ExitCode};

use chiton::{Auth, Client, Error, HostKeys, client::Destination};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sftp: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [destination, key, file] = args.as_slice() else {
        return Err(Error::ApiMisuse("usage: sftp [user@]host[:port] key-file local-file"));
    };
    let destination: Destination = destination.parse()?;

    let mut builder = Client::builder(destination.host, destination.port.unwrap_or(22));
    if let Some(user) = destination.user {
        builder = builder.user(user);
    }
    let ssh =
        builder.host_keys(HostKeys::default_files()?).auth(Auth::key_file(key)).connect().await?;

    let out = ssh.exec("ls -la").await?.ok()?;
    print!("{}", String::from_utf8_lossy(&out.stdout));

    let sftp = ssh.open_sftp().await?;
    let sent = sftp.put(file, "chiton-example").await?;
    println!("uploaded {sent} bytes as chiton-example");
    let received = sftp.get("chiton-example", format!("{file}.back")).await?;
    println!("downloaded {received} bytes as {file}.back");
    sftp.remove_file("chiton-example").await?;
    ssh.close().await
}
