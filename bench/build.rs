//! Contracts of the pipelines that are measured.

fn main() {
    murmur_build::run();
}
