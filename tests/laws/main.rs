//! The laws of the house, read from the sources and the dependency graph: a wall that is not tested is a wish.

mod keyless;
mod limits;
mod numbers;
mod outbox;
mod published;
mod rooms;
mod source;
mod tidy;
mod walls;
