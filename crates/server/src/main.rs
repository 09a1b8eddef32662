//! The program `posthaste`.
fn main() {}
