//! Tests of the whole: everything here is one binary, because each costs a link.

#[cfg(test)]
mod conformance;
mod laws;
