//! OpenSSH's own regression tests of `sftp` and `scp`, of keys, certificates and agents, run with
//! our programs in place of theirs.
//!
//! The scripts are those of Debian's package `openssh-tests`, as they are; `cargo xtask peers`
//! fetches it. Each test here is one script, in a folder of its own. A script that skipped
//! something, or did not run our program as often as it has checks, is a failure.

#[cfg(test)]
mod keys;
#[cfg(test)]
mod suite;

/// Our `sftp` against OpenSSH's `sftp-server`.
#[cfg(test)]
mod our_sftp {
    use super::suite::Suite;

    fn run(script: &str, checks: usize, calls: usize) {
        let suite = Suite::new(script, &["sftp"]);
        suite.run(checks).called("sftp", calls);
    }

    #[test]
    fn sftp() {
        run("sftp", 12, 12);
    }

    #[test]
    fn sftp_cmds() {
        run("sftp-cmds", 34, 34);
    }

    #[test]
    fn sftp_glob() {
        run("sftp-glob", 15, 15);
    }

    #[test]
    fn sftp_badcmds() {
        run("sftp-badcmds", 7, 7);
    }

    #[test]
    fn sftp_batch() {
        run("sftp-batch", 4, 4);
    }

    #[test]
    fn sftp_perm() {
        run("sftp-perm", 23, 74);
    }

    #[test]
    fn sftp_uri() {
        run("sftp-uri", 4, 4);
    }
}

/// Our `scp`, on both sides of the old protocol and against OpenSSH's `sftp-server`.
#[cfg(test)]
mod our_scp {
    use super::suite::Suite;

    fn run(script: &str, checks: usize, calls: usize) {
        let suite = Suite::new(script, &["scp"]);
        suite.run(checks).called("scp", calls);
    }

    #[test]
    fn scp() {
        run("scp", 54, 116);
    }

    #[test]
    fn scp3() {
        run("scp3", 8, 18);
    }

    #[test]
    fn scp_uri() {
        run("scp-uri", 12, 18);
    }
}

/// OpenSSH's `sftp` and `scp` against our `sftp-server`.
#[cfg(test)]
mod our_sftp_server {
    use super::suite::Suite;

    fn run(script: &str, checks: usize, calls: usize) {
        let suite = Suite::new(script, &["sftp-server"]);
        suite.run(checks).called("sftp-server", calls);
    }

    #[test]
    fn sftp() {
        run("sftp", 12, 12);
    }

    #[test]
    fn sftp_cmds() {
        run("sftp-cmds", 34, 34);
    }

    #[test]
    fn sftp_glob() {
        run("sftp-glob", 15, 15);
    }

    #[test]
    fn sftp_badcmds() {
        run("sftp-badcmds", 7, 7);
    }

    #[test]
    fn sftp_batch() {
        run("sftp-batch", 4, 4);
    }

    #[test]
    fn sftp_perm() {
        run("sftp-perm", 23, 74);
    }

    #[test]
    fn scp() {
        run("scp", 54, 46);
    }
}
