//! Who may log in.

use ssh_auth::{
    method::Method,
    server::{AuthQuestion, Credential, MethodSet},
};
use ssh_crypto::{
    Secret, constant_time_eq,
    hash::{HashAlgorithm, digest},
};
use ssh_keys::{
    Identity, PublicKey,
    authorized_keys::{AuthorizedKeys, Permissions, Visitor},
};

/// Keys and passwords that let in.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    /// For all users, or for one.
    keys: Vec<(Option<String>, AuthorizedKeys)>,
    /// Whoever has a certificate of one of these comes in as whom it names.
    authorities: Vec<PublicKey>,
    passwords: Vec<(String, Secret<String>)>,
    /// Whether a client needs every method there is.
    all_methods: bool,
}

/// What a question gets for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Yes.
    Accept,
    /// Yes, and then one of these.
    AcceptPartially(MethodSet),
    /// No.
    Reject,
}

impl Accounts {
    pub(super) fn add_keys(&mut self, user: Option<String>, keys: AuthorizedKeys) {
        self.keys.push((user, keys));
    }

    pub(super) fn add_authority(&mut self, key: PublicKey) {
        self.authorities.push(key);
    }

    pub(super) fn add_password(&mut self, user: String, password: Secret<String>) {
        self.passwords.push((user, password));
    }

    pub(super) const fn need_all_methods(&mut self) {
        self.all_methods = true;
    }

    /// What clients may try. It is the same for users who do not exist.
    pub(super) fn methods(&self) -> MethodSet {
        let keys = self.takes_keys().then_some(Method::PublicKey);
        let passwords = (!self.passwords.is_empty()).then_some(Method::Password);
        keys.into_iter().chain(passwords).collect()
    }

    const fn takes_keys(&self) -> bool {
        !self.keys.is_empty() || !self.authorities.is_empty()
    }

    /// False if nothing that a client could show would be enough.
    pub(super) fn can_let_in(&self) -> bool {
        let (keys, passwords) = (self.takes_keys(), !self.passwords.is_empty());
        if self.all_methods { keys && passwords } else { keys || passwords }
    }

    /// Judges what a client shows. `done` are the methods it has succeeded with; to a key without
    /// a signature, the answer is whether a signature would do. What a key that is accepted may do
    /// goes into `granted`.
    pub(super) fn judge(
        &self,
        question: &AuthQuestion,
        visitor: &Visitor<'_>,
        done: &mut MethodSet,
        granted: &mut Option<Permissions>,
    ) -> Verdict {
        let visitor = Visitor { user: question.user(), ..*visitor };
        let allowed = match question.credential() {
            credential @ Credential::Key { proven, token, .. } => {
                let identity = credential.identity();
                let permissions = identity.and_then(|identity| self.admit(&identity, &visitor));
                // A token has to have been used as the key's line or the certificate demands.
                let permissions =
                    permissions.filter(|permissions| !proven || permissions.accept(*token));
                let allowed = permissions.is_some();
                // What one key was refused does not free another from its options.
                if *proven && allowed {
                    *granted = permissions;
                }
                allowed
            }
            Credential::Password(password) => self.allow_password(visitor.user, password.expose()),
            _ => false,
        };
        if !allowed {
            return Verdict::Reject;
        }
        if matches!(question.credential(), Credential::Key { proven: false, .. }) {
            return Verdict::Accept;
        }
        *done = done.with(question.method());
        let left: MethodSet =
            self.methods().iter().filter(|method| !done.contains(*method)).collect();
        if self.all_methods && left != MethodSet::EMPTY {
            Verdict::AcceptPartially(left)
        } else {
            Verdict::Accept
        }
    }

    /// What the holder of a key may do, by the first of the user's files that lets it in.
    fn admit(&self, identity: &Identity, visitor: &Visitor<'_>) -> Option<Permissions> {
        self.keys
            .iter()
            .filter(|(of, _)| of.as_deref().is_none_or(|of| of == visitor.user))
            .find_map(|(_, keys)| keys.admit(identity, visitor).ok())
            .or_else(|| self.admit_certified(identity, visitor))
    }

    /// What the holder of a certificate of a trusted authority may do.
    fn admit_certified(&self, identity: &Identity, visitor: &Visitor<'_>) -> Option<Permissions> {
        let trusted = identity.certificate()?.verify(|key| self.authorities.contains(key)).ok()?;
        let grant = trusted.for_user(&[visitor.user], visitor.now).ok()?;
        Permissions::of_grant(&grant, visitor).ok()
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
