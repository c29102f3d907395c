//! Names of users and groups, as the machine has them.

use std::{collections::HashMap, hash::Hash, os::unix::ffi::OsStringExt};

use nix::unistd::{Gid, Group, Uid, User};

/// So many names are kept, as a look-up may ask another machine. More than any listing has; a
/// client that asks for ever makes the table begin anew.
const MAX_KEPT: usize = 4096;

/// The names that were looked up.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: HashMap<u32, Option<Vec<u8>>>,
    groups: HashMap<u32, Option<Vec<u8>>>,
}

fn kept<K: Hash + Eq + Copy>(
    table: &mut HashMap<K, Option<Vec<u8>>>,
    id: K,
    look_up: impl FnOnce(K) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    if table.len() >= MAX_KEPT {
        table.clear();
    }
    table.entry(id).or_insert_with(|| look_up(id)).clone()
}

impl Names {
    pub(super) fn user(&mut self, uid: u32) -> Option<Vec<u8>> {
        kept(&mut self.users, uid, |uid| {
            Some(User::from_uid(Uid::from_raw(uid)).ok()??.name.into_bytes())
        })
    }

    pub(super) fn group(&mut self, gid: u32) -> Option<Vec<u8>> {
        kept(&mut self.groups, gid, |gid| {
            Some(Group::from_gid(Gid::from_raw(gid)).ok()??.name.into_bytes())
        })
    }
}

/// The home of a user; of the user of the process if `name` is empty.
pub(super) fn home(name: &[u8]) -> Option<Vec<u8>> {
    let user = match name {
        b"" => User::from_uid(Uid::effective()),
        name => User::from_name(str::from_utf8(name).ok()?),
    };
    Some(user.ok()??.dir.into_os_string().into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_strangers_are_not() {
        let mut names = Names::default();
        for _ in 0..2 {
            assert_eq!(names.user(0).as_deref(), Some(&b"root"[..]));
            assert!(names.group(0).is_some());
            assert_eq!((names.user(4_242_424), names.group(4_242_424)), (None, None));
        }
        assert_eq!(home(b"root").as_deref(), Some(&b"/root"[..]));
        assert_eq!(home(b"no such user"), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut table = HashMap::new();
        for id in 0..2 * MAX_KEPT {
            assert_eq!(kept(&mut table, id, |_| None), None);
            assert!(table.len() <= MAX_KEPT);
        }
    }
}
