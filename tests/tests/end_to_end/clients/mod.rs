//! The packages that `cargo murmur clients` makes, built by the tools of their languages, ask the running example.

pub(crate) mod asked;
mod away;
mod browser;
mod calls;
mod go;
mod java;
mod made;
mod pretend;
mod python;
mod rust;
mod typescript;

use asked::assert_contracts;
use calls::{
    assert_by_tls, assert_counts_microseconds, assert_gives_up, assert_one_call, assert_renews_a_token,
    assert_shows_no_token, assert_waits_as_it_is_told,
};
use made::{Made, first, made_into, made_of};
