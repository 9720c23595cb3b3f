//! What is right, and whether an answer is.

use serde_json::Value;
use tonic::Code;

use super::{Stretch, instant};

/// What an error says.
pub(super) type Words = &'static [&'static str];

/// What can be compared with a value in protobuf's JSON.
pub(in super::super) trait Truth {
    /// What is wrong with it, if anything.
    fn compare(&self, value: &Value) -> Result<(), String>;
}

/// What is true of a key over a stretch of time.
pub(in super::super) enum Told<'a> {
    Value(Box<dyn Truth + 'a>),
    /// There were events, and this field does not hold what they come to.
    TooLarge(&'static str),
    /// There is none, and why.
    Nothing(&'static str),
}

/// What is right.
pub(in super::super) enum Expected<'a> {
    /// Of one key; over exactly this stretch, where one was asked about.
    One { told: Told<'a>, cut: Option<Stretch> },
    /// The same, with what was read for it.
    Explained(Told<'a>),
    /// Of many keys, in this order.
    Entries(Vec<(Value, Told<'a>)>),
    /// Of one key, as a whole and for each step.
    Points { whole: Told<'a>, steps: Vec<(Stretch, Told<'a>)> },
    /// How many elements the combination of sets has, and each of them.
    Sets { combined: usize, each: Vec<usize> },
    /// An error of this code, with these words.
    Refused(Code, Words),
}

/// Fields that are zero or not there, which are two things.
pub(super) const OPTIONAL: [&str; 3] = ["slowest", "most", "coldest"];

type Checked = Result<(), String>;

fn ensure(right: bool, wrong: impl FnOnce() -> String) -> Checked {
    if right { Ok(()) } else { Err(wrong()) }
}

impl Expected<'_> {
    /// What is wrong with an answer, if anything.
    pub(super) fn compare(&self, answer: &Value) -> Checked {
        match self {
            Self::Refused(code, words) => return refused(answer, *code, words),
            Self::One { told: Told::TooLarge(field), .. } | Self::Points { whole: Told::TooLarge(field), .. } => {
                return refused(answer, Code::OutOfRange, &[*field]);
            }
            _ => {}
        }
        let reply = answer.get("reply").ok_or("it is an error")?;
        match self {
            Self::One { told, cut } => {
                told.compare(reply)?;
                cut.filter(|_| !matches!(told, Told::Nothing(of) if *of != "PRESENCE_EMPTY"))
                    .map_or(Ok(()), |cut| is_cut(&reply["answer"], cut))
            }
            Self::Explained(told) => {
                let levels = reply.pointer("/answer/explanation/levels").and_then(Value::as_array);
                ensure(levels.is_some_and(|levels| !levels.is_empty()), || "it is not explained".into())?;
                told.compare(reply)
            }
            Self::Entries(entries) => compare_all("entries", reply, entries, |(key, told), entry| {
                ensure(plain(&entry["key"]) == plain(key), || format!("it is not the entry of {key}"))?;
                told.compare(entry)
            }),
            Self::Points { whole, steps } => {
                whole.compare_presence(reply)?;
                compare_all("points", reply, steps, |(step, told), point| {
                    is_cut(point, *step)?;
                    // A point does not say why there is nothing.
                    told.compare_value(point)
                })
            }
            Self::Sets { combined, each } => {
                exactly(&reply["estimate"], *combined)?;
                ensure(reply["present"] == true, || "there are sets".into())?;
                compare_all("sets", reply, each, |count, estimate| exactly(estimate, *count))
            }
            Self::Refused(..) => Ok(()),
        }
    }
}

impl Told<'_> {
    fn compare(&self, reply: &Value) -> Checked {
        self.compare_presence(reply)?;
        self.compare_value(reply)
    }

    fn compare_presence(&self, reply: &Value) -> Checked {
        let right = match self {
            // Events were counted.
            Self::Value(_) | Self::TooLarge(_) => "PRESENCE_PRESENT",
            Self::Nothing(presence) => presence,
        };
        let presence = &reply["answer"]["presence"];
        ensure(presence == right, || format!("{presence} instead of {right}"))
    }

    fn compare_value(&self, reply: &Value) -> Checked {
        let present = reply["present"] == true;
        ensure(present == matches!(self, Self::Value(_)), || format!("`present` is {present}"))?;
        match self {
            Self::Value(truth) => truth.compare(&reply["value"]),
            Self::TooLarge(field) => {
                let problem = reply["answer"]["problem"].as_str().unwrap_or_default();
                ensure(problem.contains(field), || format!("the problem is said to be {problem:?}"))
            }
            Self::Nothing(_) => {
                let value = &reply["value"];
                ensure(plain(value).is_null() && OPTIONAL.iter().all(|name| value.get(name).is_none()), || {
                    "nothing has a value".into()
                })
            }
        }
    }
}

/// The items of a list, each with what is right.
fn compare_all<T>(name: &str, reply: &Value, right: &[T], compare: impl Fn(&T, &Value) -> Checked) -> Checked {
    let none = Vec::new();
    let items = reply.get(name).and_then(Value::as_array).unwrap_or(&none);
    ensure(items.len() == right.len(), || format!("{} {name} instead of {}", items.len(), right.len()))?;
    right
        .iter()
        .zip(items)
        .try_for_each(|(right, item)| compare(right, item).map_err(|wrong| format!("{wrong}: {item}")))
}

/// The interval of an answer or of a point.
fn is_cut(answer: &Value, (start, end): Stretch) -> Checked {
    let right = (instant(start), instant(end));
    ensure(answer["start"] == right.0 && answer["end"] == right.1, || format!("it is not cut at {right:?}"))
}

fn refused(answer: &Value, code: Code, words: &[&str]) -> Checked {
    let error = answer.get("error").ok_or("it is no error")?;
    ensure(error["code"] == code as i32, || format!("it is not {code:?}"))?;
    let said = error["message"].as_str().unwrap_or_default();
    words.iter().try_for_each(|word| ensure(said.contains(word), || format!("`{word}` is not said")))
}

/// Sets that are so small are kept whole, so there is nothing to estimate.
pub(super) fn exactly(estimate: &Value, count: usize) -> Checked {
    ["value", "lower", "upper"].into_iter().try_for_each(|name| {
        let number = estimate.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        ensure(number == count as f64, || format!("{estimate} instead of {count}"))
    })
}

/// Without what is zero, which protobuf's JSON may leave out or write.
fn plain(of: &Value) -> Value {
    match of {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), plain(value)));
            let fields: serde_json::Map<_, _> = fields.filter(|(_, value)| !value.is_null()).collect();
            if fields.is_empty() { Value::Null } else { Value::Object(fields) }
        }
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() || text == "0" => Value::Null,
        Value::Number(number) if number.as_f64() == Some(0.0) => Value::Null,
        Value::Bool(false) => Value::Null,
        other => other.clone(),
    }
}
