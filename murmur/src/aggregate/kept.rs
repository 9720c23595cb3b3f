//! What is kept under the number of a field, as the owner's record of a table has it.
//!
//! ```text
//! Sum<int64>                      an aggregate
//! Map<9 of string, Sum<int64>>    one for each key
//! Map<9 of string>                a struct for each key; below it each field of the struct, by its number
//! 1 Count
//! 2                               was removed
//! 3 Map<9 of string>
//! 3.1 Count
//! ```
//!
//! The fields of a struct in a map come and go like those of any other, so texts are compared line by line.

/// Add what lies inside of a map: a struct's field below it, or in its place what is no struct and has the number 0.
pub(super) fn put(map: &mut String, below: &mut String, number: u32, kept: Option<&str>) {
    let Some(kept) = kept else { return below.push_str(&format!("\n{number}")) };
    for (at, line) in kept.lines().enumerate() {
        match (number, at) {
            (0, 0) => map.push_str(&format!(", {line}")),
            (0, _) => below.push_str(&format!("\n{line}")),
            (_, 0) => below.push_str(&format!("\n{number} {line}")),
            _ => below.push_str(&format!("\n{number}.{line}")),
        }
    }
}

/// What is kept by both; `None` where one of them cannot be read as the other.
pub(crate) fn joined(was: &str, is: &str) -> Option<String> {
    if was.lines().next() != is.lines().next() {
        return None;
    }
    let mut both = was.to_owned();
    for (number, kept) in fields(is).filter(|(_, kept)| !kept.is_empty()) {
        match fields(was).find(|(known, before)| *known == number && !before.is_empty()) {
            Some((_, before)) if before != kept => return None,
            Some(_) => {}
            None => both.push_str(&format!("\n{number} {kept}")),
        }
    }
    Some(both)
}

/// The number of a field inside of `was` that `is` neither has nor knows as removed.
pub(crate) fn unknown<'a>(was: &'a str, is: &str) -> Option<&'a str> {
    let removed = |number: &str, (known, kept): (&str, &str)| {
        kept.is_empty() && number.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'))
    };
    let unknown = |number: &str| !fields(is).any(|field| field.0 == number || removed(number, field));
    fields(was).find(|(number, kept)| !kept.is_empty() && unknown(number)).map(|(number, _)| number)
}

/// The fields below a map, each with its number; nothing is kept of a removed one.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().skip(1).map(|line| line.split_once(' ').unwrap_or((line, "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Count, Map, Max, Monoid, Sum};

    #[derive(Clone, Debug)]
    struct Shop {
        sales: Count,
        floors: Map<u32, Floor, 9>,
    }

    #[derive(Clone, Debug)]
    struct Floor {
        best: Max<u64>,
    }

    crate::aggregate_struct! {
        impl Floor;
        /// A floor.
        struct FloorReply: "kept.v1.Floor" {
            /// The best sale.
            best: Max<u64> = 4,
        }
        retired [1];
    }

    crate::aggregate_struct! {
        impl Shop;
        /// A shop.
        struct ShopReply: "kept.v1.Shop" {
            /// How many.
            sales: Count = 7,
            /// By floor.
            floors: Map<u32, Floor, 9> = 10,
        }
        retired [2];
    }

    fn text<A: Monoid>() -> String {
        let mut texts = Vec::new();
        Map::<String, A, 5>::kept(7, &mut |number, kept| texts.push((number, kept)));
        let [(7, Some(text))] = texts.as_slice() else { panic!("{texts:?}") };
        text.clone()
    }

    #[test]
    fn a_map_says_what_it_is_of_and_of_a_struct_each_field() {
        assert_eq!(text::<Sum<i64>>(), "Map<5 of string, Sum<int64>>");
        // The only field of a struct is told from what is no struct.
        assert_eq!(text::<Floor>(), "Map<5 of string>\n4 Max<uint64>\n1");
        assert_eq!(text::<Shop>(), "Map<5 of string>\n7 Count\n10 Map<9 of uint32>\n10.4 Max<uint64>\n10.1\n2");
        assert_eq!(text::<Map<bool, Floor, 2>>(), "Map<5 of string, Map<2 of bool>>\n4 Max<uint64>\n1");
    }

    #[test]
    fn fields_inside_of_a_map_come_and_go_and_no_number_changes_its_meaning() {
        let was = "Map<9 of string>\n1 Count\n3 Map<9 of string>\n3.1 Count";
        assert_eq!(joined(was, was).as_deref(), Some(was));
        assert_eq!(joined(was, "Map<9 of string>\n4 Average\n1 Count").unwrap(), format!("{was}\n4 Average"));
        assert_eq!(joined(was, "Map<9 of string>\n1 Sum<uint64>"), None);
        assert_eq!(joined(was, "Map<9 of string>\n3 Map<9 of string>\n3.1 Average"), None);
        assert_eq!(joined(was, "Map<8 of string>\n1 Count"), None);
        assert_eq!(joined("Count", "Count").as_deref(), Some("Count"));
        assert_eq!(joined("Count", "Average"), None);
        // Of a field that the owner knows as removed, an earlier program says what it was.
        assert_eq!(joined("Map<9 of string>\n1", "Map<9 of string>\n1 Count").unwrap(), "Map<9 of string>\n1\n1 Count");

        assert_eq!(unknown(was, was), None);
        assert_eq!(unknown(was, "Map<9 of string>\n1 Count"), Some("3"));
        assert_eq!(unknown(was, "Map<9 of string>\n1\n3 Map<9 of string>"), Some("3.1"));
        assert_eq!(unknown(was, "Map<9 of string>\n1 Count\n3"), None, "removed with all that was in it");
        assert_eq!(unknown(was, "Map<9 of string>\n1\n3 Map<9 of string>\n3.1\n4 Average"), None);
    }
}
