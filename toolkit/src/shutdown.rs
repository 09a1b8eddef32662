//! Waits for a signal to stop: from the keyboard, a container runtime, or a service manager.

/// Returns when the program receives SIGINT (Ctrl-C) or SIGTERM (`docker stop`, Kubernetes, systemd); on
/// Windows, Ctrl-C. After the first poll these signals no longer end the process by themselves.
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
/// The operating system does not permit handlers for these signals.
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
            // The first poll installs the handlers. Before that, the signal would end this process.
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
