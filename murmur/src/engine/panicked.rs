//! Panics of the user's code: a defect of it costs the event at which it shows, not the worker.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the code came to, or what its panic said, after `which` it was. State that the code had hold of may be half done.
pub(super) fn guarded<T>(which: &str, code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| words(which, &*panic))
}

fn words(which: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.map_or_else(|| format!("{which} panicked"), |text| format!("{which} panicked: {text}"))
}
