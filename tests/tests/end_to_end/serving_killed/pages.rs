//! Pages that are viewed meanwhile, and what an answer about one of them has to be.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// How many there are.
const PAGES: usize = 5;

/// As many views of a page as this may be written that no answer had yet: nobody fills the disk while there is no server.
const AHEAD: u64 = 500;

/// The n-th view of a page lasts n milliseconds. So an answer says not only how many views are in it, but whether they are the first
/// ones: all of them lie in one tile, which one worker writes.
pub(super) struct Pages {
    file: PathBuf,
    /// When every view is: in one slot.
    at: u64,
    pages: [Page; PAGES],
    enough: AtomicBool,
}

#[derive(Debug, Default)]
struct Page {
    /// Views that the worker may have counted.
    written: AtomicU64,
    /// Views of the best answer so far.
    answered: AtomicU64,
}

/// What is known of a page before a call about it begins.
pub(super) struct Asked {
    pub(super) page: usize,
    least: u64,
}

/// An answer about a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) views: u64,
    pub(super) dwell: u64,
    pub(super) slowest: u64,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pages.fmt(f)
    }
}

impl Pages {
    /// Views of them go to a file in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
        let file = folder.join("views.jsonl");
        std::fs::write(&file, "").unwrap();
        Self { file, at, pages: Default::default(), enough: AtomicBool::new(false) }
    }

    /// Where a worker finds them.
    pub(super) fn source(&self) -> String {
        format!("{}?every=10ms", self.file.display())
    }

    /// A page, in turn.
    pub(super) fn turn(call: usize) -> usize {
        call % PAGES
    }

    pub(super) fn all() -> impl Iterator<Item = usize> {
        0..PAGES
    }

    pub(super) fn name(page: usize) -> String {
        format!("/page/{page}")
    }

    pub(super) fn number(name: &str) -> usize {
        name.strip_prefix("/page/").unwrap().parse().unwrap()
    }

    /// Each of them is viewed once more.
    pub(super) fn view(&self) {
        let views = self.pages.iter().enumerate().map(|(page, counts)| {
            // Before it can be counted.
            let views = counts.written.fetch_add(1, SeqCst) + 1;
            let name = Self::name(page);
            let view = json!({ "page_id": name, "user_id": "somebody", "dwell_ms": views, "viewed_at": self.at });
            format!("{view}\n")
        });
        let views: String = views.collect();
        // At once, so that no half line is read.
        OpenOptions::new().append(true).open(&self.file).unwrap().write_all(views.as_bytes()).unwrap();
    }

    /// View them, but not far beyond what is answered, until it is enough.
    pub(super) fn keep_viewing(&self) {
        while !self.enough.load(SeqCst) {
            if self.pages.iter().all(|page| page.written.load(SeqCst) < page.answered.load(SeqCst) + AHEAD) {
                self.view();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn stop_viewing(&self) {
        self.enough.store(true, SeqCst);
    }

    /// A call about a page begins. A strong one has all that any answer had before it began; another one may miss what was written
    /// lately.
    pub(super) fn asked(&self, page: usize, strong: bool) -> Asked {
        Asked { page, least: if strong { self.pages[page].answered.load(SeqCst) } else { 0 } }
    }

    /// An answer is right: the first views of the page, not fewer than were known, and not more than are written.
    #[track_caller]
    pub(super) fn assert_right(&self, asked: &Asked, told: Told) {
        if let Some(wrong) = self.wrong(asked, told) {
            panic!("page {}: {wrong}", asked.page);
        }
        self.pages[asked.page].answered.fetch_max(told.views, SeqCst);
    }

    /// What is wrong with it, if anything is.
    fn wrong(&self, asked: &Asked, told: Told) -> Option<String> {
        let (least, most) = (asked.least, self.pages[asked.page].written.load(SeqCst));
        if told != first(told.views) {
            return Some(format!("{told:?} are not its first views"));
        }
        let is_within = (least..=most).contains(&told.views);
        (!is_within).then(|| format!("{} views are none of {least} to {most}", told.views))
    }

    /// Whether all views have been in an answer.
    pub(super) fn are_counted(&self) -> bool {
        self.pages.iter().all(|page| page.answered.load(SeqCst) == page.written.load(SeqCst))
    }

    /// Whether a store has all views, and each once.
    pub(super) fn assert_exact(&self, answers: &[(String, Value)]) {
        assert_eq!(answers.len(), PAGES);
        for (name, value) in answers {
            let number = |name: &str| value[name].as_str().unwrap().parse().unwrap();
            let told = Told { views: number("views"), dwell: number("dwell_ms"), slowest: number("slowest") };
            assert_eq!(told, first(self.pages[Self::number(name)].written.load(SeqCst)), "{name}");
        }
    }
}

/// What the first so many views of a page make.
fn first(views: u64) -> Told {
    Told { views, dwell: views * (views + 1) / 2, slowest: views }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let pages = Pages::new(folder.path());
        (0..3).for_each(|_| pages.view());
        pages.assert_right(&pages.asked(1, true), first(2));
        let is_right = |strong: bool, told: Told| pages.wrong(&pages.asked(1, strong), told).is_none();
        assert!(is_right(true, first(2)) && is_right(true, first(3)));
        assert!(!is_right(true, first(1)), "an answer before had two");
        assert!(is_right(false, first(1)), "which may be missed");
        assert!(!is_right(false, first(4)), "there are three");
        assert!(!is_right(true, Told { dwell: 4, ..first(2) }), "the first and the third");
        assert!(!is_right(true, Told { slowest: 3, ..first(2) }));
    }
}
