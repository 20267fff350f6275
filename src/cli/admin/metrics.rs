//! `/metrics`: the totals in the text format of Prometheus.
//!
//! All numbers of one answer come from one look at the totals, so they agree with each other and with the log.

use std::fmt;
use std::sync::Arc;

use hebra::{QueueWait, Stats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Source;

/// The page.
pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) const TYPE: &str = prometheus_text::CONTENT_TYPE;

    pub(super) fn new(source: Arc<Source>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Totals(source)));
        Self(registry)
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing to a string cannot fail.
        let _: fmt::Result = prometheus_text::encode(&mut text, &self.0);
        text
    }
}

#[derive(Debug)]
struct Totals(Arc<Source>);

impl Collector for Totals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let mut counter = |name, help, value| counter(&mut encoder, name, help, value);
        counter("hebra_connections_accepted", "Connections accepted.", stats.accepted)?;
        counter("hebra_messages", "Messages handed to the service.", stats.messages)?;
        counter("hebra_received_bytes", "Bytes received by sessions.", stats.bytes_in)?;
        counter("hebra_sent_bytes", "Bytes sent by sessions.", stats.bytes_out)?;
        counter("hebra_events_dropped", "Events lost because the log was too slow.", stats.events_dropped)?;
        counter("hebra_handler_panics", "Sessions that ended because their handler panicked.", stats.panicked)?;
        let refused = stats.refused_by_reason();
        family(&mut encoder, "hebra_connections_refused", "Connections refused, by reason.", "reason", refused)?;
        let finished = stats.finished_by_reason();
        family(&mut encoder, "hebra_sessions_finished", "Sessions that ended, by reason.", "reason", finished)?;
        let faults = stats.faults_by_kind();
        family(&mut encoder, "hebra_faults", "Faults made on purpose, by kind.", "kind", faults)?;
        let mut gauge = |name, help, value| gauge(&mut encoder, name, help, value);
        gauge("hebra_sessions_live", "Sessions on a worker.", stats.live)?;
        gauge("hebra_sessions_waiting", "Clients that wait for a worker.", stats.waiting)?;
        gauge("hebra_workers", "Sessions that can be served at once.", self.0.workers)?;
        queue_wait(&mut encoder, &stats)?;
        encoder
            .encode_descriptor("hebra_build", "The version of the program.", None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

/// A counter for each reason or kind, which is the value of `label`. Those that never occurred are there too, because a series that appears at its first event
/// hides that event from a rate.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    counts: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in counts {
        metric.encode_family(&[(label, value)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}

fn queue_wait(encoder: &mut DescriptorEncoder<'_>, stats: &Stats) -> fmt::Result {
    let QueueWait { sum, counts, .. } = stats.queue_wait;
    let bounds = QueueWait::BOUNDS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
    let help = "How long clients waited for a worker.";
    encoder
        .encode_descriptor("hebra_queue_wait_seconds", help, None, MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(sum.as_secs_f64(), counts.iter().sum(), &buckets, None)
}
