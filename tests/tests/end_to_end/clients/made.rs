//! Which clients are made, of which definitions.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use murmur_tests::process::{cargo_murmur, success, target};
use murmur_tests::workspace;

/// A client that is made in each language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// That of the running example.
    PageTraffic,
    /// That of the program whose key has a field of each type.
    Meters,
    /// The same of its first contract, which lacks fields that it has now.
    MetersBefore,
    /// The same of definitions with a field that the program lacks.
    MetersAhead,
}

/// Where fields begin, in the definitions of the meters, that clients of the first contract do not know.
const LATER: &str = "// From here on unknown to clients of the first contract.\n";

impl Made {
    pub(super) const ALL: [Self; 4] = [Self::PageTraffic, Self::Meters, Self::MetersBefore, Self::MetersAhead];

    /// Of the folder with all that is made of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PageTraffic => "page-traffic",
            Self::Meters => "meters",
            Self::MetersBefore => "meters-before",
            Self::MetersAhead => "meters-ahead",
        }
    }

    /// Of its version: two of one name and version are one to some tools.
    pub(super) fn version(self) -> &'static str {
        match self {
            // That of the packages of the workspace.
            Self::PageTraffic | Self::Meters => env!("CARGO_PKG_VERSION"),
            Self::MetersBefore => "0.0.1",
            Self::MetersAhead => "0.0.2",
        }
    }

    /// The package whose definitions it is made of.
    pub(super) fn package(self) -> &'static str {
        if self == Self::PageTraffic { "page-traffic" } else { "meters" }
    }

    pub(super) fn service(self) -> &'static str {
        match self {
            Self::PageTraffic => "page_traffic.v1.PageTrafficService",
            _ => "meters.v1.ByMeterService",
        }
    }

    /// The folder of its definitions, changed where it is of others than there are.
    fn defined(self) -> PathBuf {
        let of_meters = workspace().join("tests/meters");
        match self {
            Self::PageTraffic => workspace().join("examples/page-traffic"),
            Self::Meters => of_meters,
            Self::MetersBefore => self.changed(&of_meters, |source| {
                // Up to the end of the struct, and of the value.
                let mut parts = source.split(LATER);
                let mut kept = parts.next().unwrap().to_owned();
                for part in parts {
                    kept.push_str(&part[part.find('}').unwrap()..]);
                }
                kept
            }),
            Self::MetersAhead => self.changed(&of_meters, |source| {
                source.replace("pub readers: DistinctSet,", "pub readers: DistinctSet,\n    pub broken: Count,")
            }),
        }
    }

    /// A package with other definitions, in a folder of its own, with the contract that they make.
    fn changed(self, from: &Path, change: impl Fn(&str) -> String) -> PathBuf {
        let project = target().join("tmp/clients").join(self.name()).join("project");
        // An earlier one would be the one before.
        if project.exists() {
            std::fs::remove_dir_all(&project).unwrap();
        }
        std::fs::create_dir_all(project.join("src")).unwrap();
        std::fs::create_dir_all(project.join("proto")).unwrap();
        let read = |file: &str| std::fs::read_to_string(from.join(file)).unwrap();
        let write = |file: &str, text: &str| std::fs::write(project.join(file), text).unwrap();
        let version = format!("version = {:?}", self.version());
        write("Cargo.toml", &read("Cargo.toml").replace("version.workspace = true", &version));
        let source = read("src/main.rs");
        let changed = change(&source);
        assert_ne!(changed, source);
        write("src/main.rs", &changed);
        // The first contract had none before it.
        if self == Self::MetersAhead {
            write("proto/murmur.lock", &read("proto/murmur.lock"));
        }
        let manifest = project.join("Cargo.toml").display().to_string();
        success(cargo_murmur(), &["murmur", "sync", "--manifest-path", &manifest]);
        let (served, ours) = (fingerprints(&from.join("proto")), fingerprints(&project.join("proto")));
        match self {
            // A server of the present definitions has all that this client knows.
            Self::MetersBefore => assert_eq!(ours, served[..1]),
            // One with these would have all that the present client knows.
            _ => assert_eq!((&ours[..served.len()], ours.len()), (&served[..], served.len() + 1)),
        }
        project
    }

    fn project(self) -> &'static Path {
        static PROJECTS: [OnceLock<PathBuf>; Made::ALL.len()] = [const { OnceLock::new() }; Made::ALL.len()];
        PROJECTS[self as usize].get_or_init(|| self.defined())
    }

    /// The folder of its contract's protos.
    pub(super) fn protos(self) -> PathBuf {
        self.project().join("proto")
    }

    /// The package for a language; its folder.
    pub(super) fn made(self, language: &str) -> PathBuf {
        made_of(self.project(), language, self.name())
    }

    /// What the tests have for a language: written for page-traffic, with the names of this client.
    pub(super) fn program(self, file: &str) -> String {
        let text = std::fs::read_to_string(workspace().join("tests/clients/made").join(file)).unwrap();
        if self == Self::PageTraffic {
            return text;
        }
        text.replace("PageTraffic", "ByMeter").replace("page_traffic", "meters").replace("page-traffic", "meters")
    }
}

/// Those of the contracts that a lock says a service still answers by.
pub(super) fn fingerprints(proto: &Path) -> Vec<String> {
    let lock = std::fs::read_to_string(proto.join("murmur.lock")).unwrap();
    lock.lines().filter_map(|line| line.strip_prefix("serves ")).map(str::to_owned).collect()
}

/// The package for a language, made from the contract of a project; its folder.
pub(super) fn made_of(project: &Path, language: &str, name: &str) -> PathBuf {
    made_into(project, language, &target().join("tmp/clients").join(name))
}

/// The same in a folder.
pub(super) fn made_into(project: &Path, language: &str, out: &Path) -> PathBuf {
    let manifest = project.join("Cargo.toml");
    let asked = ["murmur", "clients", "--lang", language, "--out", out.to_str().unwrap()];
    success(cargo_murmur(), &[&asked[..], &["--manifest-path", manifest.to_str().unwrap()]].concat());
    out.join(language)
}

/// The first program of the README of a client in its language, which asks at `url` and not where the README does.
pub(super) fn first(package: &Path, language: &str, url: &str) -> String {
    let readme = std::fs::read_to_string(package.join("README.md")).unwrap();
    let (_, from) = readme.split_once(&format!("```{language}\n")).unwrap();
    let (program, _) = from.split_once("```").unwrap();
    assert!(program.contains(README_URL), "{program}");
    program.replace(README_URL, url)
}

/// Where the READMEs ask, as all these languages write a text.
const README_URL: &str = "\"http://127.0.0.1:50051\"";
