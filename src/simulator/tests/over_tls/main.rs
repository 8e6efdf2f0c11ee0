//! The simulator over real TLS: what a client sees and is told, with and without faults.

mod flows;
mod rig;
mod told;
mod understood;
