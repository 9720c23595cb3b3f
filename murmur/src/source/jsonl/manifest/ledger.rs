use std::collections::HashMap;
use std::fs::File;

use super::{FORMAT, Manifest};
use crate::source::jsonl::listing::{Identity, Place};
use crate::source::{RecordOutcome, Records, Shelf, Version};
use crate::{Error, ErrorKind, Result};

/// How often files are looked at that change meanwhile.
const LOOKS: u32 = 3;

/// The manifest with its record.
#[derive(Debug)]
pub(in crate::source::jsonl) struct Ledger {
    name: String,
    version: Option<Version>,
    pub(in crate::source::jsonl) manifest: Manifest,
    seen: Seen,
}

/// Which file was at a path when files were last looked for.
pub(super) type Seen = HashMap<String, Identity>;

/// What decides how a manifest is made and updated.
#[derive(Debug, Clone)]
pub(in crate::source::jsonl) struct Rules {
    pub(in crate::source::jsonl) follow: bool,
    /// As the user wants it.
    pub(in crate::source::jsonl) segments: Option<u32>,
    /// Whether the user gave the input its name; otherwise it stands for the path.
    pub(in crate::source::jsonl) named: bool,
}

impl Ledger {
    /// The manifest of this input, brought up to what is there now.
    pub(in crate::source::jsonl) async fn open(
        records: &dyn Records,
        id: &str,
        place: &Place,
        rules: &Rules,
    ) -> Result<Self> {
        let mut ledger =
            Self { name: record_name(id), version: None, manifest: Manifest::new(&place.root, 0), seen: Seen::new() };
        ledger.load(records, place, rules).await?;
        ledger.bring_up(records, place, rules, true).await?;
        Ok(ledger)
    }

    /// Take in what is there now, durably. Nothing of it may be read before.
    pub(in crate::source::jsonl) async fn refresh(
        &mut self,
        records: &dyn Records,
        place: &Place,
        rules: &Rules,
    ) -> Result<()> {
        self.bring_up(records, place, rules, false).await
    }

    async fn bring_up(&mut self, records: &dyn Records, place: &Place, rules: &Rules, all: bool) -> Result<()> {
        let (mut tries, none) = (0, Seen::new());
        loop {
            let found = place.list()?;
            let mut next = self.manifest.clone();
            if next.segments == 0 {
                next.segments = rules.segments.unwrap_or_else(|| {
                    let cores = std::thread::available_parallelism().map_or(1, usize::from);
                    cores.min(found.len()).clamp(1, 1024) as u32
                });
            }
            if let Err(error) = next.update(place, &found, rules.follow, if all { &none } else { &self.seen }) {
                tries += 1;
                // Files may have been moved about while they were looked at.
                if tries == LOOKS || place.list()? == found {
                    return Err(error);
                }
                continue;
            }
            if self.store(records, next).await? {
                self.seen = found.into_iter().map(|found| (found.path, found.identity)).collect();
                return Ok(());
            }
            self.load(records, place, rules).await?;
        }
    }

    /// A file that was dealt, to be read; where it is not at its path, files are looked for again first.
    pub(in crate::source::jsonl) async fn file(
        &mut self,
        records: &dyn Records,
        place: &Place,
        rules: &Rules,
        file: usize,
    ) -> Result<File> {
        if let Ok(input) = self.manifest.open(place, file)? {
            return Ok(input);
        }
        self.bring_up(records, place, rules, true).await?;
        self.manifest.open(place, file)?
    }

    /// Note that a compressed file is read with this size.
    pub(in crate::source::jsonl) async fn resize(
        &mut self,
        records: &dyn Records,
        place: &Place,
        rules: &Rules,
        number: u64,
        size: u64,
    ) -> Result<()> {
        loop {
            let mut next = self.manifest.clone();
            next.resize(place, number, size);
            if self.store(records, next).await? {
                return Ok(());
            }
            self.load(records, place, rules).await?;
        }
    }

    /// `false` when someone else has changed it meanwhile.
    async fn store(&mut self, records: &dyn Records, next: Manifest) -> Result<bool> {
        if next == self.manifest {
            return Ok(true);
        }
        let bytes = serde_json::to_vec(&next)
            .map_err(|error| Error::new(ErrorKind::Internal, "cannot write the manifest").with_source(error))?;
        match records.put_record(&Shelf::Sources, &self.name, bytes, self.version).await? {
            RecordOutcome::Written(version) => {
                self.version = Some(version);
                self.manifest = next;
                Ok(true)
            }
            RecordOutcome::Refused(_) => Ok(false),
        }
    }

    async fn load(&mut self, records: &dyn Records, place: &Place, rules: &Rules) -> Result<()> {
        let Some(record) = records.record(&Shelf::Sources, &self.name).await? else { return Ok(()) };
        let name = &self.name;
        let mut manifest = Manifest::read(&record.bytes).ok_or_else(|| {
            let context = format!("record `{name}` is not a manifest of format {FORMAT}; it was left as it is");
            Error::new(ErrorKind::Corrupt, context)
        })?;
        manifest.format = FORMAT;
        if !rules.named && manifest.root != place.root {
            let context = format!(
                "`{}` has the same name in the store as `{}`; give it another one with the option `id`",
                place.root, manifest.root
            );
            return Err(Error::new(ErrorKind::Conflict, context));
        }
        if let Some(wanted) = rules.segments.filter(|wanted| *wanted != manifest.segments) {
            let context = format!(
                "`{}` was dealt into {} segments and cannot be dealt again into {wanted}; leave the option `segments` \
                 out, or give the input another name with `id` to read it from its beginning",
                place.root, manifest.segments
            );
            return Err(Error::new(ErrorKind::Configuration, context));
        }
        self.version = Some(record.version);
        self.manifest = manifest;
        Ok(())
    }
}

/// Where an input keeps what must survive.
pub(in crate::source::jsonl) fn record_name(id: &str) -> String {
    format!("manifest/{id}")
}
