//! `sftp` and `ssh` at a terminal: what a person sees and types.

use std::{
    fs,
    io::{Read, Write},
    process::Child,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use pty_process::blocking;

use crate::place::{PASSWORD, Place};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program at a terminal, and everything that it has written there.
struct Screen {
    child: Child,
    keyboard: Arc<blocking::Pty>,
    shown: Arc<Mutex<Vec<u8>>>,
    /// What was waited for so far ends here.
    seen: usize,
}

impl Screen {
    fn new(place: &Place, program: &str, args: &[&str]) -> Self {
        let (pty, pts) = blocking::open().unwrap();
        pty.resize(pty_process::Size::new(24, 80)).unwrap();
        let described = place.program(program);
        let mut command = blocking::Command::new(described.get_program())
            .args(described.get_args())
            .args(args)
            .current_dir(place.path("home"))
            .env("TERM", "xterm");
        for (name, value) in described.get_envs() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn(pts).unwrap();
        let (keyboard, shown) = (Arc::new(pty), Arc::new(Mutex::new(Vec::new())));
        let (screen, written) = (Arc::clone(&keyboard), Arc::clone(&shown));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of a terminal is an error on Linux.
            while let Ok(read @ 1..) = (&*screen).read(&mut bytes) {
                written.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Self { child, keyboard, shown, seen: 0 }
    }

    /// Logged in, at the prompt of `sftp`.
    fn sftp(place: &Place) -> Self {
        let key = place.path("key");
        let mut screen = Self::new(place, "sftp", &["-i", key.to_str().unwrap(), "127.0.0.1"]);
        screen.wait_for("sftp> ");
        screen
    }

    fn press(&self, keys: &str) {
        (&*self.keyboard).write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()[self.seen..]).into_owned()
    }

    /// Waits for something new on the screen, and gives everything up to it.
    fn wait_for(&mut self, what: &str) -> String {
        let began = Instant::now();
        loop {
            let text = self.text();
            let found = {
                let shown = self.shown.lock().unwrap();
                let rest = &shown[self.seen..];
                rest.windows(what.len()).position(|window| window == what.as_bytes())
            };
            if let Some(at) = found {
                let from = self.seen;
                self.seen += at + what.len();
                let shown = self.shown.lock().unwrap();
                return String::from_utf8_lossy(&shown[from..self.seen]).into_owned();
            }
            assert!(began.elapsed() < PATIENCE, "no {what:?} in {text:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end of the program.
    fn ends(mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {:?}", self.text());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn names_are_completed_and_lines_are_remembered() {
    let place = Place::new();
    fs::create_dir(place.path("root/a directory")).unwrap();
    fs::write(place.path("root/a directory/some file"), "content").unwrap();
    let mut screen = Screen::sftp(&place);
    screen.press("cd a\t");
    screen.wait_for("directory");
    screen.press("\r");
    screen.wait_for("sftp> ");
    screen.press("get so\t");
    screen.wait_for("file");
    screen.press("\r");
    screen.wait_for("Fetching /a directory/some file to some file\r\n");
    screen.wait_for("100%");
    screen.wait_for("sftp> ");
    assert_eq!(fs::read(place.path("home/some file")).unwrap(), b"content");
    fs::remove_file(place.path("home/some file")).unwrap();
    // The line before, once more.
    screen.press("\x1b[A\r");
    screen.wait_for("100%");
    screen.wait_for("sftp> ");
    assert_eq!(fs::read(place.path("home/some file")).unwrap(), b"content");
    // A line is given up, the program is not.
    screen.press("rm so\x03");
    screen.wait_for("rm so");
    screen.wait_for("sftp> ");
    screen.press("pwd\r");
    screen.wait_for("Remote working directory: /a directory");
    screen.wait_for("sftp> ");
    screen.press("\x04");
    assert_eq!(screen.ends(), 0);
}

#[test]
fn a_transfer_that_is_broken_off_leaves_a_beginning_and_the_prompt() {
    let place = Place::new();
    let content: Vec<u8> = (0..6_000_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(place.path("root/file"), &content).unwrap();
    let key = place.path("key");
    // Kilobits a second.
    let args = ["-l", "16000", "-i", key.to_str().unwrap(), "127.0.0.1"];
    let mut screen = Screen::new(&place, "sftp", &args);
    screen.wait_for("sftp> ");
    for (command, target) in [("get", "home/file"), ("put", "root/up")] {
        screen.press(if command == "get" { "get file\r" } else { "put file up\r" });
        // A bar is drawn.
        screen.wait_for("%");
        let began = Instant::now();
        while fs::metadata(place.path(target)).map_or(0, |file| file.len()) < 500_000 {
            assert!(began.elapsed() < PATIENCE, "{:?}", screen.text());
            thread::sleep(Duration::from_millis(5));
        }
        screen.press("\x03");
        let said = screen.wait_for("sftp> ");
        assert!(said.contains(&format!("re{command} goes on")), "{said}");
        let there = fs::read(place.path(target)).unwrap();
        assert!(!there.is_empty() && there.len() < content.len(), "{}", there.len());
        assert!(content.starts_with(&there));
        screen.press(if command == "get" { "reget file\r" } else { "reput file up\r" });
        let said = screen.wait_for("sftp> ");
        assert!(said.contains("100%"), "{said}");
        assert!(fs::read(place.path(target)).unwrap() == content);
    }
    screen.press("bye\r");
    assert_eq!(screen.ends(), 0);
}

#[test]
fn an_unknown_host_and_a_password_are_asked_for() {
    let place = Place::new();
    fs::write(place.path("known_hosts"), "# none\nnot a line\n").unwrap();
    let mut screen = Screen::new(&place, "ssh", &["127.0.0.1", "echo $((6*7)) there"]);
    let said = screen.wait_for("(yes/no");
    assert!(said.contains("known_hosts:2: ") && said.contains("counts for nothing"), "{said}");
    screen.press("yes\r");
    screen.wait_for("assword");
    screen.press("wrong\r");
    screen.wait_for("assword");
    screen.press(&format!("{PASSWORD}\r"));
    let said = screen.wait_for("42 there");
    assert!(!said.contains(PASSWORD) && !said.contains("wrong"), "{said}");
    assert_eq!(screen.ends(), 0);
    let known = fs::read_to_string(place.path("known_hosts")).unwrap();
    assert!(known.contains("[127.0.0.1]:"), "{known}");
}

#[test]
fn a_shell_has_the_terminal_and_gives_it_back() {
    let place = Place::new();
    let key = place.path("key");
    let mut screen = Screen::new(&place, "ssh", &["-tt", "-i", key.to_str().unwrap(), "127.0.0.1"]);
    screen.press("stty size; tty -s && echo is-a\\-tty\r");
    screen.wait_for("24 80");
    screen.wait_for("is-a-tty");
    screen.press("exit 7\r");
    assert_eq!(screen.ends(), 7);
}
