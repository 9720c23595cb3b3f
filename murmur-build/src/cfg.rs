//! Which conditions of `#[cfg(...)]` hold.

use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, Meta, Token};

/// The names and key-value pairs that are set for the crate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cfg {
    facts: Vec<(String, Option<String>)>,
}

impl Cfg {
    /// From the variables that Cargo gives a build script: `CARGO_CFG_UNIX`, `CARGO_CFG_TARGET_OS=linux`,
    /// `CARGO_CFG_FEATURE=default,fast-path`.
    pub(crate) fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut facts = Vec::new();
        for (name, values) in variables {
            let Some(name) = name.strip_prefix("CARGO_CFG_") else { continue };
            let name = name.to_lowercase();
            facts.push((name.clone(), None));
            facts.extend(values.split(',').map(|value| (name.clone(), Some(value.to_owned()))));
        }
        Self { facts }
    }

    /// From the lines of `rustc --print cfg`, with features.
    pub(crate) fn from_rustc(lines: &str, features: &[String]) -> Self {
        let line = |line: &str| match line.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.trim_matches('"').to_owned())),
            None => (line.to_owned(), None),
        };
        let features = features.iter().map(|feature| ("feature".to_owned(), Some(feature.clone())));
        Self { facts: lines.lines().map(line).chain(features).collect() }
    }

    /// The same while tests are built. A build script runs once for both, so Cargo cannot tell it.
    #[must_use]
    pub(crate) fn with_test(mut self) -> Self {
        self.facts.push(("test".into(), None));
        self
    }

    /// Whether a condition holds. What is not known is not set.
    pub(crate) fn holds(&self, condition: &Meta) -> bool {
        let name = condition.path().get_ident().map(ToString::to_string).unwrap_or_default();
        match condition {
            Meta::Path(_) => name == "true" || self.has(&name, None),
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) => self.has(&name, Some(&value.value())),
                _ => false,
            },
            Meta::List(list) => {
                let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
                match name.as_str() {
                    "all" => inner.iter().all(|meta| self.holds(meta)),
                    "any" => inner.iter().any(|meta| self.holds(meta)),
                    "not" => inner.iter().all(|meta| !self.holds(meta)),
                    _ => false,
                }
            }
        }
    }

    fn has(&self, name: &str, value: Option<&str>) -> bool {
        self.facts.iter().any(|(known, is)| known == name && is.as_deref() == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_evaluated_as_rustc_does() {
        let variables = [
            ("CARGO_CFG_UNIX", ""),
            ("CARGO_CFG_TARGET_OS", "linux"),
            ("CARGO_CFG_TARGET_FEATURE", "fxsr,sse2"),
            ("CARGO_CFG_FEATURE", "default,fast-path"),
            ("OTHER", "x"),
        ];
        let from_cargo = Cfg::from_variables(variables.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())));
        let lines = "unix\ntarget_os=\"linux\"\ntarget_feature=\"fxsr\"\ntarget_feature=\"sse2\"\n";
        let from_rustc = Cfg::from_rustc(lines, &["default".into(), "fast-path".into()]);
        for (text, holds) in [
            ("unix", true),
            ("windows", false),
            ("target_os = \"linux\"", true),
            ("target_os = \"macos\"", false),
            ("target_feature = \"sse2\"", true),
            ("feature = \"fast-path\"", true),
            ("feature = \"other\"", false),
            ("all(unix, not(windows))", true),
            ("any(windows, feature = \"fast-path\")", true),
            ("all()", true),
            ("any()", false),
            ("not(unix)", false),
            ("test", false),
            ("unheard_of(unix)", false),
        ] {
            let meta: Meta = syn::parse_str(text).unwrap();
            assert_eq!(from_cargo.holds(&meta), holds, "{text}");
            assert_eq!(from_rustc.holds(&meta), holds, "{text}");
        }
        assert!(from_cargo.with_test().holds(&syn::parse_str("test").unwrap()));
    }
}
