//! What the options of an authorized key leave of what the server allows.

use chiton::{Auth, Error, Pty, TerminalModes, WindowSize, keys::authorized_keys::AuthorizedKeys};

use crate::common::{World, key};

/// A server that lets in one more key, with these options.
async fn world(options: &str) -> World {
    let line = key(7).public().to_openssh("options");
    let keys = AuthorizedKeys::parse(format!("{options} {line}").as_bytes());
    assert_eq!(keys.skipped(), []);
    World::with(|builder| builder.authorized_keys(keys)).await
}

fn visitor() -> Auth {
    Auth::key(key(7))
}

#[tokio::test]
async fn the_command_of_the_key_runs_whatever_is_asked_for() {
    let options =
        r#"command="echo forced: $SSH_ORIGINAL_COMMAND $GREETING",environment="GREETING=hello""#;
    let world = world(options).await;
    let client = world.log_in(visitor()).await.unwrap();
    let output = client.exec("rm -rf x").await.unwrap().ok().unwrap();
    assert_eq!(output.stdout, b"forced: rm -rf x hello\n");
    assert!(client.open_sftp().await.is_err(), "what answers is no SFTP server");
    // Another key of the same server is free.
    let output = world.client().await.exec("echo free $GREETING").await.unwrap().ok().unwrap();
    assert_eq!(output.stdout, b"free\n");
}

#[tokio::test]
async fn a_key_may_be_for_files_only() {
    let world = world(r#"restrict,command="internal-sftp""#).await;
    let client = world.log_in(visitor()).await.unwrap();
    let sftp = client.open_sftp().await.unwrap();
    sftp.write("file", b"x").await.unwrap();
    assert_eq!(std::fs::read(world.root.path().join("file")).unwrap(), b"x");
    let output = client.exec("echo no").await.map(|output| output.stdout);
    assert!(output.is_err() || output.is_ok_and(|stdout| stdout != b"no\n"));
}

#[tokio::test]
async fn a_key_may_be_without_a_terminal() {
    for (options, expected) in [("no-pty", false), ("restrict", false), ("restrict,pty", true)] {
        let world = world(options).await;
        let client = world.log_in(visitor()).await.unwrap();
        let size = WindowSize::of_characters(80, 24);
        let pty = Pty { term: b"vt220".into(), size, modes: TerminalModes::default() };
        let result = client.command("true").pty(pty).output().await;
        assert_eq!(result.is_ok(), expected, "{options}: {result:?}");
        client.exec("true").await.unwrap().ok().unwrap();
    }
}

#[tokio::test]
async fn a_key_lets_in_from_where_and_as_long_as_its_line_says() {
    for (options, expected) in [
        ("from=\"127.0.0.0/8\"", true),
        ("from=\"127.*,!127.0.0.1\"", false),
        ("from=\"192.0.2.0/24,*.example.org\"", false),
        ("expiry-time=\"29991231Z\"", true),
        ("expiry-time=\"20200101Z\"", false),
        ("cert-authority", false),
    ] {
        let result = world(options).await.log_in(visitor()).await;
        match result {
            Ok(_) => assert!(expected, "{options}"),
            Err(error) => {
                assert!(!expected && matches!(error, Error::Auth(_)), "{options} {error}")
            }
        }
    }
}

/// A key with options and a password: the options still hold.
#[tokio::test]
async fn a_second_method_does_not_free_from_the_options_of_the_key() {
    let line = key(7).public().to_openssh("options");
    let keys = AuthorizedKeys::parse(format!("command=\"echo forced\" {line}").as_bytes());
    let world =
        World::with(|builder| builder.authorized_keys(keys).require_key_and_password()).await;
    let auth = visitor().or(Auth::key(key(9))).or(Auth::password("right"));
    let output = world.log_in(auth).await.unwrap().exec("echo free").await.unwrap().ok().unwrap();
    assert_eq!(output.stdout, b"forced\n");
}
