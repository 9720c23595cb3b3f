use std::fmt;

/// A section of the page.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    /// The bounds hold always, not with some confidence.
    pub(super) always: bool,
    pub(super) rows: Vec<Row>,
}

/// One answer.
#[derive(Clone, Default)]
pub(super) struct Row {
    pub(super) data: String,
    pub(super) elements: u64,
    /// What was asked, where a stream is asked several things.
    pub(super) what: String,
    pub(super) truth: f64,
    pub(super) estimate: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// In percent.
    pub(super) error: f64,
    pub(super) bound: f64,
}

impl Row {
    /// Errors in percent of the true value.
    pub(super) fn relative(self) -> Self {
        let of = |distance: f64| if distance == 0.0 { 0.0 } else { 100.0 * distance / self.truth };
        let error = of((self.estimate - self.truth).abs());
        let bound = of((self.upper - self.estimate).max(self.estimate - self.lower));
        Self { error, bound, ..self }
    }

    pub(super) fn is_within(&self) -> bool {
        (self.lower..=self.upper).contains(&self.truth)
    }
}

impl Table {
    /// A row that contradicts what is promised without exception.
    pub(super) fn broken(&self) -> Option<&Row> {
        self.rows.iter().find(|row| self.always && !row.is_within())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.text)?;
        writeln!(f, "| data | elements | of | true | estimate | lower | upper | error | bound | within |")?;
        writeln!(f, "|---|--:|---|--:|--:|--:|--:|--:|--:|---|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, elements, what, truth, estimate, lower, upper, error, bound } = self;
        let within = if self.is_within() { "yes" } else { "no" };
        write!(f, "| {data} | {elements} | {what} | {} | {} | ", number(*truth), number(*estimate))?;
        write!(f, "{} | {} | {} | {} | {within} |", number(*lower), number(*upper), percent(*error), percent(*bound))
    }
}

/// Whole, or to three digits where there is something below one.
fn number(number: f64) -> String {
    if number.fract() == 0.0 || number.abs() >= 1_000.0 { format!("{number:.0}") } else { format!("{number:.3}") }
}

fn percent(percent: f64) -> String {
    match percent {
        0.0 => "0".into(),
        small if small < 0.005 => "< 0.01 %".into(),
        _ => format!("{percent:.2} %"),
    }
}
