//! What is installed into the system, since it is in Debian 12.

use std::path::Path;
use std::process::Command;

use super::apt;
use crate::command::{Done, Failure, output, stdout};

/// Programs that the tests run, and the packages that have them.
const PROGRAMS: [(&str, &str); 11] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/bin/sftp", "openssh-client"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/lib/openssh/sftp-server", "openssh-sftp-server"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/lftp", "lftp"),
    ("/usr/bin/rclone", "rclone"),
    ("/usr/bin/sshfs", "sshfs"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// Modules of Python that a virtual environment needs, and a library that AsyncSSH loads for UMAC.
const PYTHON: &str = "import ensurepip, ctypes.util, sys; \
                      sys.exit(not ctypes.util.find_library('nettle'))";

/// The packages for [`PYTHON`].
const PYTHON_PACKAGES: [&str; 2] = ["python3-venv", "libnettle8"];

/// Installs Debian's OpenSSH, and other clients of SFTP, where they are missing.
pub(super) fn install() -> Done {
    let mut missing: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| package)
        .collect();
    if !matches!(output(Command::new("python3").args(["-c", PYTHON])), Ok((true, ..))) {
        missing.extend(PYTHON_PACKAGES);
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = stdout(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let is_debian = Path::new("/etc/debian_version").exists();
    if !(is_root && is_debian) {
        return Err(Failure::new(format!(
            "the interop tests need other implementations, and some are missing. Install them \
             with:\n    sudo apt-get install {}\n(or the packages of your system that have the \
             same programs), then run this again",
            missing.join(" "),
        )));
    }
    apt::install(&missing)
}

/// Whether a program is at its path, or somewhere on the search path.
fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}
