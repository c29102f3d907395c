//! Who may log in.

use ssh_auth::{
    method::Method,
    server::{AuthQuestion, Credential, MethodSet},
};
use ssh_crypto::{
    Secret, constant_time_eq,
    hash::{HashAlgorithm, digest},
};
use ssh_keys::authorized_keys::AuthorizedKeys;

/// Keys and passwords that let in.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    /// For all users, or for one.
    keys: Vec<(Option<String>, AuthorizedKeys)>,
    passwords: Vec<(String, Secret<String>)>,
}

impl Accounts {
    pub(super) fn add_keys(&mut self, user: Option<String>, keys: AuthorizedKeys) {
        self.keys.push((user, keys));
    }

    pub(super) fn add_password(&mut self, user: String, password: Secret<String>) {
        self.passwords.push((user, password));
    }

    /// What clients may try. It is the same for users who do not exist.
    pub(super) fn methods(&self) -> MethodSet {
        let keys = (!self.keys.is_empty()).then_some(Method::PublicKey);
        let passwords = (!self.passwords.is_empty()).then_some(Method::Password);
        keys.into_iter().chain(passwords).collect()
    }

    /// Whether what the client shows lets in the user it names. (For a key without a signature:
    /// whether it would.)
    pub(super) fn allow(&self, question: &AuthQuestion) -> bool {
        let user = question.user();
        match question.credential() {
            Credential::Key { key, .. } => self
                .keys
                .iter()
                .filter(|(of, _)| of.as_deref().is_none_or(|of| of == user))
                .any(|(_, keys)| keys.contains(key)),
            Credential::Password(password) => self.allow_password(user, password.expose()),
            _ => false,
        }
    }

    /// Takes as long for a wrong password as for a right one, and as long for a user who does not
    /// exist: everything is compared, by hashes, so that lengths do not show either.
    fn allow_password(&self, user: &str, password: &str) -> bool {
        let hash = |text: &str| digest(HashAlgorithm::Sha256, text.as_bytes());
        let (user, password) = (hash(user), hash(password));
        self.passwords.iter().fold(false, |allowed, (known_user, known_password)| {
            let same_user = constant_time_eq(hash(known_user).as_ref(), user.as_ref());
            let known = hash(known_password.expose());
            let same_password = constant_time_eq(known.as_ref(), password.as_ref());
            allowed | (same_user & same_password)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_belongs_to_its_user() {
        let mut accounts = Accounts::default();
        accounts.add_password("alice".into(), Secret::new("one".into()));
        accounts.add_password("bob".into(), Secret::new("two".into()));
        assert!(accounts.allow_password("alice", "one") && accounts.allow_password("bob", "two"));
        for (user, password) in
            [("alice", "two"), ("bob", "one"), ("carol", "one"), ("alice", ""), ("", "one")]
        {
            assert!(!accounts.allow_password(user, password), "{user} {password}");
        }
        assert!(!Accounts::default().allow_password("", ""));
    }

    #[test]
    fn only_methods_that_can_succeed_are_offered() {
        let mut accounts = Accounts::default();
        assert_eq!(accounts.methods(), MethodSet::EMPTY);
        accounts.add_password("alice".into(), Secret::new("one".into()));
        assert_eq!(accounts.methods(), MethodSet::EMPTY.with(Method::Password));
        accounts.add_keys(None, AuthorizedKeys::parse(b""));
        assert!(accounts.methods().contains(Method::PublicKey));
    }
}
