//! The world in which Baton's machines are tested: simulated, reproducible from a seed; and the conformance runner.

pub mod agents;
pub mod campaign;
pub mod choice;
pub mod cluster;
pub mod conformance;
pub mod fuzz;
pub mod laws;
pub mod quiet;
pub mod trace;
pub mod world;
