//! The access matrix: who is refused where, on every route that the served OpenAPI documents name.

mod identity;
mod intake;
mod quota;
mod sealed;
mod table;
mod tenant;
mod tls;
