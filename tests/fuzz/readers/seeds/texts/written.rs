//! What.
fn main() {}
