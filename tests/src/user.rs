//! A local user with a password, for as long as the test process runs.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::guard::Guard;
use crate::sshd::is_root;

/// A user that can log in with a password.
#[derive(Debug)]
pub struct User {
    name: String,
    _guard: Guard,
}

impl User {
    /// The password.
    pub const PASSWORD: &'static str = "a pass word with \u{e9}";

    /// The user of this process.
    ///
    /// # Panics
    /// If the tests do not run as root, or the user cannot be made.
    pub fn get() -> &'static Self {
        static USER: OnceLock<User> = OnceLock::new();
        USER.get_or_init(Self::create)
    }

    fn create() -> Self {
        assert!(
            is_root(),
            "logging in to sshd with a password needs a local user that has one, which only root \
             can make: run these tests as root (sudo -E cargo xtask test)"
        );
        let name = format!("chiton{}", std::process::id());
        let guard = Guard::new("", "userdel -f \"$1\"", &[&name]);
        let mut add = Command::new("useradd");
        add.args(["--no-create-home", "--no-user-group", "--home-dir", "/tmp"]);
        let output = add.args(["--shell", "/bin/sh", &name]).output().expect("useradd runs");
        assert!(output.status.success(), "{add:?}: {output:?}");

        let mut set =
            Command::new("chpasswd").stdin(Stdio::piped()).spawn().expect("chpasswd runs");
        let line = format!("{name}:{}\n", Self::PASSWORD);
        set.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        assert!(set.wait().unwrap().success(), "chpasswd failed");
        Self { name, _guard: guard }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
