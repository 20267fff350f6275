//! What becomes of the result of a run: a table, JSON, plots, and a comparison with an earlier result.

pub(crate) mod figures;
mod faults;
pub(crate) mod report;
pub(crate) mod json;
pub(crate) mod plot;
pub(crate) mod hgrm;
pub(crate) mod html;
pub(crate) mod baseline;
