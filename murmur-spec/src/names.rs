//! Every derived name, in one place.
//!
//! | from | comes | for example |
//! |---|---|---|
//! | `fn page_traffic` | marker type | `PageTraffic` |
//! | | key struct and message | `PageTrafficKey` |
//! | | service | `PageTrafficService` |
//! | | request and response of a method | `PageTrafficServiceGetWindowRequest`, `...Response` |
//! | | entry of a Many call, step of a series | `PageTrafficEntry`, `PageTrafficPoint` |
//! | | table | `page_traffic_v1`, the version of the items' layout |
//! | `struct Traffic` with `#[aggregate]` | message | `Traffic` |
//! | | Rust reply | `TrafficReply` |
//! | `Map<String, Sum<u64>, 9>` in it | message | `SumU64ByString` |
//! | `struct Like` with `#[pipeline(name = "likes")]` | marker, key, service | `Likes`, `LikesKey`, `LikesService` |
//! | | aggregate, message; Rust reply | `LikesTotals`; `LikesTotalsReply` |
//! | `#[murmur(distinct)] user_id` there | field | `user_id_distinct` |
//! | `fn likes` that returns a tuple | aggregate, message; Rust reply | `LikesTotals`; `LikesTotalsReply` |
//! | `enum Payment { Cash { .. } }` with `#[value]` | message of the variant, field of the `oneof` | `PaymentCash`, `cash` |
//! | crate `page-traffic` | package | `page_traffic.v1` |
//! | | file | `proto/page_traffic/v1/page_traffic.proto` |

use crate::model::{MapKey, Monoid};
use crate::written;

/// `page_traffic` as `PageTraffic`: the marker type of a pipeline.
pub fn marker(pipeline: &str) -> String {
    let mut out = String::with_capacity(pipeline.len());
    for word in pipeline.split('_') {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// `PageTrafficKey`.
pub fn key(pipeline: &str) -> String {
    marker(pipeline) + "Key"
}

/// `PageTrafficEntry`.
pub fn entry(pipeline: &str) -> String {
    marker(pipeline) + "Entry"
}

/// `PageTrafficPoint`.
pub fn point(pipeline: &str) -> String {
    marker(pipeline) + "Point"
}

/// `PageTrafficService`.
pub fn service(pipeline: &str) -> String {
    marker(pipeline) + "Service"
}

/// The methods of every pipeline's service.
pub const METHODS: [&str; 10] = [
    "Get",
    "GetMany",
    "GetWindow",
    "GetWindowMany",
    "GetRange",
    "GetRangeMany",
    "Series",
    "CombineSets",
    "Watch",
    "WatchMany",
];

/// `PageTrafficServiceGetRequest`, `PageTrafficServiceGetResponse`, ..., and `PageTrafficServiceSetOperand`.
pub fn calls(pipeline: &str) -> impl Iterator<Item = String> {
    let service = service(pipeline);
    let operand = format!("{service}SetOperand");
    let calls = METHODS.into_iter();
    calls.flat_map(move |method| ["Request", "Response"].map(|end| format!("{service}{method}{end}"))).chain([operand])
}

/// `COLOR_DARK_RED`: a value of an enum, unique within its protobuf package.
pub fn enum_value(value: &str, variant: &str) -> String {
    format!("{}_{}", screaming(value), screaming(variant))
}

/// `LikesTotals`: the aggregate that a pipeline makes, on a struct or of a tuple.
pub fn totals(pipeline: &str) -> String {
    marker(pipeline) + "Totals"
}

/// `SumU64ByString`: the message of a `Map`, from its key and what it is of as they are written. Sizes are left out, as
/// they do not change the message; those of the user's own monoids may.
pub fn map(key: MapKey, of: &Monoid) -> String {
    let own = matches!(of, Monoid::Custom { .. });
    let words = |text: &str| -> String {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.filter(|word| own || !word.starts_with(|letter: char| letter.is_ascii_digit())).map(marker).collect()
    };
    format!("{}By{}", words(&written::monoid(of)), words(written::map_key(key)))
}

/// `TrafficReply`: the Rust struct of an aggregate's message.
pub fn reply(aggregate: &str) -> String {
    format!("{aggregate}Reply")
}

/// `PaymentCash`: the message of a variant.
pub fn variant(value: &str, variant: &str) -> String {
    format!("{value}{variant}")
}

/// `user_id_distinct`.
pub fn field_aggregate(field: &str, aggregate: &str) -> String {
    format!("{field}_{aggregate}")
}

/// `page_traffic_v1`.
pub fn table(pipeline: &str) -> String {
    format!("{pipeline}_v1")
}

/// A crate's name as Rust writes it: `page-traffic` is `page_traffic`.
pub fn crate_name(package: &str) -> String {
    package.replace('-', "_").to_ascii_lowercase()
}

/// The protobuf package of a crate that does not give one.
pub fn package(crate_name: &str) -> String {
    format!("{}.v1", self::crate_name(crate_name))
}

/// The file of a package, relative to `proto/`.
pub fn file(package: &str, crate_name: &str) -> String {
    format!("{}/{}.proto", package.replace('.', "/"), self::crate_name(crate_name))
}

/// `dwellMs`: the name of a field in JSON, by protobuf's rule.
pub fn json(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut raise = false;
    for letter in field.chars() {
        match letter {
            '_' => raise = true,
            _ if raise => {
                out.push(letter.to_ascii_uppercase());
                raise = false;
            }
            _ => out.push(letter),
        }
    }
    out
}

/// `REFUND_ISSUED`: a variant as protobuf writes it, without the enum's prefix. Also the prefix itself.
pub fn screaming(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// `refund_issued`: the field of a `oneof` that a variant `RefundIssued` becomes.
pub fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, letter) in letters.iter().enumerate() {
        let after_small = i > 0 && (letters[i - 1].is_lowercase() || letters[i - 1].is_ascii_digit());
        let ends_run = i > 0 && letters[i - 1].is_uppercase() && letters.get(i + 1).is_some_and(|l| l.is_lowercase());
        if letter.is_uppercase() && (after_small || ends_run) {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// Whether it is `snake_case`: what a pipeline's name must be, so that every name above is well formed. `self` is not,
/// as its marker would be `Self`.
pub fn is_snake(name: &str) -> bool {
    let mut words = name.split('_');
    name != "self"
        && words.all(|word| {
            word.starts_with(|c: char| c.is_ascii_lowercase() || (c.is_ascii_digit() && !name.starts_with(c)))
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

/// Whether it is a protobuf package with a version at its end: `shop.orders.v1`.
pub fn is_package(name: &str) -> bool {
    let words: Vec<&str> = name.split('.').collect();
    let Some((version, words)) = words.split_last() else { return false };
    let stable = version.strip_prefix('v').map(|v| v.trim_start_matches(|c: char| c.is_ascii_digit()));
    let digits = version.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let versioned = digits && stable.is_some_and(|rest| rest.is_empty() || is_snake(rest));
    versioned && !words.is_empty() && words.iter().all(|word| is_snake(word))
}

/// Whether it is a package that a user may call their own: [`is_package`], and not below `murmur` or `google`, whose
/// messages the contracts import.
pub fn is_own_package(name: &str) -> bool {
    is_package(name) && !["murmur.", "google."].iter().any(|taken| name.starts_with(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_ours_cannot_be_a_users() {
        assert!(is_own_package("shop.orders.v1") && is_own_package("murmuring.v1"));
        assert!(!is_own_package("murmur.v1") && !is_own_package("google.protobuf.v1") && !is_own_package("shop"));
    }

    #[test]
    fn names_are_those_of_the_table() {
        assert_eq!(marker("page_traffic"), "PageTraffic");
        assert_eq!(key("page_traffic"), "PageTrafficKey");
        assert_eq!(service("top_10_pages"), "Top10PagesService");
        assert_eq!(totals("likes"), "LikesTotals");
        assert_eq!(reply("Traffic"), "TrafficReply");
        assert_eq!(package("page-traffic"), "page_traffic.v1");
        assert_eq!(file("page_traffic.v1", "page-traffic"), "page_traffic/v1/page_traffic.proto");
        assert_eq!(json("dwell_ms"), "dwellMs");
        assert_eq!(snake("HTTPServer2Go"), "http_server2_go");
        assert_eq!(screaming("RefundIssued"), "REFUND_ISSUED");
    }

    #[test]
    fn packages_end_in_a_version() {
        for good in ["shop.v1", "shop.orders.v12", "shop.v1beta1"] {
            assert!(is_package(good), "{good}");
        }
        for bad in ["shop", "v1", "shop.v", "Shop.v1", "shop..v1", "shop.v1.", "shop.vx"] {
            assert!(!is_package(bad), "{bad}");
        }
    }

    #[test]
    fn snake_case_is_told_from_other_cases() {
        for good in ["likes", "page_traffic", "top_10"] {
            assert!(is_snake(good), "{good}");
        }
        for bad in ["", "Likes", "_likes", "likes_", "a__b", "9lives", "größe"] {
            assert!(!is_snake(bad), "{bad}");
        }
    }
}
