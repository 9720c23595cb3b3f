//! Findings, collected.
//!
//! Whoever stops at the first mistake makes the user compile once per mistake. So no pass returns early with an error:
//! it says what is wrong to a [`Ctxt`], puts something harmless in its place or leaves it out, and goes on. Only the
//! end asks whether anything was said.

use std::cell::RefCell;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};

use crate::codes::Code;

/// Where in the source: from the first token to the last.
#[derive(Clone, Copy, Debug)]
pub struct At {
    start: Span,
    end: Span,
}

impl At {
    /// All of these tokens; the whole macro call when there are none.
    pub fn of(tokens: &impl ToTokens) -> Self {
        let mut spans = tokens.to_token_stream().into_iter().map(|token| match token {
            // A group made by a macro has no delimiters to point at; its span is its content's.
            TokenTree::Group(group) => group.span(),
            other => other.span(),
        });
        let start = spans.next().unwrap_or_else(Span::call_site);
        Self { start, end: spans.last().unwrap_or(start) }
    }

    /// The first token.
    pub fn start(&self) -> Span {
        self.start
    }

    /// Line (from 1) and column (from 1) in the file; meaningful in the build step only.
    #[cfg(feature = "emit")]
    pub fn line_column(&self) -> (usize, usize) {
        let start = self.start.start();
        (start.line, start.column + 1)
    }

    /// How many characters it covers on its first line; at least one.
    #[cfg(feature = "emit")]
    pub fn width(&self, line: &str) -> usize {
        let (start, end) = (self.start.start(), self.end.end());
        let until = if end.line == start.line { end.column } else { line.trim_end().chars().count() };
        until.saturating_sub(start.column).max(1)
    }
}

impl From<Span> for At {
    fn from(span: Span) -> Self {
        Self { start: span, end: span }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which kind.
    pub code: Code,
    /// Where.
    pub at: At,
    /// What, in a sentence that names the thing and the way out.
    pub message: String,
    /// More, where the sentence is not enough.
    pub help: Option<String>,
}

impl Finding {
    /// A finding without help.
    pub fn new(code: Code, at: impl Into<At>, message: impl Into<String>) -> Self {
        Self { code, at: at.into(), message: message.into(), help: None }
    }

    /// Add a second sentence.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As rustc shows it: `M0101: ...`.
    pub fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{}: {}\nhelp: {help}", self.code, self.message),
            None => format!("{}: {}", self.code, self.message),
        }
    }

    /// A `compile_error!` that underlines the place.
    pub fn to_compile_error(&self) -> TokenStream {
        let text = self.text();
        let start = quote_spanned!(self.at.start=> ::core::compile_error!);
        let end = quote_spanned!(self.at.end=> { #text });
        quote_spanned!(self.at.start=> #start #end)
    }
}

/// The collector. Dropping it without [`finish`](Self::finish) is a defect, and panics in debug builds.
#[derive(Debug)]
pub struct Ctxt {
    findings: RefCell<Option<Vec<Finding>>>,
}

impl Default for Ctxt {
    fn default() -> Self {
        Self { findings: RefCell::new(Some(Vec::new())) }
    }
}

impl Ctxt {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something is wrong.
    pub fn push(&self, finding: Finding) {
        if let Some(findings) = self.findings.borrow_mut().as_mut() {
            findings.push(finding);
        }
    }

    /// Something is wrong with these tokens.
    pub fn say(&self, code: Code, tokens: &impl ToTokens, message: impl Into<String>) {
        self.push(Finding::new(code, At::of(tokens), message));
    }

    /// How many were found so far; to see whether a part was clean.
    pub fn len(&self) -> usize {
        self.findings.borrow().as_ref().map_or(0, Vec::len)
    }

    /// Whether nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that was found, in the order of finding.
    pub fn finish(self) -> Vec<Finding> {
        self.findings.borrow_mut().take().unwrap_or_default()
    }
}

impl Drop for Ctxt {
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            assert!(self.findings.borrow().is_none(), "findings were collected and never looked at");
        }
    }
}

/// The most similar of `candidates`, when one is similar enough to be meant.
pub fn suggest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|(distance, candidate)| {
            // A short name inside a long one (`usr` in `usr_id`) is a slip of another kind.
            *distance <= allowed || (written.len() >= 3 && candidate.split('_').any(|word| word == written))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, replacements, swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[test]
    fn several_findings_come_in_order() {
        let ctxt = Ctxt::new();
        ctxt.push(Finding::new(codes::TUPLE, Span::call_site(), "a"));
        ctxt.push(Finding::new(codes::ARRAY, Span::call_site(), "b").help("c"));
        let findings = ctxt.finish();
        assert_eq!(findings[0].text(), "M0105: a");
        assert_eq!(findings[1].text(), "M0106: b\nhelp: c");
    }

    #[test]
    #[should_panic(expected = "never looked at")]
    fn an_unread_collector_panics() {
        drop(Ctxt::new());
    }

    #[test]
    fn near_misses_are_suggested_and_far_ones_are_not() {
        assert_eq!(suggest("windw", ["key", "window"]), Some("window"));
        assert_eq!(suggest("usr_id", ["page_id", "user_id"]), Some("user_id"));
        assert_eq!(suggest("user", ["page_id", "user_id"]), Some("user_id"));
        assert_eq!(suggest("colour", ["key", "window"]), None);
    }
}
