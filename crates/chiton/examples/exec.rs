//! Log in with a password and run a command: the first script of everybody.
//!
//! ```console
//! $ PASSWORD=… cargo run --example exec -- alice@example.org uname -a
//! ```

use std::{env, process::ExitCode};

use chiton::{Auth, Client, Error, HostKeys, client::Destination};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("exec: {error}");
            ExitCode::from(255)
        }
    }
}

async fn run() -> Result<u32, Error> {
    let mut args = env::args().skip(1);
    let usage =
        Error::ApiMisuse("usage: exec [user@]host[:port] command…, PASSWORD in the environment");
    let (Some(destination), Ok(password)) = (args.next(), env::var("PASSWORD")) else {
        return Err(usage);
    };
    let command = args.collect::<Vec<_>>().join(" ");
    let destination: Destination = destination.parse()?;

    let mut builder = Client::builder(destination.host, destination.port.unwrap_or(22));
    if let Some(user) = destination.user {
        builder = builder.user(user);
    }
    let ssh = builder
        .host_keys(HostKeys::default_files()?)
        .auth(Auth::password(password))
        .connect()
        .await?;

    let out = ssh.exec(command).await?;
    print!("{}", String::from_utf8_lossy(&out.stdout));
    eprint!("{}", String::from_utf8_lossy(&out.stderr));
    ssh.close().await?;
    // A command without a status, or ended by a signal, did not succeed.
    Ok(out.status.code().unwrap_or(255))
}
