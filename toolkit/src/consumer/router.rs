//! A handler for each type of message, for queues with several types.

use std::collections::HashMap;
use std::marker::PhantomData;

use futures_util::future::{BoxFuture, FutureExt};

use crate::consumer::delivery::{Delivery, Handler, Outcome};
use crate::message::{Message, Untyped};

/// Passes each message to the handler of its type. A message of a type without a handler becomes a dead
/// letter, unless there is a handler for [all others](Router::otherwise).
///
/// Data of an older version is upgraded by the [`upcast`](Message::upcast) of its type.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderPlaced { id: String }
/// # #[derive(Serialize, Deserialize)] struct OrderCancelled { id: String }
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use toolkit::consumer::{Delivery, Outcome};
/// use toolkit::{Consumer, Message, Publisher, QueueSpec, Router};
///
/// impl Message for OrderPlaced {
///     const TYPES: &'static [&'static str] = &["order.placed"];
/// }
/// impl Message for OrderCancelled {
///     const TYPES: &'static [&'static str] = &["order.cancelled"];
/// }
///
/// let queue = QueueSpec::new("orders").dead_letters("orders-dlq", 3).ensure(&clients).await?;
/// # let publisher = Publisher::queue(&clients, &queue);
/// # publisher.publish(OrderPlaced { id: "o-1".into() }).await?;
/// # publisher.publish(OrderCancelled { id: "o-1".into() }).await?;
/// let router = Router::new()
///     .on(|placed: Delivery<OrderPlaced>| async move { println!("{} is placed", placed.data().id) })
///     .on(|cancelled: Delivery<OrderCancelled>| async move { println!("{} is cancelled", cancelled.data().id) });
/// let running = Consumer::new(&clients, &queue).start(router).await?;
/// # while running.counts().deleted < 2 { tokio::time::sleep(std::time::Duration::from_millis(5)).await; }
/// assert_eq!(running.shutdown().await.done, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Default)]
pub struct Router {
    routes: HashMap<&'static str, std::sync::Arc<dyn Route>>,
    otherwise: Option<Box<dyn Route>>,
}

impl Router {
    /// Creates a router without handlers.
    pub fn new() -> Router {
        Router::default()
    }

    /// Adds a handler for all [types](Message::TYPES) of `T`.
    ///
    /// # Panics
    /// One of these types has a handler already: a mistake in the program, which shows at its start.
    #[must_use]
    pub fn on<T: Message>(mut self, handler: impl Handler<T>) -> Router {
        let route: std::sync::Arc<dyn Route> =
            std::sync::Arc::new(Typed { handler, reads: PhantomData::<fn() -> T> });
        for name in T::TYPES {
            assert!(
                self.routes.insert(name, route.clone()).is_none(),
                "two handlers for the type \"{name}\""
            );
        }
        self
    }

    /// Adds a handler for all other types, which otherwise become dead letters.
    #[must_use]
    pub fn otherwise(mut self, handler: impl Handler<Untyped>) -> Router {
        self.otherwise = Some(Box::new(Other(handler)));
        self
    }

    /// Returns the types that have a handler, in order.
    pub fn types(&self) -> Vec<&'static str> {
        let mut types: Vec<_> = self.routes.keys().copied().collect();
        types.sort_unstable();
        types
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("types", &self.types()).finish_non_exhaustive()
    }
}

impl Handler<Untyped> for Router {
    async fn handle(&self, delivery: Delivery<Untyped>) -> Outcome {
        let message_type = delivery.envelope.message_type.as_str();
        match (self.routes.get(message_type), &self.otherwise) {
            (Some(route), _) => route.take(delivery).await,
            (None, Some(route)) => route.take(delivery).await,
            (None, None) => {
                let types = self.types().join("\", \"");
                Outcome::give_up(format!("the type is \"{message_type}\"; this consumer handles \"{types}\""))
            }
        }
    }
}

/// A handler whose message type is erased.
trait Route: Send + Sync + 'static {
    fn take(&self, delivery: Delivery<Untyped>) -> BoxFuture<'_, Outcome>;
}

struct Typed<T, H> {
    handler: H,
    reads: PhantomData<fn() -> T>,
}

impl<T: Message, H: Handler<T>> Route for Typed<T, H> {
    fn take(&self, delivery: Delivery<Untyped>) -> BoxFuture<'_, Outcome> {
        match delivery.typed::<T>() {
            Ok(delivery) => self.handler.handle(delivery).boxed(),
            Err(error) => std::future::ready(Outcome::give_up(error)).boxed(),
        }
    }
}

struct Other<H>(H);

impl<H: Handler<Untyped>> Route for Other<H> {
    fn take(&self, delivery: Delivery<Untyped>) -> BoxFuture<'_, Outcome> {
        self.0.handle(delivery).boxed()
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Paid {}

    impl Message for Paid {
        const TYPES: &'static [&'static str] = &["paid", "paid.late"];
    }

    #[test]
    fn a_router_knows_its_types() {
        let router = Router::new().on(|_: Delivery<Paid>| async {});
        assert_eq!(router.types(), ["paid", "paid.late"]);
    }

    #[test]
    #[should_panic(expected = "two handlers for the type \"paid\"")]
    fn two_handlers_for_a_type_are_a_mistake() {
        let handler = |_: Delivery<Paid>| async {};
        let _ = Router::new().on(handler).on(handler);
    }
}
