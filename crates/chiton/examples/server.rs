//! A server for this machine only, with commands and the files of one directory.
//!
//! ```console
//! $ PASSWORD=… cargo run --example server -- DIRECTORY
//! $ ssh -p 2222 guest@127.0.0.1
//! $ sftp -P 2222 guest@127.0.0.1
//! ```

use std::{env, error::Error, process::ExitCode};

use chiton::{
    keys::{KeyType, PrivateKey},
    server::Server,
};
use ssh_crypto::rng::SystemRng;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let (Some(directory), Ok(password)) = (env::args().nth(1), env::var("PASSWORD")) else {
        eprintln!("usage: server DIRECTORY, PASSWORD in the environment");
        return ExitCode::FAILURE;
    };
    match serve(&directory, password).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(directory: &str, password: String) -> Result<(), Box<dyn Error>> {
    // A key of its own for each run; a real server keeps one in a file.
    let host_key = PrivateKey::generate(KeyType::Ed25519, &mut SystemRng)?;
    println!("host key: {}", host_key.public().fingerprint());
    let server = Server::builder()
        .host_key(host_key)
        .password("guest", password)
        .sftp_root(directory)
        .allow_exec(true)
        .on_event(|event| println!("{event}"))
        .serve(TcpListener::bind("127.0.0.1:2222").await?)?;
    println!("listening on {}", server.local_addr());
    server.wait().await;
    Ok(())
}
