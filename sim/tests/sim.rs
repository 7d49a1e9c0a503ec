//! Tests of the whole: everything here is one binary, because each costs a link.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod laws;
