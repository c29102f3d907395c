//! Our `ssh-keygen`, `ssh-add`, `ssh-agent` and `ssh-keyscan`, between OpenSSH's `ssh` and `sshd`.

use super::suite::Suite;

const OURS: &[&str] = &["ssh-keygen", "ssh-add", "ssh-agent", "ssh-keyscan"];

/// How often a script calls a program.
type Calls = [(&'static str, usize)];

fn run(script: &str, checks: usize, calls: &Calls) {
    let done = Suite::new(script, OURS).run(checks);
    for (name, times) in calls {
        done.called(name, *times);
    }
}

/// Scripts that need what is not here: what they say, and why it stays so.
const FALL_SHORT: &[(&str, &str, &str)] = &[
    // The script lets the server sign with SHA-1 only, where it has an RSA key: `ssh-keyscan` here
    // asks for no such signature.
    ("keyscan", "ssh-keyscan -t ssh-rsa failed", "RSA with SHA-1"),
    // So is the agent asked here, for the RSA key of a host; all its other keys and certificates
    // are used.
    ("hostkey-agent", "keytype ssh-rsa failed", "RSA with SHA-1"),
    // Primes for servers are made once in years: that is OpenSSH's to do.
    ("keygen-moduli", "keygen screen failed", "-M"),
    // Needs a PKCS#11 module, and programs that load it.
    ("agent-pkcs11", "skipped", "PKCS#11"),
    // Asks the agent for keys as another user, which `sudo` or `doas` has to make of one that is not
    // root.
    ("agent-getpeereid", "running as root", "a user that is not root"),
    // Debugs the agent as another user than root, with `gdb` and a set-group-ID file.
    ("agent-ptrace", "running as root", "a user that is not root"),
];

#[test]
fn what_is_not_here_is_still_not_here() {
    for (script, says, needs) in FALL_SHORT {
        println!("{script} needs {needs}");
        Suite::new(script, OURS).finish().fell_short(says);
    }
}

mod agent {
    use super::run;

    #[test]
    fn agent() {
        run("agent", 0, &[("ssh-add", 44), ("ssh-agent", 4), ("ssh-keygen", 16)]);
    }

    #[test]
    fn agent_timeout() {
        run("agent-timeout", 0, &[("ssh-add", 7), ("ssh-agent", 2), ("ssh-keygen", 5)]);
    }

    #[test]
    fn agent_restrict() {
        run("agent-restrict", 0, &[("ssh-add", 119), ("ssh-agent", 1), ("ssh-keygen", 21)]);
    }

    #[test]
    fn agent_subprocess() {
        run("agent-subprocess", 0, &[("ssh-agent", 1), ("ssh-keygen", 5)]);
    }
}

mod keygen {
    use super::run;

    #[test]
    fn keygen_change() {
        run("keygen-change", 0, &[("ssh-keygen", 15)]);
    }

    #[test]
    fn keygen_comment() {
        run("keygen-comment", 0, &[("ssh-keygen", 77)]);
    }

    #[test]
    fn keygen_convert() {
        run("keygen-convert", 0, &[("ssh-keygen", 36)]);
    }

    #[test]
    fn keygen_knownhosts() {
        run("keygen-knownhosts", 6, &[("ssh-keygen", 39)]);
    }

    #[test]
    fn keygen_sshfp() {
        run("keygen-sshfp", 0, &[("ssh-keygen", 9)]);
    }

    #[test]
    fn krl() {
        run("krl", 11, &[("ssh-keygen", 1253)]);
    }

    #[test]
    fn sshsig() {
        run("sshsig", 13, &[("ssh-add", 20), ("ssh-agent", 2), ("ssh-keygen", 513)]);
    }

    #[test]
    fn cert_file() {
        run("cert-file", 0, &[("ssh-add", 3), ("ssh-agent", 2), ("ssh-keygen", 16)]);
    }

    #[test]
    fn cert_hostkey() {
        run("cert-hostkey", 105, &[("ssh-keygen", 116)]);
    }

    #[test]
    fn cert_userkey() {
        run("cert-userkey", 191, &[("ssh-keygen", 107)]);
    }

    #[test]
    fn hostkey_rotate() {
        run("hostkey-rotate", 0, &[("ssh-keygen", 12)]);
    }

    #[test]
    fn principals_command() {
        run("principals-command", 8, &[("ssh-keygen", 10)]);
    }

    #[test]
    fn limit_keytype() {
        run("limit-keytype", 0, &[("ssh-keygen", 13)]);
    }

    #[test]
    fn knownhosts() {
        run("knownhosts", 0, &[("ssh-keygen", 5)]);
    }

    #[test]
    fn knownhosts_command() {
        run("knownhosts-command", 0, &[("ssh-keygen", 5)]);
    }

    #[test]
    fn keytype() {
        run("keytype", 0, &[("ssh-keygen", 11)]);
    }

    #[test]
    fn multipubkey() {
        run("multipubkey", 0, &[("ssh-keygen", 9)]);
    }

    #[test]
    fn keys_command() {
        run("keys-command", 0, &[("ssh-keygen", 6)]);
    }

    #[test]
    fn authinfo() {
        run("authinfo", 0, &[("ssh-keygen", 5)]);
    }
}
