//! How long a call may take.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Status;

/// The deadline of a call that asks for none.
const DEFAULT: Duration = Duration::from_secs(5);
/// The longest deadline of a call with one reply.
const CAP: Duration = Duration::from_secs(30);

/// When a call has to end.
#[derive(Debug, Clone, Copy)]
pub(in crate::grpc) struct Deadline {
    asked: Option<Duration>,
    start: Instant,
}

impl Deadline {
    /// From the headers of a request: `grpc-timeout` (`250m`), or Connect's `connect-timeout-ms`.
    pub(in crate::grpc) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let asked = match (text("grpc-timeout"), text("connect-timeout-ms")) {
            (Some(timeout), _) => Some(grpc(timeout).ok_or_else(|| refused("grpc-timeout", timeout))?),
            (None, Some(millis)) => Some(connect(millis).ok_or_else(|| refused("connect-timeout-ms", millis))?),
            (None, None) => None,
        };
        Ok(Self { asked, start: Instant::now() })
    }

    /// When a call with one reply ends: what was asked, 5 seconds without, at most 30.
    pub(in crate::grpc) fn unary(&self) -> Instant {
        self.start + self.asked.unwrap_or(DEFAULT).min(CAP)
    }

    /// How much time is left, where the caller has asked for an end.
    pub(in crate::grpc) fn left(&self) -> Option<Duration> {
        Some(self.asked?.saturating_sub(self.start.elapsed()))
    }

    /// The same of a call with one reply.
    pub(in crate::grpc) fn left_of_unary(&self) -> Option<Duration> {
        self.asked.map(|_| self.unary().saturating_duration_since(Instant::now()))
    }

    /// When a stream ends: what was asked, otherwise never.
    pub(in crate::grpc) fn stream(&self) -> Option<Instant> {
        self.start.checked_add(self.asked?)
    }
}

/// The result of a piece of work, if it comes in time.
pub(in crate::grpc) async fn within<T>(
    at: Instant,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::time::timeout_at(at, work).await.unwrap_or_else(|_| Err(passed()))
}

pub(in crate::grpc) fn passed() -> Status {
    Status::deadline_exceeded("the deadline passed before the answer was there")
}

fn refused(name: &str, value: &str) -> Status {
    Status::invalid_argument(format!("`{name}` `{value}` is not a length of time"))
}

/// At most eight digits and a unit.
fn grpc(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let n: u64 = number(digits, 8)?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3_600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

fn connect(text: &str) -> Option<Duration> {
    number(text, 10).map(Duration::from_millis)
}

fn number(digits: &str, most: usize) -> Option<u64> {
    let plain = (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_read_as_the_specifications_write_them() {
        assert_eq!(grpc("250m"), Some(Duration::from_millis(250)));
        assert_eq!(grpc("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for wrong in ["", "5", "S", "5x", "-1S", "123456789S", "1.5S", "5é"] {
            assert_eq!(grpc(wrong), None, "{wrong}");
        }
        assert_eq!(connect("1500"), Some(Duration::from_millis(1_500)));
        for wrong in ["", "1s", "-1", "12345678901", "+1"] {
            assert_eq!(connect(wrong), None, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_five_seconds_and_never_more_than_thirty() {
        let deadline = |timeout: Option<&'static str>| {
            let headers = timeout.map(|t| (http::HeaderName::from_static("grpc-timeout"), t.parse().unwrap()));
            let deadline = Deadline::of(&headers.into_iter().collect()).unwrap();
            (deadline.unary() - Instant::now(), deadline.stream().map(|at| at - Instant::now()))
        };
        let seconds = Duration::from_secs;
        assert_eq!(deadline(None), (seconds(5), None));
        assert_eq!(deadline(Some("2S")), (seconds(2), Some(seconds(2))));
        assert_eq!(deadline(Some("30S")), (seconds(30), Some(seconds(30))));
        assert_eq!(deadline(Some("31S")), (seconds(30), Some(seconds(31))));
    }
}
