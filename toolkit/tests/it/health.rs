//! Health: healthy, degraded, unhealthy; and what happens when nobody answers.

use std::time::Duration;

use toolkit::health::{HealthCheck, Status, Thresholds};
use toolkit::{Publisher, Queue};

use crate::common::{Step, queue, server};

#[tokio::test]
async fn health_follows_depth_and_reach() {
    let (mut server, clients) = server().await;
    let (empty, full) = (queue(&clients, "empty").await, queue(&clients, "full").await);
    let messages = (0..12).map(|number| Step { number });
    Publisher::queue(&clients, &full).publish_all(messages).await.unwrap();
    let tight = |degraded, unhealthy| Thresholds { degraded, unhealthy };
    let check = |thresholds| HealthCheck::new(&clients).queue(&empty, tight(1, 2)).queue(&full, thresholds);
    assert_eq!(check(tight(13, 14)).look().await.status, Status::Healthy);
    let degraded = check(tight(12, 13)).look().await;
    assert_eq!(degraded.status, Status::Degraded);
    assert_eq!((degraded.checks[0].status, degraded.checks[1].depth), (Status::Healthy, 12));
    assert_eq!(check(tight(5, 12)).look().await.status, Status::Unhealthy);
    let missing = HealthCheck::new(&clients)
        .queue(&Queue::at(format!("{}/000000000000/nowhere", server.endpoint())), tight(1, 2));
    let missing = missing.look().await;
    assert_eq!(missing.status, Status::Unhealthy);
    assert!(missing.checks[0].why.contains("does not exist"), "{}", missing.checks[0].why);
    server.kill();
    let gone = check(tight(13, 14)).patience(Duration::from_millis(300)).look().await;
    assert_eq!(gone.status, Status::Unhealthy);
    assert_eq!(serde_json::to_value(&gone).unwrap()["status"], "unhealthy");
}
