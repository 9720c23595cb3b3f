use murmur::aggregate::{DecodeError, Form, Monoid, Question};
use murmur::pipeline::{Emissions, Pipeline, Spec};
use murmur::time::{Span, Window};

use super::{Tick, TickKey, spec};

/// Form B: a sum alone, so that its bytes come back to what they were. What was written of a tile, and is true again, says
/// nothing of what others have written meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swing(i64);

impl Monoid for Swing {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 8;
    const COMMUTATIVE: bool = true;
    type Reply = i64;

    fn identity() -> Self {
        Self(0)
    }

    fn combine(&mut self, later: Self) {
        self.0 += later.0;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bytes = bytes.try_into().map_err(|_| DecodeError("not 8 bytes".into()))?;
        Ok(Self(i64::from_le_bytes(bytes)))
    }

    fn reply(&self, _: &Question) -> murmur::Result<i64> {
        Ok(self.0)
    }
}

/// Sums of what is added and taken away by ones.
pub(crate) struct Swings;

impl Pipeline for Swings {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Swing;
    const SPEC: Spec = Spec {
        // One slot an hour, so that many events meet in it.
        window: Window::Sliding { span: Span::from_seconds(86_400), slot: Span::from_seconds(3_600) },
        ..spec("swings")
    };

    fn apply(event: &Tick, out: &mut Emissions<Swing>) {
        out.begin("").field(&event.key);
        out.emit(Swing(event.amount as i64 % 3 - 1));
    }
}
