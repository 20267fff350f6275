//! Comparisons of hebra with other servers, all of which are started here: `make bench` and `make growth`. Only the
//! benchmark has them.

pub(crate) mod arguments;
pub(crate) mod build;
mod affinity;
pub(crate) mod peers;
mod scenario;
mod rounds;
mod markdown;
mod plot;
mod suite_results;
mod suite_report;
pub(crate) mod suite;
pub(crate) mod growth;
