//! Measuring: load over mutual TLS, and what the numbers are compared with.

pub mod load;
