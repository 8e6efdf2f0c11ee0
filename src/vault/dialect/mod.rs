//! APIs of others, each on a listener of its own. A folder only translates: it reads a message, calls a flow of ours and
//! writes the answer. It has no state machine and no store.

pub mod locker;
