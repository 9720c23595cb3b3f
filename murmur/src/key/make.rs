//! The macro that makes key structs.

/// Makes a key struct: its fields, its protobuf message and its [`Key`](crate::key::Key).
///
/// Without rollups every field is always there:
///
/// ```
/// use murmur::key::{Key, KeyBuf};
///
/// murmur::key! {
///     /// Which item of which shop.
///     pub struct StockKey: "shop.v1.StockKey" {
///         /// The shop's number.
///         shop: u32 = 1,
///         /// The item's name.
///         sku: String = 2,
///     }
/// }
///
/// let key = StockKey { shop: 42, sku: "tea".into() };
/// let mut out = KeyBuf::default();
/// let place = Key::encode(&key, &mut out)?;
/// assert_eq!(out.slice(place), "=b42\0tea");
/// assert_eq!(<StockKey as Key>::decode("=b42\0tea")?, key);
/// assert_eq!(StockKey::parse(&["42".into(), "sku=tea".into()])?, key);
/// # Ok::<(), String>(())
/// ```
///
/// With rollups, each is named by the numbers of its fields, and a field that is not in all of them is an `Option`:
///
/// ```
/// use murmur::key::{Key, KeyBuf};
///
/// murmur::key! {
///     /// Of a post, of a country, of both, of everything.
///     pub struct LikesKey: "likes.v1.LikesKey" {
///         /// The post.
///         post_id: Option<String> = 1,
///         /// The country.
///         country: Option<String> = 2,
///     }
///     rollup "1.2" [post_id, country], "1" [post_id], "2" [country], "" [];
/// }
///
/// let key = LikesKey { country: Some("DE".into()), ..LikesKey::default() };
/// let mut out = KeyBuf::default();
/// let place = Key::encode(&key, &mut out)?;
/// assert_eq!(out.slice(place), "2=DE");
/// # Ok::<(), String>(())
/// ```
#[macro_export]
macro_rules! key {
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident : $proto:literal {
            $($(#[$field_meta:meta])* $field:ident : $ty:ty = $number:literal),* $(,)?
        }
    ) => {
        $crate::key! {
            $(#[$meta])* $vis struct $name: $proto { $($(#[$field_meta])* $field: $ty = $number,)* }
            rollup "" [$($field),*];
        }
    };
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident : $proto:literal {
            $($(#[$field_meta:meta])* $field:ident : $ty:ty = $number:literal),* $(,)?
        }
        rollup $($grain:literal [$($part:ident),*]),+ $(,)? ;
    ) => {
        $(#[$meta])*
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::default::Default,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
            ::core::hash::Hash,
        )]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        impl $crate::__private::prost::Message for $name {
            fn encode_raw(&self, buf: &mut impl $crate::__private::BufMut) {
                $($crate::key::PartField::encode_part(&self.$field, $number, buf);)*
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: $crate::__private::WireType,
                buf: &mut impl $crate::__private::Buf,
                context: $crate::__private::DecodeContext,
            ) -> ::core::result::Result<(), $crate::__private::prost::DecodeError> {
                match tag {
                    $($number => $crate::key::PartField::merge_part(&mut self.$field, wire_type, buf, context).map_err(|mut error| {
                        // As prost's derive does it: the error says in which field.
                        error.push(::core::stringify!($name), $crate::wire::plain_name(::core::stringify!($field)));
                        error
                    }),)*
                    _ => $crate::__private::skip_field(wire_type, tag, buf, context),
                }
            }

            fn encoded_len(&self) -> usize {
                0 $(+ $crate::key::PartField::part_len(&self.$field, $number))*
            }

            fn clear(&mut self) {
                *self = ::core::default::Default::default();
            }
        }

        impl $crate::wire::WireMessage for $name {
            const NAME: &'static str = $proto;
            const REPEATED: &'static str = ::core::concat!("repeated ", $proto);
            const SHAPE: &'static [$crate::wire::FieldShape] = &[$(
                $crate::wire::FieldShape {
                    name: $crate::wire::plain_name(::core::stringify!($field)),
                    number: $number,
                    proto: <$ty as $crate::key::PartField>::PROTO,
                },
            )*];
        }

        impl $crate::key::Key for $name {
            const FIELDS: &'static [&'static str] = &[$($crate::wire::plain_name(::core::stringify!($field)),)*];
            const GRAINS: &'static [&'static [&'static str]] =
                &[$(&[$($crate::wire::plain_name(::core::stringify!($part)),)*],)+];

            fn encode(
                &self,
                out: &mut $crate::key::KeyBuf,
            ) -> ::core::result::Result<::core::ops::Range<usize>, ::std::string::String> {
                $crate::key::encode(&[$($grain),+], Self::GRAINS, &[$(($crate::wire::plain_name(::core::stringify!($field)), &self.$field as &dyn $crate::key::Part)),*], out)
            }

            fn decode(text: &str) -> ::core::result::Result<Self, ::std::string::String> {
                let mut key = <Self as ::core::default::Default>::default();
                $crate::key::decode(&[$($grain),+], Self::GRAINS, text, &mut [$(($crate::wire::plain_name(::core::stringify!($field)), &mut key.$field as &mut dyn $crate::key::Part)),*])?;
                ::core::result::Result::Ok(key)
            }

            fn parse(
                arguments: &[::std::string::String],
            ) -> ::core::result::Result<Self, ::std::string::String> {
                let mut key = <Self as ::core::default::Default>::default();
                $crate::key::parse(arguments, &mut [$(($crate::wire::plain_name(::core::stringify!($field)), &mut key.$field as &mut dyn $crate::key::Part)),*])?;
                ::core::result::Result::Ok(key)
            }

            fn show(&self) -> ::std::vec::Vec<(&'static str, ::std::string::String)> {
                $crate::key::show(&[$(($crate::wire::plain_name(::core::stringify!($field)), &self.$field as &dyn $crate::key::Part)),*])
            }
        }
    };
}
