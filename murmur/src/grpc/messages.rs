//! The messages of a pipeline's service, generic over its key `K` and its value `V`.
//!
//! In protobuf each service has messages of its own names, `<Service>GetRequest` and so on; on the wire they are these.
//! Unknown fields are ignored.

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, skip_field};

use crate::time::{Span, Timestamp};
use crate::wire::types::{Answer, Calendar, CalendarStep, Estimate, ReadOptions, SetOperation};
use crate::wire::{WireField, WireMessage};

/// As [`message!`](crate::message), with type parameters.
macro_rules! generic_message {
    ($(
        $(#[$meta:meta])* struct $name:ident < $($param:ident : $bound:path),* > {
            $($(#[$field_meta:meta])* $field:ident : $ty:ty = $number:literal,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name<$($param),*> {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        impl<$($param: $bound),*> prost::Message for $name<$($param),*> {
            fn encode_raw(&self, buf: &mut impl BufMut) {
                $(WireField::encode_field(&self.$field, $number, buf);)*
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                match tag {
                    $($number => WireField::merge_field(&mut self.$field, wire_type, buf, context).map_err(|mut error| {
                        // As prost's derive does it: the error says in which field.
                        error.push(stringify!($name), stringify!($field));
                        error
                    }),)*
                    _ => skip_field(wire_type, tag, buf, context),
                }
            }

            fn encoded_len(&self) -> usize {
                0 $(+ WireField::field_len(&self.$field, $number))*
            }

            fn clear(&mut self) {
                $(self.$field = Default::default();)*
            }
        }
    )*};
}

generic_message! {
    /// Of `Get`.
    struct GetRequest<K: WireMessage> {
        /// Which key.
        key: Option<K> = 1,
        /// How to read.
        options: Option<ReadOptions> = 2,
    }

    /// Of `GetMany`.
    struct GetManyRequest<K: WireMessage> {
        /// Which keys.
        keys: Vec<K> = 1,
        /// How to read.
        options: Option<ReadOptions> = 2,
    }

    /// Of `GetWindow`.
    struct GetWindowRequest<K: WireMessage> {
        /// Which key.
        key: Option<K> = 1,
        /// Length of the window.
        window: Option<Span> = 2,
        /// Where it ends; now when unset.
        end: Option<Timestamp> = 3,
        /// How to read.
        options: Option<ReadOptions> = 4,
        /// Days, weeks or months instead of `window`.
        calendar: Option<Calendar> = 5,
    }

    /// Of `GetWindowMany`.
    struct GetWindowManyRequest<K: WireMessage> {
        /// Which keys.
        keys: Vec<K> = 1,
        /// Length of the window.
        window: Option<Span> = 2,
        /// Where it ends; now when unset.
        end: Option<Timestamp> = 3,
        /// How to read.
        options: Option<ReadOptions> = 4,
        /// Days, weeks or months instead of `window`.
        calendar: Option<Calendar> = 5,
    }

    /// Of `GetRange`.
    struct GetRangeRequest<K: WireMessage> {
        /// Which key.
        key: Option<K> = 1,
        /// First instant inside.
        start: Option<Timestamp> = 2,
        /// First instant after it.
        end: Option<Timestamp> = 3,
        /// How to read.
        options: Option<ReadOptions> = 4,
    }

    /// Of `GetRangeMany`.
    struct GetRangeManyRequest<K: WireMessage> {
        /// Which keys.
        keys: Vec<K> = 1,
        /// First instant inside.
        start: Option<Timestamp> = 2,
        /// First instant after it.
        end: Option<Timestamp> = 3,
        /// How to read.
        options: Option<ReadOptions> = 4,
    }

    /// Of `Series`.
    struct SeriesRequest<K: WireMessage> {
        /// Which key.
        key: Option<K> = 1,
        /// First instant inside.
        start: Option<Timestamp> = 2,
        /// First instant after it; now when unset.
        end: Option<Timestamp> = 3,
        /// Length of each step; one unit of `calendar`, or the slot, when unset.
        step: Option<Span> = 4,
        /// How to read.
        options: Option<ReadOptions> = 5,
        /// Days, weeks or months instead of `start`.
        calendar: Option<Calendar> = 6,
        /// Steps by the calendar instead of `step`.
        calendar_step: Option<CalendarStep> = 7,
    }

    /// Of `CombineSets`.
    struct CombineSetsRequest<K: WireMessage> {
        /// Two or more.
        sets: Vec<SetOperand<K>> = 1,
        /// What to make of them.
        operation: SetOperation = 2,
        /// Which field of the value; may be empty where there is one that is a set only.
        field: String = 3,
        /// How to read.
        options: Option<ReadOptions> = 4,
    }

    /// Of `CombineSets`.
    struct CombineSetsResponse<> {
        /// How many elements there are in what came of it.
        estimate: Option<Estimate> = 1,
        /// Whether there were events in any of the sets.
        present: bool = 2,
        /// How many elements each of the sets has, in their order.
        sets: Vec<Estimate> = 3,
        /// The truth about each of the sets, in their order.
        answers: Vec<Answer> = 4,
    }

    /// A set: that of a key over a stretch of time, as `Get` without one.
    struct SetOperand<K: WireMessage> {
        /// Which key.
        key: Option<K> = 1,
        /// The last stretch of time.
        window: Option<Span> = 2,
        /// First instant inside.
        start: Option<Timestamp> = 3,
        /// First instant after it.
        end: Option<Timestamp> = 4,
        /// The last days, weeks or months.
        calendar: Option<Calendar> = 5,
    }

    /// Of `Watch`.
    struct WatchRequest<K: WireMessage> {
        /// Which key.
        key: Option<K> = 1,
        /// The last stretch of time; as `Get` when neither this nor `calendar` is set.
        window: Option<Span> = 2,
        /// How to read.
        options: Option<ReadOptions> = 3,
        /// That of the last reply of an earlier stream; what is still as it was then is not sent.
        resume: Vec<u8> = 4,
        /// Days, weeks or months instead of `window`.
        calendar: Option<Calendar> = 5,
    }

    /// Of `WatchMany`.
    struct WatchManyRequest<K: WireMessage> {
        /// Which keys.
        keys: Vec<K> = 1,
        /// The last stretch of time; as `GetMany` when neither this nor `calendar` is set.
        window: Option<Span> = 2,
        /// How to read.
        options: Option<ReadOptions> = 3,
        /// That of the last reply of an earlier stream; what is still as it was then is not sent.
        resume: Vec<u8> = 4,
        /// Days, weeks or months instead of `window`.
        calendar: Option<Calendar> = 5,
    }

    /// Each of `Watch`.
    struct WatchResponse<V: WireField> {
        /// The value.
        value: V = 1,
        /// Whether there is a value: events were counted in the interval.
        present: bool = 2,
        /// The truth about it.
        answer: Option<Answer> = 3,
        /// Where the stream stands, for [`WatchRequest::resume`]; at any server of the pipeline.
        resume: Vec<u8> = 4,
    }

    /// Each of `WatchMany`.
    struct WatchManyResponse<K: WireMessage, V: WireField> {
        /// Those that have changed, in the order of the keys; of all keys in the first one.
        entries: Vec<Entry<K, V>> = 1,
        /// Where the stream stands, for [`WatchManyRequest::resume`]; at any server of the pipeline.
        resume: Vec<u8> = 2,
    }

    /// Of `Get`, `GetWindow` and `GetRange`.
    struct ValueResponse<V: WireField> {
        /// The value.
        value: V = 1,
        /// Whether there is a value: events were counted in the interval.
        present: bool = 2,
        /// The truth about it.
        answer: Option<Answer> = 3,
    }

    /// Of `GetMany`, `GetWindowMany` and `GetRangeMany`.
    struct EntriesResponse<K: WireMessage, V: WireField> {
        /// One per key, in the order of the keys.
        entries: Vec<Entry<K, V>> = 1,
    }

    /// One key of a Many call.
    struct Entry<K: WireMessage, V: WireField> {
        /// Which key.
        key: Option<K> = 1,
        /// The value.
        value: V = 2,
        /// Whether there is a value: events were counted in the interval, and it fits (see [`Answer::problem`]).
        present: bool = 3,
        /// The truth about it.
        answer: Option<Answer> = 4,
    }

    /// Of `Series`.
    struct SeriesResponse<V: WireField> {
        /// The steps, in order of time.
        points: Vec<Point<V>> = 1,
        /// The truth about the series as a whole.
        answer: Option<Answer> = 2,
    }

    /// One step of a series.
    struct Point<V: WireField> {
        /// First instant inside.
        start: Option<Timestamp> = 1,
        /// First instant after it.
        end: Option<Timestamp> = 2,
        /// The value.
        value: V = 3,
        /// Whether events were counted in the step.
        present: bool = 4,
    }
}

/// Repeated [`SetOperand`], [`Entry`] and [`Point`]: messages whose full names are known only to each service's descriptor.
macro_rules! repeated {
    ($name:ident < $($param:ident : $bound:path),* >) => {
        impl<$($param: $bound),*> WireField for Vec<$name<$($param),*>> {
            const PROTO: &'static str = concat!("repeated ", stringify!($name));

            fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
                prost::encoding::message::encode_repeated(number, self, buf);
            }

            fn merge_field(
                &mut self,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                prost::encoding::message::merge_repeated(wire_type, self, buf, context)
            }

            fn field_len(&self, number: u32) -> usize {
                prost::encoding::message::encoded_len_repeated(number, self)
            }
        }
    };
}

repeated!(SetOperand<K: WireMessage>);
repeated!(Entry<K: WireMessage, V: WireField>);
repeated!(Point<V: WireField>);

crate::message! {
    /// Of `murmur.v1.QueryService.ListPipelines`.
    pub struct ListPipelinesRequest: "murmur.v1.ListPipelinesRequest" {}

    /// Of `murmur.v1.QueryService.ListPipelines`.
    pub struct ListPipelinesResponse: "murmur.v1.ListPipelinesResponse" {
        /// What this server answers for.
        pipelines: Vec<PipelineInfo> = 1,
    }

    /// One pipeline.
    pub struct PipelineInfo: "murmur.v1.PipelineInfo" {
        /// In snake case.
        name: String = 1,
        /// Full name of the typed service.
        service: String = 2,
        /// First paragraph of its documentation.
        about: String = 3,
        /// Names of the key's fields, in order.
        key_fields: Vec<String> = 4,
        /// Full name of the message, or the scalar type, of its values.
        value_type: String = 5,
    }

    /// Of `murmur.v1.QueryService.Query`.
    pub struct QueryRequest: "murmur.v1.QueryRequest" {
        /// In snake case.
        pipeline: String = 1,
        /// The key's fields as text, in order.
        key: Vec<String> = 2,
        /// Length of the window.
        window: Option<Span> = 3,
        /// First instant inside.
        start: Option<Timestamp> = 4,
        /// First instant after it.
        end: Option<Timestamp> = 5,
        /// How to read.
        options: Option<ReadOptions> = 6,
        /// Days, weeks or months instead of `window` or `start`.
        calendar: Option<Calendar> = 7,
    }

    /// Of `murmur.v1.QueryService.Query`.
    pub struct QueryResponse: "murmur.v1.QueryResponse" {
        /// A message of the pipeline's `GetResponse`, serialized.
        value: Vec<u8> = 1,
        /// Whether events were counted in the interval.
        present: bool = 2,
        /// The truth about it.
        answer: Option<Answer> = 3,
    }
}
