//! RFC 4252 §4: authentication methods and their names.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use ssh_wire::NameList;

use crate::{
    error::{AuthError, Limit},
    limits::MAX_METHODS,
};

/// The authentication methods that this crate speaks.
///
/// A method is a variant here, a file in `client/` and one in `server/`, and a table of its own
/// for the numbers 60 to 79 in `message.rs`. `keyboard-interactive` (RFC 4256) would be the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Method {
    /// `none`, RFC 4252 §5.2: asks what else there is.
    None,
    /// `publickey`, RFC 4252 §7.
    PublicKey,
    /// `password`, RFC 4252 §8.
    Password,
}

impl Method {
    /// All methods, in the order in which a server lists them.
    pub const ALL: &'static [Self] = &[Self::None, Self::PublicKey, Self::Password];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PublicKey => "publickey",
            Self::Password => "password",
        }
    }

    /// The method with this name on the wire.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.name() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::None => 1,
            Self::PublicKey => 2,
            Self::Password => 4,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of methods: what a server lets a client try.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct MethodSet(u8);

impl MethodSet {
    /// No method.
    pub const EMPTY: Self = Self(0);

    /// The set with `method` in it.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | method.bit())
    }

    /// The set without `method`.
    #[must_use]
    pub const fn without(self, method: Method) -> Self {
        Self(self.0 & !method.bit())
    }

    /// True if `method` is in the set.
    #[must_use]
    pub const fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// The methods of the set.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.iter().copied().filter(move |method| self.contains(*method))
    }

    /// The list for `SSH_MSG_USERAUTH_FAILURE`. "The 'none' method is reserved, and MUST NOT be
    /// listed as supported" (RFC 4252 §4).
    pub(crate) const fn listed(self) -> &'static str {
        match (self.contains(Method::PublicKey), self.contains(Method::Password)) {
            (true, true) => "publickey,password",
            (true, false) => "publickey",
            (false, true) => "password",
            (false, false) => "",
        }
    }
}

impl FromIterator<Method> for MethodSet {
    fn from_iter<T: IntoIterator<Item = Method>>(methods: T) -> Self {
        methods.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The methods a server says can continue, as it named them: also those nobody here speaks.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Methods(Vec<Box<str>>);

impl Methods {
    pub(crate) fn from_list(list: NameList<'_>) -> Result<Self, AuthError> {
        let mut names = Vec::new();
        for name in list.iter() {
            if names.len() >= MAX_METHODS {
                return Err(AuthError::LimitExceeded(Limit::Methods));
            }
            names.push(name.into());
        }
        Ok(Self(names))
    }

    /// True if the server lists `method`.
    #[must_use]
    pub fn contains(&self, method: Method) -> bool {
        self.iter().any(|name| name == method.name())
    }

    /// The names in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// The names as owned text.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }

    /// True if the server lists nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_never_listed_and_every_other_method_is() {
        let all: MethodSet = Method::ALL.iter().copied().collect();
        let listed: Vec<&str> = all.listed().split(',').collect();
        for method in Method::ALL {
            assert_eq!(listed.contains(&method.name()), *method != Method::None, "{method}");
            assert_eq!(Method::from_name(method.name()), Some(*method));
            let alone = MethodSet::EMPTY.with(*method);
            assert!(alone.contains(*method) && alone.without(*method) == MethodSet::EMPTY);
            if *method != Method::None {
                assert_eq!(alone.listed(), method.name());
            }
        }
        assert_eq!(MethodSet::EMPTY.with(Method::None).listed(), "");
    }

    #[test]
    fn methods_that_nobody_here_speaks_are_kept_for_the_user_to_read() {
        let list = NameList::from_text("gssapi-with-mic,publickey").unwrap();
        let methods = Methods::from_list(list).unwrap();
        assert!(methods.contains(Method::PublicKey) && !methods.contains(Method::Password));
        assert_eq!(methods.to_string(), "gssapi-with-mic, publickey");
    }

    #[test]
    fn a_list_of_more_methods_than_exist_is_refused() {
        let text = ["x"; MAX_METHODS].join(",");
        assert!(Methods::from_list(NameList::from_text(&text).unwrap()).is_ok());
        let text = ["x"; MAX_METHODS + 1].join(",");
        let error = Methods::from_list(NameList::from_text(&text).unwrap()).unwrap_err();
        assert_eq!(error, AuthError::LimitExceeded(Limit::Methods));
    }
}
