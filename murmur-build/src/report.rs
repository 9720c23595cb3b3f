use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use murmur_spec::codes::{self, Code};
use murmur_spec::ctxt::{At, Finding as Said};
use murmur_spec::diff::Review;
use murmur_spec::emit::{self, LOCK, Output};
use murmur_spec::item::Part;
use murmur_spec::lock::Lock;
use murmur_spec::package::{Located, Lowered, lower};
use murmur_spec::schema::Place;

use crate::project::Project;
use crate::walk::{Cache, Found, walk};

/// Something that is wrong, where a person can find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which kind.
    pub code: Code,
    /// What, in a sentence.
    pub message: String,
    /// More, and the way out.
    pub help: Option<String>,
    /// Where; `None` for what is no longer in the source.
    pub spot: Option<Spot>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Relative to the package, with `/`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters of the line are meant.
    pub width: usize,
    /// The text of the line.
    pub text: String,
}

impl Finding {
    pub(crate) fn at(said: &Said, file: &str, text: &str) -> Self {
        let spot = Spot::new(file, said.at, text);
        Self { code: said.code, message: said.message.clone(), help: said.help.clone(), spot: Some(spot) }
    }
}

impl Spot {
    fn new(file: &str, at: At, text: &str) -> Self {
        let (line, column) = at.line_column();
        let text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned();
        Self { file: file.to_owned(), line, column, width: at.width(&text), text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(spot) = &self.spot {
            write!(f, "{}:{}:{}: ", spot.file, spot.line, spot.column)?;
        }
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// A source file that cannot be read or parsed. The build step leaves it to rustc, which says more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unparsed {
    /// Its path from the package.
    pub file: String,
    /// Line and column, from 1; `None` when it cannot be read at all.
    pub place: Option<(usize, usize)>,
    /// Why.
    pub message: String,
}

impl fmt::Display for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A finding that a macro can place.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) item: String,
    pub(crate) part: Part,
    pub(crate) finding: Finding,
}

/// A crate of the package with what was found in it.
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Names of its items, those that only tests have too.
    pub(crate) seen: Vec<(String, u64)>,
}

/// A package, read and compared with its lock.
pub struct Report {
    /// The package.
    pub project: Project,
    /// The lock as it is committed.
    pub lock: Lock,
    /// The contracts, and how they differ from the lock.
    pub review: Review,
    /// What is wrong with the source itself; each macro says its own.
    pub source: Vec<Finding>,
    /// Source files that cannot be read or parsed.
    pub unparsed: Vec<Unparsed>,
    /// Everything was read, and nothing is wrong with it: only then do breaks mean anything.
    pub whole: bool,
    pub(crate) placed: Vec<Placed>,
    pub(crate) unplaced: Vec<Finding>,
    pub(crate) crates: Vec<Crate>,
    /// The same with what only tests have; for the numbers of that.
    pub(crate) with_tests: Review,
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) folders: BTreeSet<PathBuf>,
    /// How many files had to be parsed; the others never mention the runtime.
    pub parsed: usize,
}

/// Why nothing can be said about a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub Box<Finding>);

impl Report {
    /// Read a package and its lock.
    pub fn of(project: Project) -> Result<Self, Unreadable> {
        let lock = read_lock(&project)?;
        let mut cache = Cache::default();
        let mut all = Collected::new();
        let mut tests = Collected::new();
        let mut crates = Vec::new();
        let test_cfg = project.cfg.clone().with_test();
        for root in &project.roots {
            let found = walk(&project, &project.cfg, &root.file, &mut cache);
            let with_tests = walk(&project, &test_cfg, &root.file, &mut cache);
            let seen = lower(&with_tests.items, &project.package).seen;
            crates.push(Crate { name: root.name.clone(), seen });
            all.add(found);
            tests.add(with_tests);
        }
        let mut lowered = lower(&all.items, &project.package);
        if all.refused || !all.unparsed.is_empty() {
            // What seems to be missing may be what cannot be read yet.
            let missing = [codes::UNKNOWN_EVENT, codes::UNKNOWN_VALUE, codes::UNKNOWN_AGGREGATE];
            lowered.findings.retain(|found| !missing.contains(&found.code));
        }
        let review = Review::of(&lock, &lowered.package);
        let whole = all.unparsed.is_empty() && all.findings.is_empty() && lowered.findings.is_empty();
        let with_tests = Review::of(&lock, &lower(&tests.items, &project.package).package);
        let mut report = Self {
            lock,
            review,
            unparsed: all.unparsed,
            whole,
            placed: Vec::new(),
            unplaced: Vec::new(),
            source: all.findings,
            crates,
            with_tests,
            files: cache.read().map(Path::to_owned).collect(),
            folders: cache.missing.clone(),
            parsed: cache.parsed(),
            project,
        };
        report.place(&lowered, &all.items);
        Ok(report)
    }

    /// Everything that is wrong, in the order of files and lines.
    pub fn findings(&self) -> Vec<&Finding> {
        let placed = self.placed.iter().map(|placed| &placed.finding);
        let mut all: Vec<&Finding> = self.source.iter().chain(placed).chain(&self.unplaced).collect();
        all.sort_by_key(|finding| finding.spot.as_ref().map(|spot| (spot.file.clone(), spot.line, spot.column)));
        all
    }

    /// The files to commit.
    pub fn outputs(&self) -> Vec<Output> {
        emit::outputs(&self.review, &self.project.name)
    }

    /// The serialized descriptor set.
    pub fn descriptor_set(&self) -> Vec<u8> {
        emit::descriptor_set(&self.review, &self.project.name)
    }

    fn place(&mut self, lowered: &Lowered, items: &[Located]) {
        for found in &lowered.findings {
            let said = found.finding();
            self.push(&found.item, found.part.clone(), said.code, said.message, said.help, items);
        }
        // A file that does not parse looks like a service that was removed: first things first.
        if !self.whole {
            return;
        }
        let problems = self.review.problems.clone();
        let breaks = self.review.breaks.clone();
        let problems = problems.into_iter().map(|found| (found.place, found.code, found.message, None));
        let breaks = breaks.into_iter().map(|found| {
            let help = found.help();
            (found.place, found.code, found.message, Some(help))
        });
        for (place, code, message, help) in problems.chain(breaks) {
            match locate(&place, lowered) {
                Some((item, part)) => self.push(&item, part, code, message, help, items),
                None => self.unplaced.push(Finding { code, message, help, spot: None }),
            }
        }
    }

    fn push(&mut self, item: &str, part: Part, code: Code, message: String, help: Option<String>, items: &[Located]) {
        let located = items.iter().find(|located| located.item.name() == item);
        let spot = located.map(|located| {
            let text = std::fs::read_to_string(self.project.dir.join(&located.file)).unwrap_or_default();
            Spot::new(&located.file, located.item.at(&part), &text)
        });
        let finding = Finding { code, message, help, spot };
        self.placed.push(Placed { item: item.to_owned(), part, finding });
    }
}

/// The items of several crates of a package. A module that two crates share is one module.
struct Collected {
    items: Vec<Located>,
    findings: Vec<Finding>,
    known: BTreeSet<(String, String)>,
    unparsed: Vec<Unparsed>,
    refused: bool,
}

impl Collected {
    fn new() -> Self {
        Self { items: Vec::new(), findings: Vec::new(), known: BTreeSet::new(), unparsed: Vec::new(), refused: false }
    }

    fn add(&mut self, found: Found) {
        for unparsed in found.unparsed {
            if !self.unparsed.contains(&unparsed) {
                self.unparsed.push(unparsed);
            }
        }
        self.refused |= found.refused;
        let mut new = BTreeSet::new();
        for located in found.items {
            let key = (located.file.clone(), located.item.name());
            if !self.known.contains(&key) {
                new.insert(key);
                self.items.push(located);
            }
        }
        // Two items of one name in one file are two items.
        self.known.append(&mut new);
        for finding in found.findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }
}

/// The item and part of a place in the contract.
fn locate(place: &Place, lowered: &Lowered) -> Option<(String, Part)> {
    let (name, field) = match place {
        Place::Gone => return None,
        Place::Whole(name) | Place::Pipeline(name, _) => (name, None),
        Place::Field(name, field) | Place::Type(name, field) => (name, Some(field.as_str())),
    };
    let origin = lowered.origins.iter().find(|origin| origin.name == *name)?;
    let part = match (place, origin.part(field)) {
        (Place::Pipeline(_, part), _) => part.clone(),
        (Place::Type(..), Part::Field(name)) => Part::Type(name),
        (_, part) => part,
    };
    Some((origin.item.clone(), part))
}

fn read_lock(project: &Project) -> Result<Lock, Unreadable> {
    let unreadable = |message: String, line: usize, text: &str| {
        let text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned();
        let width = text.chars().count().max(1);
        let spot = Spot { file: LOCK.to_owned(), line, column: 1, width, text };
        Unreadable(Box::new(Finding { code: codes::LOCK_UNREADABLE, message, help: None, spot: Some(spot) }))
    };
    let text = match std::fs::read_to_string(project.dir.join(LOCK)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Lock::default()),
        Err(error) => return Err(unreadable(format!("cannot read the lock: {error}"), 1, "")),
    };
    Lock::from_str(&text).map_err(|error| unreadable(error.message.clone(), error.line, &text))
}
