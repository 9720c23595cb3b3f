//! The right answers about page views, from the lines alone: everything is kept, nothing is estimated.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One page view that can be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which page.
    pub page: String,
    /// Who viewed it.
    pub visitor: String,
    /// For how long, in milliseconds.
    pub dwell: u64,
    /// Where the visitor came from.
    pub referrer: Option<String>,
    /// Microseconds since 1970.
    pub at: i64,
}

/// A stream of page views.
#[derive(Debug, Default)]
pub struct Views {
    /// Lines that can be counted, in their order.
    pub views: Vec<View>,
    /// Lines that are no page views, in their order.
    pub malformed: Vec<String>,
}

/// What is true of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// How many views.
    pub views: u64,
    /// Milliseconds of all views together.
    pub dwell: u64,
    /// Who viewed it.
    pub visitors: BTreeSet<String>,
    /// How many views came from where.
    pub referrers: BTreeMap<String, u64>,
    /// The longest view, in milliseconds.
    pub slowest: Option<u64>,
}

impl Views {
    /// Read lines of JSON.
    pub fn read(lines: &str) -> Self {
        let mut read = Self::default();
        for line in lines.lines() {
            match view(line) {
                Some(view) => read.views.push(view),
                None => read.malformed.push(line.to_owned()),
            }
        }
        read
    }

    /// What is true of each page over `[start, end)`, in microseconds.
    pub fn truth(&self, start: i64, end: i64) -> BTreeMap<String, Truth> {
        let mut pages: BTreeMap<String, Truth> = BTreeMap::new();
        for view in self.views.iter().filter(|view| start <= view.at && view.at < end) {
            pages.entry(view.page.clone()).or_default().add(view);
        }
        pages
    }

    /// What is true of each page over all time.
    pub fn whole_truth(&self) -> BTreeMap<String, Truth> {
        self.truth(i64::MIN, i64::MAX)
    }
}

impl Truth {
    fn add(&mut self, view: &View) {
        self.views += 1;
        self.dwell += view.dwell;
        self.visitors.insert(view.visitor.clone());
        if let Some(referrer) = &view.referrer {
            *self.referrers.entry(referrer.clone()).or_default() += 1;
        }
        self.slowest = self.slowest.max(Some(view.dwell));
    }

    /// Compare with a `Traffic` in protobuf's JSON form; what is wrong with it, if anything.
    pub fn compare(&self, traffic: &Value) -> Result<(), String> {
        let number = |name: &str| match traffic.get(name) {
            Some(Value::String(text)) => text.parse::<u64>().ok(),
            Some(Value::Number(number)) => number.as_u64(),
            _ => None,
        };
        let mut wrong = Vec::new();
        for (name, right) in [("views", Some(self.views)), ("dwell_ms", Some(self.dwell)), ("slowest", self.slowest)] {
            // Fields that are zero may be left out.
            if number(name).or(right.map(|_| 0)) != right {
                wrong.push(format!("{name} is {:?} instead of {right:?}", number(name)));
            }
        }
        let estimate =
            |name: &str| traffic.pointer(&format!("/visitors/{name}")).and_then(Value::as_f64).unwrap_or(0.0);
        let (visitors, lower, upper) = (self.visitors.len() as f64, estimate("lower"), estimate("upper"));
        // Two standard deviations hold 95 % of the time; a test of many pages needs a bound that holds always.
        let slack = 2.0 * (upper - lower).max(0.0) + 1e-3;
        if !(lower - slack..=upper + slack).contains(&visitors) || estimate("value") <= 0.0 && visitors > 0.0 {
            wrong.push(format!("visitors are {} in {lower}..{upper} instead of {visitors}", estimate("value")));
        }
        let items = traffic.pointer("/referrers/items").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut counts: Vec<u64> = self.referrers.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts.truncate(10);
        let mut found = Vec::new();
        for item in &items {
            let name = item.get("item").and_then(Value::as_str).unwrap_or_default();
            let count = match item.get("count") {
                Some(Value::String(text)) => text.parse().unwrap_or(0),
                other => other.and_then(Value::as_u64).unwrap_or(0),
            };
            // There are fewer referrers than the sketch has places, so every count is exact.
            if self.referrers.get(name) != Some(&count) {
                wrong.push(format!("referrer {name} has {count} instead of {:?}", self.referrers.get(name)));
            }
            found.push(count);
        }
        if found != counts {
            wrong.push(format!("the most frequent referrers have {found:?} instead of {counts:?}"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

/// Compare answers about all pages, `(page, traffic)` each, with the truth; every difference panics with its page.
pub fn assert_pages(answers: &[(String, Value)], truth: &BTreeMap<String, Truth>) {
    let answered: BTreeSet<&String> = answers.iter().map(|(page, _)| page).collect();
    let missing: Vec<_> = truth.keys().filter(|page| !answered.contains(page)).collect();
    assert!(missing.is_empty(), "pages without an answer: {missing:?}");
    assert_eq!(answered.len(), answers.len(), "a page was answered twice");
    for (page, traffic) in answers {
        let truth = truth.get(page).unwrap_or_else(|| panic!("`{page}` was never viewed"));
        if let Err(wrong) = truth.compare(traffic) {
            panic!("`{page}`: {wrong}");
        }
    }
}

fn view(line: &str) -> Option<View> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let at: jiff::Timestamp = text("viewed_at")?.parse().ok()?;
    Some(View {
        page: text("page_id")?,
        visitor: text("user_id")?,
        dwell: value.get("dwell_ms")?.as_u64()?,
        referrer: text("referrer"),
        at: at.as_microsecond(),
    })
}
