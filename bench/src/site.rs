//! Where everything happens: a folder in memory with keys and files, which is gone afterwards.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::failure::{Done, Failure};

/// How much is moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Bytes of the one large file.
    pub(crate) big: u64,
    /// Bytes of the file for the long link.
    pub(crate) medium: u64,
    /// Files of 4 KiB on loopback.
    pub(crate) many: u32,
    /// Files of 4 KiB over the long link.
    pub(crate) few: u32,
    pub(crate) fresh: u32,
    pub(crate) sequential: u32,
    pub(crate) at_once: u32,
    pub(crate) idle: u32,
}

impl Sizes {
    pub(crate) const FULL: Self = Self {
        big: 1 << 30,
        medium: 64 << 20,
        many: 2000,
        few: 200,
        fresh: 50,
        sequential: 1000,
        at_once: 200,
        idle: 500,
    };
    /// For a first look: the bulk rows move a quarter.
    pub(crate) const QUICK: Self = Self { big: 256 << 20, fresh: 20, idle: 100, ..Self::FULL };
}

/// The size of a small file.
pub(crate) const SMALL: usize = 4096;

/// The folder.
#[derive(Debug)]
pub(crate) struct Site {
    folder: PathBuf,
    pub(crate) user: String,
    // Fields are dropped in this order, and nothing may need the folder by then.
    _cleaner: Guard,
}

impl Site {
    /// Makes keys and files.
    pub(crate) fn make(sizes: &Sizes) -> Done<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new()
            .prefix("chiton-bench-")
            .tempdir_in(&parent)
            .map_err(Failure::file(&parent))?
            .keep();
        let cleaner = Guard::new("true", "rm -rf \"$1\"", &[&text(&folder)?])?;
        let user = stdout(Command::new("id").arg("-un"))?.trim().to_owned();
        let site = Self { folder, user, _cleaner: cleaner };
        for folder in ["data/many", "data/few", "work", "home", "scratch"] {
            let folder = site.folder.join(folder);
            fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        }
        for name in ["host_ed25519", "user_ed25519"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]);
            stdout(keygen.arg(site.folder.join(name)))?;
        }
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        site.file("data/big", sizes.big, &mut noise)?;
        site.file("data/medium", sizes.medium, &mut noise)?;
        for (folder, count) in [("many", sizes.many), ("few", sizes.few)] {
            for index in 0..count {
                let size = u64::try_from(SMALL).unwrap_or_default();
                site.file(&format!("data/{folder}/{index:04}"), size, &mut noise)?;
            }
        }
        Ok(site)
    }

    fn file(&self, name: &str, size: u64, noise: &mut Noise) -> Done {
        let path = self.folder.join(name);
        let mut file = fs::File::create(&path).map_err(Failure::file(&path))?;
        let mut rest = size;
        while rest > 0 {
            let block = noise.block();
            let count = block.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
            file.write_all(block.get(..count).unwrap_or_default()).map_err(Failure::file(&path))?;
            rest -= u64::try_from(count).unwrap_or(rest);
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Files to send and to fetch.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.join("data").join(name)
    }

    /// Where files arrive.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Files of the benchmark itself.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    pub(crate) fn host_key(&self) -> PathBuf {
        self.folder.join("host_ed25519")
    }

    pub(crate) fn user_key(&self) -> PathBuf {
        self.folder.join("user_ed25519")
    }

    /// The line of `known_hosts` for the server on `port`.
    pub(crate) fn known_hosts_line(&self, port: u16) -> Done<String> {
        let path = self.host_key().with_extension("pub");
        let key = fs::read_to_string(&path).map_err(Failure::file(&path))?;
        Ok(format!("[127.0.0.1]:{port} {}\n", key.trim()))
    }
}

/// Numbers that no compression makes smaller.
struct Noise(u64);

impl Noise {
    fn block(&mut self) -> Vec<u8> {
        let mut block = Vec::with_capacity(SMALL);
        while block.len() < SMALL {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            block.extend_from_slice(&self.0.to_le_bytes());
        }
        block
    }
}

/// A shell that waits until this value, or the whole process, is gone, and then cleans up: its
/// input is a pipe whose other end only this process holds.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    held: Option<ChildStdin>,
}

impl Guard {
    /// Runs `before` (which may start something in the background) at once and `after` at the end;
    /// both see `arguments` as `"$@"`.
    pub(crate) fn new(before: &str, after: &str, arguments: &[&str]) -> Done<Self> {
        use std::os::unix::process::CommandExt as _;
        let script = format!("{before}\ncat\n{after}\n");
        let mut shell = Command::new("sh")
            .args(["-c", &script, "guard"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What interrupts the benchmark must not end the shell before it has cleaned up.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::new(format!("sh: {error}")))?;
        let held = shell.stdin.take();
        Ok(Self { shell, held })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.held.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("bench: {error}");
        }
    }
}

/// A path for configurations and command lines.
pub(crate) fn text(path: &Path) -> Done<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("{} is not UTF-8", path.display())))
}

/// What `command` writes; its failure is a failure.
pub(crate) fn stdout(command: &mut Command) -> Done<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| Failure::new(format!("{name}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        return Err(Failure::new(format!("{name}: {} ({})", output.status, last.join(" / "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
