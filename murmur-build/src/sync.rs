//! The committed copies: compare, write, accept a break.

use std::fs;
use std::io;
use std::path::Path;

use murmur_spec::emit::{self, LOCK};
use murmur_spec::lock::Decision;

use crate::report::Report;

/// A committed file that is not as the source would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Relative to the package, with `/`.
    pub path: String,
    /// How it differs.
    pub how: How,
}

/// How a committed file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is not there.
    Missing,
    /// It has other bytes.
    Different,
    /// It belongs to a table or package that is gone.
    Stale,
}

/// Why a break was not accepted.
#[derive(Debug)]
pub enum Refused {
    /// There is no such break; these are there, as `M0610 PageView.at`.
    Unknown(Vec<String>),
    /// The lock could not be written.
    Io(io::Error),
}

impl Report {
    /// The committed files that differ, in order of their paths.
    pub fn behind(&self) -> io::Result<Vec<Behind>> {
        let mut out = Vec::new();
        for output in self.outputs() {
            let how = match read(&self.project.dir.join(&output.path))? {
                None => How::Missing,
                Some(text) if text != output.text => How::Different,
                Some(_) => continue,
            };
            out.push(Behind { path: output.path, how });
        }
        for path in emit::stale(&self.lock, &self.review, &self.project.name) {
            if self.project.dir.join(&path).is_file() {
                out.push(Behind { path, how: How::Stale });
            }
        }
        out.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(out)
    }

    /// Bring the committed files up to date. The caller has made sure that nothing is wrong with the source.
    pub fn sync(&self) -> io::Result<Vec<Behind>> {
        let behind = self.behind()?;
        let outputs = self.outputs();
        for file in &behind {
            let path = self.project.dir.join(&file.path);
            match outputs.iter().find(|output| output.path == file.path) {
                Some(output) => write(&path, &output.text)?,
                None => fs::remove_file(path)?,
            }
        }
        Ok(behind)
    }

    /// Record in the lock that a break is meant. It is in force after the next sync.
    pub fn accept(&self, code: &str, subject: &str) -> Result<Vec<Decision>, Refused> {
        let breaks = &self.review.breaks;
        let meant = breaks.iter().filter(|found| found.code.id == code && found.subject == subject);
        let decisions: Vec<Decision> = meant.map(|found| found.accept()).collect();
        if decisions.is_empty() {
            return Err(Refused::Unknown(
                breaks.iter().map(|found| format!("{} {}", found.code, found.subject)).collect(),
            ));
        }
        let mut lock = self.lock.clone();
        lock.decisions.extend(decisions.iter().cloned());
        write(&self.project.dir.join(LOCK), &lock.to_string()).map_err(Refused::Io)?;
        Ok(decisions)
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}
