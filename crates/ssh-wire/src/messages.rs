//! The message table: one entry is the struct, its codec, its documentation and its name in logs.

/// Defines the messages of one protocol.
///
/// An entry reads like the figure in the RFC: where it is specified, its number, its fields in
/// the order of the wire. It becomes a documented struct with [`Encode`](crate::Encode),
/// [`Decode`](crate::Decode) and [`Message`](crate::Message). The enum named first gets a variant
/// for each, a `parse` that dispatches on the number, and `TABLE`: number, name and specification
/// of each, for packet logs, documentation and tests.
///
/// An entry that ends in `;` instead of fields names a struct with an irregular body, defined by
/// hand with `Encode` and `Decode` (number included); it gets its place in the table all the same.
#[macro_export]
macro_rules! messages {
    (
        $(#[$enum_doc:meta])*
        $vis:vis enum $layer:ident<$life:lifetime>;
        $($(#[$doc:meta])* [$spec:literal] $number:literal $name:ident $(<$lt:lifetime>)? $({ $($body:tt)* })? $(;)?)*
    ) => {
        $($crate::messages!(@item $vis [$($lt)?] $(#[$doc])* [$spec] $number $name $({ $($body)* })?);)*

        $(#[$enum_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        $vis enum $layer<$life> {
            $(#[doc = concat!("[`", stringify!($name), "`], number ", $number, ", ", $spec)]
              $name($name$(<$lt>)?),)*
        }

        impl<$life> $layer<$life> {
            /// Number, name and specification of each message.
            $vis const TABLE: &'static [(u8, &'static str, &'static str)] =
                &[$(($number, stringify!($name), $spec)),*];

            /// Reads a payload as the message that its first byte names.
            ///
            /// # Errors
            /// Bytes that do not parse, or a number that is not in the table.
            $vis fn parse(payload: &$life [u8]) -> ::core::result::Result<Self, $crate::DecodeError> {
                match payload.first() {
                    $(Some($number) => <$name$(<$lt>)? as $crate::Message<'_>>::parse(payload).map(Self::$name),)*
                    Some(other) => Err($crate::DecodeError::new(
                        stringify!($layer), "", 0, $crate::DecodeErrorKind::UnknownNumber(*other))),
                    None => Err($crate::DecodeError::new(
                        stringify!($layer), "", 0,
                        $crate::DecodeErrorKind::Truncated { needed: 1, left: 0 })),
                }
            }
        }

        impl $crate::Encode for $layer<'_> {
            fn encode(&self, out: &mut $crate::__private::Vec<u8>) {
                match self { $(Self::$name(message) => $crate::Encode::encode(message, out),)* }
            }
        }
    };

    // An irregular body: the struct and its codec are written by hand.
    (@item $vis:vis [$($lt:lifetime)?] $(#[$doc:meta])* [$spec:literal] $number:literal $name:ident) => {
        $crate::messages!(@message [$($lt)?] [$spec] $number $name);
    };

    (@item $vis:vis [$($lt:lifetime)?] $(#[$doc:meta])* [$spec:literal] $number:literal $name:ident
        { $($(#[$field_doc:meta])* $field:ident : $type:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        ///
        #[doc = concat!("Message number ", $number, ", ", $spec, ".")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::exhaustive_structs, clippy::allow_attributes, reason = "the fields are the protocol's")]
        $vis struct $name $(<$lt>)? {
            $($(#[$field_doc])* $vis $field: $type,)*
        }

        impl $(<$lt>)? $crate::Encode for $name $(<$lt>)? {
            fn encode(&self, out: &mut $crate::__private::Vec<u8>) {
                out.push($number);
                $($crate::Encode::encode(&self.$field, out);)*
            }
        }

        $crate::messages!(@decode [$($lt)?] $number $name { $($field),* });
        $crate::messages!(@message [$($lt)?] [$spec] $number $name);
    };

    (@decode [] $number:literal $name:ident $fields:tt) => {
        impl<'a> $crate::Decode<'a> for $name {
            $crate::messages!(@decode_fn 'a $number $fields);
        }
    };
    (@decode [$lt:lifetime] $number:literal $name:ident $fields:tt) => {
        impl<$lt> $crate::Decode<$lt> for $name<$lt> {
            $crate::messages!(@decode_fn $lt $number $fields);
        }
    };
    (@decode_fn $lt:lifetime $number:literal { $($field:ident),* }) => {
        fn decode(reader: &mut $crate::Reader<$lt>) -> ::core::result::Result<Self, $crate::DecodeError> {
            reader.field("").number($number)?;
            Ok(Self { $($field: $crate::Decode::decode(reader.field(stringify!($field)))?,)* })
        }
    };

    (@message [] [$spec:literal] $number:literal $name:ident) => {
        impl<'a> $crate::Message<'a> for $name {
            $crate::messages!(@consts [$spec] $number $name);
        }
    };
    (@message [$lt:lifetime] [$spec:literal] $number:literal $name:ident) => {
        impl<$lt> $crate::Message<$lt> for $name<$lt> {
            $crate::messages!(@consts [$spec] $number $name);
        }
    };
    (@consts [$spec:literal] $number:literal $name:ident) => {
        const NUMBER: u8 = $number;
        const NAME: &'static str = stringify!($name);
        const SPEC: &'static str = $spec;
    };
}

#[cfg(test)]
mod tests {
    use crate::{Decode, DecodeError, DecodeErrorKind, Encode, Message, NameList, Reader, Rest};
    use alloc::vec::Vec;

    messages! {
        /// Messages for the tests.
        enum TestMessage<'a>;

        /// Everything at once.
        ["RFC 0 §1"] 1 Full<'a> {
            /// A byte.
            byte: u8,
            /// A flag.
            flag: bool,
            /// A number.
            number: u32,
            /// A long number.
            long: u64,
            /// Bytes.
            bytes: &'a [u8],
            /// Text.
            text: &'a str,
            /// Names.
            names: NameList<'a>,
            /// A cookie.
            cookie: [u8; 16],
        }

        /// Nothing.
        ["RFC 0 §2"] 2 Empty {}

        /// By hand.
        ["RFC 0 §3"] 3 ByHand<'a>;
    }

    /// A message whose body is irregular.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct ByHand<'a>(Rest<'a>);

    impl<'a> Decode<'a> for ByHand<'a> {
        fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
            reader.number(Self::NUMBER)?;
            Rest::decode(reader).map(Self)
        }
    }

    impl Encode for ByHand<'_> {
        fn encode(&self, out: &mut Vec<u8>) {
            out.push(Self::NUMBER);
            self.0.encode(out);
        }
    }

    #[test]
    fn a_table_parses_what_it_wrote() {
        let full = Full {
            byte: 7,
            flag: true,
            number: 0x0102_0304,
            long: 5,
            bytes: b"ab",
            text: "cd",
            names: NameList::from_text("e,f").unwrap(),
            cookie: [9; 16],
        };
        let mut out = Vec::new();
        full.encode(&mut out);
        assert_eq!(TestMessage::parse(&out), Ok(TestMessage::Full(full)));
        assert_eq!(TestMessage::parse(&[2]), Ok(TestMessage::Empty(Empty {})));
        assert_eq!(TestMessage::parse(&[3, 1]), Ok(TestMessage::ByHand(ByHand(Rest(&[1])))));
        assert_eq!(TestMessage::TABLE[1], (2, "Empty", "RFC 0 §2"));
    }

    #[test]
    fn a_number_outside_of_the_table_is_an_error_that_names_it() {
        assert_eq!(
            TestMessage::parse(&[200]).unwrap_err().kind,
            DecodeErrorKind::UnknownNumber(200)
        );
        assert!(TestMessage::parse(&[]).is_err());
    }
}
