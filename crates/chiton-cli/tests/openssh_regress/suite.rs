//! One script of the suite, in a folder of its own.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use tempfile::TempDir;

/// A script that takes longer than this, in seconds, is killed, and the test fails.
const LIMIT: &str = "300";

/// The programs that can be ours: the variable that names one to the suite, the name, and
/// OpenSSH's own.
const PROGRAMS: [(&str, &str, &str); 7] = [
    ("TEST_SSH_SFTP", "sftp", "/usr/bin/sftp"),
    ("TEST_SSH_SCP", "scp", "/usr/bin/scp"),
    ("TEST_SSH_SFTPSERVER", "sftp-server", "/usr/lib/openssh/sftp-server"),
    ("TEST_SSH_SSHKEYGEN", "ssh-keygen", "/usr/bin/ssh-keygen"),
    ("TEST_SSH_SSHADD", "ssh-add", "/usr/bin/ssh-add"),
    ("TEST_SSH_SSHAGENT", "ssh-agent", "/usr/bin/ssh-agent"),
    ("TEST_SSH_SSHKEYSCAN", "ssh-keyscan", "/usr/bin/ssh-keyscan"),
];

/// OpenSSH's `ssh`, which names to the suite only what both sides have: no DSA, no RSA with SHA-1,
/// and no keys in tokens, for which there is no token here.
const SSH: &str = "\
#!/bin/sh
case \" $* \" in
*' -Q key-plain '*) /usr/bin/ssh \"$@\" | grep -v -e dss -e ^sk- ;;
*' -Q key-sig '*) /usr/bin/ssh \"$@\" | grep -v -e dss -e ^sk- -e ^ssh-rsa ;;
*) exec /usr/bin/ssh \"$@\" ;;
esac
";

/// A folder that is ready to run a script in.
#[derive(Debug)]
pub(crate) struct Suite {
    script: String,
    folder: TempDir,
    /// The names of the programs that are ours; the others are OpenSSH's.
    ours: &'static [&'static str],
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    folder: TempDir,
    status: ExitStatus,
    said: String,
    report: String,
}

/// Where `cargo xtask peers` unpacks the suite.
fn scripts() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).unwrap();
    let scripts = root.join("target/peers/openssh-9.2-tests/usr/lib/openssh/regress");
    assert!(
        scripts.join("test-exec.sh").exists(),
        "OpenSSH's regression tests are missing in {}: run `cargo xtask peers`, which fetches \
         them or says what to do",
        scripts.display()
    );
    scripts
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

impl Suite {
    pub(crate) fn new(script: &str, ours: &'static [&'static str]) -> Self {
        let folder = tempfile::Builder::new().prefix("regress-").tempdir().unwrap();
        let root = folder.path();
        for name in ["obj", "bin", "real", "home"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        // sshd looks into the folder as another user.
        fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(scripts()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), root.join("obj").join(entry.file_name())).unwrap();
            }
        }
        // Each program by its own name, behind a script that counts how often it is called.
        for name in ours {
            let (real, script) = (root.join("real").join(name), root.join("bin").join(name));
            symlink(env!("CARGO_BIN_EXE_chiton"), &real).unwrap();
            let calls = root.join("calls");
            let text = format!(
                "#!/bin/sh\necho {name} >>{}\nexec {} \"$@\"\n",
                calls.display(),
                real.display()
            );
            write_program(&script, &text);
        }
        Self { script: script.to_owned(), folder, ours }
    }

    /// Runs the script to its end, in which it must make so many checks, all of which succeed.
    pub(crate) fn run(self, checks: usize) -> Done {
        let script = self.script.clone();
        let done = self.finish();
        let report = &done.report;
        assert!(done.status.success(), "{script} ended with {}:\n{report}", done.status);
        assert!(!done.was_skipped(), "something was skipped:\n{report}");
        let last = done.said.lines().last().unwrap_or_default();
        assert!(last.starts_with("ok "), "no verdict:\n{report}");
        let made = done.said.lines().filter(|line| line.contains(": ")).count();
        assert_eq!(made, checks, "so many checks were made:\n{report}");
        done
    }

    /// Runs the script to its end, whatever comes of it.
    pub(crate) fn finish(self) -> Done {
        let root = self.folder.path();
        let (obj, bin) = (root.join("obj"), root.join("bin"));
        let script = obj.join(format!("{}.sh", self.script));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{path}:/usr/local/sbin:/usr/sbin:/sbin");
        // Shells of the server read no settings of whoever runs the tests. The first SetEnv counts.
        let server =
            format!("SetEnv HOME={} PATH={}:{path}", root.join("home").display(), bin.display());
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", LIMIT, "sh"])
            .arg(obj.join("test-exec.sh"))
            .arg(&obj)
            .arg(&script)
            .env_clear()
            .env("PATH", &path)
            .env("HOME", root.join("home"))
            .env("BUILDDIR", &obj)
            .env("TEST_SHELL", "sh")
            .env("TEST_SSH_UNSAFE_PERMISSIONS", "1")
            .env("TEST_SSH_PORT", free_port().to_string())
            .env("TEST_SSH_SSHD_CONFOPTS", server)
            .current_dir(&obj)
            .stdin(Stdio::null());
        for (variable, name, theirs) in PROGRAMS {
            let ours = self.ours.contains(&name);
            command.env(variable, if ours { bin.join(name) } else { theirs.into() });
        }
        if self.ours.contains(&"ssh-keygen") {
            // Some scripts ask for algorithms by the plain name.
            write_program(&bin.join("ssh"), SSH);
            command.env("TEST_SSH_SSH", bin.join("ssh"));
            command.env("PATH", format!("{}:{path}", bin.display()));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let log = |name: &str| {
            let text = fs::read(obj.join(name)).unwrap_or_default();
            format!("--- {name}\n{}\n", String::from_utf8_lossy(&text))
        };
        let report = format!("{said}\n--- stderr\n{errors}\n{}", log("failed-regress.log"));
        Done { folder: self.folder, status: output.status, said, report }
    }
}

impl Done {
    fn was_skipped(&self) -> bool {
        self.said.to_lowercase().contains("skipped")
    }

    /// Makes sure that our program `name` was run so many times.
    pub(crate) fn called(&self, name: &str, times: usize) -> &Self {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        assert_eq!(calls.lines().filter(|line| *line == name).count(), times, "calls of {name}");
        self
    }

    /// Makes sure that it did not pass, and said why.
    pub(crate) fn fell_short(&self, why: &str) {
        let passed = self.status.success() && !self.was_skipped();
        assert!(!passed, "this passes now; take it off the list:\n{}", self.report);
        assert!(
            self.report.contains(why),
            "it says something else than \"{why}\":\n{}",
            self.report
        );
    }
}
