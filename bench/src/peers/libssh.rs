//! libssh: a small C client on its asynchronous SFTP, with the library built from its source.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::library::Library;
use super::{Folders, Kind};
use crate::failure::{Done, Failure};
use crate::site::{stdout, text};

/// The newest release, from Debian's archive of sources. Debian 12's own, 0.10, cannot write
/// asynchronously.
const VERSION: &str = "0.12.2";
const URL: &str = "http://deb.debian.org/debian/pool/main/libs/libssh/libssh_0.12.2.orig.tar.xz";
const SHA256: &str = "49560f677d96e3706a904ac2de1116e25f3680937d51e5c92198fcba4a1c1e9f";

pub(super) fn find(folders: &Folders) -> Done<(String, Kind)> {
    let folder = folders.own().join("peers").join(format!("libssh-{VERSION}"));
    let archive = folder.join("install/lib/libssh.a");
    if !archive.exists() {
        build(&folder)?;
    }
    let source = folders.workspace.join("bench/peers/libssh/client.c");
    let program = folder.join("client");
    let mut compile = Command::new("gcc");
    compile.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source);
    compile.arg("-I").arg(folder.join("install/include")).arg(&archive);
    stdout(compile.args(["-lcrypto", "-lz", "-lpthread"]))?;
    let command = vec![text(&program)?];
    Ok((VERSION.into(), Kind::Library(Library { command, cannot: &[] })))
}

/// Downloads, checks and builds the library.
fn build(folder: &Path) -> Done {
    eprintln!("bench: building libssh {VERSION}");
    fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    let script = format!(
        "set -e\n\
         curl -sSf -m 120 -o source.tar.xz {URL}\n\
         echo '{SHA256}  source.tar.xz' | sha256sum -c\n\
         rm -rf source build\nmkdir source build\n\
         tar -xf source.tar.xz -C source --strip-components 1\n\
         cd build\n\
         cmake ../source -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DWITH_SERVER=OFF \
         -DWITH_EXAMPLES=OFF -DWITH_GSSAPI=OFF -DWITH_FIDO2=OFF -DCMAKE_INSTALL_PREFIX=../install\n\
         make -j2 install\n"
    );
    stdout(Command::new("sh").args(["-c", &script]).current_dir(folder)).map(drop).map_err(
        |failure| {
            Failure::new(format!(
                "{failure}; it needs curl, gcc, cmake, libssl-dev and zlib1g-dev: \
                 apt-get install gcc cmake libssl-dev zlib1g-dev"
            ))
        },
    )
}
