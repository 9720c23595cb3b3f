//! What the build step said of this crate.

use std::cell::RefCell;
use std::env;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use murmur_spec::codes::{self, Code};
use murmur_spec::ctxt::Finding;
use murmur_spec::handover::{self, Crate, Handover, Message};
use murmur_spec::item::Item;
use murmur_spec::{fingerprint, names};
use proc_macro2::TokenStream;
use quote::quote_spanned;

/// What is known of the build while a macro runs.
pub(crate) struct Build {
    state: State,
    /// The protobuf package when the build step does not say it.
    default_package: String,
    /// `CARGO_CRATE_NAME`.
    crate_name: String,
    /// The crate is a test of its own (`tests/`, a doctest), whose items are no contract.
    is_test: bool,
}

#[derive(Clone)]
enum State {
    /// No build script ran that calls us. An editor is in this state too.
    Absent,
    /// Its words cannot be understood.
    Broken(String),
    /// It said something, of this crate or of others.
    Said { krate: Option<Rc<Crate>> },
}

impl Build {
    /// Read what cargo and the build step left for the crate that is being compiled.
    pub(crate) fn read() -> Self {
        let var = |name: &str| env::var(name).ok();
        let crate_name = var("CARGO_CRATE_NAME").unwrap_or_default();
        Self {
            state: State::read(&crate_name),
            default_package: names::package(&var("CARGO_PKG_NAME").unwrap_or_else(|| "crate".into())),
            // Cargo sets the first for `tests/` and `benches/` only, rustdoc the second for doctests.
            is_test: var("CARGO_TARGET_TMPDIR").is_some() || var("UNSTABLE_RUSTDOC_TEST_PATH").is_some(),
            crate_name,
        }
    }

    /// As if the build step had said this of the crate, for tests of the expansion.
    #[cfg(test)]
    pub(crate) fn said(krate: Option<Crate>) -> Self {
        Self {
            state: State::Said { krate: krate.map(Rc::new) },
            default_package: "example.v1".into(),
            crate_name: "example".into(),
            is_test: false,
        }
    }

    fn krate(&self) -> Option<&Crate> {
        match &self.state {
            State::Said { krate } => krate.as_deref(),
            _ => None,
        }
    }

    /// Whether a build script that calls us ran.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// The protobuf package; `given` by the pipeline itself.
    pub(crate) fn package(&self, given: Option<&str>) -> String {
        let said = self.krate().map(|krate| krate.package.as_str());
        said.or(given).unwrap_or(&self.default_package).to_owned()
    }

    /// The names of the pipelines that the build step saw in this crate, by their keys.
    pub(crate) fn pipelines(&self) -> Vec<String> {
        let messages = self.krate().map(|krate| krate.messages.as_slice()).unwrap_or_default();
        messages.iter().filter_map(|message| message.name.strip_suffix("Key").map(names::snake)).collect()
    }

    /// The numbers of a message: from the lock, or by position when there is no build step. `pinned` by the user.
    pub(crate) fn numbers(&self, message: &str, fields: &[(String, Option<u32>)]) -> Message {
        let said = self.krate().and_then(|krate| krate.message(message));
        let retired = said.map(|message| message.retired.clone()).unwrap_or_default();
        let known = |name: &str| said.and_then(|message| message.number(name));
        let mut taken: Vec<u32> = retired.clone();
        taken.extend(fields.iter().filter_map(|(name, pinned)| known(name).or(*pinned)));
        let mut next = 1;
        let numbered = fields.iter().map(|(name, pinned)| {
            let number = known(name).or(*pinned).unwrap_or_else(|| {
                while taken.contains(&next) {
                    next += 1;
                }
                taken.push(next);
                next
            });
            (name.clone(), number)
        });
        Message { name: message.into(), fields: numbered.collect(), retired: retired.clone() }
    }

    /// What a client of a service says that it was made from, where the build step knows the service.
    pub(crate) fn contract(&self, service: &str) -> Option<&str> {
        let contracts = self.krate()?.contracts.iter();
        contracts.filter(|(name, _)| name == service).map(|(_, contract)| contract.as_str()).next()
    }

    /// What the build step found about an item, at the tokens it is about.
    pub(crate) fn findings(&self, item: &Item) -> Vec<Finding> {
        let name = item.name();
        let findings = self.krate().map(|krate| krate.findings.as_slice()).unwrap_or_default();
        findings
            .iter()
            .filter(|finding| finding.item == name)
            .map(|finding| Finding {
                code: finding.code,
                at: item.at(&finding.part),
                message: finding.message.clone(),
                help: finding.help.clone(),
            })
            .collect()
    }

    /// An assertion that fails when macro and build step do not agree about an item; nothing when they do.
    ///
    /// It is a constant that panics, not a `compile_error!`: an editor that ran no build script stays silent.
    pub(crate) fn agreement(&self, item: &Item) -> TokenStream {
        if self.is_test && self.krate().is_none() {
            return TokenStream::new();
        }
        let (name, crate_name) = (item.name(), &self.crate_name);
        let (code, message) = match &self.state {
            State::Absent if !matches!(item, Item::Pipeline(_)) => return TokenStream::new(),
            State::Absent => {
                (codes::NO_BUILD_STEP, format!("no build step saw `{name}`; add `murmur_build::run()` to build.rs"))
            }
            State::Broken(why) => (
                codes::DISAGREEMENT,
                format!(
                    "what the build step wrote cannot be read: {why}; give `murmur-build` and `murmur-stream` one version"
                ),
            ),
            State::Said { krate: None } => (
                codes::NOT_SEEN,
                format!(
                    "the build step read other crates of this package, but not `{crate_name}`; add its root file to `roots` under `[package.metadata.murmur]` in Cargo.toml"
                ),
            ),
            State::Said { krate: Some(krate) } => match krate.fingerprint(&name) {
                None => (
                    codes::NOT_SEEN,
                    format!(
                        "the build step did not see `{name}`; is it made by a macro, inside a function, or in a file that no `mod` reaches?"
                    ),
                ),
                Some(seen) if seen != fingerprint::of(item) => (
                    codes::DISAGREEMENT,
                    format!(
                        "the build step read `{name}` differently; move `#[murmur::...]` above the other attributes, and give `murmur-build` and `murmur-stream` one version"
                    ),
                ),
                Some(_) => return TokenStream::new(),
            },
        };
        let span = item.ident().span();
        assertion(code, &message, span)
    }
}

/// A constant that panics with the message.
pub(crate) fn assertion(code: Code, message: &str, span: proc_macro2::Span) -> TokenStream {
    let text = format!("{code}: {message}");
    quote_spanned!(span=> const _: () = ::core::panic!(#text);)
}

thread_local! {
    /// What was read last, and of which run and crate. Every macro of a crate reads the same; a server that expands
    /// macros for an editor lives longer than a run.
    static LAST: RefCell<Option<(String, String, State)>> = const { RefCell::new(None) };
}

impl State {
    /// Believed is only the file of the run that Cargo knows of: after it, a new one of another hash is written, and
    /// Cargo compiles the crate again, so nothing needs to be tracked.
    fn read(crate_name: &str) -> Self {
        let (Some(out), Ok(run)) = (env::var_os("OUT_DIR"), env::var(handover::RUN)) else { return Self::Absent };
        LAST.with_borrow_mut(|last| match last {
            Some((of_run, of_crate, state)) if *of_run == run && of_crate == crate_name => state.clone(),
            _ => {
                let state = Self::of_file(&PathBuf::from(out).join(handover::FILE), &run, crate_name);
                *last = Some((run, crate_name.to_owned(), state.clone()));
                state
            }
        })
    }

    fn of_file(path: &Path, run: &str, crate_name: &str) -> Self {
        let Some(text) = std::fs::read_to_string(path).ok().filter(|text| handover::hash(text) == run) else {
            return Self::Absent;
        };
        match Handover::read(&text) {
            Ok(handover) => Self::Said { krate: handover.find(crate_name).cloned().map(Rc::new) },
            Err(why) => Self::Broken(why),
        }
    }
}
