//! Orders of all kinds, from chance: most go well, some are declined, out of stock, undeliverable or not valid.

use fastrand::Rng;
use toolkit::publisher::{Outgoing, PublishError};
use toolkit::{Clients, Publisher};

use crate::model::{Item, LARGE_CENTS, Order, Payment, Route, now_ms};
use crate::places::Places;
use crate::services::inventory::{RARE, product, rare};
use crate::services::shipping::NOWHERE;

/// Which orders there are, as shares of 1.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// How many products orders choose from.
    pub products: u32,
    /// Paid by card; the others on account.
    pub card: f64,
    /// Of VIP customers.
    pub vip: f64,
    /// Of `LARGE_CENTS` and more.
    pub large: f64,
    /// With two lines; the others have one.
    pub two_lines: f64,
    /// Each kind of trouble: a declined card, a rare product, an address where no carrier goes, an order that is not valid.
    pub trouble: f64,
}

impl Mix {
    /// The mix of the load: half of the orders are paid by card, so that there is one payment for two orders, as the targets have it.
    pub fn load(products: u32) -> Mix {
        Mix { products, card: 0.56, vip: 0.1, large: 0.03, two_lines: 0.05, trouble: 0.003 }
    }

    /// A mix in which much goes wrong.
    pub fn trials(products: u32) -> Mix {
        Mix { products, card: 0.6, vip: 0.2, large: 0.1, two_lines: 0.3, trouble: 0.05 }
    }
}

/// Makes orders.
#[derive(Debug)]
pub struct Generator {
    mix: Mix,
    run: String,
    made: u64,
    chance: Rng,
}

impl Generator {
    /// Orders whose ids begin with `run`.
    pub fn new(mix: Mix, run: impl Into<String>, seed: u64) -> Generator {
        Generator { mix, run: run.into(), made: 0, chance: Rng::with_seed(seed) }
    }

    /// The next one, submitted now.
    pub fn order(&mut self) -> Order {
        let (mix, number) = (self.mix, self.made);
        self.made += 1;
        let item = |chance: &mut Rng| Item {
            product_id: product(chance.u32(..mix.products)),
            quantity: chance.i64(1..=3),
            unit_price: chance.i64(100..20_000),
        };
        let chance = &mut self.chance;
        let mut items = vec![item(chance)];
        if chance.f64() < mix.two_lines {
            let other = item(chance);
            if other.product_id != items[0].product_id {
                items.push(other);
            }
        }
        if chance.f64() < mix.large {
            items[0].unit_price += LARGE_CENTS;
        }
        if chance.f64() < mix.trouble {
            items[0].product_id = rare(chance.u32(..RARE));
        }
        let declined = chance.f64() < mix.trouble;
        let payment = match chance.f64() < mix.card {
            true if declined => Payment::Card("declined".into()),
            true => Payment::Card(format!("tok-{:08x}", chance.u32(..))),
            false => Payment::Account,
        };
        let mut total = items.iter().map(|item| item.quantity * item.unit_price).sum();
        if chance.f64() < mix.trouble {
            total += 1;
        }
        let country =
            if chance.f64() < mix.trouble { NOWHERE } else { ["DE", "FR", "JP", "US"][chance.usize(..4)] };
        Order {
            order_id: format!("{}-{number}", self.run),
            customer_id: format!("customer-{}", chance.u32(..5_000)),
            tier: if chance.f64() < mix.vip { "vip" } else { "regular" }.to_owned(),
            items,
            total_amount: total,
            payment,
            country: country.to_owned(),
            submitted_ms: now_ms(),
        }
    }
}

/// The way in: each order to the queue of its kind.
#[derive(Clone, Debug)]
pub struct Counter {
    regular: Publisher,
    priority: Publisher,
    large: Publisher,
}

impl Counter {
    /// To these queues.
    pub fn new(clients: &Clients, places: &Places) -> Counter {
        let to = |queue| Publisher::queue(clients, queue).source("shop");
        Counter {
            regular: to(&places.orders),
            priority: to(&places.priority_orders),
            large: to(&places.large_orders),
        }
    }

    /// Submits orders; gives the ids of those that were accepted.
    pub async fn submit(&self, orders: Vec<Order>) -> Vec<String> {
        let mut ways: [(&Publisher, Vec<Order>); 3] =
            [(&self.regular, Vec::new()), (&self.priority, Vec::new()), (&self.large, Vec::new())];
        for order in orders {
            let way = match order.route() {
                Route::Regular => 0,
                Route::Priority => 1,
                Route::Large => 2,
            };
            ways[way].1.push(order);
        }
        let sends = ways.into_iter().map(|(publisher, orders)| send(publisher, orders));
        let [regular, priority, large] =
            <[_; 3]>::try_from(sends.collect::<Vec<_>>()).unwrap_or_else(|_| unreachable!());
        let (regular, priority, large) = tokio::join!(regular, priority, large);
        [regular, priority, large].concat()
    }
}

async fn send(publisher: &Publisher, orders: Vec<Order>) -> Vec<String> {
    let ids: Vec<String> = orders.iter().map(|order| order.order_id.clone()).collect();
    let outgoing = orders.into_iter().map(|order| {
        let (id, customer, tier) = (order.order_id.clone(), order.customer_id.clone(), order.tier.clone());
        Outgoing::new(order).id(id).group(customer).attribute("tier", tier)
    });
    let results = match publisher.publish_all(outgoing).await {
        Ok(results) => results,
        Err(error) => {
            eprintln!("orders: not submitted: {error}");
            return Vec::new();
        }
    };
    let accepted = |(id, result): (String, Result<_, PublishError>)| match result {
        Ok(_) => Some(id),
        Err(error) => {
            eprintln!("orders: {id} was not accepted: {error}");
            None
        }
    };
    ids.into_iter().zip(results).filter_map(accepted).collect()
}
