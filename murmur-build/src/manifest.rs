//! What the build step needs of `Cargo.toml`.
//!
//! A reader of the few lines that matter, instead of a TOML library in every user's build: names and paths of
//! targets, the name of the runtime, features, and our own table:
//!
//! ```toml
//! [package.metadata.murmur]
//! package = "shop.orders.v1"        # the protobuf package, `<crate>.v1` without it
//! roots = ["examples/orders.rs"]    # files of targets that Cargo finds by itself
//! ```
//!
//! It stands in the manifest because both the build step and `cargo murmur` read that, and only one of them runs
//! `build.rs`.

use std::collections::BTreeMap;

/// The package name of the runtime.
const RUNTIME: &str = "murmur-stream";

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    /// `[package] name`; empty in a workspace's root without a package.
    pub(crate) name: String,
    /// The library, binaries, examples, tests and benches that are spelled out.
    pub(crate) targets: Vec<Target>,
    /// The names by which the crate calls the runtime.
    pub(crate) runtimes: Vec<String>,
    /// The dependencies of which only the workspace says what they are.
    pub(crate) inherited: Vec<String>,
    /// Whether there is a `[workspace]`, whose dependencies are among `runtimes` then.
    pub(crate) is_workspace: bool,
    /// `[features]`.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// What `[package]` says of the package, or `[workspace.package]` where this is a workspace.
    pub(crate) about: About,
    /// What of it only the workspace says.
    pub(crate) inherited_about: Vec<String>,
    /// `[package.metadata.murmur] package`.
    pub(crate) package: Option<String>,
    /// `[package.metadata.murmur] roots`.
    pub(crate) roots: Vec<String>,
}

/// What a package says of itself; empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// `1.2.3`.
    pub version: String,
    /// An expression of SPDX.
    pub license: String,
    /// Where its source is.
    pub repository: String,
}

impl About {
    fn part(&mut self, key: &str) -> Option<&mut String> {
        Some(match key {
            "version" => &mut self.version,
            "license" => &mut self.license,
            "repository" => &mut self.repository,
            _ => return None,
        })
    }
}

/// A target that is spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    /// `lib`, `bin`, `example`.
    pub(crate) kind: String,
    /// Its name, where given.
    pub(crate) name: Option<String>,
    /// Its file, where given.
    pub(crate) path: Option<String>,
}

impl Manifest {
    /// Read the text. What is not understood is left out: Cargo has checked it before us.
    pub(crate) fn read(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let line = without_comment(line).trim();
            if let Some(head) = line.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
                section = head.trim().to_owned();
                manifest.targets.push(Target { kind: section.clone(), ..Target::default() });
            } else if let Some(head) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = head.trim().to_owned();
                manifest.is_workspace |= section == "workspace" || section.starts_with("workspace.");
                if section == "lib" {
                    manifest.targets.push(Target { kind: "lib".into(), ..Target::default() });
                }
            } else if let Some((key, value)) = line.split_once('=') {
                let mut value = value.trim().to_owned();
                while value.starts_with('[') && !closed(&value) {
                    let Some(more) = lines.next() else { break };
                    value.push_str(without_comment(more).trim());
                }
                manifest.entry(&section, key.trim().trim_matches('"'), &value);
            }
        }
        manifest.targets.retain(|target| ["lib", "bin", "example"].contains(&target.kind.as_str()));
        manifest
    }

    /// The names of the runtime, those too that the workspace of this text gives it.
    pub(crate) fn runtimes(&self, workspace: Option<&Self>) -> Vec<String> {
        let of_workspace = workspace.map_or(&[][..], |workspace| &workspace.runtimes);
        let inherited = self.inherited.iter().filter(|name| of_workspace.contains(name));
        let mut runtimes: Vec<String> = self.runtimes.iter().chain(inherited).cloned().collect();
        if runtimes.is_empty() {
            runtimes.push("murmur".into());
        }
        runtimes
    }

    /// What the package says of itself, with what the workspace of this text says for it.
    pub(crate) fn about(&self, workspace: Option<&Self>) -> About {
        let (mut about, mut whole) = (self.about.clone(), workspace.map(|of| of.about.clone()).unwrap_or_default());
        for key in &self.inherited_about {
            if let (Some(part), Some(of)) = (about.part(key), whole.part(key)) {
                part.clone_from(of);
            }
        }
        about
    }

    fn entry(&mut self, section: &str, key: &str, value: &str) {
        match (section, key) {
            ("package", "name") => self.name = text(value).unwrap_or_default(),
            ("package" | "workspace.package", key)
                if self.about.part(key.split('.').next().unwrap_or(key)).is_some() =>
            {
                let name = key.split('.').next().unwrap_or(key);
                match (text(value), self.about.part(name)) {
                    (Some(text), Some(part)) if name == key => *part = text,
                    // `version.workspace = true`, `version = { workspace = true }`
                    _ => self.inherited_about.push(name.to_owned()),
                }
            }
            ("package.metadata.murmur", "package") => self.package = text(value),
            ("package.metadata.murmur", "roots") => self.roots = texts(value),
            ("lib" | "bin" | "example", "name") => {
                if let Some(target) = self.targets.last_mut() {
                    target.name = text(value);
                }
            }
            ("lib" | "bin" | "example", "path") => {
                if let Some(target) = self.targets.last_mut() {
                    target.path = text(value);
                }
            }
            ("features", name) => drop(self.features.insert(name.to_owned(), texts(value))),
            (section, "package") if text(value).as_deref() == Some(RUNTIME) => {
                // [dependencies.streams]
                self.runtimes.extend(section.rsplit_once("dependencies.").map(|(_, name)| crate_name(name)));
            }
            (section, name) if section.ends_with("dependencies") && section != "build-dependencies" => {
                let renamed = value.starts_with('{')
                    && value
                        .split([',', '{', '}'])
                        .filter_map(|entry| entry.split_once('='))
                        .any(|(key, value)| key.trim() == "package" && text(value.trim()).as_deref() == Some(RUNTIME));
                // `streams.workspace = true`, `streams = { workspace = true }`
                if name.ends_with(".workspace") || (value.starts_with('{') && value.contains("workspace")) {
                    self.inherited.push(crate_name(name.split('.').next().unwrap_or(name)));
                }
                // `streams.package = "murmur-stream"`, a line of its own.
                let dotted = name.ends_with(".package") && text(value).as_deref() == Some(RUNTIME);
                if renamed || dotted {
                    let name = name.split('.').next().unwrap_or(name);
                    self.runtimes.push(crate_name(name));
                }
            }
            _ => {}
        }
    }

    /// The features that are on by default, with those they bring.
    pub(crate) fn default_features(&self) -> Vec<String> {
        let mut on: Vec<String> = Vec::new();
        let mut open = vec!["default".to_owned()];
        while let Some(name) = open.pop() {
            if let Some(brings) = self.features.get(&name)
                && !on.contains(&name)
            {
                on.push(name);
                open.extend(brings.iter().cloned());
            }
        }
        on
    }
}

fn crate_name(name: &str) -> String {
    name.trim_matches('"').replace('-', "_")
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

fn closed(value: &str) -> bool {
    value.matches('[').count() <= value.matches(']').count()
}

fn text(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
    value[1..].split_once(quote).map(|(inner, _)| inner.to_owned())
}

fn texts(value: &str) -> Vec<String> {
    value.trim_matches(['[', ']']).split(',').filter_map(|item| text(item.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_matter_are_read() {
        let manifest = Manifest::read(
            r#"
            [package]
            name = "page-traffic" # a comment
            version.workspace = true

            [package.metadata.murmur]
            package = "shop.orders.v1"
            roots = ["examples/a.rs", 'examples/b.rs']

            [lib]
            name = "traffic"
            path = "src/traffic.rs"

            [[example]]
            name = "page-traffic"
            path = "src/main.rs"

            [[test]]
            name = "other"
            path = "tests/other.rs"

            [features]
            default = [
                "fast", # quick
                "dep:serde",
            ]
            fast = ["small"]
            small = []
            other = []

            [dependencies]
            streams = { package = "murmur-stream", version = "0.1" }
            serde = "1"
            "#,
        );
        assert_eq!(manifest.name, "page-traffic");
        assert_eq!(manifest.package.as_deref(), Some("shop.orders.v1"));
        assert_eq!(manifest.roots, ["examples/a.rs", "examples/b.rs"]);
        assert_eq!(manifest.targets.len(), 2);
        assert_eq!(manifest.targets[0].name.as_deref(), Some("traffic"));
        assert_eq!(manifest.targets[1].path.as_deref(), Some("src/main.rs"));
        assert_eq!(manifest.runtimes, ["streams"]);
        assert_eq!(manifest.default_features(), ["default", "fast", "small"]);
    }

    #[test]
    fn the_runtime_is_found_under_each_way_to_name_it() {
        for (text, name) in [
            ("[dependencies]\nmurmur = { package = \"murmur-stream\", version = \"0.1\" }", "murmur"),
            ("[dependencies]\nmy-murmur = { path = \"x\", package = \"murmur-stream\" }", "my_murmur"),
            ("[dependencies.streams]\npackage = \"murmur-stream\"", "streams"),
            ("[dependencies]\nstreams.path = \"x\"\nstreams.package = \"murmur-stream\"", "streams"),
            ("[target.'cfg(unix)'.dependencies]\nunixy = { package = \"murmur-stream\" }", "unixy"),
            ("[dependencies]\nmurmur.workspace = true", "murmur"),
            ("[dependencies]\nmurmur = { workspace = true, features = [\"app\"] }", "murmur"),
            ("[dependencies]\nserde = \"1\"", "murmur"),
        ] {
            assert_eq!(Manifest::read(text).runtimes(None), [name], "{text}");
        }
    }

    #[test]
    fn what_a_package_says_of_itself_may_stand_in_the_workspace() {
        let workspace = Manifest::read("[workspace.package]\nversion = \"2.3.4\"\nlicense = \"MIT\"");
        let manifest = Manifest::read(
            "[package]\nname = \"shop\"\nversion.workspace = true\nlicense = { workspace = true }\nrepository = \"https://x\"",
        );
        let about = manifest.about(Some(&workspace));
        assert_eq!((&*about.version, &*about.license, &*about.repository), ("2.3.4", "MIT", "https://x"));
        let alone = Manifest::read("[package]\nname = \"shop\"\nversion = \"1.0.0\"");
        assert_eq!(alone.about(Some(&workspace)), About { version: "1.0.0".into(), ..About::default() });
    }

    #[test]
    fn a_name_given_in_the_workspace_is_inherited() {
        let workspace = Manifest::read(
            "[workspace]\nmembers = [\"shop\"]\n[workspace.dependencies]\n\
             streams = { package = \"murmur-stream\", version = \"0.1\" }\nserde = \"1\"",
        );
        assert!(workspace.is_workspace);
        for text in ["streams.workspace = true", "streams = { workspace = true, features = [\"app\"] }"] {
            let manifest =
                Manifest::read(&format!("[package]\nname = \"shop\"\n[dependencies]\nserde.workspace = true\n{text}"));
            assert!(!manifest.is_workspace);
            assert_eq!(manifest.runtimes(Some(&workspace)), ["streams"], "{text}");
            assert_eq!(manifest.runtimes(None), ["murmur"], "without its workspace nothing is known");
        }
    }
}
