//! How a program is told to stop: by the keyboard, by a container's runtime, by a service manager.

/// Returns when the program is told to stop: by SIGINT, which Ctrl-C sends, or by SIGTERM, which `docker stop`, Kubernetes and systemd send
/// (on Windows by Ctrl-C). From the first poll on, neither signal ends the process by itself.
///
/// ```no_run
/// # async fn main_() -> std::io::Result<()> {
/// // … start consumers and relays …
/// toolkit::shutdown_signal().await?;
/// // … shut them down …
/// # Ok(()) }
/// ```
///
/// # Errors
/// When the operating system lets nobody listen to signals.
pub async fn shutdown_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn both_signals_are_heard_and_kill_nobody() {
        for signal in ["TERM", "INT"] {
            let told = std::pin::pin!(shutdown_signal());
            // Polled once: now it listens. Before, the signal would end this process.
            let told = match futures_util::future::select(told, std::future::ready(())).await {
                futures_util::future::Either::Right(((), told)) => told,
                futures_util::future::Either::Left(_) => panic!("nobody has sent a signal"),
            };
            let process = std::process::id().to_string();
            assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
            told.await.unwrap();
        }
    }
}
