//! The numbers, in Prometheus's text form.
//!
//! To count a request costs a few additions to numbers that were set aside at the start: no name
//! is looked up, nothing is locked, nothing allocated.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kmip::enumerations::Operation;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::app::App;

/// Operations have small numbers; the first and the last slot are for what is none.
const SLOTS: usize = 80;
/// What could not be read, or is no operation.
const NONE: usize = 0;
/// A batch of several.
const BATCH: usize = SLOTS - 1;
/// The upper bounds are powers of two, from 2^4 µs to 2^24 µs; the last is open.
const BUCKETS: usize = 22;
const FIRST_BITS: u32 = 4;

#[derive(Debug, Default)]
struct Slot {
    succeeded: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// What is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    slots: Box<[Slot]>,
    /// Answers by hundred of their HTTP status.
    statuses: [AtomicU64; 6],
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            statuses: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// One operation came to an end.
    pub(crate) fn operation(&self, operation: Option<Operation>, succeeded: bool) {
        let Some(slot) = self.slots.get(index(operation)) else { return };
        let counter = if succeeded { &slot.succeeded } else { &slot.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// One message, or bare operation, was answered after `took`.
    pub(crate) fn took(&self, operation: Option<Operation>, batch: bool, took: Duration) {
        let index = if batch { BATCH } else { index(operation) };
        let Some(slot) = self.slots.get(index) else { return };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        slot.micros.fetch_add(micros, Ordering::Relaxed);
        if let Some(bucket) = slot.buckets.get(bucket(micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One HTTP answer was given.
    pub(crate) fn status(&self, status: u16) {
        if let Some(counter) = self.statuses.get(usize::from(status / 100)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn index(operation: Option<Operation>) -> usize {
    let code = operation.and_then(|operation| usize::try_from(operation.0).ok());
    code.filter(|code| *code < BATCH).unwrap_or(NONE)
}

/// The bucket whose upper bound is the first power of two that is not below `micros`.
fn bucket(micros: u64) -> usize {
    let bits = u64::BITS - micros.saturating_sub(1).leading_zeros();
    let bucket = bits.saturating_sub(FIRST_BITS) as usize;
    bucket.min(BUCKETS - 1)
}

/// The upper bound of a bucket in seconds.
fn bound(bucket: usize) -> f64 {
    if bucket >= BUCKETS - 1 {
        return f64::INFINITY;
    }
    let micros = 1_u32 << (u32::try_from(bucket).unwrap_or(0) + FIRST_BITS);
    f64::from(micros) / 1e6
}

/// The name of a slot as a label.
fn name(index: usize) -> &'static str {
    match index {
        NONE => "none",
        BATCH => "batch",
        code => u32::try_from(code).ok().and_then(|code| Operation(code).name()).unwrap_or("none"),
    }
}

/// Reads the numbers when somebody asks for them.
struct Reader(Arc<App>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    fn operations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Operations by name and result";
        let kind = MetricType::Counter;
        let mut family = encoder.encode_descriptor("kms_operations", help, None, kind)?;
        for (index, slot) in self.0.metrics.slots.iter().enumerate() {
            for (result, counter) in [("success", &slot.succeeded), ("failure", &slot.failed)] {
                let count = counter.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("operation", name(index)), ("result", result)];
                    let mut metric = family.encode_family(&labels)?;
                    metric.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        Ok(())
    }

    fn latencies(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time from a request's last byte to its answer, by operation";
        let kind = MetricType::Histogram;
        let mut family =
            encoder.encode_descriptor("kms_request_duration_seconds", help, None, kind)?;
        for (index, slot) in self.0.metrics.slots.iter().enumerate() {
            let buckets: Vec<(f64, u64)> = slot
                .buckets
                .iter()
                .enumerate()
                .map(|(index, count)| (bound(index), count.load(Ordering::Relaxed)))
                .collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            if count > 0 {
                let seconds = Duration::from_micros(slot.micros.load(Ordering::Relaxed));
                let labels = [("operation", name(index))];
                let mut metric = family.encode_family(&labels)?;
                let sum = seconds.as_secs_f64();
                metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }

    fn statuses(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "HTTP answers by class of their status";
        let kind = MetricType::Counter;
        let mut family = encoder.encode_descriptor("kms_http_answers", help, None, kind)?;
        let classes = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
        for (class, counter) in classes.iter().zip(&self.0.metrics.statuses) {
            let labels = [("status", *class)];
            let count = counter.load(Ordering::Relaxed);
            let mut metric = family.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}

impl Collector for Reader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.operations(&mut encoder)?;
        self.latencies(&mut encoder)?;
        self.statuses(&mut encoder)?;
        let open = i64::try_from(self.0.registry.count()).unwrap_or(i64::MAX);
        encoder
            .encode_descriptor("kms_connections", "Open connections", None, MetricType::Gauge)?
            .encode_gauge(&open)?;
        let cached = i64::try_from(self.0.store.cached_bytes()).unwrap_or(i64::MAX);
        let help = "Bytes of sealed rows kept in memory";
        encoder
            .encode_descriptor("kms_cached_bytes", help, None, MetricType::Gauge)?
            .encode_gauge(&cached)?;
        let service = &self.0.service;
        let (keys, _) = service.generations();
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let help = "Data keys in use; more than one while rows are sealed anew";
        encoder
            .encode_descriptor("kms_keyring_data_keys", help, None, MetricType::Gauge)?
            .encode_gauge(&whole(keys as u64))?;
        if let Some(progress) = service.rotation() {
            let help = "Rows that an older data key seals";
            encoder
                .encode_descriptor("kms_keyring_rows_left", help, None, MetricType::Gauge)?
                .encode_gauge(&whole(progress.left))?;
            let help = "Rows whose older data key rests, or rested, in the clear";
            encoder
                .encode_descriptor("kms_keyring_exposed_rows", help, None, MetricType::Gauge)?
                .encode_gauge(&whole(progress.exposed))?;
            let help = "Rows that this server has sealed anew since it took that up";
            encoder
                .encode_descriptor("kms_keyring_rows_resealed", help, None, MetricType::Gauge)?
                .encode_gauge(&whole(progress.done))?;
        }
        let help = "Blocks of encryptions noted for keys past 2^31 random nonces";
        encoder
            .encode_descriptor("kms_nonce_warnings", help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&self.0.service.nonce_warnings(), None)
    }
}

/// The page `/metrics`.
pub(crate) fn page(app: &Arc<App>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Reader(Arc::clone(app))));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_below_its_bound() {
        for micros in [0, 1, 15, 16, 17, 1000, 65_536, 65_537, 1 << 24, (1 << 24) + 1, u64::MAX] {
            let at = bucket(micros);
            #[expect(
                clippy::cast_precision_loss,
                reason = "small numbers, or infinity beside them"
            )]
            let seconds = micros as f64 / 1e6;
            assert!(seconds <= bound(at), "{micros}");
            assert!(at == 0 || seconds > bound(at - 1), "{micros}");
        }
    }

    #[test]
    fn every_operation_has_a_slot_of_its_own() {
        assert_eq!(name(index(Some(Operation::Encrypt))), "Encrypt");
        assert_eq!(name(index(Some(Operation(0xFFFF)))), "none");
        assert_eq!(name(BATCH), "batch");
    }
}
