//! How often the client waits for the link, counted in virtual time: on a long link that is what
//! everything takes. TCP's own round trip is not in these figures.

mod link;
mod server;

use std::{fs, path::PathBuf, time::Duration};

use chiton::{Auth, Client, HostKeys, sftp::Extension};
use chiton_tests::keys::Keys;
use link::Link;
use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::Config;
use tokio::{
    io::AsyncWriteExt,
    task::JoinHandle,
    time::{Instant, timeout},
};

const ROUND_TRIP: Duration = Duration::from_millis(100);

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const LONG: Link = Link { round_trip: ROUND_TRIP, rate: None };

/// One that holds less than the windows do.
const NARROW: Link = Link { round_trip: ROUND_TRIP, rate: Some(8_000_000) };

fn key(seed: u64) -> PrivateKey {
    PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(seed)).unwrap()
}

/// What differs between the tests.
struct Plan {
    link: Link,
    server: Config,
    guess: bool,
    auth: Auth,
    /// Bytes after which the client renews the keys.
    rekey_after: u64,
    /// What the server's SFTP serves.
    folder: PathBuf,
}

impl Plan {
    fn new(link: Link) -> Self {
        let auth = Auth::key(key(2));
        let (server, folder) = (Config::default(), PathBuf::new());
        Self { link, server, guess: false, auth, rekey_after: 1 << 30, folder }
    }

    async fn connect(self) -> (Client, JoinHandle<usize>) {
        let host_key = key(1);
        let (ours, theirs) = self.link.lay();
        let server =
            tokio::spawn(server::serve(theirs, self.server, host_key.clone(), self.folder));
        let mut builder = Client::builder("host", 22)
            .user("alice")
            .host_keys(HostKeys::exactly(host_key.public().clone()))
            .auth(self.auth)
            .rekey_after(self.rekey_after);
        if self.guess {
            builder = builder.guess_key_exchange();
        }
        (builder.connect_over(ours).await.unwrap(), server)
    }
}

/// Round trips since `start`, to the tenth.
fn round_trips(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() / ROUND_TRIP.as_secs_f64() * 10.0).round() / 10.0
}

/// From nothing to the first byte of a command.
async fn to_the_first_byte(plan: Plan) -> f64 {
    let start = Instant::now();
    let (ssh, _server) = plan.connect().await;
    let mut child = ssh.command("source 1").spawn().await.unwrap();
    child.stdout.as_mut().unwrap().read_chunk().await.unwrap();
    round_trips(start)
}

/// Identification and KEXINIT, the exchange, service and login, channel, command.
#[tokio::test(start_paused = true)]
async fn the_first_byte_of_a_command_comes_after_five_round_trips() {
    assert_eq!(to_the_first_byte(Plan::new(LONG)).await, 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_password_and_a_key_file_take_no_longer() {
    let auth = Auth::password(server::PASSWORD);
    assert_eq!(to_the_first_byte(Plan { auth, ..Plan::new(LONG) }).await, 5.0);
    let auth = Auth::key_file(Keys::get().user("ed25519"));
    assert_eq!(to_the_first_byte(Plan { auth, ..Plan::new(LONG) }).await, 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_right_guess_of_the_key_exchange_saves_one() {
    let plan = Plan { guess: true, ..Plan::new(LONG) };
    assert_eq!(to_the_first_byte(plan).await, 4.0);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_guess_costs_none() {
    let mut plan = Plan { guess: true, ..Plan::new(LONG) };
    plan.server.preferences.set_kex("^ecdh-sha2-nistp256").unwrap();
    assert_eq!(to_the_first_byte(plan).await, 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_further_command_takes_two_and_many_at_once_no_more() {
    let (ssh, _server) = Plan::new(LONG).connect().await;
    for _ in 0..3 {
        let start = Instant::now();
        ssh.exec("source 1").await.unwrap().ok().unwrap();
        assert_eq!(round_trips(start), 2.0);
    }
    let start = Instant::now();
    let all = (0..100).map(|_| {
        let ssh = ssh.clone();
        tokio::spawn(async move { ssh.exec("source 1").await.unwrap().ok().unwrap() })
    });
    for task in all.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(round_trips(start), 2.0);
}

/// What moving a small file takes after the login, up and down, in round trips. Without a thread,
/// since paused time stands still as long as there is one.
async fn a_file_each_way(ahead: bool) -> (f64, f64) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let local = here.path().join("file");
    fs::write(&local, [7; 100]).unwrap();
    let open = async || {
        let plan = Plan { folder: there.path().to_owned(), ..Plan::new(LONG) };
        let (ssh, _server) = plan.connect().await;
        let start = Instant::now();
        let sftp = if ahead { ssh.open_sftp_ahead().await } else { ssh.open_sftp().await };
        (sftp.unwrap(), start)
    };
    let (sftp, start) = open().await;
    assert_eq!(sftp.put(&local, "/file").on_this_thread(true).await.unwrap(), 100);
    let up = round_trips(start);
    let (sftp, start) = open().await;
    let get = sftp.get("/file", here.path().join("back")).on_this_thread(true);
    assert_eq!(get.await.unwrap(), 100);
    (up, round_trips(start))
}

/// Channel; subsystem with INIT and the limits; OPEN; READ, or WRITE with CLOSE right behind. A
/// download begun ahead asks for its file together with INIT.
#[tokio::test(start_paused = true)]
async fn a_small_file_takes_four_round_trips_after_the_login_and_three_down_ahead() {
    assert_eq!(a_file_each_way(false).await, (4.0, 4.0));
    assert_eq!(a_file_each_way(true).await, (4.0, 3.0));
}

#[tokio::test(start_paused = true)]
async fn a_question_ahead_is_answered_with_the_start_of_the_session() {
    let there = tempfile::tempdir().unwrap();
    let plan = Plan { folder: there.path().to_owned(), ..Plan::new(LONG) };
    let (ssh, _server) = plan.connect().await;
    let start = Instant::now();
    let sftp = ssh.open_sftp_ahead().await.unwrap();
    assert_eq!(round_trips(start), 1.0);
    assert!(!sftp.has(Extension::PosixRename), "not known yet");
    assert!(sftp.metadata("/").await.unwrap().is_dir());
    assert_eq!(round_trips(start), 2.0);
    sftp.begun().await.unwrap();
    assert!(sftp.has(Extension::PosixRename));
    assert_eq!(round_trips(start), 2.0);
}

/// How long `bytes` take in one direction, in round trips, and how many exchanges of keys were
/// among them.
async fn transfer(plan: Plan, upload: bool, bytes: usize) -> (f64, usize) {
    let (ssh, server) = plan.connect().await;
    let start = Instant::now();
    if upload {
        let mut child = ssh.command("sink").spawn().await.unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let piece = vec![0; 256 * 1024];
        for _ in 0..bytes / piece.len() {
            stdin.write_all(&piece).await.unwrap();
        }
        drop(stdin);
        assert_eq!(child.stdout.as_mut().unwrap().read_all().await.unwrap(), b".");
    } else {
        let mut child = ssh.command(format!("source {bytes}")).spawn().await.unwrap();
        let mut received = 0;
        while let Some(piece) = child.stdout.as_mut().unwrap().read_chunk().await.unwrap() {
            received += piece.len();
        }
        assert_eq!(received, bytes);
    }
    let took = round_trips(start);
    drop(ssh);
    (took, timeout(PATIENCE, server).await.unwrap().unwrap())
}

/// Between our KEXINIT and our NEWKEYS nothing of the layers above may be sent (RFC 4253 §7.1):
/// neither data up nor credit for data down. That is one round trip and not two, since the client
/// knows by then what the server prefers, and sends the first message of the exchange ahead.
#[tokio::test(start_paused = true)]
async fn new_keys_stall_a_transfer_for_one_round_trip() {
    for upload in [true, false] {
        let (without, none) = transfer(Plan::new(NARROW), upload, 16 << 20).await;
        assert_eq!(none, 0);
        let plan = Plan { rekey_after: 4 << 20, ..Plan::new(NARROW) };
        let (with, rekeys) = transfer(plan, upload, 16 << 20).await;
        assert!((2..=4).contains(&rekeys), "{rekeys} rekeys");
        let stalled = (with - without) / rekeys as f64;
        assert!(stalled <= 1.1, "{with} round trips with {rekeys} rekeys, {without} without");
    }
}
