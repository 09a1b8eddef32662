//! Watches queues and metrics, and raises an alarm once for each thing that goes wrong, until it is well again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use toolkit::health::HealthCheck;

use crate::metrics::{Interval, Metrics, Reading};
use crate::store::Store;

/// Limits that raise an alert when exceeded.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "When to raise an alert")]
pub struct Limits {
    /// Limit: dead letters in one queue
    #[arg(long, default_value_t = 1, value_name = "MESSAGES")]
    pub alert_dead_letters: u64,
    /// Limit: waiting messages in one queue
    #[arg(long, default_value_t = 1_000, value_name = "MESSAGES")]
    pub alert_queue_depth: u64,
    /// Limit: share of failed attempts
    #[arg(long, default_value_t = 10.0, value_name = "PER CENT")]
    pub alert_error_rate: f64,
    /// Limit: P95 of the time from send until handled
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    pub alert_latency: f64,
}

/// A problem: its kind, which stays the same while it lasts, and its current extent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Alert {
    pub kind: String,
    pub detail: String,
}

impl Limits {
    /// Returns an alert for each value above its limit.
    pub fn check(&self, now: &Reading, interval: &Interval) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut alert = |kind: String, detail: String| alerts.push(Alert { kind, detail });
        for (queue, depth) in &now.dead_letters {
            if *depth >= self.alert_dead_letters {
                alert(format!("DLQ message threshold exceeded: {queue}"), format!("{depth} dead letters"));
            }
        }
        for (queue, depth) in &now.depths {
            if *depth >= self.alert_queue_depth {
                alert(format!("queue depth threshold exceeded: {queue}"), format!("{depth} messages wait"));
            }
        }
        // A few attempts make no rate.
        if interval.attempts >= 10 && interval.error_rate * 100.0 >= self.alert_error_rate {
            let failed =
                format!("{:.0} % of {} attempts failed", interval.error_rate * 100.0, interval.attempts);
            alert("high error rate".to_owned(), failed);
        }
        if let Some(latency) = interval.latency_p95
            && latency.as_secs_f64() >= self.alert_latency
        {
            alert("processing latency threshold exceeded".to_owned(), format!("P95 {latency:.1?}"));
        }
        alerts
    }
}

/// Looks every so often, for ever. `queues`: where there are several processes, those that one of them looks at for all.
pub async fn watch(queues: HealthCheck, store: Store, metrics: Metrics, limits: Limits, every: Duration) {
    let mut raised = BTreeSet::new();
    let (mut before, mut at) = (metrics.read(), Instant::now());
    loop {
        tokio::time::sleep(every).await;
        queues.look().await;
        let now = metrics.read();
        let interval = now.since(&before, at.elapsed());
        (before, at) = (now.clone(), Instant::now());
        let dead: u64 = now.dead_letters.iter().map(|(_, depth)| depth).sum();
        if interval.attempts > 0 || interval.published_per_second > 0.0 {
            tracing::info!("{interval}, dead letters {dead}");
        }
        let alerts = limits.check(&now, &interval);
        let kinds: BTreeSet<String> = alerts.iter().map(|alert| alert.kind.clone()).collect();
        for alert in alerts.iter().filter(|alert| !raised.contains(&alert.kind)) {
            raise(&store, alert).await;
        }
        for kind in raised.difference(&kinds) {
            tracing::info!(kind, "well again");
        }
        raised = kinds;
    }
}

async fn raise(store: &Store, alert: &Alert) {
    let Alert { kind, detail } = alert;
    tracing::error!(kind, detail, "ALERT");
    let sql = "INSERT INTO alerts (at_ms, kind, detail) VALUES ($1, $2, $3)";
    let query = sqlx::query(sql).bind(Timestamp::now().as_millisecond()).bind(kind).bind(detail);
    if let Err(error) = query.execute(&store.pool).await {
        tracing::error!(%error, "an alert was not written down");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_alert() {
        let limits = Limits {
            alert_dead_letters: 1,
            alert_queue_depth: 100,
            alert_error_rate: 10.0,
            alert_latency: 60.0,
        };
        let mut now = Metrics::default().read();
        let calm = Interval {
            published_per_second: 0.0,
            processed_per_second: 0.0,
            attempts: 100,
            error_rate: 0.05,
            latency_p95: Some(Duration::from_secs(1)),
        };
        now.depths = vec![("q".to_owned(), 99)];
        now.dead_letters = vec![("d".to_owned(), 0)];
        assert_eq!(limits.check(&now, &calm), []);

        now.depths[0].1 = 100;
        now.dead_letters[0].1 = 1;
        let storm = Interval { error_rate: 0.5, latency_p95: Some(Duration::from_secs(90)), ..calm };
        let kinds: Vec<String> = limits.check(&now, &storm).into_iter().map(|alert| alert.kind).collect();
        assert_eq!(
            kinds,
            [
                "DLQ message threshold exceeded: d",
                "queue depth threshold exceeded: q",
                "high error rate",
                "processing latency threshold exceeded"
            ]
        );
        assert_eq!(
            limits.check(&now, &Interval { attempts: 2, ..storm }).len(),
            3,
            "two attempts make no rate"
        );
    }
}
