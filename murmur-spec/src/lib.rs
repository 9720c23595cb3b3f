//! The model of a pipeline that macros, build step and command share.

pub mod model;
