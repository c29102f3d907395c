//! Ends and removes what a test has started, however the test ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A shell that waits until this value, or the whole test process, is gone, and then runs a
/// script.
///
/// Statics are not dropped and a killed test drops nothing; the shell notices both, since its
/// input is a pipe whose other end only this process holds.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
    held: Option<ChildStdin>,
}

impl Guard {
    /// Runs `before` (which may start something in the background) at once and `after` at the
    /// end. Both see `arguments` as `"$@"`.
    ///
    /// # Panics
    /// If there is no shell.
    #[must_use]
    pub fn new(before: &str, after: &str, arguments: &[&str]) -> Self {
        let script = format!("{before}\ncat\n{after}\n");
        let mut shell = Command::new("sh")
            .args(["-c", &script, "guard"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends the tests from the terminal must not end the shell before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("sh runs");
        let held = shell.stdin.take();
        Self { shell, held }
    }

    /// The process id of the shell.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.shell.id()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.held.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("guard: {error}");
        }
    }
}
